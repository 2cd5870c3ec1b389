//! An authorisation of one's own in the place of API tokens: here, what a proxy says that has checked who it is.
//!
//! Run it: `cargo run -p license-examples --example own_auth`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use license_core::access::Caller;
use license_core::audit::Who;
use license_core::clock::{SystemClock, SystemRng};
use license_core::key::Secret;
use license_core::service::LicenseService;
use license_core::token::Scope;
use license_http::{AuthError, Authorise};
use license_store::memory::MemoryStore;
use tower::ServiceExt;

/// Believes the proxy, which has to remove this header from what callers send.
#[derive(Debug)]
struct BehindSso;

#[async_trait]
impl Authorise for BehindSso {
    async fn caller(&self, request: &Parts) -> Result<Caller, AuthError> {
        let user = request.headers.get("x-sso-user").and_then(|user| user.to_str().ok());
        let user = user.ok_or(AuthError::Missing)?;
        let scopes = if user == "boss" { Scope::Admin } else { Scope::LicensesRead };
        Ok(Caller { who: Who::Named(user.to_owned()), scopes: scopes.into() })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::generate(&mut SystemRng)?;
    let store = Arc::new(MemoryStore::new());
    let service = LicenseService::builder(store, &secret, SystemClock, SystemRng).build().await?;
    let app = license_http::router(Arc::new(service), BehindSso);

    for (user, method, expected) in [
        (None, "GET", StatusCode::UNAUTHORIZED),
        (Some("clerk"), "GET", StatusCode::OK),
        (Some("clerk"), "POST", StatusCode::FORBIDDEN),
        (Some("boss"), "GET", StatusCode::OK),
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
