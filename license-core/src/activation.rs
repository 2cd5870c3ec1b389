//! Activations: a license bound to a domain or to a device.

use std::fmt;

use chrono::{DateTime, Utc};
use smol_str::SmolStr;

use crate::domain::DomainName;
use crate::license::LicenseId;
use crate::limits;

/// Names one activation: `act_`, the text of its license's id, and the number of the event that made it in ten digits.
///
/// Derived, not random, so that the decision which makes it stays pure; no two are alike, and within a license they
/// sort oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivationId(String);

impl ActivationId {
    /// Longest text of an id, in bytes.
    const MAX_BYTES: usize = 72;

    pub(crate) fn new(license: &LicenseId, sequence: u64) -> Self {
        Self(format!("act_{}_{sequence:010}", license.suffix()))
    }

    /// Reads an id. Any text of the right form is an id; whether it exists is for the store.
    ///
    /// # Errors
    /// [`ActivationIdError`] when it is not `act_` and 1 to 68 letters, digits and underscores.
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

    /// The number that it has within `license`; `None` where it is not one that this license gives.
    pub(crate) fn number_of(&self, license: &LicenseId) -> Option<u64> {
        let digits = self.0.strip_prefix("act_")?.strip_prefix(license.suffix())?.strip_prefix('_')?;
        let number = digits.parse().ok().filter(|number| i64::try_from(*number).is_ok())?;
        (number > 0 && Self::new(license, number) == *self).then_some(number)
    }

    /// The id as text.
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

/// A text that is no activation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an activation id is act_ and letters, digits and underscores")]
pub struct ActivationIdError;

/// What a device calls itself: 1 to 255 bytes of any printable text, compared exactly.
///
/// Containers of one fleet may share one fingerprint by design; then they are one device.
///
/// ```
/// use license_core::activation::Fingerprint;
/// assert!(Fingerprint::parse("8f14e45f-ceea-467f").is_ok());
/// assert!(Fingerprint::parse("two\nlines").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(SmolStr);

impl Fingerprint {
    /// Reads a fingerprint; white space around it is no part of it.
    ///
    /// # Errors
    /// [`FingerprintError`] when it is empty, too long or has control characters.
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

    /// The fingerprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// Nothing, or white space only.
    #[error("a fingerprint is not empty")]
    Empty,
    /// Longer than [`limits::FINGERPRINT_BYTES`].
    #[error("a fingerprint has at most {} bytes", limits::FINGERPRINT_BYTES)]
    TooLong,
    /// A control character, NUL among them.
    #[error("a fingerprint has no control characters")]
    Control,
}

/// The two kinds of slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActivationKind {
    /// A domain holds the slot.
    Domain,
    /// A device holds the slot.
    Device,
}

impl ActivationKind {
    /// `domain` or `device`: the form of databases and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Device => "device",
        }
    }
}

/// What holds a slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binding {
    /// A domain, or a wildcard that an admin registered.
    Domain(DomainName),
    /// A device.
    Device(Fingerprint),
}

impl Binding {
    /// Which kind of slot.
    #[must_use]
    pub fn kind(&self) -> ActivationKind {
        match self {
            Self::Domain(_) => ActivationKind::Domain,
            Self::Device(_) => ActivationKind::Device,
        }
    }

    /// The domain or the fingerprint as text; with the kind it is unique within a license.
    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Domain(domain) => domain.as_str(),
            Self::Device(fingerprint) => fingerprint.as_str(),
        }
    }
}

/// A license bound to a domain or to a device. It holds one slot until it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Its name.
    pub id: ActivationId,
    /// What holds the slot.
    pub binding: Binding,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// What the vendor calls it.
    pub label: Option<Label>,
}

/// What the vendor calls an activation, such as whose machine it is: 1 to 100 bytes of any printable text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(SmolStr);

impl Label {
    /// Reads a label; white space around it is no part of it.
    ///
    /// # Errors
    /// [`LabelError`] when it is empty, longer than [`limits::LABEL_BYTES`] or has control characters.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let text = text.trim();
        let well_formed =
            (1..=limits::LABEL_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(SmolStr::new(text))) } else { Err(LabelError) }
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label is 1 to {} bytes of text, without control characters", limits::LABEL_BYTES)]
pub struct LabelError;

/// Why a slot was freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReleaseReason {
    /// The vendor asked for it.
    Admin,
    /// The customer did, with the license key.
    Customer,
    /// A new device took its place.
    Evicted,
    /// It was not seen for as long as the plan says.
    Idle,
}

impl ReleaseReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Customer, Self::Evicted, Self::Idle];

    /// `admin`, `customer`, `evicted` or `idle`: the form of JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Customer => "customer",
            Self::Evicted => "evicted",
            Self::Idle => "idle",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints() {
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
    fn labels() {
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
    fn activation_ids() {
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
