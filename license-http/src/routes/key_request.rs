//! Calls that need only a license key: limits, body, refusals, and the header that reports an outage.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use crate::client_ip::ClientAddress;
use crate::extract::Fields;
use crate::extract::value::{text, text_or_null};
use crate::hardening::guard;
use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// Marks answers during an outage: the license is as last read, and the validation waits in memory.
const STORE_STATE: HeaderName = HeaderName::from_static("x-license-store");

/// Answers a call, within the limits of its address.
pub(super) async fn call(
    state: &HttpState,
    request: Request,
    answer: impl AsyncFnOnce(Request) -> Result<Response, Problem>,
) -> Response {
    guard(request, Problem::into_refusal, async |request| {
        let address = request.extensions().get::<ClientAddress>().copied();
        let answered = match state.limits.check_address(address) {
            Ok(()) => answer(request).await,
            Err(limited) => Err(limited),
        };
        let mut response = answered.unwrap_or_else(Problem::into_refusal);
        let status = response.status();
        // Malformed, or an unknown license. Beyond the limit of failures, the answer hides which it was.
        if status.is_client_error()
            && status != StatusCode::TOO_MANY_REQUESTS
            && let Err(limited) = state.limits.count_failure(address)
        {
            response = limited.into_refusal();
        }
        if state.services.is_down() {
            response.headers_mut().insert(STORE_STATE, HeaderValue::from_static("down"));
        }
        response
    })
    .await
}

/// The body of a call.
pub(super) struct KeyBody {
    pub(super) key: String,
    pub(super) domain: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) client: Option<String>,
}

impl KeyBody {
    /// Parses a body with the fields of these `names`.
    pub(super) fn parse(bytes: &[u8], names: &[&str]) -> Result<Self, Problem> {
        let parse = || {
            let mut fields = Fields::parse(bytes)?.only(names)?;
            Ok(Self {
                key: fields.require("key", text)?,
                domain: fields.take("domain", text_or_null)?.flatten(),
                fingerprint: fields.take("fingerprint", text_or_null)?.flatten(),
                client: fields.take("client", text_or_null)?.flatten(),
            })
        };
        // These calls have one code for all errors of a body.
        parse().map_err(|problem: Problem| problem.with_code(Code::BadRequest))
    }
}

pub(super) async fn method_not_allowed(request: Request) -> Response {
    let refusal = async || Problem::from(Code::MethodNotAllowed).into_refusal();
    guard(request, Problem::into_refusal, |_| refusal()).await
}
