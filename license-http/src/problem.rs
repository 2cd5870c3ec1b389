//! Error responses: problem details of RFC 9457, and the refusals of the calls that need only a license key.

mod catalog;
mod code;
mod convert;

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use license_core::access::Scope;
use license_core::key::LicenseKey;
use license_core::service::Proof;
use serde::Serialize;

use crate::wire;

pub(crate) use code::Code;

/// Seconds after which a caller may retry a 503.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Maximum length of `field` in characters. The name of an unknown field comes from the caller.
const FIELD_CHARS: usize = 100;

type ProblemText = Cow<'static, str>;

/// The reason why a request failed, as the caller may see it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    detail: ProblemText,
    field: Option<ProblemText>,
    suggestion: Option<Box<LicenseKey>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Only in the form of `/validate`.
    proof: Option<Box<Proof>>,
}

impl From<Code> for Problem {
    /// Uses the meaning of the code as the detail.
    fn from(code: Code) -> Self {
        Self::new(code, code.meaning())
    }
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<ProblemText>) -> Self {
        let (status, code) = (code.status(), code.as_str());
        Self {
            status,
            code,
            detail: detail.into(),
            field: None,
            suggestion: None,
            headers: Vec::new(),
            proof: None,
        }
    }

    /// Replaces the code and its status.
    pub(crate) fn with_code(mut self, code: Code) -> Self {
        (self.status, self.code) = (code.status(), code.as_str());
        self
    }

    /// Adds the signed verdict.
    pub(crate) fn with_proof(self, proof: Proof) -> Self {
        Self { proof: Some(Box::new(proof)), ..self }
    }

    /// Adds a `WWW-Authenticate` challenge of RFC 6750.
    pub(crate) fn with_challenge(self, challenge: &str) -> Self {
        self.with_headers(HeaderValue::from_str(challenge).map(|challenge| (WWW_AUTHENTICATE, challenge)))
    }

    pub(crate) fn with_headers(
        mut self,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Names the field, parameter or header at fault.
    pub(crate) fn at(mut self, field: impl Into<ProblemText>) -> Self {
        let field = field.into();
        self.field = Some(match field.char_indices().nth(FIELD_CHARS) {
            Some((end, _)) => Cow::Owned(format!("{}…", &field[..end])),
            None => field,
        });
        self
    }

    /// Names the field within `parent`, unless it is `parent` itself.
    pub(crate) fn within(self, parent: &str) -> Self {
        match self.field.as_deref() {
            Some(field) if field != parent => {
                let field = format!("{parent}.{field}");
                self.at(field)
            }
            _ => self,
        }
    }

    /// An invalid header or parameter.
    pub(crate) fn bad_request(field: impl Into<ProblemText>, detail: impl Into<ProblemText>) -> Self {
        Self::new(Code::BadRequest, detail).at(field)
    }

    /// An invalid field of the body.
    pub(crate) fn invalid_field(field: impl Into<ProblemText>, detail: impl Into<ProblemText>) -> Self {
        Self::new(Code::InvalidField, detail).at(field)
    }

    /// A server error. The caller must have logged the cause.
    pub(crate) fn internal() -> Self {
        Code::Internal.into()
    }

    /// The caller lacks a scope.
    pub(crate) fn lacks(scope: Scope) -> Self {
        let detail = format!("This call needs the scope {scope}, which the caller does not have.");
        Self::new(Code::InsufficientScope, detail)
            .with_challenge(&format!(r#"Bearer error="insufficient_scope", scope="{scope}""#))
    }

    /// Renders the problem in the form of `/validate`.
    pub(crate) fn into_refusal(self) -> Response {
        let refusal = Refusal {
            valid: false,
            error: self.code,
            message: &self.detail,
            suggestion: self.suggestion.as_deref().map(LicenseKey::reveal),
            field: self.field.as_deref(),
            proof: self.proof.as_deref(),
        };
        let response = wire::json(self.status, &refusal);
        self.add_headers(response)
    }

    fn add_headers(self, mut response: Response) -> Response {
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        }
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Problem details of RFC 9457. The code is in `code` and `error`, because clients expect either name.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Problem))]
pub(crate) struct ProblemJson<'a> {
    /// Always about:blank.
    r#type: &'static str,
    /// The reason phrase of the status.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// Explanation for people.
    detail: &'a str,
    /// Stable error code.
    code: &'a str,
    /// Same as code.
    error: &'a str,
    /// The field, parameter or header at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// The corrected key, if a single symbol is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Refusal))]
pub(crate) struct Refusal<'a> {
    /// Always false: the license could not be checked.
    valid: bool,
    /// Stable error code.
    error: &'a str,
    /// Explanation for people.
    message: &'a str,
    /// The corrected key, if a single symbol is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a str>,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    proof: Option<&'a Proof>,
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
            suggestion: self.suggestion.as_deref().map(LicenseKey::reveal),
        };
        let mut response = wire::json(self.status, &json);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.add_headers(response)
    }
}

/// Turns an error message into a sentence: capital letter, full stop. The name of a field stays as it is written.
pub(crate) fn sentence(error: &(impl std::fmt::Display + ?Sized)) -> String {
    let text = error.to_string();
    if text.split(' ').next().is_some_and(|word| word.contains('_')) {
        return format!("{text}.");
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}
