//! What a caller is told when a request is not fulfilled.

mod causes;

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use license_core::error::ServiceError;
use license_core::key::LicenseKey;
use license_core::verdict::Denial;
use serde::Serialize;

use crate::wire;

/// Seconds after which a caller may try again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A field's name is the caller's own where it is unknown; no more of it is said back than this.
const FIELD_CHARS: usize = 100;

/// Why a request is not fulfilled, as the caller may see it. As a response: a problem of RFC 9457.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) field: Option<Cow<'static, str>>,
    suggestion: Option<LicenseKey>,
    /// What RFC 6750 has to say in `WWW-Authenticate`.
    challenge: Option<String>,
}

/// How errors of a route look.
pub(crate) type Answer = fn(Problem) -> Response;

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), field: None, suggestion: None, challenge: None }
    }

    /// A header or a parameter that can't be used.
    pub(crate) fn bad_request(
        field: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", detail).at(field)
    }

    /// A field of the body that can't be used.
    pub(crate) fn invalid_field(
        field: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_FIELD", detail).at(field)
    }

    pub(crate) fn license_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "LICENSE_NOT_FOUND", "There is no such license.")
    }

    pub(crate) fn activation_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "ACTIVATION_NOT_FOUND", Denial::ActivationNotFound.to_string())
    }

    pub(crate) fn token_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "TOKEN_NOT_FOUND", "There is no such token.")
    }

    pub(crate) fn endpoint_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", sentence(&ServiceError::EndpointNotFound))
    }

    pub(crate) fn delivery_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "DELIVERY_NOT_FOUND", sentence(&ServiceError::DeliveryNotFound))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "This path does not have that method; the Allow header names those it has.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail)
    }

    /// A fault of ours. What it was stands in the log.
    pub(crate) fn internal() -> Self {
        let detail = "Something went wrong here. It is in the server's log.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail)
    }

    pub(crate) fn at(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        let field = field.into();
        self.field = Some(match field.char_indices().nth(FIELD_CHARS) {
            Some((end, _)) => Cow::Owned(format!("{}…", &field[..end])),
            None => field,
        });
        self
    }

    /// The answer in the form of `/validate`.
    pub(crate) fn into_refusal(self) -> Response {
        let refusal = Refusal {
            valid: false,
            error: self.code,
            message: &self.detail,
            suggestion: self.suggestion.as_ref().map(LicenseKey::reveal),
            field: self.field.as_deref(),
        };
        self.with_headers(wire::json(self.status, &refusal))
    }

    fn with_headers(&self, mut response: Response) -> Response {
        if let Some(Ok(challenge)) = self.challenge.as_deref().map(HeaderValue::from_str) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        } else if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        }
        response
    }
}

/// RFC 9457, with our code under the two names that callers look for.
#[derive(Serialize)]
struct ProblemJson<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    valid: bool,
    error: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = ProblemJson {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            error: self.code,
            field: self.field.as_deref(),
        };
        let mut response = wire::json(self.status, &json);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.with_headers(response)
    }
}

/// The message of an error as a sentence for a person: capital, full stop.
pub(crate) fn sentence(error: &(impl std::fmt::Display + ?Sized)) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}
