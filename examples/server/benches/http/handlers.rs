//! Handlers to compare the server with: a bare route, and a typical handler with one SELECT and one upsert.
//! Each runs in its own process.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use chrono::{DateTime, Duration, Utc};
use clap::ValueEnum;
use license_core::catalog::{Features, PlanCatalog};
use license_core::clock::{Clock, SystemClock};
use license_core::key::{KeyFormat, KeyVault};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Row};
use tokio::net::TcpListener;

use crate::fill::data_keys;

/// A handler, as named on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Handler {
    /// A route that parses the request and serialises an answer.
    Bare,
    /// The typical handler: a SELECT and an upsert in PostgreSQL.
    Update,
}

#[derive(Deserialize)]
struct Request {
    key: String,
    #[expect(dead_code, reason = "parsed, as in the server")]
    domain: Option<String>,
    #[expect(dead_code, reason = "parsed, as in the server")]
    fingerprint: Option<String>,
}

/// The server's answer to a valid key.
#[derive(Serialize)]
struct ValidAnswer<'a> {
    valid: bool,
    license: License<'a>,
    usage: Usage,
}

#[derive(Serialize)]
struct Usage {
    domains: Slots,
    devices: Slots,
}

#[derive(Serialize)]
struct Slots {
    used: u64,
    limit: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct License<'a> {
    plan: &'a str,
    expires_at: Option<DateTime<Utc>>,
    features: &'a Features,
}

fn valid(plan: &str, expires_at: Option<DateTime<Utc>>, plans: &PlanCatalog) -> Response {
    let Some(plan) = plans.get(plan) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let license = License { plan: &plan.name, expires_at, features: &plan.features };
    let domains = Slots { used: 1, limit: plan.max_domains.as_number() };
    let devices = Slots { used: 0, limit: plan.max_devices.as_number() };
    Json(ValidAnswer { valid: true, license, usage: Usage { domains, devices } }).into_response()
}

/// State of the bare route.
struct Bare {
    plans: PlanCatalog,
    expires_at: DateTime<Utc>,
}

async fn bare(State(bare): State<Arc<Bare>>, Json(_): Json<Request>) -> Response {
    valid("starter", Some(bare.expires_at), &bare.plans)
}

/// State of the typical handler, which finds the license and increments its counter.
struct Update {
    plans: PlanCatalog,
    format: KeyFormat,
    vault: KeyVault,
    pool: PgPool,
}

async fn update(State(update): State<Arc<Update>>, Json(request): Json<Request>) -> Response {
    let Ok(key) = update.format.parse(&request.key) else { return StatusCode::BAD_REQUEST.into_response() };
    match update.license(update.vault.digest(&key).as_bytes()).await {
        Ok(Some((plan, expires_at))) => valid(&plan, expires_at, &update.plans),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

impl Update {
    async fn license(&self, digest: &[u8]) -> sqlx::Result<Option<(String, Option<DateTime<Utc>>)>> {
        let found = sqlx::query("SELECT id, plan, expires_at FROM licenses WHERE key_digest = $1")
            .bind(digest)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = found else { return Ok(None) };
        sqlx::query(
            "INSERT INTO license_counters (license_id, validation_count, last_validated_at) VALUES ($1, 1, $2) \
             ON CONFLICT (license_id) DO UPDATE SET last_validated_at = excluded.last_validated_at, \
             validation_count = license_counters.validation_count + 1",
        )
        .bind(row.try_get::<&str, _>("id")?)
        .bind(SystemClock.now().timestamp_micros())
        .execute(&self.pool)
        .await?;
        let expires_at: Option<i64> = row.try_get("expires_at")?;
        Ok(Some((row.try_get("plan")?, expires_at.and_then(DateTime::from_timestamp_micros))))
    }
}

/// Serves on a free port until the process is killed. Prints the address.
pub(crate) async fn serve(handler: Handler) {
    let plans = PlanCatalog::standard();
    let app = match handler {
        Handler::Bare => {
            let expires_at = SystemClock.now() + Duration::days(365);
            post(bare).with_state(Arc::new(Bare { plans, expires_at }))
        }
        Handler::Update => {
            // As in the license store: 10 connections, and no ping before each use.
            let pool = PgPoolOptions::new().max_connections(10).test_before_acquire(false);
            let pool = pool.connect(&std::env::var("LICENSE_DATABASE").unwrap()).await.unwrap();
            let vault = KeyVault::new(&data_keys());
            post(update).with_state(Arc::new(Update { plans, format: KeyFormat::default(), vault, pool }))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("address http://{}", listener.local_addr().unwrap());
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, Router::new().route("/api/v1/validate", app)).await.unwrap();
}
