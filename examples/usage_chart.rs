//! Prints an SVG chart of a month of usage of one license.
//!
//! Run it: `cargo run -p license-examples --example usage_chart > docs/usage.svg`

#![expect(clippy::print_stdout, reason = "the program prints the chart")]

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::BodyExt;
use license_core::access::TokenSecret;
use license_core::catalog::PlanCatalog;
use license_core::clock::{ManualClock, SystemRng};
use license_core::command::{LicenseSpec, create};
use license_core::key::{KeyDigest, SealedKey, Secret};
use license_core::license::{CustomerEmail, LicenseId};
use license_core::store::LicenseStore;
use license_core::trial::TrialKey;
use license_core::usage::{Validation, ValidationOutcome};
use license_core::validation::{Claim, DenialCode};
use license_http::AdminAuth;
use license_store::{Engine, MemoryStore};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start: DateTime<Utc> = "2026-05-01T00:00:00Z".parse()?;
    let store = Arc::new(MemoryStore::new());
    let id = LicenseId::parse("lic_a1b2c3d4e5")?;
    let key = (KeyDigest::from_bytes([1; 32]), SealedKey::from_bytes(vec![1]));
    let spec = LicenseSpec::new("professional", CustomerEmail::parse("dev@example.com")?);
    let new = create(
        id.clone(),
        key,
        &spec,
        None,
        &PlanCatalog::standard(),
        &TrialKey::from_bytes([7; 32]).into(),
        start,
    )?;
    store.create(&new).await?;
    // Less at weekends, more from week to week, one day without validations, and some with denials.
    let denied = ValidationOutcome::Denied(DenialCode::DeviceLimitReached);
    for day in 0..31_u32 {
        let at = start + TimeDelta::days(day.into()) + TimeDelta::hours(9);
        let (weekend, quiet) = (matches!(day % 7, 1 | 2), day == 17);
        let valid = if quiet { 0 } else { (24 + day * 2 + day * 5 % 11) / if weekend { 4 } else { 1 } };
        let refused = if day > 18 && !weekend { day % 9 } else { 0 };
        let outcomes = (0..valid).map(|_| ValidationOutcome::Valid).chain((0..refused).map(|_| denied));
        let validations = outcomes.map(|outcome| Validation::new(id.clone(), at, outcome, Claim::default()));
        store.record(&validations.collect::<Vec<_>>(), None).await?;
    }

    let clock = ManualClock::at(start + TimeDelta::days(31));
    let secret = Secret::generate(&mut SystemRng)?;
    let engine = Engine::builder(store, &secret).clock(clock, SystemRng).start().await?;
    let token = TokenSecret::generate(&mut SystemRng)?;
    let app = license_http::router(engine.services(), AdminAuth::new([token.digest()]));
    let range = "from=2026-05-01T00:00:00Z&to=2026-06-01T00:00:00Z";
    let request = Request::get(format!("/api/v1/licenses/{id}/usage?{range}&interval=day"))
        .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()))
        .header(header::ACCEPT, "image/svg+xml")
        .body(Body::empty())?;
    let picture = app.oneshot(request).await?.into_body().collect().await?.to_bytes();
    print!("{}", std::str::from_utf8(&picture)?);
    Ok(())
}
