//! Replaces API tokens by your own authentication: here, the user name from a proxy that has authenticated
//! the caller.
//!
//! Run it: `cargo run -p license-examples --example own_auth`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use license_core::Secret;
use license_core::access::{Principal, Scope};
use license_core::clock::SystemRng;
use license_core::service::Caller;
use license_http::{AuthError, AuthRefusal, Authenticator};
use license_store::{Engine, MemoryStore};
use tower::ServiceExt;

/// Trusts the header `x-sso-user`. The proxy must remove it from incoming requests.
#[derive(Debug)]
struct SsoProxy;

#[async_trait]
impl Authenticator for SsoProxy {
    async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError> {
        let user = request.headers.get("x-sso-user").and_then(|user| user.to_str().ok());
        let refusal =
            || AuthRefusal::unauthorized("NOT_SIGNED_IN", "Sign in at https://sso.example.com first.");
        let user = user.ok_or_else(|| AuthError::Refused(refusal()))?;
        let scopes = if user == "admin" { Scope::Admin } else { Scope::LicensesRead };
        Ok(Caller { principal: Principal::Named(user.to_owned()), scopes: scopes.into() })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::generate(&mut SystemRng)?;
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
    let app = license_http::router(engine.services(), SsoProxy);

    for (user, method, expected) in [
        (None, "GET", StatusCode::UNAUTHORIZED),
        (Some("support"), "GET", StatusCode::OK),
        (Some("support"), "POST", StatusCode::FORBIDDEN),
        (Some("admin"), "GET", StatusCode::OK),
    ] {
        let mut request = Request::builder().method(method).uri("/api/v1/licenses");
        if let Some(user) = user {
            request = request.header("x-sso-user", user);
        }
        let status = app.clone().oneshot(request.body(Body::empty())?).await?.status();
        println!("{method} by {user:?}: {status}");
        assert_eq!(status, expected);
    }
    Ok(())
}
