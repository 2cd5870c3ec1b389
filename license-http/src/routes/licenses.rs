//! `/api/v1/licenses`: licenses and the commands for one license.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::command::Command;
use license_core::error::ServiceError;
use license_core::json::LicenseJson;
use license_core::license::{CustomerEmail, LicenseId, Status};
use license_core::service::{KeyedLicense, Services};
use license_core::store::{LicenseFilter, LicenseQuery};

use crate::auth::Authenticated;
use crate::extract::value::is_plan_name;
use crate::extract::{
    Fields, IdempotencyHeader, IfMatch, LicenseCommand, LicensePath, NoQuery, Query, license_body,
};
use crate::problem::Problem;
use crate::wire::{self, PageJson, WithAsOf};

pub(super) async fn create(
    State(services): State<Arc<Services>>,
    Authenticated { actor, .. }: Authenticated,
    _: NoQuery,
    IdempotencyHeader(idempotency_key): IdempotencyHeader,
    fields: Fields,
) -> Result<Response, Problem> {
    let spec = license_body::spec(fields)?;
    let now = services.now();
    let issued = services.licenses.by(&actor).issue(&spec, idempotency_key).await;
    // A repeated request gets the same answer as the first one.
    let license = issued.map_err(Problem::from_body_error)?;
    let response = license_response(StatusCode::CREATED, &license, now);
    Ok(wire::with_location(response, format!("licenses/{}", license.detail.license.id)))
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    mut query: Query,
) -> Result<Response, Problem> {
    let status = |text: &str| Status::ALL.into_iter().find(|status| status.as_str() == text);
    let plan = |text: &str| is_plan_name(text).then(|| text.to_owned());
    let filter = LicenseFilter {
        status: query.take("status", "active, suspended, expired or revoked", status)?,
        plan: query.take("plan", "the name of a plan", plan)?,
        customer_email: query
            .take("customer_email", "an e-mail address", |text| CustomerEmail::parse(text).ok())?,
    };
    let page = query.page(|text| LicenseId::parse(text).ok())?;
    query.finish()?;
    let now = services.now();
    let found = services.licenses.list(&LicenseQuery { filter, at: now, page }).await?;
    let page = PageJson::new(&found, |license| license_json(license, now));
    let counted = found.items.iter().map(|license| license.detail.counters.as_of);
    Ok(wire::json(StatusCode::OK, &WithAsOf::new(page, counted, now)))
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    LicensePath(id): LicensePath,
    _: NoQuery,
) -> Result<Response, Problem> {
    answer(&services, services.licenses.get(&id)).await
}

pub(super) async fn change(
    State(services): State<Arc<Services>>,
    LicensePath(id): LicensePath,
    Authenticated { actor, .. }: Authenticated,
    _: NoQuery,
    IfMatch(version): IfMatch,
    fields: Fields,
) -> Result<Response, Problem> {
    let change = license_body::change(fields)?;
    let now = services.now();
    let changed = services.licenses.by(&actor).execute(&id, &Command::Change(change), version).await;
    Ok(license_response(StatusCode::OK, &changed.map_err(Problem::from_body_error)?, now))
}

pub(super) async fn revoke(command: LicenseCommand) -> Result<Response, Problem> {
    execute(command, Command::Revoke).await
}

pub(super) async fn suspend(command: LicenseCommand) -> Result<Response, Problem> {
    execute(command, Command::Suspend).await
}

pub(super) async fn reinstate(command: LicenseCommand) -> Result<Response, Problem> {
    execute(command, Command::Reinstate).await
}

pub(super) async fn renew(command: LicenseCommand) -> Result<Response, Problem> {
    execute(command, Command::Renew).await
}

pub(super) async fn rotate_key(command: LicenseCommand) -> Result<Response, Problem> {
    let LicenseCommand { services, actor, license, version } = command;
    answer(&services, services.licenses.by(&actor).rotate_key(&license, version)).await
}

/// Executes a command and answers with the license.
pub(super) async fn execute(target: LicenseCommand, command: Command) -> Result<Response, Problem> {
    let LicenseCommand { services, actor, license, version } = target;
    answer(&services, services.licenses.by(&actor).execute(&license, &command, version)).await
}

/// Awaits a call of the service and answers with its license.
pub(super) async fn answer(
    services: &Services,
    call: impl Future<Output = Result<KeyedLicense, ServiceError>>,
) -> Result<Response, Problem> {
    let now = services.now();
    Ok(license_response(StatusCode::OK, &call.await?, now))
}

/// Returns a license with its key, and its version as `ETag`. `now` is the time when the call began.
fn license_response(status: StatusCode, license: &KeyedLicense, now: DateTime<Utc>) -> Response {
    let counted = [license.detail.counters.as_of];
    let mut response = wire::json(status, &WithAsOf::new(license_json(license, now), counted, now));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", license.detail.license.version)) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Returns a license with its key, as admins see it.
pub(super) fn license_json(keyed: &KeyedLicense, now: DateTime<Utc>) -> LicenseJson<'_> {
    LicenseJson::new(&keyed.detail, Some(keyed.key.reveal()), now, usize::MAX)
}
