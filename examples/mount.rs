//! The router inside one's own axum app, under a prefix of its own.
//!
//! Run it: `cargo run -p license-examples --example mount`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::routing::get;
use http_body_util::BodyExt;
use license_core::clock::{SystemClock, SystemRng};
use license_core::key::Secret;
use license_core::service::LicenseService;
use license_core::token::TokenSecret;
use license_http::AdminAuth;
use license_store::memory::MemoryStore;
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::generate(&mut SystemRng)?;
    let store = Arc::new(MemoryStore::new());
    let service = LicenseService::builder(store, &secret, SystemClock, SystemRng).build().await?;
    let token = TokenSecret::generate(&mut SystemRng)?;

    let app = Router::new()
        .route("/", get(|| async { "my own page" }))
        .nest("/licensing", license_http::router(Arc::new(service), AdminAuth::new([token.digest()])));
    // A server of yours would now say: axum::serve(listener, app).await

    let issue = Request::post("/licensing/api/v1/licenses")
        .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(json!({"plan": "starter", "customer_email": "dev@example.com"}).to_string())?;
    let (status, license) = call(&app, issue).await?;
    println!("issue    {status} {license}");
    assert_eq!(status, StatusCode::CREATED);

    let validate = Request::post("/licensing/api/v1/validate")
        .header(header::CONTENT_TYPE, "application/json")
        .body(json!({"key": license["key"], "domain": "example.com"}).to_string())?;
    let (status, verdict) = call(&app, validate).await?;
    println!("validate {status} {verdict}");
    assert_eq!(verdict["valid"], true);
    Ok(())
}

/// Calls the app without a socket.
async fn call(
    app: &Router,
    request: Request<String>,
) -> Result<(StatusCode, Value), Box<dyn std::error::Error>> {
    let response = app.clone().oneshot(request.map(Body::from)).await?;
    let status = response.status();
    Ok((status, serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?))
}
