//! The software that validates licenses.

use smol_str::SmolStr;

use crate::limits;
use crate::text_enum::display_as_str;

/// The licensed software, as it names itself: `name`, or `name/version`.
///
/// It decides nothing, so every text is accepted and stored cleaned: control characters count as white space,
/// white space is reduced to single spaces, and text past 128 bytes is cut off.
///
/// ```
/// use license_core::usage::Client;
/// let client = Client::new(" Éditeur \t Pro/2.1.0\n").expect("a text");
/// assert_eq!((client.name(), client.version()), ("Éditeur Pro", Some("2.1.0")));
/// assert_eq!(Client::new(" / "), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(SmolStr);

impl Client {
    /// Cleans the text. Returns `None`, for an unknown client, if it has nothing but white space and slashes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let separates = |character: char| character.is_whitespace() || character.is_control();
        let words: Vec<_> = text.split(separates).filter(|word| !word.is_empty()).collect();
        let clean = words.join(" ");
        let clean = clean[..clean.floor_char_boundary(limits::CLIENT_BYTES)].trim_matches([' ', '/']);
        (!clean.is_empty()).then(|| Self(SmolStr::new(clean)))
    }

    /// Returns the name: the text before the first slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(name, _)| name.trim_end())
    }

    /// Returns the version, if given: the text after the first slash.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.0.split_once('/').map(|(_, version)| version.trim_start())
    }

    /// Returns the whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

display_as_str!(Client);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_a_client_or_unknown() {
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
        let longest = "x".repeat(limits::CLIENT_BYTES);
        let umlauts = "ü".repeat(limits::CLIENT_BYTES);
        for (text, name, version) in [
            ("editor", "editor", None),
            (" Acme Editor/2.1.0-rc.1+7 ", "Acme Editor", Some("2.1.0-rc.1+7")),
            ("Éditeur/2.0", "Éditeur", Some("2.0")),
            ("Acme/1.0/beta", "Acme", Some("1.0/beta")),
            (browser, "Mozilla", browser.split_once('/').map(|(_, version)| version)),
            ("a\tb\0c \u{a0}\r\n d", "a b c d", None),
            ("a / 1", "a", Some("1")),
            ("/1", "1", None),
            ("a/ ", "a", None),
            (&format!("{longest}y"), &longest, None),
            (&format!("{}  y", &longest[1..]), &longest[1..], None),
            (&format!("x{umlauts}"), &format!("x{}", &umlauts[..limits::CLIENT_BYTES - 2]), None),
            ("編集者/2", "編集者", Some("2")),
        ] {
            let client = Client::new(text).expect(text);
            assert_eq!((client.name(), client.version()), (name, version), "{text:?}");
            assert!(client.as_str().len() <= limits::CLIENT_BYTES);
            // Stored texts are read as the same client.
            assert_eq!(Client::new(client.as_str()), Some(client));
        }
        for text in ["", " ", "/", " / / ", "\0\n\t", "\u{a0}"] {
            assert_eq!(Client::new(text), None, "{text:?}");
        }
    }
}
