//! Errors of services.

use std::fmt;

use crate::access::Scope;
use crate::catalog::FeatureNameError;
use crate::catalog_command::CatalogDenial;
use crate::clock::RngError;
use crate::domain::DomainError;
use crate::key::{DataKeysError, ImportedKeyFormatError, KeyError, KeyFormatError};
use crate::license::{ActivationIdError, FingerprintError, LicenseId};
use crate::limits;
use crate::signing::{SignerError, SigningKeyDenial, SigningKeyId};
use crate::store::{SearchSort, StoreError};
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
    /// Nothing has the id. Nothing changed.
    #[error("there is no such {0}")]
    NotFound(Resource),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// The random number generator failed. Nothing changed.
    #[error(transparent)]
    Rng(#[from] RngError),
    /// The sealed key cannot be opened, because its row was altered.
    #[error("the sealed key of {0} cannot be opened")]
    SealedKey(LicenseId),
    /// There are [`limits::ENDPOINTS`] endpoints already.
    #[error("there are {} endpoints already", limits::ENDPOINTS)]
    TooManyEndpoints,
    /// The command needs an enabled endpoint.
    #[error("this endpoint is disabled; enable it first")]
    EndpointDisabled,
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
    #[error("a token needs at least one scope; with \"admin\" it can do everything")]
    TokenWithoutScopes,
    /// The `expires_at` of a new token is not in the future. Nothing was created.
    #[error("the expires_at of a token must be in the future; leave it out for a token that does not expire")]
    TokenExpiryInPast,
    /// The first sealed key of an import does not open, so none does.
    #[error(
        "line {line}: its key was sealed with another secret: import with the secret of the database that it comes from, \
         or export with the keys in clear"
    )]
    OtherSecret {
        /// The line.
        line: u64,
    },
    /// The filter of a search does not allow this order.
    #[error("{} sorts only searches by product, plan, status and the sorted time", .0.as_str())]
    SortNotSupported(SearchSort),
    /// The cursor is not from a search with this filter and order.
    #[error("the cursor is not from a search with the same filter and sort")]
    SearchCursor,
    /// A batch has no license, or too many licenses or domains. Nothing was created.
    #[error(
        "a batch must have 1 to {} licenses, and at most {} domains in all",
        limits::BATCH_LICENSES,
        limits::BATCH_DOMAINS
    )]
    BatchSize,
    /// A bulk job needs between 1 and [`limits::BULK_JOB_LICENSES`] licenses. Nothing was created.
    #[error("a job needs 1 to {} licenses, not {count}", limits::BULK_JOB_LICENSES)]
    JobLicenses {
        /// Licenses of the request.
        count: usize,
    },
    /// A repeated request would have its effect twice, so it needs an idempotency key. Nothing was created.
    #[error("this request needs an idempotency key, so that a repeated one has no effect twice")]
    IdempotencyKeyRequired,
    /// A key format conflicts with an existing one.
    #[error(transparent)]
    ImportedKeyFormat(#[from] ImportedKeyFormatError),
    /// A rule denied the command on the catalog. Nothing changed.
    #[error("{0}")]
    Catalog(CatalogDenial),
    /// A bulk job by search needs a filter: without one, it would change every license. Nothing was created.
    #[error("a job by search needs at least one filter")]
    JobWithoutFilter,
    /// The search of a bulk job finds another number of licenses than the caller expects. Nothing was
    /// created.
    #[error(
        "the search finds {matched} licenses, not the expected {expect}; do a dry run, and look at its sample"
    )]
    JobCountDiffers {
        /// The number that the caller expects.
        expect: u64,
        /// The number of licenses that match.
        matched: u64,
    },
    /// The search of a bulk job finds more than [`limits::BULK_JOB_LICENSES`] licenses. Nothing was created.
    #[error(
        "the search finds more than {} licenses, the most that a job takes; add a filter",
        limits::BULK_JOB_LICENSES
    )]
    JobTooLarge,
    /// Only a change of a plan creates jobs of this action. Nothing was created.
    #[error("a job of the action {0} is created by a change of the plan only")]
    JobAction(&'static str),
    /// A rule denied the command on the signing keys. Nothing changed.
    #[error("{0}")]
    SigningKey(SigningKeyDenial),
    /// The sealed private key cannot be opened, because its row was altered.
    #[error("the sealed private key of the signing key {0} cannot be opened")]
    SealedSigningKey(SigningKeyId),
    /// The signer of tokens failed. A retry can help.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// The kind of a resource that was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// A license.
    License,
    /// A webhook endpoint.
    Endpoint,
    /// The delivery of an event to an endpoint.
    Delivery,
    /// An API token.
    Token,
    /// A customer.
    Customer,
    /// A bulk job.
    Job,
    /// A signing key.
    SigningKey,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::License => "license",
            Self::Endpoint => "endpoint",
            Self::Delivery => "delivery",
            Self::Token => "token",
            Self::Customer => "customer",
            Self::Job => "job",
            Self::SigningKey => "signing key",
        })
    }
}

impl From<StoreError> for ServiceError {
    /// A missing license is no failure of the store.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::NotFound(Resource::License),
            error => Self::Store(error),
        }
    }
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
    /// The text is not an activation id.
    #[error("{0}")]
    Activation(#[from] ActivationIdError),
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
    /// The text is not the name of a product.
    #[error("the name of a product must be 1 to {} of a–z, 0–9, _ and -", limits::PLAN_NAME_BYTES)]
    Product,
    /// A text is not the name of a feature.
    #[error("{0}")]
    Feature(#[from] FeatureNameError),
    /// The request asks for more than [`limits::FEATURES_PER_REQUEST`] features.
    #[error("a validation can ask for at most {} features", limits::FEATURES_PER_REQUEST)]
    TooManyFeatures,
    /// The clock of this node is implausible, so that it issues no leases.
    #[error("the clock of the server is implausible; it issues no leases")]
    ClockImplausible,
}

/// The reason why a request for a lease, or the return of one, has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The request is malformed, or the store failed.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// A service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The text is not a request code. Nothing changed.
    #[error("the request code cannot be read: {0}")]
    RequestCode(#[source] license_verify::Error),
    /// The text is not a release code. Nothing changed.
    #[error("the release code cannot be read: {0}")]
    ReleaseCode(#[source] license_verify::Error),
}

impl LeaseError {
    /// Returns the rule that denied the request.
    ///
    /// # Errors
    /// Returns the error itself if it is another one.
    pub fn into_denial(self) -> Result<Denial, Self> {
        match self {
            Self::Service(ServiceError::Denied(denial)) => Ok(denial),
            error => Err(error),
        }
    }
}

impl From<StoreError> for LeaseError {
    fn from(error: StoreError) -> Self {
        Self::Validate(error.into())
    }
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
    /// The database has keys with another prefix or length.
    #[error("the database has keys with the prefix {prefix}: set the same key format")]
    KeyFormatDiffers {
        /// Prefix of its keys.
        prefix: String,
    },
    /// The key format is invalid.
    #[error(transparent)]
    KeyFormat(#[from] KeyFormatError),
    /// The plans cannot be applied to the catalog of the database.
    #[error("{0}")]
    Catalog(CatalogDenial),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has no data keys, because no service ever started on it.
    #[error("the database has no data keys; start the server once, which creates them")]
    NoDataKeys,
}
