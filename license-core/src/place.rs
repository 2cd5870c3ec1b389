//! Where a validation came from, as far as it is known: never the address.

use std::fmt;

use smol_str::SmolStr;

use crate::limits;

/// A country by its two letters of ISO 3166, upper case. That there is such a country is not looked up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads two letters, in any case.
    ///
    /// ```
    /// use license_core::place::Country;
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

    /// Its letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Letters of ASCII are UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a country, as the source of geography names it: a code or a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(SmolStr);

impl Region {
    /// Reads 1 to [`limits::REGION_BYTES`] bytes of printable text; white space around it is no part of it. `None` for any
    /// other text: nobody is refused for a name in a file.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=limits::REGION_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(SmolStr::new(text)))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A place on earth.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The country.
    pub country: Country,
    /// The part of it, where that is known.
    pub region: Option<Region>,
}

impl Place {
    /// A country, and no more is known.
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
