//! Mounts the console beside your own pages, with your own sign-in: here, the user name from a proxy that has
//! authenticated the person.
//!
//! Run it: `cargo run -p license-examples --example console`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::{Router, routing::get};
use license_console::ConsoleOptions;
use license_core::Secret;
use license_core::access::{Principal, Scope};
use license_core::clock::SystemRng;
use license_core::service::{AuthError, Authenticator, Caller};
use license_store::{Engine, MemoryStore};
use tower::ServiceExt;

/// Trusts the header `x-sso-user`. The proxy must remove it from incoming requests.
#[derive(Debug)]
struct SsoProxy;

#[async_trait]
impl Authenticator for SsoProxy {
    async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError> {
        let user = request.headers.get("x-sso-user").and_then(|user| user.to_str().ok());
        let user = user.ok_or(AuthError::Missing)?;
        Ok(Caller { principal: Principal::Named(user.to_owned()), scopes: Scope::Admin.into() })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::generate(&mut SystemRng)?;
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
    let options = ConsoleOptions::new().authenticator(SsoProxy).public_origin("https://vendor.example.com");
    let app = Router::new()
        .route("/", get(|| async { "home page" }))
        .nest("/licenses", license_console::router(engine.services(), options));
    // A server would now call axum::serve(listener, app).await.

    for (user, expected) in [(None, StatusCode::UNAUTHORIZED), (Some("ada"), StatusCode::OK)] {
        let mut request = Request::get("/licenses");
        if let Some(user) = user {
            request = request.header("x-sso-user", user);
        }
        let status = app.clone().oneshot(request.body(Body::empty())?).await?.status();
        println!("console for {user:?}: {status}");
        assert_eq!(status, expected);
    }
    Ok(())
}
