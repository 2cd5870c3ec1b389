//! What the service answers where it cannot do what was asked.

use crate::clock::RngError;
use crate::domain::DomainError;
use crate::key::{DataKeysError, KeyError, KeyFormatError};
use crate::license::FingerprintError;
use crate::license::LicenseId;
use crate::limits;
use crate::store::StoreError;
use crate::usage::{ClientError, UsageError};
use crate::validation::Denial;
use crate::webhook::{EndpointId, EndpointSettingsError};

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
    /// There is no such endpoint.
    #[error("there is no such endpoint")]
    EndpointNotFound,
    /// There are as many endpoints as there may be.
    #[error("there are {} endpoints already", limits::ENDPOINTS)]
    TooManyEndpoints,
    /// What is asked takes an endpoint that is enabled.
    #[error("this endpoint is disabled; enable it first")]
    EndpointDisabled,
    /// There is no such delivery.
    #[error("there is no such delivery")]
    DeliveryNotFound,
    /// The settings of an endpoint are out of bounds.
    #[error(transparent)]
    EndpointSettings(#[from] EndpointSettingsError),
    /// A kept secret does not open: its row was altered.
    #[error("the sealed secret of {id} can't be opened")]
    SealedSecret {
        /// The endpoint.
        id: EndpointId,
    },
    /// Usage is asked for that is not kept, or too much of it.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The name of a subscription is out of bounds.
    #[error("a subscription's name has 1 to {} bytes", limits::SUBSCRIPTION_NAME_BYTES)]
    SubscriptionName,
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
    /// The text names no client.
    #[error("{0}")]
    Client(#[from] ClientError),
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
    /// The secret does not fit the store, or its data keys are damaged.
    #[error(transparent)]
    DataKeys(#[from] DataKeysError),
    /// The generator failed; nothing was changed.
    #[error(transparent)]
    Rng(#[from] RngError),
    /// A license has a plan that the catalog lacks.
    #[error("licenses have the plan {plan:?}, which is not in the catalog: add it")]
    PlanUnknown {
        /// The plan.
        plan: String,
    },
    /// The database has keys with another prefix or length.
    #[error("the database has keys with the prefix {prefix}: set the same key format")]
    KeyFormatDiffers {
        /// Prefix of its keys.
        prefix: String,
    },
    /// The form of keys is out of bounds.
    #[error(transparent)]
    KeyFormat(#[from] KeyFormatError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
