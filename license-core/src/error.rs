//! What the service answers where it cannot do what was asked.

use crate::activation::FingerprintError;
use crate::clock::RngError;
use crate::domain::DomainError;
use crate::key::{KeyError, KeyFormatError};
use crate::license::LicenseId;
use crate::store::StoreError;
use crate::verdict::Denial;

/// A use case did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A rule refuses; nothing changed.
    #[error("{0}")]
    Denied(Denial),
    /// The idempotency key was used for another request; nothing changed.
    #[error("this idempotency key was used for another request")]
    IdempotencyConflict,
    /// The store failed, or there is no such license.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness for an id or a key; nothing changed.
    #[error(transparent)]
    Rng(#[from] RngError),
    /// A kept key does not open: its row was altered.
    #[error("the sealed key of {id} can't be opened")]
    SealedKey {
        /// The license.
        id: LicenseId,
    },
}

/// A validation got no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValidateError {
    /// The text is no license key.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The text is no domain.
    #[error("{0}")]
    Domain(#[from] DomainError),
    /// The text is no fingerprint.
    #[error("{0}")]
    Fingerprint(#[from] FingerprintError),
    /// The store failed; nothing was counted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The license's plan is not in the catalog: a fault of the set-up.
    #[error("the plan {plan:?} of {id} is not in the catalog")]
    PlanUnknown {
        /// The license.
        id: LicenseId,
        /// Its plan.
        plan: String,
    },
}

/// A service cannot start on this store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The keys in the store were made with another secret.
    #[error("the secret is not the one this database was made with")]
    WrongSecret,
    /// A license has a plan that the catalog lacks.
    #[error("licenses have the plan {plan:?}, which is not in the catalog: add it")]
    PlanUnknown {
        /// The plan.
        plan: String,
    },
    /// The form of keys is out of bounds.
    #[error(transparent)]
    KeyFormat(#[from] KeyFormatError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
