//! Activations: bindings of a license to domains and devices.

use chrono::{DateTime, Utc};

use super::fingerprint::Fingerprint;
use super::label::Label;
use super::numbered_id::numbered_id;
use crate::domain::DomainName;
use crate::text_enum::text_enum;

numbered_id! {
    /// The id of an activation: `act_`, the license id's suffix, and its event number in at least ten digits.
    ActivationId = "act_", ActivationIdError, "an activation id"
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
    /// Leases hold the slot until this time. Only the vendor can free it before.
    pub held_until: Option<DateTime<Utc>>,
    /// Whether its lease was handed back. Then the slot is freed at [`held_until`](Self::held_until).
    pub is_returned: bool,
}

impl Activation {
    /// Returns whether leases hold the slot at `now`.
    #[must_use]
    pub fn is_held(&self, now: DateTime<Utc>) -> bool {
        self.held_until.is_some_and(|until| until > now)
    }
}

/// An activation that a caller names by its id or by what it binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActivationTarget {
    /// The id.
    Id(ActivationId),
    /// The domain or device.
    Binding(Binding),
}

text_enum! {
    /// The cause of a release: why a slot was freed.
    ReleaseCause {
        /// The vendor released it.
        Admin = "admin",
        /// The customer released it with the license key.
        Customer = "customer",
        /// A new device evicted it.
        Evicted = "evicted",
        /// It was unseen for the idle time of the plan.
        Idle = "idle",
        /// Its lease was handed back.
        Returned = "returned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LicenseId;

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
