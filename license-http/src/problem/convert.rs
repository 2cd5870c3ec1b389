//! Conversions from core errors to problems. They log the details that callers must not see.

use std::error::Error;

use axum::http::StatusCode;
use license_core::error::{LeaseError, Resource, ServiceError, ValidateError};
use license_core::key::KeyError;
use license_core::signing::SigningKeyDenial;
use license_core::store::StoreError;
use license_core::validation::Denial;
use license_core::webhook::EndpointSettingsError;

use super::{Code, Problem, sentence};

impl Problem {
    /// Converts the error of a call with a body. Some denials then name the field at fault.
    pub(crate) fn from_body_error(error: ServiceError) -> Self {
        if let ServiceError::Denied(denial) = &error {
            let field = match denial {
                Denial::PlanUnknown { .. } | Denial::PlanArchived { .. } | Denial::ProductDiffers { .. } => {
                    Some("plan")
                }
                Denial::DomainExempt { .. } | Denial::DomainBlocked { .. } => Some("domains"),
                Denial::Expired { .. } | Denial::TooFar => Some("expires_at"),
                Denial::Metadata(_) => Some("metadata"),
                Denial::GrantEnded { .. } => Some("grants"),
                Denial::CustomerRequired => Some("customer_email"),
                _ => None,
            };
            if *denial == Denial::ExternalIdTaken {
                return Self::denied(StatusCode::CONFLICT, denial).at("external_id");
            }
            if let Some(field) = field {
                return Self::denied(StatusCode::UNPROCESSABLE_ENTITY, denial).at(field);
            }
        }
        error.into()
    }

    /// Converts the error of a key that is a field of a body.
    pub(crate) fn from_body_key(error: KeyError) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, ..ValidateError::Key(error).into() }
    }

    fn unexpected(error: &dyn Error) -> Self {
        tracing::error!(error = %Chain(error), "request failed");
        Self::internal()
    }

    fn denied(status: StatusCode, denial: &Denial) -> Self {
        let code = denial.code().as_str();
        let problem = Self { status, code, ..Self::new(Code::BadRequest, denial.to_string()) };
        if *denial == Denial::KeyReused { problem.at("Idempotency-Key") } else { problem }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => Code::LicenseNotFound.into(),
            StoreError::QueryTooBroad { .. } => Code::QueryTooBroad.into(),
            error if error.is_retryable() => {
                tracing::warn!(error = %Chain(error), "store unavailable");
                Code::StoreUnavailable.into()
            }
            StoreError::Corrupt { table, column, id, .. } => {
                tracing::error!(table, column, id, error = %Chain(&error), "corrupt row");
                Self::internal()
            }
            error => Self::unexpected(error),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Denied(denial) => denial.into(),
            ServiceError::NotFound(Resource::License) => Code::LicenseNotFound.into(),
            ServiceError::NotFound(Resource::Endpoint) => Code::EndpointNotFound.into(),
            ServiceError::NotFound(Resource::Delivery) => Code::DeliveryNotFound.into(),
            ServiceError::NotFound(Resource::Token) => Code::TokenNotFound.into(),
            ServiceError::NotFound(Resource::Customer) => Code::CustomerNotFound.into(),
            ServiceError::SortNotSupported(_) => {
                Self::new(Code::SortNotSupported, sentence(&error)).at("sort")
            }
            ServiceError::SearchCursor => Self::bad_request("cursor", sentence(&error)),
            ServiceError::NotFound(Resource::Job) => Code::JobNotFound.into(),
            ServiceError::IdempotencyKeyRequired => {
                Self::from(Code::IdempotencyKeyRequired).at("Idempotency-Key")
            }
            ServiceError::JobLicenses { .. } => Self::invalid_field("ids", sentence(&error)),
            ServiceError::JobWithoutFilter | ServiceError::JobTooLarge => {
                Self::invalid_field("search", sentence(&error))
            }
            ServiceError::JobCountDiffers { .. } => {
                Self::new(Code::CountDiffers, sentence(&error)).at("expect")
            }
            ServiceError::TooManyEndpoints => Self::new(Code::EndpointLimitReached, sentence(&error)),
            ServiceError::EndpointDisabled => Code::EndpointDisabled.into(),
            ServiceError::EndpointSettings(error) => {
                let field = match error {
                    EndpointSettingsError::Description => "description",
                    _ => "url",
                };
                Self::invalid_field(field, sentence(&error))
            }
            ServiceError::Usage(error) => Self::bad_request(error.parameter(), sentence(&error)),
            ServiceError::LacksScope(scope) => Self::lacks(scope),
            ServiceError::TokenWithoutScopes => Self::invalid_field("scopes", sentence(&error)),
            ServiceError::BatchSize => Self::invalid_field("count", sentence(&error)),
            ServiceError::TokenExpiryInPast => Self::invalid_field("expires_at", sentence(&error)),
            ServiceError::Store(error) => error.into(),
            ServiceError::Catalog(denial) => denial.into(),
            ServiceError::NotFound(Resource::SigningKey)
            | ServiceError::SigningKey(SigningKeyDenial::NotFound { .. }) => Code::SigningKeyNotFound.into(),
            ServiceError::SigningKey(denial @ SigningKeyDenial::StillRetiring { .. }) => {
                Self::new(Code::SigningKeyRetiring, denial.to_string())
            }
            ServiceError::Signer(error) => {
                tracing::warn!(error = %Chain(&error), "the signer of tokens is unavailable");
                Code::SigningUnavailable.into()
            }
            error => Self::unexpected(&error),
        }
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let status = match &denial {
            Denial::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            Denial::ActivationNotFound
            | Denial::GrantNotFound
            | Denial::BlockNotFound
            | Denial::LeaseNotFound => StatusCode::NOT_FOUND,
            Denial::PlanUnknown { plan, .. } => {
                // The plan is the license's own, not one that the request names.
                tracing::error!(plan, "the plan of a license is not in the catalog");
                return Self::internal();
            }
            _ => StatusCode::CONFLICT,
        };
        Self::denied(status, &denial)
    }
}

impl From<ValidateError> for Problem {
    fn from(error: ValidateError) -> Self {
        let bad = |code, error: &dyn Error| Self::new(code, sentence(error));
        match error {
            ValidateError::Key(error) => {
                let problem = bad(Code::LicenseKeyMalformed, &error);
                let suggestion = match error {
                    KeyError::Check { suggestion } => suggestion.map(Box::new),
                    _ => None,
                };
                Self { suggestion, ..problem.at("key") }
            }
            ValidateError::Domain(error) => bad(Code::DomainInvalid, &error).at("domain"),
            ValidateError::Fingerprint(error) => bad(Code::FingerprintInvalid, &error).at("fingerprint"),
            ValidateError::Product => bad(Code::BadRequest, &error).at("product"),
            ValidateError::Feature(_) | ValidateError::TooManyFeatures => {
                bad(Code::BadRequest, &error).at("features")
            }
            ValidateError::Activation(error) => bad(Code::ActivationIdInvalid, &error).at("activation_id"),
            ValidateError::Store(error) => error.into(),
            ValidateError::ClockImplausible => {
                tracing::error!("no leases are issued while the clock is implausible");
                Code::ClockImplausible.into()
            }
            error => Self::unexpected(&error),
        }
    }
}

impl From<LeaseError> for Problem {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Validate(error) => error.into(),
            LeaseError::Service(error) => error.into(),
            LeaseError::RequestCode(_) => {
                Self::new(Code::OfflineCodeMalformed, sentence(&error)).at("request")
            }
            LeaseError::ReleaseCode(_) => {
                Self::new(Code::OfflineCodeMalformed, sentence(&error)).at("release")
            }
            error => Self::unexpected(&error),
        }
    }
}

/// Displays an error with its sources, for the log only.
struct Chain<'a>(&'a dyn Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sources = std::iter::successors(self.0.source(), |&error| error.source());
        write!(f, "{}", self.0)?;
        sources.try_for_each(|source| write!(f, ": {source}"))
    }
}
