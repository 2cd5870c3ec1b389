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
///
/// A license with inline bindings is one allocation, to save cache misses.
#[derive(Clone, Debug, PartialEq)]
pub struct LicenseSnapshot(Found);

#[derive(Clone, Debug, PartialEq)]
enum Found {
    Whole(Arc<Bound<License>>),
    /// Read for one claim. All claims on a license can share the license.
    Part(Arc<Bound<Arc<License>>>),
}

/// A license with its bindings.
#[derive(Clone, Debug, PartialEq)]
struct Bound<L> {
    license: L,
    bindings: Bindings,
}

impl LicenseSnapshot {
    /// Combines a license with its bindings: all of them if it [has inline
    /// bindings](License::has_inline_bindings), otherwise those that could cover the claim.
    #[must_use]
    pub fn new(license: Arc<License>, bindings: impl IntoIterator<Item = Binding>) -> Self {
        let license = without_key(license);
        let bindings = bindings.into_iter().collect();
        Self(if license.has_inline_bindings() {
            Found::Whole(Arc::new(Bound { license: Arc::unwrap_or_clone(license), bindings }))
        } else {
            Found::Part(Arc::new(Bound { license, bindings }))
        })
    }

    /// Returns the license, [without its key](without_key).
    #[must_use]
    pub fn license(&self) -> &License {
        match &self.0 {
            Found::Whole(whole) => &whole.license,
            Found::Part(part) => &part.license,
        }
    }

    /// Returns the bindings that were read, in no particular order.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.all_bindings().iter()
    }

    fn all_bindings(&self) -> &Bindings {
        match &self.0 {
            Found::Whole(whole) => &whole.bindings,
            Found::Part(part) => &part.bindings,
        }
    }

    /// Returns the estimated heap memory in bytes. It includes the license even if other claims share it.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        let counters = 2 * size_of::<usize>();
        let own = match &self.0 {
            Found::Whole(_) => counters + size_of::<Bound<License>>(),
            Found::Part(_) => 2 * counters + size_of::<Bound<Arc<License>>>() + size_of::<License>(),
        };
        let License { plan, customer_email, metadata, .. } = self.license();
        let texts = plan.capacity() + customer_email.as_str().len() + metadata.heap_size();
        own + texts + self.all_bindings().heap_size()
    }

    /// Shares the license of `other` if both are equal and were read for one claim each.
    #[must_use]
    pub fn sharing(self, other: &Self) -> Self {
        match (self.0, &other.0) {
            (Found::Part(part), Found::Part(other)) if part.license == other.license => {
                let Bound { bindings, .. } = Arc::unwrap_or_clone(part);
                Self(Found::Part(Arc::new(Bound { license: Arc::clone(&other.license), bindings })))
            }
            (own, _) => Self(own),
        }
    }

    /// Returns the nearest wildcard that covers the claimed domain, unless the domain itself is registered.
    #[must_use]
    pub fn covered_by(&self, claim: &Claim) -> Option<&DomainName> {
        let asked = claim.domain.as_ref()?;
        self.all_bindings().covering(asked).filter(|registered| *registered != asked)
    }

    /// Returns the slots that `claim` holds. Without inline bindings, it must be the claim of the read.
    #[must_use]
    pub fn held(&self, claim: &Claim) -> HeldSlots {
        let bindings = self.all_bindings();
        HeldSlots {
            domain: claim.domain.as_ref().is_some_and(|domain| bindings.covering(domain).is_some()),
            device: claim.fingerprint.as_ref().is_some_and(|device| bindings.has_device(device)),
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
