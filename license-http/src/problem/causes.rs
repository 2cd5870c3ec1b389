//! Which problem each error of the core is, and what the log is told beside it.

use std::error::Error;

use axum::http::StatusCode;
use license_core::endpoint::EndpointSettingsError;
use license_core::error::{ServiceError, ValidateError};
use license_core::key::KeyError;
use license_core::store::StoreError;
use license_core::token::Scope;
use license_core::verdict::Denial;

use super::{Code, Problem, sentence};
use crate::auth::AuthError;

impl Problem {
    /// What the service says to the request of a body, whose fields may be at fault.
    pub(crate) fn of_request(error: ServiceError) -> Self {
        if let ServiceError::Denied(denial) = &error {
            let field = match denial {
                Denial::PlanUnknown { .. } => Some("plan"),
                Denial::DomainExempt { .. } => Some("domains"),
                Denial::Expired { .. } | Denial::TooFar => Some("expires_at"),
                _ => None,
            };
            if let Some(field) = field {
                return Self::of_denial(StatusCode::UNPROCESSABLE_ENTITY, denial).at(field);
            }
        }
        error.into()
    }

    /// Nobody is let in. A challenge of RFC 6750: without an error where the request says nothing of who sent it.
    pub(crate) fn of_auth(error: AuthError) -> Self {
        let (detail, challenge) = match error {
            AuthError::Store(error) => return error.into(),
            AuthError::Missing => {
                let detail = "This call needs one Authorization header: Bearer and an API token.";
                (detail.to_owned(), "Bearer".to_owned())
            }
            AuthError::Invalid(why) => {
                let challenge = format!(r#"Bearer error="invalid_token", error_description="{why}""#);
                (format!("{why}."), challenge)
            }
        };
        Self { challenge: Some(challenge), ..Self::new(Code::Unauthorized, detail) }
    }

    /// Whoever it is may not do this.
    pub(crate) fn lacks(scope: Scope) -> Self {
        let detail = format!("This needs the scope {scope}, which the caller does not have.");
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
        Self { challenge: Some(challenge), ..Self::new(Code::InsufficientScope, detail) }
    }

    pub(crate) fn store_unavailable() -> Self {
        let detail = "The store does not answer. Nothing was done; try again.";
        Self::new(Code::StoreUnavailable, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => Self::license_not_found(),
            error if error.is_retryable() => {
                tracing::warn!(error = %Chain(error), "the store could not do what was asked");
                Self::store_unavailable()
            }
            StoreError::Corrupt { table, column, id, .. } => {
                tracing::error!(table, column, id, error = %Chain(&error), "a row is corrupt");
                Self::internal()
            }
            error => {
                tracing::error!(error = %Chain(error), "the store failed");
                Self::internal()
            }
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Denied(denial) => denial.into(),
            ServiceError::IdempotencyConflict => {
                let detail = "This Idempotency-Key was used for another request.";
                Self::new(Code::IdempotencyKeyReused, detail).at("Idempotency-Key")
            }
            ServiceError::EndpointNotFound => Self::endpoint_not_found(),
            ServiceError::DeliveryNotFound => Self::delivery_not_found(),
            ServiceError::TooManyEndpoints => Self::new(Code::EndpointLimitReached, sentence(&error)),
            ServiceError::EndpointDisabled => Self::new(Code::EndpointDisabled, sentence(&error)),
            ServiceError::EndpointSettings(error) => {
                let field = match error {
                    EndpointSettingsError::Description => "description",
                    _ => "url",
                };
                Self::invalid_field(field, sentence(&error))
            }
            ServiceError::NoOutbox => {
                let detail = "This server keeps no order of events, and has no webhooks.";
                Self::new(Code::NoEvents, detail)
            }
            ServiceError::Usage(error) => Self::bad_request(error.parameter(), sentence(&error)),
            ServiceError::Store(error) => error.into(),
            error => {
                tracing::error!(error = %Chain(&error), "a request failed");
                Self::internal()
            }
        }
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let status = match &denial {
            Denial::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            Denial::ActivationNotFound => StatusCode::NOT_FOUND,
            Denial::PlanUnknown { plan } => {
                // Not of a request: the license's own plan has left the catalog.
                tracing::error!(plan, "a license has a plan that is not in the catalog");
                return Self::internal();
            }
            _ => StatusCode::CONFLICT,
        };
        Self::of_denial(status, &denial)
    }
}

impl From<ValidateError> for Problem {
    fn from(error: ValidateError) -> Self {
        let bad = |code, error: &dyn Error| Self::new(code, sentence(error));
        match error {
            ValidateError::Key(error) => {
                let problem = bad(Code::LicenseKeyMalformed, &error);
                let suggestion = match error {
                    KeyError::Check { suggestion } => suggestion,
                    _ => None,
                };
                Self { suggestion, ..problem.at("key") }
            }
            ValidateError::Domain(error) => bad(Code::DomainInvalid, &error).at("domain"),
            ValidateError::Fingerprint(error) => bad(Code::FingerprintInvalid, &error).at("fingerprint"),
            ValidateError::Client(error) => bad(Code::ClientInvalid, &error).at("client"),
            ValidateError::Store(error) => error.into(),
            error => {
                tracing::error!(error = %Chain(&error), "a validation failed");
                Self::internal()
            }
        }
    }
}

/// An error with all that lies below it, for the log only.
struct Chain<'a>(&'a dyn Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut below = self.0.source();
        while let Some(source) = below {
            write!(f, ": {source}")?;
            below = source.source();
        }
        Ok(())
    }
}
