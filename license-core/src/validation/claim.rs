//! Claims of licensed software.

use chrono::{DateTime, Utc};

use crate::domain::DomainName;
use crate::license::{Binding, Fingerprint};

/// The domain and device on which licensed software claims to run, and its version. All are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The domain it serves.
    pub domain: Option<DomainName>,
    /// The device it runs on.
    pub fingerprint: Option<Fingerprint>,
    /// When its version was released.
    pub released_at: Option<DateTime<Utc>>,
}

impl Claim {
    /// Returns the claim with its domain and its device only: slots and usage depend on nothing else.
    #[must_use]
    pub fn into_slots(self) -> Self {
        let Self { domain, fingerprint, .. } = self;
        Self { domain, fingerprint, ..Self::default() }
    }

    /// Returns the claim for exactly this binding.
    #[must_use]
    pub fn of(binding: &Binding) -> Self {
        match binding {
            Binding::Domain(domain) => Self { domain: Some(domain.clone()), ..Self::default() },
            Binding::Device(fingerprint) => {
                Self { fingerprint: Some(fingerprint.clone()), ..Self::default() }
            }
        }
    }
}
