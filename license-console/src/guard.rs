//! Middleware in front of all pages: who visits, from which origin, and the headers of every answer.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use license_core::access::Scope;
use tokio::sync::OwnedSemaphorePermit;

use crate::connection;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::pages;
use crate::visit::Visit;
use crate::zone;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every answer. A route may set its own caching.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Finds the visitor, refuses changes from other origins, and renders failures.
pub(crate) async fn guard(State(console): State<Console>, request: Request, next: Next) -> Response {
    zone::within(zone::of(request.headers()), guarded(console, request, next)).await
}

async fn guarded(console: Console, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut visit = Visit::unknown(&console, &parts);
    let response = match admit(&console, &mut visit, &parts).await {
        Ok(()) => {
            parts.extensions.insert(visit.clone());
            next.run(Request::from_parts(parts, body)).await
        }
        Err(failure) => failure.into_response(),
    };
    let mut response = rendered(&visit, response);
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn admit(console: &Shared, visit: &mut Visit, parts: &Parts) -> Result<(), Failure> {
    let reads = [Method::GET, Method::HEAD].contains(&parts.method);
    if !reads && !is_same_origin(parts, console.options.public_origin.as_deref()) {
        return Err(Failure::other_origin());
    }
    visit.visitor = visit.find_visitor(console, parts).await?;
    Ok(())
}

/// Returns whether a page of the console sent the request, as the browser tells it.
fn is_same_origin(parts: &Parts, public_origin: Option<&str>) -> bool {
    if let Some(site) = only(&parts.headers, "sec-fetch-site") {
        return site == "same-origin";
    }
    // Also if the header is there twice.
    if parts.headers.contains_key("sec-fetch-site") {
        return false;
    }
    let Some(origin) = only(&parts.headers, "origin") else { return false };
    if let Some(public) = public_origin {
        return origin == public;
    }
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|host| connection::host(parts).is_some_and(|own| own.eq_ignore_ascii_case(host)))
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Renders the page of a failure.
fn rendered(visit: &Visit, mut response: Response) -> Response {
    let Some(failure) = response.extensions_mut().remove::<Failure>() else { return response };
    let mut response =
        pages::failure::page(visit, &failure).unwrap_or_else(|_| failure.status.into_response());
    *response.status_mut() = failure.status;
    response.headers_mut().extend(failure.headers);
    response
}

/// Sends visitors who are not signed in to the sign-in page, and refuses those who lack a scope, and
/// requests beyond those that may run at once.
pub(crate) async fn require(
    State((console, scopes)): State<(Console, &'static [Scope])>,
    visit: Visit,
    request: Request,
    next: Next,
) -> Response {
    let Some(visitor) = &visit.visitor else {
        if !visit.has_sign_in {
            let advice = "Sign in to the app first.";
            return Failure::new(StatusCode::UNAUTHORIZED, "You are not signed in", advice).into_response();
        }
        return to_sign_in(&visit);
    };
    let Some(lacking) = visitor.scopes.missing(scopes) else {
        let Ok(place) = Arc::clone(&console.pages).try_acquire_owned() else {
            return Failure::busy().into_response();
        };
        return keep_place(next.run(request).await, place);
    };
    let own_words = console.options.authenticator.as_ref().and_then(|authenticator| {
        let caller = license_core::service::Caller {
            principal: visitor.actor.principal.clone(),
            scopes: visitor.scopes,
        };
        authenticator.refuse_scope(&caller, lacking)
    });
    own_words.map_or_else(|| Failure::lacks(lacking), Failure::from).into_response()
}

/// Keeps the place until the whole body is sent, if the body is made while it is sent.
fn keep_place(response: Response, place: OwnedSemaphorePermit) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        let parts = body.into_data_stream().inspect(move |_| {
            let _held = &place;
        });
        Body::from_stream(parts)
    })
}

fn to_sign_in(visit: &Visit) -> Response {
    let target = visit.url("/sign-in");
    if visit.by_htmx {
        // A redirect would put the sign-in page into a part of this one.
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", target)]).into_response();
    }
    pages::see_other(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_header_is_not_same_origin() {
        let same_origin = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().header("host", "localhost");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, _) = request.body(Body::empty()).unwrap().into_parts();
            is_same_origin(&parts, None)
        };
        let (site, origin) = (("sec-fetch-site", "same-origin"), ("origin", "http://localhost"));
        assert!(same_origin(&[site]) && same_origin(&[origin]) && same_origin(&[site, origin]));
        assert!(!same_origin(&[site, site, origin]), "the header is there twice");
        assert!(!same_origin(&[site, ("sec-fetch-site", "cross-site")]));
        assert!(!same_origin(&[origin, origin]));
        assert!(!same_origin(&[]));
    }
}
