//! What a caller is told when a request is not fulfilled.

mod causes;
mod code;

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use license_core::error::ServiceError;
use license_core::key::LicenseKey;
use license_core::verdict::Denial;
use serde::Serialize;

use crate::wire;

pub(crate) use code::Code;

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
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::with_code(code.status(), code.as_str(), detail)
    }

    fn with_code(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), field: None, suggestion: None, challenge: None }
    }

    /// A rule refuses; the status is a matter of what was asked.
    fn of_denial(status: StatusCode, denial: &Denial) -> Self {
        Self::with_code(status, denial.code().as_str(), denial.to_string())
    }

    /// The same with another code.
    pub(crate) fn said_as(mut self, code: Code) -> Self {
        (self.status, self.code) = (code.status(), code.as_str());
        self
    }

    /// A header or a parameter that can't be used.
    pub(crate) fn bad_request(
        field: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Code::BadRequest, detail).at(field)
    }

    /// A field of the body that can't be used.
    pub(crate) fn invalid_field(
        field: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Code::InvalidField, detail).at(field)
    }

    pub(crate) fn license_not_found() -> Self {
        Self::new(Code::LicenseNotFound, "There is no such license.")
    }

    pub(crate) fn activation_not_found() -> Self {
        Self::new(Code::ActivationNotFound, Denial::ActivationNotFound.to_string())
    }

    pub(crate) fn token_not_found() -> Self {
        Self::new(Code::TokenNotFound, "There is no such token.")
    }

    pub(crate) fn endpoint_not_found() -> Self {
        Self::new(Code::EndpointNotFound, sentence(&ServiceError::EndpointNotFound))
    }

    pub(crate) fn delivery_not_found() -> Self {
        Self::new(Code::DeliveryNotFound, sentence(&ServiceError::DeliveryNotFound))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "This path does not have that method; the Allow header names those it has.";
        Self::new(Code::MethodNotAllowed, detail)
    }

    /// A fault of ours. What it was stands in the log.
    pub(crate) fn internal() -> Self {
        let detail = "Something went wrong here. It is in the server's log.";
        Self::new(Code::Internal, detail)
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Problem))]
pub(crate) struct ProblemJson<'a> {
    /// Always about:blank.
    r#type: &'static str,
    /// The phrase of the status.
    title: &'a str,
    /// The status again.
    status: u16,
    /// A sentence for a person.
    detail: &'a str,
    /// What is wrong, for a program.
    code: &'a str,
    /// The same as code.
    error: &'a str,
    /// The field, parameter or header at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Refusal))]
pub(crate) struct Refusal<'a> {
    /// There is no verdict, so it may not run.
    valid: bool,
    /// What is wrong, for a program.
    error: &'a str,
    /// A sentence for a person.
    message: &'a str,
    /// The key that was probably meant, where one symbol is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a str>,
    /// The field at fault.
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
