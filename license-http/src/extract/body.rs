//! The body: JSON, read whole, no larger and no slower than allowed.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use license_core::limits;
use tokio::time::timeout;

use super::Fields;
use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// The bytes of a body that says it is JSON; not parsed yet.
#[derive(Debug)]
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl FromRequest<HttpState> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        read(body, state.edge.body_time).await.map(Self)
    }
}

/// A call that has nothing to say in its body.
#[derive(Debug)]
pub(crate) struct NoContent;

impl FromRequest<HttpState> for NoContent {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        refuse_content(&parts.headers, body, state.edge.body_time).await.map(|()| Self)
    }
}

/// Refuses a body that says anything: nothing, or `{}`. To ignore fields would promise what is not done.
pub(super) async fn refuse_content(headers: &HeaderMap, body: Body, time: Duration) -> Result<(), Problem> {
    let bytes = read(body, time).await?;
    if !bytes.is_empty() {
        check_type(headers)?;
        Fields::parse(&bytes)?.only(&[])?;
    }
    Ok(())
}

async fn read(body: Body, time: Duration) -> Result<Bytes, Problem> {
    // Said to be too large: refused before it is sent.
    if body.size_hint().lower() > limits::BODY_BYTES as u64 {
        return Err(too_large());
    }
    match timeout(time, Limited::new(body, limits::BODY_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if is_limit(&*error) => Err(too_large()),
        Ok(Err(_)) => {
            let detail = "The body could not be read to its end.";
            Err(Problem::new(Code::BadRequest, detail))
        }
        Err(_) => {
            let detail = format!("The body was not here after {} seconds.", time.as_secs());
            Err(Problem::new(Code::RequestTimeout, detail))
        }
    }
}

/// Also where the limit is the host app's, inside the body.
fn is_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<LengthLimitError>)
}

fn too_large() -> Problem {
    let detail = format!("A body has at most {} bytes.", limits::BODY_BYTES);
    Problem::new(Code::PayloadTooLarge, detail)
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |header: HeaderName, detail| {
        let problem = Problem::new(Code::UnsupportedMediaType, detail);
        Err(problem.at(if header == CONTENT_TYPE { "Content-Type" } else { "Content-Encoding" }))
    };
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(one), None) if is_json(one) => {}
        _ => {
            return refuse(
                CONTENT_TYPE,
                "This call needs one Content-Type header: application/json, in UTF-8.",
            );
        }
    }
    if headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return refuse(CONTENT_ENCODING, "Send the body without a Content-Encoding.");
    }
    Ok(())
}

/// `application/json` or `application/…+json`; of the parameters only a charset matters, and that is UTF-8.
fn is_json(value: &HeaderValue) -> bool {
    // As nearly everybody writes it.
    if value.as_bytes() == b"application/json" {
        return true;
    }
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = media_type == "application/json"
        || media_type
            .strip_prefix("application/")
            .and_then(|rest| rest.strip_suffix("+json"))
            .is_some_and(is_token);
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}
