//! Activations: bindings of a license to domains and devices.

use std::fmt;

use chrono::{DateTime, Utc};
use smol_str::SmolStr;

use crate::domain::DomainName;
use crate::id::LicenseId;
use crate::limits;
use crate::text_enum::text_enum;

/// The id of an activation: `act_`, the suffix of its license id, and the number of its event in ten digits.
///
/// It is derived rather than random, so that decisions stay pure. Ids of a license sort oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivationId(String);

impl ActivationId {
    /// Maximum length of an id, in bytes.
    const MAX_BYTES: usize = 72;

    pub(crate) fn new(license: &LicenseId, sequence: u64) -> Self {
        Self(format!("act_{}_{sequence:010}", license.suffix()))
    }

    /// Parses an id. Whether the activation exists is for the store to say.
    ///
    /// # Errors
    /// Returns [`ActivationIdError`] if the text is not `act_` and 1 to 68 of `a–z 0–9 _`.
    pub fn parse(text: &str) -> Result<Self, ActivationIdError> {
        let rest = text.strip_prefix("act_").ok_or(ActivationIdError)?;
        let well_formed = !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if well_formed && text.len() <= Self::MAX_BYTES {
            Ok(Self(text.to_owned()))
        } else {
            Err(ActivationIdError)
        }
    }

    /// Returns the number of this activation within `license`, or `None` if it belongs to another license.
    pub(crate) fn number_of(&self, license: &LicenseId) -> Option<u64> {
        let digits = self.0.strip_prefix("act_")?.strip_prefix(license.suffix())?.strip_prefix('_')?;
        let number = digits.parse().ok().filter(|number| i64::try_from(*number).is_ok())?;
        (number > 0 && Self::new(license, number) == *self).then_some(number)
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not an activation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an activation id must be act_ and letters, digits and underscores")]
pub struct ActivationIdError;

/// The name of a device: 1 to 255 bytes of printable text, compared exactly.
///
/// Containers of a fleet can share a fingerprint; they then count as one device.
///
/// ```
/// use license_core::activation::Fingerprint;
/// assert!(Fingerprint::parse("8f14e45f-ceea-467f").is_ok());
/// assert!(Fingerprint::parse("two\nlines").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(SmolStr);

impl Fingerprint {
    /// Parses a fingerprint, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`FingerprintError`] if the text is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim();
        if text.is_empty() {
            Err(FingerprintError::Empty)
        } else if text.len() > limits::FINGERPRINT_BYTES {
            Err(FingerprintError::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(FingerprintError::Control)
        } else {
            Ok(Self(SmolStr::new(text)))
        }
    }

    /// Returns the fingerprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The reason why a text is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// Empty, or white space only.
    #[error("a fingerprint must not be empty")]
    Empty,
    /// Longer than [`limits::FINGERPRINT_BYTES`].
    #[error("a fingerprint can have at most {} bytes", limits::FINGERPRINT_BYTES)]
    TooLong,
    /// A control character, such as NUL.
    #[error("a fingerprint must not have control characters")]
    Control,
}

text_enum! {
    /// The kind of a slot.
    ActivationKind {
        /// A slot for a domain.
        Domain = "domain",
        /// A slot for a device.
        Device = "device",
    }
}

/// The holder of a slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binding {
    /// A domain, or a wildcard that an admin registered.
    Domain(DomainName),
    /// A device.
    Device(Fingerprint),
}

impl Binding {
    /// Returns the kind of slot.
    #[must_use]
    pub fn kind(&self) -> ActivationKind {
        match self {
            Self::Domain(_) => ActivationKind::Domain,
            Self::Device(_) => ActivationKind::Device,
        }
    }

    /// Returns the domain or fingerprint as text. It is unique per license and kind.
    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Domain(domain) => domain.as_str(),
            Self::Device(fingerprint) => fingerprint.as_str(),
        }
    }
}

/// A binding of a license to a domain or a device. It holds one slot until it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The id.
    pub id: ActivationId,
    /// The domain or device.
    pub binding: Binding,
    /// Time of activation.
    pub created_at: DateTime<Utc>,
    /// The vendor's label.
    pub label: Option<Label>,
}

/// A label that the vendor gives an activation, such as an owner: 1 to 100 bytes of printable text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(SmolStr);

impl Label {
    /// Parses a label, without surrounding white space.
    ///
    /// # Errors
    /// Returns [`LabelError`] if the text is empty, too long or has control characters.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.trim();
        let well_formed =
            (1..=limits::LABEL_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(SmolStr::new(text))) } else { Err(LabelError) }
    }

    /// Returns the label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label must be 1 to {} bytes of text without control characters", limits::LABEL_BYTES)]
pub struct LabelError;

text_enum! {
    /// The reason why a slot was freed.
    ReleaseReason {
        /// The vendor released it.
        Admin = "admin",
        /// The customer released it with the license key.
        Customer = "customer",
        /// A new device evicted it.
        Evicted = "evicted",
        /// It was unseen for the idle time of the plan.
        Idle = "idle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_trimmed_and_bounded() {
        let long = "x".repeat(limits::FINGERPRINT_BYTES);
        for (text, expected) in [
            ("a", Ok("a")),
            ("  MAC 00:11 ", Ok("MAC 00:11")),
            ("größe", Ok("größe")),
            (long.as_str(), Ok(long.as_str())),
            (&format!("{long}x"), Err(FingerprintError::TooLong)),
            ("", Err(FingerprintError::Empty)),
            (" \t", Err(FingerprintError::Empty)),
            ("a\0b", Err(FingerprintError::Control)),
        ] {
            assert_eq!(
                Fingerprint::parse(text).as_ref().map(Fingerprint::as_str),
                expected.as_ref().copied(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn labels_are_trimmed_and_bounded() {
        let long = "x".repeat(limits::LABEL_BYTES);
        for (text, expected) in [
            (" Anna's laptop ", Some("Anna's laptop")),
            (long.as_str(), Some(long.as_str())),
            (&format!("{long}x"), None),
            (" ", None),
            ("two\nlines", None),
            ("a\0b", None),
        ] {
            assert_eq!(Label::parse(text).as_ref().map(Label::as_str).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn activation_ids_have_one_form() {
        let license = LicenseId::parse("lic_a1b2c3d4e5").unwrap();
        let id = ActivationId::new(&license, 17);
        assert_eq!(id.as_str(), "act_a1b2c3d4e5_0000000017");
        assert!(ActivationId::new(&license, 9) < id);
        assert_eq!(ActivationId::parse(id.as_str()), Ok(id.clone()));
        assert_eq!(id.number_of(&license), Some(17));
        for (text, number) in [
            ("act_a1b2c3d4e5_12345678901", Some(12_345_678_901)),
            ("act_a1b2c3d4e5_0000000000", None),
            ("act_a1b2c3d4e5_17", None),
            ("act_a1b2c3d4e5_00000000017", None),
            ("act_a1b2c3d4e5_9999999999999999999", None),
            ("act_a1b2c3d4e6_0000000017", None),
            ("act_a1b2c3d4e50000000017", None),
        ] {
            assert_eq!(ActivationId::parse(text).unwrap().number_of(&license), number, "{text}");
        }
        let longest = format!("act_{}", "a".repeat(68));
        assert!(ActivationId::parse(&longest).is_ok());
        for refused in ["", "act_", "lic_a", "act_A", "act_a\0", "act_ä", &format!("{longest}a")] {
            assert_eq!(ActivationId::parse(refused), Err(ActivationIdError), "{refused:?}");
        }
    }
}
