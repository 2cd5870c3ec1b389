//! A license as validations read it.

use std::sync::Arc;

use super::bindings::Bindings;
use super::claim::Claim;
use crate::domain::DomainName;
use crate::key::SealedKey;
use crate::license::{Binding, License};

/// The parts of a claim that already hold a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldSlots {
    /// An activation covers the domain of the claim.
    pub domain: bool,
    /// The device of the claim is activated.
    pub device: bool,
}

impl HeldSlots {
    /// Returns the slots that `claim` holds among these bindings.
    #[must_use]
    pub fn of<'a>(claim: &Claim, bindings: impl IntoIterator<Item = &'a Binding>) -> Self {
        let mut held = Self::default();
        for binding in bindings {
            match binding {
                Binding::Domain(registered) => {
                    held.domain |= claim.domain.as_ref().is_some_and(|domain| registered.covers(domain));
                }
                Binding::Device(device) => held.device |= claim.fingerprint.as_ref() == Some(device),
            }
        }
        held
    }
}

/// A license as read for one claim: all that a verdict needs, as of one moment. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseSnapshot {
    license: Arc<License>,
    bindings: Bindings,
}

impl LicenseSnapshot {
    /// Combines a license with its bindings: all of them if it [has inline
    /// bindings](License::has_inline_bindings), otherwise those that could cover the claim.
    #[must_use]
    pub fn new(license: Arc<License>, bindings: impl IntoIterator<Item = Binding>) -> Self {
        Self { license: without_key(license), bindings: bindings.into_iter().collect() }
    }

    /// Returns the license, [without its key](without_key).
    #[must_use]
    pub fn license(&self) -> &License {
        &self.license
    }

    /// Returns a new reference to the license.
    pub(super) fn shared_license(&self) -> Arc<License> {
        Arc::clone(&self.license)
    }

    /// Returns the bindings that were read, in no particular order.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter()
    }

    /// Returns the estimated heap memory in bytes. It includes the license even if other claims share it.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        let counters = 2 * size_of::<usize>();
        let License { plan, customer_email, customer_name, external_id, metadata, grants, blocks, .. } =
            self.license();
        let customer = customer_email.as_ref().map_or(0, |email| email.as_str().len())
            + customer_name.as_ref().map_or(0, |name| name.as_str().len());
        let external_id = external_id.as_ref().map_or(0, |id| id.as_str().len());
        let texts = plan.capacity()
            + customer
            + external_id
            + metadata.heap_size()
            + grants.heap_size()
            + blocks.heap_size();
        counters + size_of::<License>() + texts + self.bindings.heap_size()
    }

    /// Shares the license of `other` if both are equal and were read for one claim each.
    #[must_use]
    pub fn sharing(self, other: &Self) -> Self {
        let shared = !self.license.has_inline_bindings() && self.license == other.license;
        let license = if shared { Arc::clone(&other.license) } else { self.license };
        Self { license, ..self }
    }

    /// Returns the nearest wildcard that covers the claimed domain, unless the domain itself is registered.
    #[must_use]
    pub fn covered_by(&self, claim: &Claim) -> Option<&DomainName> {
        let asked = claim.domain.as_ref()?;
        self.bindings.covering(asked).filter(|registered| *registered != asked)
    }

    /// Returns the slots that `claim` holds. Without inline bindings, `self` must have been read for `claim`.
    #[must_use]
    pub fn held(&self, claim: &Claim) -> HeldSlots {
        HeldSlots {
            domain: claim.domain.as_ref().is_some_and(|domain| self.bindings.covering(domain).is_some()),
            device: claim.fingerprint.as_ref().is_some_and(|device| self.bindings.has_device(device)),
        }
    }
}

/// Removes the sealed key, which no verdict needs, so that cached licenses are small and hold no keys.
#[must_use]
pub fn without_key(mut license: Arc<License>) -> Arc<License> {
    if license.sealed_key != SealedKey::default() {
        Arc::make_mut(&mut license).sealed_key = SealedKey::default();
    }
    license
}
