//! Ids of parts of a license, derived from the numbers of its events.

/// Defines an id: a prefix, the license id's suffix, and a number of the license in at least ten digits.
///
/// It is derived rather than random, so that decisions stay pure. Ids of a license sort oldest first.
macro_rules! numbered_id {
    ($(#[$meta:meta])* $name:ident = $prefix:literal, $error:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Maximum length of an id, in bytes.
            const MAX_BYTES: usize = 72;

            pub(crate) fn new(license: &$crate::id::LicenseId, sequence: u64) -> Self {
                Self(format!(concat!($prefix, "{}_{:010}"), license.suffix(), sequence))
            }

            /// Parses an id. Does not check whether it exists.
            ///
            /// # Errors
            #[doc = concat!("Returns [`", stringify!($error), "`] if the text is not `", $prefix, "` and 1 to 68 of `a–z 0–9 _`.")]
            pub fn parse(text: &str) -> Result<Self, $error> {
                let rest = text.strip_prefix($prefix).ok_or($error)?;
                let well_formed = !rest.is_empty()
                    && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                if well_formed && text.len() <= Self::MAX_BYTES { Ok(Self(text.to_owned())) } else { Err($error) }
            }

            /// Returns the number within `license`, or `None` if the id is of another license.
            pub(crate) fn number_of(&self, license: &$crate::id::LicenseId) -> Option<u64> {
                let digits = self.0.strip_prefix($prefix)?.strip_prefix(license.suffix())?.strip_prefix('_')?;
                let number = digits.parse().ok().filter(|number| i64::try_from(*number).is_ok())?;
                (number > 0 && Self::new(license, number) == *self).then_some(number)
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        $crate::text_value::text_value!($name, $error);

        #[doc = concat!("The text is not ", $what, ".")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("{} must be {} and letters, digits and underscores", $what, $prefix)]
        pub struct $error;
    };
}

pub(crate) use numbered_id;
