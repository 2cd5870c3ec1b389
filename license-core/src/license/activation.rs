//! Activations: bindings of a license to domains and devices.

use chrono::{DateTime, Utc};

use super::fingerprint::Fingerprint;
use super::label::Label;
use crate::domain::DomainName;
use crate::id::LicenseId;
use crate::text_enum::text_enum;
use crate::text_value::text_value;

/// The id of an activation: `act_`, the license id's suffix, and its event number in at least ten digits.
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

    /// Parses an id. Does not check whether the activation exists.
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

text_value!(ActivationId, ActivationIdError);

/// The text is not an activation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an activation id must be act_ and letters, digits and underscores")]
pub struct ActivationIdError;

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
