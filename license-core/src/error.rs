//! Errors of services.

use crate::access::Scope;
use crate::clock::RngError;
use crate::domain::DomainError;
use crate::key::{DataKeysError, ImportedKeyFormatError, KeyError, KeyFormatError};
use crate::license::{FingerprintError, LicenseId};
use crate::limits;
use crate::store::StoreError;
use crate::usage::UsageError;
use crate::validation::Denial;
use crate::webhook::{EndpointId, EndpointSettingsError};

/// Error returned by the services.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A rule denied the command. Nothing changed.
    #[error("{0}")]
    Denied(Denial),
    /// The idempotency key was used for another request. Nothing changed.
    #[error("this idempotency key was used for another request")]
    IdempotencyConflict,
    /// The store failed, or no license has the id.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The random number generator failed. Nothing changed.
    #[error(transparent)]
    Rng(#[from] RngError),
    /// The sealed key cannot be opened, because its row was altered.
    #[error("the sealed key of {0} cannot be opened")]
    SealedKey(LicenseId),
    /// No endpoint has this id.
    #[error("there is no such endpoint")]
    EndpointNotFound,
    /// There are [`limits::ENDPOINTS`] endpoints already.
    #[error("there are {} endpoints already", limits::ENDPOINTS)]
    TooManyEndpoints,
    /// The command needs an enabled endpoint.
    #[error("this endpoint is disabled; enable it first")]
    EndpointDisabled,
    /// The endpoint has no delivery of this event.
    #[error("there is no such delivery")]
    DeliveryNotFound,
    /// The settings of an endpoint are invalid.
    #[error(transparent)]
    EndpointSettings(#[from] EndpointSettingsError),
    /// The sealed secret cannot be opened, because its row was altered.
    #[error("the sealed secret of {0} cannot be opened")]
    SealedSecret(EndpointId),
    /// The query asks for usage that is no longer kept, or for too many intervals.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The name of a subscription is empty, too long or has control characters.
    #[error("a subscription name must have 1 to {} bytes", limits::SUBSCRIPTION_NAME_BYTES)]
    SubscriptionName,
    /// The caller lacks a scope of the token. Nothing changed.
    #[error("this needs the scope {0}")]
    LacksScope(Scope),
    /// A token needs at least one scope. Nothing was created.
    #[error("a token has at least one scope")]
    TokenWithoutScopes,
    /// `expires_at` is not in the future. Nothing was created.
    #[error("a token expires in the future")]
    TokenExpired,
    /// No token has this id.
    #[error("there is no such token")]
    TokenNotFound,
    /// The first sealed key of an import does not open, so none does.
    #[error(
        "line {line}: its key was sealed with another secret: import with the secret of the database that it comes from, \
         or export with the keys in clear"
    )]
    OtherSecret {
        /// The line.
        line: u64,
    },
    /// A key format conflicts with an existing one.
    #[error(transparent)]
    ImportedKeyFormat(#[from] ImportedKeyFormatError),
}

/// The reason why a validation has no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValidateError {
    /// The text is not a license key.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The text is not a domain.
    #[error("{0}")]
    Domain(#[from] DomainError),
    /// The text is not a fingerprint.
    #[error("{0}")]
    Fingerprint(#[from] FingerprintError),
    /// The store failed. Nothing was counted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog lacks the plan of the license: a configuration error.
    #[error("the plan {plan:?} of {id} is not in the catalog")]
    PlanUnknown {
        /// The license.
        id: LicenseId,
        /// Its plan.
        plan: String,
    },
}

/// The reason why a service cannot start on a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The secret does not fit the store, or its data keys are damaged.
    #[error(transparent)]
    DataKeys(#[from] DataKeysError),
    /// The random number generator failed. Nothing changed.
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
    /// The key format is invalid.
    #[error(transparent)]
    KeyFormat(#[from] KeyFormatError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
