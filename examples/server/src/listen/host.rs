//! The `Host` header, which RFC 9112 requires of every HTTP/1.1 request.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use serde_json::json;

/// Returns an answer if the request lacks a valid `Host` header or has several.
pub(super) fn check_host<B>(request: &Request<B>) -> Option<Response<Body>> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let detail = match (hosts.next(), hosts.next()) {
        (None, _) => "The header Host is missing.",
        (Some(_), Some(_)) => "The header Host must be sent once.",
        // It is empty if the target of the request has no host.
        (Some(host), None) if host.is_empty() || is_authority(host.as_bytes()) => return None,
        (Some(_), None) => "The header Host must be a host name with an optional port.",
    };
    let status = StatusCode::BAD_REQUEST;
    let problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
        "code": "BAD_REQUEST",
        "error": "BAD_REQUEST",
        "valid": false,
        "field": "Host",
    });
    let mut response = Response::new(Body::from(problem.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

fn is_authority(host: &[u8]) -> bool {
    !host.contains(&b'@') && Authority::try_from(host).is_ok()
}
