//! Country and region of a validation. Addresses are not stored.

use std::fmt;

use smol_str::SmolStr;

use crate::limits;
use crate::text_enum::display_as_str;

/// A country by its two letters of ISO 3166, upper case. Any two letters are accepted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Parses two letters, in any case.
    ///
    /// ```
    /// use license_core::usage::Country;
    /// assert_eq!(Country::parse("de").map(|country| country.to_string()).as_deref(), Some("DE"));
    /// assert_eq!(Country::parse("T1"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters
            .iter()
            .all(u8::is_ascii_alphabetic)
            .then(|| Self(letters.map(|letter| letter.to_ascii_uppercase())))
    }

    /// Returns the two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // ASCII is UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

display_as_str!(Country);

/// A part of a country, as the geo-IP source names it: a code or a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(SmolStr);

impl Region {
    /// Trims and parses 1 to [`limits::REGION_BYTES`] bytes of printable text. Returns `None` for other
    /// texts, so that odd names in a geo-IP file do not fail a request.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=limits::REGION_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(SmolStr::new(text)))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A geographic location.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The country.
    pub country: Country,
    /// The region, if known.
    pub region: Option<Region>,
}

impl Location {
    /// Creates a location without a region.
    #[must_use]
    pub fn of(country: Country) -> Self {
        Self { country, region: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_have_two_letters() {
        for (text, expected) in [
            ("DE", Some("DE")),
            ("us", Some("US")),
            ("xK", Some("XK")),
            ("", None),
            ("D", None),
            ("DEU", None),
            ("T1", None),
            ("D ", None),
            ("ü", None),
        ] {
            let found = Country::parse(text);
            assert_eq!(found.as_ref().map(Country::as_str), expected, "{text:?}");
        }
    }

    #[test]
    fn regions_are_bounded() {
        let longest = "x".repeat(limits::REGION_BYTES);
        assert_eq!(Region::parse(&longest).as_ref().map(Region::as_str), Some(&*longest));
        assert_eq!(Region::parse(" Île-de-France ").as_ref().map(Region::as_str), Some("Île-de-France"));
        for text in ["", "  ", "a\0", "a\nb", &format!("{longest}x")] {
            assert_eq!(Region::parse(text), None, "{text:?}");
        }
    }
}
