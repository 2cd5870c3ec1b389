//! Reads JSON bodies, with limits on size and time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use license_core::limits;
use tokio::time::timeout;

use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// Reads a body whose content type is JSON.
pub(crate) async fn read_json(request: Request, state: &HttpState) -> Result<Bytes, Problem> {
    check_type(request.headers())?;
    read(request.into_body(), state.limits.body_timeout).await
}

pub(super) async fn read(body: Body, time: Duration) -> Result<Bytes, Problem> {
    // If the declared length is too large, the body is refused before it is read.
    if body.size_hint().lower() > limits::BODY_BYTES as u64 {
        return Err(too_large());
    }
    match timeout(time, Limited::new(body, limits::BODY_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if is_limit(&*error) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Code::BadRequest, "The body ended before it was complete.")),
        Err(_) => {
            let detail = format!("The body did not arrive within {} seconds.", time.as_secs());
            Err(Problem::new(Code::RequestTimeout, detail))
        }
    }
}

/// Removes a byte order mark, which editors and some clients write before UTF-8.
pub(super) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Returns whether a size limit caused the error, including a limit that the host app put around the body.
fn is_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<LengthLimitError>)
}

fn too_large() -> Problem {
    let detail = format!("The body must have at most {} bytes.", limits::BODY_BYTES);
    Problem::new(Code::PayloadTooLarge, detail)
}

pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse =
        |header: &'static str, detail| Err(Problem::new(Code::UnsupportedMediaType, detail).at(header));
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    if !matches!((types.next(), types.next()), (Some(one), None) if is_json(one)) {
        let detail = "This call needs one Content-Type header with application/json, in UTF-8.";
        return refuse("Content-Type", detail);
    }
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(identity) {
        return refuse("Content-Encoding", "Send the body without a Content-Encoding.");
    }
    Ok(())
}

/// Accepts `application/json` and `application/…+json`, in UTF-8. Other parameters are ignored.
fn is_json(value: &HeaderValue) -> bool {
    // Fast path for the usual spelling.
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
            let charset = charset.trim().trim_matches('"');
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}
