//! Claims of licensed software.

use crate::domain::DomainName;
use crate::license::{Binding, Fingerprint};

/// The domain and device on which licensed software claims to run. Both are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The domain it serves.
    pub domain: Option<DomainName>,
    /// The device it runs on.
    pub fingerprint: Option<Fingerprint>,
}

impl Claim {
    /// Returns the claim for exactly this binding.
    #[must_use]
    pub fn of(binding: &Binding) -> Self {
        match binding {
            Binding::Domain(domain) => Self { domain: Some(domain.clone()), fingerprint: None },
            Binding::Device(fingerprint) => Self { domain: None, fingerprint: Some(fingerprint.clone()) },
        }
    }
}
