//! License keys issued by other systems, in declared formats.

use std::fmt;

use super::LicenseKey;
use super::alphabet::is_invisible;
use crate::limits;

#[cfg(feature = "imported-keys")]
mod entropy;

#[cfg(feature = "imported-keys")]
type Pattern = regex::bytes::Regex;
/// Without the feature, no pattern exists.
#[cfg(not(feature = "imported-keys"))]
#[derive(Clone)]
enum Pattern {}

/// A format of imported keys: a name, and a regular expression that a whole key must match.
///
/// Imported keys are compared exactly, because their spelling rules are unknown. Without the feature
/// `imported-keys`, no format can be created, and a service does not start on a database that has one.
#[derive(Clone)]
pub struct ImportedKeyFormat {
    name: String,
    pattern: String,
    whole: Pattern,
    entropy_bits: u32,
}

impl ImportedKeyFormat {
    /// Creates a format. `pattern` uses the syntax of the crate `regex` on bytes, without look-around and
    /// back-references, so matching takes linear time.
    ///
    /// ```
    /// use license_core::key::{ImportedKeyFormat, ImportedKeyFormats};
    /// # if !cfg!(feature = "imported-keys") { return Ok(()) }
    /// let format = ImportedKeyFormat::new("old-shop", "[0-9a-f]{8}(-[0-9a-f]{4}){3}")?;
    /// let formats = ImportedKeyFormats::new([format])?;
    /// assert!(formats.read("0123abcd-0000-1111-2222").is_some());
    /// assert!(formats.read("0123ABCD-0000-1111-2222").is_none());
    /// assert!(formats.read("0123abcd-0000-1111-2222-3333").is_none());
    /// # Ok::<(), license_core::key::ImportedKeyFormatError>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`ImportedKeyFormatError`] if the name is not 1 to 32 of `a-z 0-9 _ -`, the pattern is empty,
    /// has more than 255 bytes or control characters, is invalid or compiles to too large a program, or the
    /// feature `imported-keys` is disabled.
    pub fn new(name: &str, pattern: &str) -> Result<Self, ImportedKeyFormatError> {
        let named = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
        if !named || !(1..=limits::IMPORTED_FORMAT_NAME_BYTES).contains(&name.len()) {
            return Err(ImportedKeyFormatError::Name);
        }
        if !(1..=limits::IMPORTED_FORMAT_PATTERN_BYTES).contains(&pattern.len())
            || pattern.chars().any(char::is_control)
        {
            return Err(ImportedKeyFormatError::Length);
        }
        let whole = compile(pattern)?;
        #[cfg(feature = "imported-keys")]
        let entropy_bits = entropy::bits(pattern);
        #[cfg(not(feature = "imported-keys"))]
        let entropy_bits = 0;
        Ok(Self { name: name.to_owned(), pattern: pattern.to_owned(), whole, entropy_bits })
    }

    /// Parses `NAME=PATTERN`, as given on a command line.
    ///
    /// # Errors
    /// Returns [`ImportedKeyFormatError`] as [`new`](Self::new) does, or if there is no `=`.
    pub fn parse(text: &str) -> Result<Self, ImportedKeyFormatError> {
        let (name, pattern) = text.split_once('=').ok_or(ImportedKeyFormatError::Name)?;
        Self::new(name, pattern)
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the pattern that a whole key must match.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Returns the estimated bits of entropy of the weakest keys that match, if all of them are equally
    /// likely. Of a part that can be left out or repeated, the fewest repetitions count.
    ///
    /// ```
    /// use license_core::key::ImportedKeyFormat;
    /// # if !cfg!(feature = "imported-keys") { return Ok(()) }
    /// assert_eq!(ImportedKeyFormat::new("hex", "[0-9a-f]{8}-[0-9a-f]{8}")?.entropy_bits(), 64);
    /// assert_eq!(ImportedKeyFormat::new("order", "A-[0-9]{6,}")?.entropy_bits(), 19);
    /// # Ok::<(), license_core::key::ImportedKeyFormatError>(())
    /// ```
    #[must_use]
    pub fn entropy_bits(&self) -> u32 {
        self.entropy_bits
    }

    /// Returns whether an attacker can find keys by guessing: fewer bits of entropy than
    /// [`limits::GUESSABLE_BITS`].
    #[must_use]
    pub fn is_guessable(&self) -> bool {
        self.entropy_bits < limits::GUESSABLE_BITS
    }
}

impl fmt::Debug for ImportedKeyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImportedKeyFormat({}={})", self.name, self.pattern)
    }
}

impl PartialEq for ImportedKeyFormat {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.pattern) == (&other.name, &other.pattern)
    }
}

impl Eq for ImportedKeyFormat {}

#[cfg(feature = "imported-keys")]
fn compile(pattern: &str) -> Result<Pattern, ImportedKeyFormatError> {
    /// Maximum size of a compiled pattern, in bytes: it runs on untrusted input.
    const PROGRAM_BYTES: usize = 64 * 1024;
    // Keys are ASCII.
    let build =
        |text: &str| regex::bytes::RegexBuilder::new(text).unicode(false).size_limit(PROGRAM_BYTES).build();
    // Compiled alone first, because an invalid pattern such as `a)|(?:b` would be valid inside the group.
    build(pattern).and_then(|_| build(&format!(r"\A(?:{pattern})\z"))).map_err(|error| {
        // The lines before the last one only show the pattern.
        let message = error.to_string();
        let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
        ImportedKeyFormatError::Pattern(last.to_owned())
    })
}

#[cfg(not(feature = "imported-keys"))]
fn compile(_: &str) -> Result<Pattern, ImportedKeyFormatError> {
    Err(ImportedKeyFormatError::NotEnabled)
}

#[cfg(feature = "imported-keys")]
fn matches(pattern: &Pattern, key: &[u8]) -> bool {
    pattern.is_match(key)
}

#[cfg(not(feature = "imported-keys"))]
fn matches(pattern: &Pattern, _: &[u8]) -> bool {
    match *pattern {}
}

/// The imported key formats of one database, sorted by name. Normally empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportedKeyFormats(Vec<ImportedKeyFormat>);

impl ImportedKeyFormats {
    /// Creates a set of formats.
    ///
    /// # Errors
    /// Returns [`ImportedKeyFormatError::Taken`] if a name has two patterns, or
    /// [`ImportedKeyFormatError::TooMany`] beyond [`limits::IMPORTED_KEY_FORMATS`].
    pub fn new(formats: impl IntoIterator<Item = ImportedKeyFormat>) -> Result<Self, ImportedKeyFormatError> {
        formats.into_iter().try_fold(Self::default(), Self::with)
    }

    /// Adds a format, unless it is present.
    ///
    /// # Errors
    /// Returns the errors of [`new`](Self::new).
    pub fn with(mut self, format: ImportedKeyFormat) -> Result<Self, ImportedKeyFormatError> {
        match self.0.binary_search_by(|known| known.name.cmp(&format.name)) {
            Ok(index) if self.0[index] == format => {}
            Ok(_) => return Err(ImportedKeyFormatError::Taken { name: format.name }),
            Err(_) if self.0.len() >= limits::IMPORTED_KEY_FORMATS => {
                return Err(ImportedKeyFormatError::TooMany);
            }
            Err(index) => self.0.insert(index, format),
        }
        Ok(self)
    }

    /// Returns whether there are no formats.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the formats, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &ImportedKeyFormat> {
        self.0.iter()
    }

    /// Reads a key in one of these formats: printable ASCII of at most 255 bytes. White space around it is
    /// not part of the key.
    ///
    /// Try the server's own format first: an imported format may match its keys too.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<LicenseKey> {
        if self.0.is_empty() {
            return None;
        }
        let text = text.trim_matches(|character: char| character.is_whitespace() || is_invisible(character));
        let printable = (1..=limits::IMPORTED_KEY_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        (printable && self.0.iter().any(|format| matches(&format.whole, text.as_bytes())))
            .then(|| LicenseKey::from_imported(text))
    }

    /// Returns whether the key matches a format whose keys can be found by guessing.
    pub(crate) fn is_guessable(&self, key: &LicenseKey) -> bool {
        let key = key.reveal().as_bytes();
        self.0.iter().any(|format| format.is_guessable() && matches(&format.whole, key))
    }
}

/// The reason why an imported key format is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportedKeyFormatError {
    /// The name is missing or has other characters.
    #[error(
        "a key format must be NAME=PATTERN; the name has 1 to {} of a-z, 0-9, _ and -",
        limits::IMPORTED_FORMAT_NAME_BYTES
    )]
    Name,
    /// The pattern is empty, too long or has control characters.
    #[error(
        "the pattern of a key format must have 1 to {} bytes and no control characters",
        limits::IMPORTED_FORMAT_PATTERN_BYTES
    )]
    Length,
    /// The pattern is not a valid regular expression.
    #[error("the pattern of the key format: {0}")]
    Pattern(String),
    /// The feature `imported-keys` is disabled.
    #[error(
        "this program was built without support for keys of other systems: enable the feature imported-keys of license-core"
    )]
    NotEnabled,
    /// The name has another pattern.
    #[error("the key format {name} already has another pattern")]
    Taken {
        /// The name.
        name: String,
    },
    /// The maximum number of formats is reached.
    #[error("there are already {} key formats, the most that are allowed", limits::IMPORTED_KEY_FORMATS)]
    TooMany,
}

#[cfg(test)]
#[cfg(feature = "imported-keys")]
mod tests {
    use super::*;

    fn formats(pattern: &str) -> ImportedKeyFormats {
        ImportedKeyFormats::new([ImportedKeyFormat::new("old", pattern).unwrap()]).unwrap()
    }

    #[test]
    fn name_and_pattern_are_checked_at_their_edges() {
        let longest = "n".repeat(limits::IMPORTED_FORMAT_NAME_BYTES);
        for name in ["a", "old_shop-2", &longest] {
            assert_eq!(ImportedKeyFormat::new(name, ".+").unwrap().name(), name);
        }
        for name in ["", "Old", "a b", "ä", &format!("{longest}n")] {
            assert_eq!(ImportedKeyFormat::new(name, ".+"), Err(ImportedKeyFormatError::Name), "{name:?}");
        }
        let longest = "x".repeat(limits::IMPORTED_FORMAT_PATTERN_BYTES);
        assert!(ImportedKeyFormat::new("a", &longest).is_ok());
        for pattern in ["", "a\nb", &format!("{longest}x")] {
            assert_eq!(
                ImportedKeyFormat::new("a", pattern),
                Err(ImportedKeyFormatError::Length),
                "{pattern:?}"
            );
        }
        for pattern in ["(", ")(", "[a", "(?=a)", r"(a)\1", "(([a-z]{99}){99}){99}"] {
            let error = ImportedKeyFormat::new("a", pattern).unwrap_err();
            assert!(matches!(error, ImportedKeyFormatError::Pattern(_)), "{pattern}: {error}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
        let parsed = ImportedKeyFormat::parse("old=[a=b]+").unwrap();
        assert_eq!((parsed.name(), parsed.pattern()), ("old", "[a=b]+"));
        assert_eq!(ImportedKeyFormat::parse("old"), Err(ImportedKeyFormatError::Name));
    }

    #[test]
    fn imported_key_must_match_exactly() {
        let some = formats(r"[A-Z]{3}|[a-z\d -]+");
        for text in ["ABC", "abc-1", "a b", "a"] {
            let key = some.read(text).unwrap();
            assert_eq!((key.reveal(), key.is_imported()), (text, true));
        }
        for text in ["", " ", "AB", "ABCD", "A BC", "Abc", "ab\nc", "ABC\0", "ä", "\"ABC\""] {
            assert_eq!(some.read(text), None, "{text:?}");
        }
        // White space and invisible characters around a key are not part of it.
        for text in ["ABC ", " ABC", "\tABC\r\n", "\u{feff}ABC\u{a0}", "\u{200b}ABC"] {
            assert_eq!(some.read(text).unwrap().reveal(), "ABC", "{text:?}");
        }
        assert_eq!(ImportedKeyFormats::default().read("abc"), None);
    }

    #[test]
    fn imported_key_length_is_checked_at_the_edge() {
        let any = formats("(?s).+");
        let longest = "k".repeat(limits::IMPORTED_KEY_BYTES);
        assert!(any.read(&longest).is_some());
        assert_eq!(any.read(&format!("{longest}k")), None);
        assert_eq!(any.read(&format!("  {longest}\n")).unwrap().reveal(), longest);
        for text in ["a\tb", "a\u{7f}", "é", ""] {
            assert_eq!(any.read(text), None, "{text:?}");
        }
    }

    #[test]
    fn key_is_guessable_if_any_of_its_formats_is() {
        let format = |name, pattern| ImportedKeyFormat::new(name, pattern).unwrap();
        let formats =
            ImportedKeyFormats::new([format("digits", "[0-9]{18}"), format("hex", "[0-9a-f]{15,18}")])
                .unwrap();
        let bits: Vec<_> =
            formats.iter().map(|format| (format.entropy_bits(), format.is_guessable())).collect();
        assert_eq!(bits, [(59, true), (60, false)]);
        for (text, guessable) in [("123456789012345678", true), ("12345678901234567f", false)] {
            assert_eq!(formats.is_guessable(&formats.read(text).unwrap()), guessable, "{text}");
        }
    }

    #[test]
    fn names_are_unique_and_formats_are_limited() {
        let format = |name: &str, pattern: &str| ImportedKeyFormat::new(name, pattern).unwrap();
        let two = ImportedKeyFormats::new([format("b", "b"), format("a", "a"), format("b", "b")]).unwrap();
        assert_eq!(two.iter().map(ImportedKeyFormat::name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            two.clone().with(format("a", "c")),
            Err(ImportedKeyFormatError::Taken { name: "a".to_owned() })
        );
        let many = |n: usize| ImportedKeyFormats::new((0..n).map(|n| format(&format!("f{n}"), "x")));
        assert!(many(limits::IMPORTED_KEY_FORMATS).is_ok());
        assert_eq!(many(limits::IMPORTED_KEY_FORMATS + 1), Err(ImportedKeyFormatError::TooMany));
    }
}

#[cfg(test)]
#[cfg(not(feature = "imported-keys"))]
#[test]
fn format_is_rejected_without_the_feature() {
    assert_eq!(ImportedKeyFormat::new("old", "[0-9]+"), Err(ImportedKeyFormatError::NotEnabled));
}
