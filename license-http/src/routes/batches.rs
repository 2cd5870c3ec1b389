//! `POST /api/v1/licenses/batch`: many licenses in one commit.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use license_core::json::LicenseJson;
use license_core::limits;
use serde::Serialize;
use serde_json::Value;

use super::licenses::{SPEC_FIELDS, license_json, read_spec};
use crate::auth::Authenticated;
use crate::extract::{Fields, IdempotencyHeader, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, WithAsOf};

#[derive(Serialize)]
struct BatchJson<'a> {
    data: Vec<LicenseJson<'a>>,
}

/// Returns the fields of a batch. An external id names one license, so a batch has none.
fn batch_fields() -> Vec<&'static str> {
    SPEC_FIELDS.into_iter().filter(|name| *name != "external_id").chain(["count"]).collect()
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Authenticated { actor, .. }: Authenticated,
    IdempotencyHeader(idempotency_key): IdempotencyHeader,
    fields: Fields,
) -> Result<Response, Problem> {
    let mut fields = fields.only(&batch_fields())?;
    let count = fields.require("count", read_count)?;
    let spec = read_spec(&mut fields)?;
    let now = state.services.now();
    let issued = state.services.licenses.by(&actor).issue_many(&spec, count, idempotency_key).await;
    let licenses = issued.map_err(Problem::from_body_error)?;
    let data = licenses.iter().map(|license| license_json(license, now)).collect();
    let counted = licenses.iter().map(|license| license.detail.counters.as_of);
    let response = wire::json(StatusCode::CREATED, &WithAsOf::new(BatchJson { data }, counted, now));
    Ok(wire::replayed(licenses.iter().any(|license| license.repeated), response))
}

fn read_count(field: &'static str, value: Value) -> Result<u32, Problem> {
    value::whole(field, value, 1..=limits::BATCH_LICENSES)
}
