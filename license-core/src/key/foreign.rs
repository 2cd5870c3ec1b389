//! Keys that another system made, as they were imported: each of a form that was declared for them.

#[cfg(not(feature = "imported-keys"))]
mod no_pattern;
#[cfg(feature = "imported-keys")]
mod pattern;

use std::fmt;

#[cfg(not(feature = "imported-keys"))]
use self::no_pattern::Pattern;
#[cfg(feature = "imported-keys")]
use self::pattern::Pattern;
use super::LicenseKey;
use crate::limits;

/// The form of keys of another system: a name, and a regular expression that a whole key fits.
///
/// Such keys are compared exactly, as they were imported: nothing is known of what may be spelt otherwise.
///
/// Formats are created with the feature `imported-keys`. Without it, a service does not start on a database that has some.
#[derive(Clone)]
pub struct ForeignFormat {
    name: String,
    pattern: String,
    whole: Pattern,
}

impl ForeignFormat {
    /// A form with that name and pattern: a regular expression of the crate `regex` over bytes, without look-around and
    /// back-references, so that a key is read in a time that grows with its length alone.
    ///
    /// ```
    /// use license_core::key::{ForeignFormat, ForeignFormats};
    /// let format = ForeignFormat::new("old-shop", "[0-9a-f]{8}(-[0-9a-f]{4}){3}")?;
    /// let formats = ForeignFormats::new([format])?;
    /// assert!(formats.read("0123abcd-0000-1111-2222").is_some());
    /// assert!(formats.read("0123ABCD-0000-1111-2222").is_none());
    /// assert!(formats.read("0123abcd-0000-1111-2222-3333").is_none());
    /// # Ok::<(), license_core::key::ForeignFormatError>(())
    /// ```
    ///
    /// # Errors
    /// The name is 1 to 32 of `a-z 0-9 _ -`; the pattern has at most 255 bytes, no control characters, can be read, and is small.
    #[cfg(feature = "imported-keys")]
    pub fn new(name: &str, pattern: &str) -> Result<Self, ForeignFormatError> {
        Self::declared(name, pattern)
    }

    /// As `new`; refuses every format without the feature `imported-keys`.
    pub(crate) fn declared(name: &str, pattern: &str) -> Result<Self, ForeignFormatError> {
        let named = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
        if !named || !(1..=limits::FOREIGN_NAME_BYTES).contains(&name.len()) {
            return Err(ForeignFormatError::Name);
        }
        if !(1..=limits::FOREIGN_PATTERN_BYTES).contains(&pattern.len())
            || pattern.chars().any(char::is_control)
        {
            return Err(ForeignFormatError::Length);
        }
        let whole = Pattern::new(pattern)?;
        Ok(Self { name: name.to_owned(), pattern: pattern.to_owned(), whole })
    }

    /// Reads `NAME=PATTERN`, as a command line has it.
    ///
    /// # Errors
    /// As [`new`](Self::new); also where there is no `=`.
    #[cfg(feature = "imported-keys")]
    pub fn parse(text: &str) -> Result<Self, ForeignFormatError> {
        let (name, pattern) = text.split_once('=').ok_or(ForeignFormatError::Name)?;
        Self::new(name, pattern)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a whole key fits.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Debug for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignFormat({}={})", self.name, self.pattern)
    }
}

impl PartialEq for ForeignFormat {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.pattern) == (&other.name, &other.pattern)
    }
}

impl Eq for ForeignFormat {}

/// The forms that one database has keys of, each name once, in the order of names. Normally none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignFormats(Vec<ForeignFormat>);

impl ForeignFormats {
    /// These forms.
    ///
    /// # Errors
    /// [`ForeignFormatError::Taken`] where a name has two patterns, [`ForeignFormatError::TooMany`] past
    /// [`limits::FOREIGN_FORMATS`].
    pub fn new(formats: impl IntoIterator<Item = ForeignFormat>) -> Result<Self, ForeignFormatError> {
        formats.into_iter().try_fold(Self::default(), Self::with)
    }

    /// With one more; it may be among them already.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with(mut self, format: ForeignFormat) -> Result<Self, ForeignFormatError> {
        match self.0.binary_search_by(|known| known.name.cmp(&format.name)) {
            Ok(place) if self.0[place] == format => {}
            Ok(_) => return Err(ForeignFormatError::Taken { name: format.name }),
            Err(_) if self.0.len() >= limits::FOREIGN_FORMATS => return Err(ForeignFormatError::TooMany),
            Err(place) => self.0.insert(place, format),
        }
        Ok(self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The forms, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &ForeignFormat> {
        self.0.iter()
    }

    /// Reads a key of one of these forms, exactly as it stands: printable ASCII of at most 255 bytes, no space at its ends. Whether
    /// the text is one of this server's own keys is for the caller to ask first.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<LicenseKey> {
        if self.0.is_empty() {
            return None;
        }
        let printable = (1..=limits::FOREIGN_KEY_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
            && text.trim() == text;
        (printable && self.0.iter().any(|format| format.whole.matches(text.as_bytes())))
            .then(|| LicenseKey::from_foreign(text))
    }
}

/// Why there is no such form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignFormatError {
    /// It has no name, or one of other characters.
    #[error(
        "a form of keys is NAME=PATTERN; the name has 1 to {} of a-z, 0-9, _ and -",
        limits::FOREIGN_NAME_BYTES
    )]
    Name,
    /// Its pattern is empty, too long or has control characters.
    #[error(
        "the pattern of a form of keys has 1 to {} bytes and no control characters",
        limits::FOREIGN_PATTERN_BYTES
    )]
    Length,
    /// Its pattern can't be read.
    #[error("the pattern of a form of keys: {0}")]
    Pattern(String),
    /// Keys of other systems are not compiled in.
    #[error(
        "this program was built without support for keys of other systems: enable the feature imported-keys of license-core"
    )]
    NotEnabled,
    /// Its name has another pattern already.
    #[error("the form of keys {name} has another pattern already")]
    Taken {
        /// The name.
        name: String,
    },
    /// There are as many as there may be.
    #[error("there are {} forms of keys already", limits::FOREIGN_FORMATS)]
    TooMany,
}

#[cfg(test)]
#[cfg(feature = "imported-keys")]
mod tests {
    use super::*;

    fn formats(pattern: &str) -> ForeignFormats {
        ForeignFormats::new([ForeignFormat::new("old", pattern).unwrap()]).unwrap()
    }

    #[test]
    fn forms_have_edges() {
        let longest = "n".repeat(limits::FOREIGN_NAME_BYTES);
        for name in ["a", "old_shop-2", &longest] {
            assert_eq!(ForeignFormat::new(name, ".+").unwrap().name(), name);
        }
        for name in ["", "Old", "a b", "ä", &format!("{longest}n")] {
            assert_eq!(ForeignFormat::new(name, ".+"), Err(ForeignFormatError::Name), "{name:?}");
        }
        let longest = "x".repeat(limits::FOREIGN_PATTERN_BYTES);
        assert!(ForeignFormat::new("a", &longest).is_ok());
        for pattern in ["", "a\nb", &format!("{longest}x")] {
            assert_eq!(ForeignFormat::new("a", pattern), Err(ForeignFormatError::Length), "{pattern:?}");
        }
        for pattern in ["(", ")(", "[a", "(?=a)", r"(a)\1", "(([a-z]{99}){99}){99}"] {
            let error = ForeignFormat::new("a", pattern).unwrap_err();
            assert!(matches!(error, ForeignFormatError::Pattern(_)), "{pattern}: {error}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
        let parsed = ForeignFormat::parse("old=[a=b]+").unwrap();
        assert_eq!((parsed.name(), parsed.pattern()), ("old", "[a=b]+"));
        assert_eq!(ForeignFormat::parse("old"), Err(ForeignFormatError::Name));
    }

    #[test]
    fn a_key_fits_whole_and_exactly() {
        let some = formats(r"[A-Z]{3}|[a-z\d -]+");
        for text in ["ABC", "abc-1", "a b", "a"] {
            let key = some.read(text).unwrap();
            assert_eq!((key.reveal(), key.is_foreign()), (text, true));
        }
        for text in ["", "AB", "ABCD", "ABC ", " ABC", "Abc", "abc\n", "ABC\0", "ä"] {
            assert_eq!(some.read(text), None, "{text:?}");
        }
        assert_eq!(ForeignFormats::default().read("abc"), None);
    }

    #[test]
    fn length_at_the_edge_and_one_past() {
        let any = formats("(?s).+");
        let longest = "k".repeat(limits::FOREIGN_KEY_BYTES);
        assert!(any.read(&longest).is_some());
        assert_eq!(any.read(&format!("{longest}k")), None);
        for text in ["a\tb", "a\u{7f}", "é", " a", "a ", ""] {
            assert_eq!(any.read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_name_has_one_pattern_and_there_are_so_many() {
        let format = |name: &str, pattern: &str| ForeignFormat::new(name, pattern).unwrap();
        let two = ForeignFormats::new([format("b", "b"), format("a", "a"), format("b", "b")]).unwrap();
        assert_eq!(two.iter().map(ForeignFormat::name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            two.clone().with(format("a", "c")),
            Err(ForeignFormatError::Taken { name: "a".to_owned() })
        );
        let many = |n: usize| ForeignFormats::new((0..n).map(|n| format(&format!("f{n}"), "x")));
        assert!(many(limits::FOREIGN_FORMATS).is_ok());
        assert_eq!(many(limits::FOREIGN_FORMATS + 1), Err(ForeignFormatError::TooMany));
    }
}
