//! Mounts the router in an axum app, under a prefix.
//!
//! Run it: `cargo run -p license-examples --example mount`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::routing::get;
use http_body_util::BodyExt;
use license_core::Secret;
use license_core::access::TokenSecret;
use license_core::clock::SystemRng;
use license_http::AdminAuth;
use license_store::{Engine, MemoryStore};
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::generate(&mut SystemRng)?;
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
    let token = TokenSecret::generate(&mut SystemRng)?;

    let app = Router::new()
        .route("/", get(|| async { "home page" }))
        .nest("/licensing", license_http::router(engine.services(), AdminAuth::new([token.digest()])));
    // A server would now call axum::serve(listener, app).await.

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
