//! A request that failed, as a page tells it.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use license_core::access::Scope;
use license_core::catalog_command::CatalogDenial;
use license_core::error::{LeaseError, ServiceError, ValidateError};
use license_core::service::{AuthError, AuthRefusal};
use license_core::signing::SigningKeyDenial;
use license_core::store::StoreError;
use license_core::validation::Denial;

/// The reason why a request failed: what happened, and what to try.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) title: String,
    pub(crate) advice: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, title: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status, title: title.into(), advice: advice.into(), headers: Vec::new() }
    }

    pub(crate) fn internal() -> Self {
        let advice = "Try again. The log of the server has the cause.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", advice)
    }

    pub(crate) fn page_not_found() -> Self {
        let advice = "Check the address, or go to the overview.";
        Self::new(StatusCode::NOT_FOUND, "There is no such page", advice)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let advice = "Go back, and use the buttons of the page.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "This page cannot be used like that", advice)
    }

    pub(crate) fn lacks(scope: Scope) -> Self {
        let advice = format!("This needs the scope {scope}. Sign in with a token that has it.");
        Self::new(StatusCode::FORBIDDEN, "Your token does not allow this", advice)
    }

    /// A field of a form is wrong.
    pub(crate) fn field(label: &str, why: impl std::fmt::Display) -> Self {
        let advice = format!("{label}: {why}. Go back and correct it.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "The form has an error", advice)
    }

    /// A form lacks a field that the page sets.
    pub(crate) fn hidden_field() -> Self {
        Self::field("Form", "its hidden field is missing")
    }

    /// Another change came between a form and what it changes.
    pub(crate) fn changed_meanwhile(what: &str) -> Self {
        let advice = "Nothing has changed. Open the form again to see the change of the other person.";
        Self::new(StatusCode::CONFLICT, format!("The {what} has changed meanwhile"), advice)
    }

    /// The store does not answer.
    pub(crate) fn no_database() -> Self {
        let advice = "Nothing is lost. Try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The database does not answer", advice)
    }

    /// A rule of licensing denies it.
    pub(crate) fn denied(denial: &Denial) -> Self {
        Self::new(StatusCode::CONFLICT, "The license does not allow this", denial.to_string())
    }

    /// No license has the key of a request code.
    pub(crate) fn unknown_key() -> Self {
        let advice =
            "The key in the request code may have been replaced. Ask the customer for a new request code.";
        Self::new(StatusCode::NOT_FOUND, "No license has this key", advice)
    }

    /// Too many requests run.
    pub(crate) fn busy() -> Self {
        let headers = vec![(header::RETRY_AFTER, HeaderValue::from_static("1"))];
        let advice = "Nothing has changed. Try again in a moment.";
        Self { headers, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server is busy", advice) }
    }

    /// The request may come from a page of another origin.
    pub(crate) fn other_origin() -> Self {
        let advice = "Open the console and try again. If a proxy in front of it rewrites the host, set the public \
                      origin of the console.";
        Self::new(StatusCode::FORBIDDEN, "This request does not come from the console", advice)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => {
                let advice = "Check the address, or search for it.";
                Self::new(StatusCode::NOT_FOUND, "There is no such license", advice)
            }
            StoreError::QueryTooBroad { .. } => {
                let advice = "Add a filter, such as a plan or a status.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "The search takes too long", advice)
            }
            error if error.is_retryable() => {
                tracing::warn!(%error, "the store does not answer the console");
                Self::no_database()
            }
            error => {
                tracing::error!(%error, "a request of the console failed");
                Self::internal()
            }
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Store(error) => error.into(),
            ServiceError::Denied(denial) => Self::denied(&denial),
            ServiceError::NotFound(what) => {
                let advice = "Check the address, or search for it.";
                Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}"), advice)
            }
            ServiceError::LacksScope(scope) => Self::lacks(scope),
            ServiceError::Catalog(denial) => {
                let (status, title) = match &denial {
                    CatalogDenial::NotFound { what, .. } => {
                        (StatusCode::NOT_FOUND, format!("There is no such {what}"))
                    }
                    CatalogDenial::Stale { .. } => {
                        (StatusCode::CONFLICT, "The plan has changed meanwhile".to_owned())
                    }
                    _ => (StatusCode::CONFLICT, "The plan does not allow this".to_owned()),
                };
                Self::new(status, title, denial.to_string())
            }
            ServiceError::SigningKey(denial) => {
                let status = match &denial {
                    SigningKeyDenial::NotFound { .. } => StatusCode::NOT_FOUND,
                    _ => StatusCode::CONFLICT,
                };
                Self::new(status, "The signing keys do not allow this", denial.to_string())
            }
            ServiceError::SearchCursor => {
                let advice = "Start again on the first page.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "This page belongs to another list", advice)
            }
            ServiceError::JobCountDiffers { expect, matched } => {
                let advice = format!(
                    "The filter matches {matched} licenses, not {expect}. Nothing was started. Go back to the list \
                     and look at the licenses again."
                );
                Self::new(StatusCode::CONFLICT, "The licenses have changed meanwhile", advice)
            }
            error @ (ServiceError::BatchSize
            | ServiceError::JobLicenses { .. }
            | ServiceError::JobWithoutFilter
            | ServiceError::JobTooLarge
            | ServiceError::Usage(_)
            | ServiceError::SortNotSupported(_)
            | ServiceError::TokenWithoutScopes
            | ServiceError::TokenExpiryInPast
            | ServiceError::TooManyEndpoints
            | ServiceError::EndpointDisabled
            | ServiceError::EndpointSettings(_)) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "This is not possible", format!("{error}."))
            }
            error => {
                tracing::error!(%error, "a request of the console failed");
                Self::internal()
            }
        }
    }
}

impl From<LeaseError> for Failure {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Service(error) => error.into(),
            LeaseError::Validate(ValidateError::Store(error)) => error.into(),
            LeaseError::Validate(ValidateError::ClockImplausible) => {
                let advice = "Correct the clock of the server, and try again.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "The clock of the server is implausible", advice)
            }
            error @ LeaseError::Validate(ValidateError::PlanUnknown { .. }) => {
                tracing::error!(%error, "a request of the console failed");
                Self::internal()
            }
            error @ LeaseError::ReleaseCode(_) => Self::field("Release code", error),
            error => Self::field("Request code", error),
        }
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Store(error) => error.into(),
            AuthError::Refused(refusal) => refusal.into(),
            AuthError::Invalid(why) => {
                Self::new(StatusCode::UNAUTHORIZED, "You are not signed in", format!("{why}."))
            }
            _ => Self::new(StatusCode::UNAUTHORIZED, "You are not signed in", "Sign in to the app first."),
        }
    }
}

impl From<AuthRefusal> for Failure {
    fn from(AuthRefusal { status, detail, headers, .. }: AuthRefusal) -> Self {
        Self { headers, ..Self::new(status, "You cannot open this page", detail) }
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "a page of the console was not rendered");
        Self::internal()
    }
}

impl IntoResponse for Failure {
    /// Leaves the page to the [guard](crate::guard), which knows the visit.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
