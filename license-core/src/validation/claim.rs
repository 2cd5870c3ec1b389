//! Claims of licensed software.

use chrono::{DateTime, Utc};

use crate::catalog::FeatureName;
use crate::domain::DomainName;
use crate::license::{Binding, Fingerprint};

/// What licensed software says about itself, and what it asks for. All fields are optional.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The domain it serves.
    pub domain: Option<DomainName>,
    /// The device it runs on.
    pub fingerprint: Option<Fingerprint>,
    /// When the version of the software was released.
    pub released_at: Option<DateTime<Utc>>,
    /// The name of its product. A license of another product is denied.
    pub product: Option<String>,
    /// The features that it needs.
    pub features: Vec<FeatureName>,
    /// Whether the claim may take slots and activate the license. Otherwise the license must hold them already.
    pub activate: bool,
}

impl Default for Claim {
    /// Returns the claim without any field, which may activate the license.
    fn default() -> Self {
        Self {
            domain: None,
            fingerprint: None,
            released_at: None,
            product: None,
            features: Vec::new(),
            activate: true,
        }
    }
}

impl Claim {
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

    /// Returns the claim with its domain and device only, as it is recorded and looked up.
    #[must_use]
    pub fn of_slots(&self) -> Self {
        Self { domain: self.domain.clone(), fingerprint: self.fingerprint.clone(), ..Self::default() }
    }
}
