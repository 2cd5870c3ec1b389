//! `/api/v1/licenses` and what is asked of one license.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use license_core::command::Command;
use license_core::customer::CustomerEmail;
use license_core::error::ServiceError;
use license_core::license::{LicenseId, Status};
use license_core::service::{KeyedLicense, LicenseService};
use license_core::store::LicenseFilter;

use crate::auth::LetIn;
use crate::extract::{Ask, By, Fields, IdempotencyHeader, IfMatch, LicensePath, NoQuery, Query};
use crate::problem::Problem;
use crate::wire::requests::{self, is_plan_name};
use crate::wire::{self, PageJson, WithAsOf};

type Service = State<Arc<LicenseService>>;

pub(super) async fn create(
    State(service): Service,
    By(LetIn { actor, .. }): By,
    _: NoQuery,
    IdempotencyHeader(idempotency_key): IdempotencyHeader,
    fields: Fields,
) -> Result<Response, Problem> {
    let spec = requests::spec(fields)?;
    let now = service.now();
    let license = service.by(&actor).issue(&spec, idempotency_key).await.map_err(Problem::of_request)?;
    // A repeated request is answered as the first was, so that a caller need not know which one got through.
    let mut response = wire::license(StatusCode::CREATED, &license, now);
    // Relative to the request's own path, so that it is right under every prefix and behind every proxy.
    if let Ok(location) = HeaderValue::try_from(format!("licenses/{}", license.detail.license.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn list(State(service): Service, mut query: Query) -> Result<Response, Problem> {
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
    let now = service.now();
    let found = service.list(&filter, now, &page).await?;
    let page = PageJson {
        data: found.items.iter().map(|license| wire::license_json(license, now)).collect(),
        next_cursor: found.next.as_ref().map(LicenseId::as_str),
    };
    let counted = found.items.iter().map(|license| license.detail.counters.as_of);
    let mut response = wire::json(StatusCode::OK, &WithAsOf::new(page, counted, now));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn get(
    State(service): Service,
    LicensePath(id): LicensePath,
    _: NoQuery,
) -> Result<Response, Problem> {
    answer(&service, service.get(&id)).await
}

pub(super) async fn change(
    State(service): Service,
    LicensePath(id): LicensePath,
    By(LetIn { actor, .. }): By,
    _: NoQuery,
    IfMatch(version): IfMatch,
    fields: Fields,
) -> Result<Response, Problem> {
    let change = requests::change(fields)?;
    let now = service.now();
    let changed = service.by(&actor).execute(&id, &Command::Change(change), version).await;
    Ok(wire::license(StatusCode::OK, &changed.map_err(Problem::of_request)?, now))
}

pub(super) async fn revoke(
    State(service): Service,
    By(LetIn { actor, .. }): By,
    ask: Ask,
) -> Result<Response, Problem> {
    answer(&service, service.by(&actor).execute(&ask.license, &Command::Revoke, ask.version)).await
}

pub(super) async fn suspend(
    State(service): Service,
    By(LetIn { actor, .. }): By,
    ask: Ask,
) -> Result<Response, Problem> {
    answer(&service, service.by(&actor).execute(&ask.license, &Command::Suspend, ask.version)).await
}

pub(super) async fn reinstate(
    State(service): Service,
    By(LetIn { actor, .. }): By,
    ask: Ask,
) -> Result<Response, Problem> {
    answer(&service, service.by(&actor).execute(&ask.license, &Command::Reinstate, ask.version)).await
}

pub(super) async fn renew(
    State(service): Service,
    By(LetIn { actor, .. }): By,
    ask: Ask,
) -> Result<Response, Problem> {
    answer(&service, service.by(&actor).execute(&ask.license, &Command::Renew, ask.version)).await
}

pub(super) async fn rotate_key(
    State(service): Service,
    By(LetIn { actor, .. }): By,
    ask: Ask,
) -> Result<Response, Problem> {
    answer(&service, service.by(&actor).rotate_key(&ask.license, ask.version)).await
}

/// Makes the call and answers with its license, or with the reason why there is none.
pub(super) async fn answer(
    service: &LicenseService,
    call: impl Future<Output = Result<KeyedLicense, ServiceError>>,
) -> Result<Response, Problem> {
    let now = service.now();
    Ok(wire::license(StatusCode::OK, &call.await?, now))
}
