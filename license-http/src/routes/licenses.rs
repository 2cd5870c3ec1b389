//! `/api/v1/licenses`: licenses and the commands for one license.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::catalog::Limit;
use license_core::command::{Command, LicensePatch, LicenseSpec, TargetState};
use license_core::domain::DomainName;
use license_core::error::ServiceError;
use license_core::json::LicenseJson;
use license_core::license::{
    CustomerEmail, CustomerName, ExternalId, Lease, Metadata, MetadataError, MetadataPatch, Reason, Status,
};
use license_core::limits;
use license_core::service::{KeyedLicense, Services};
use serde::Serialize;
use serde_json::Value;

use super::leases::LeaseJson;

use crate::auth::Authenticated;
use crate::extract::{
    Fields, IdempotencyHeader, LicenseCommand, LicensePath, NoInput, NoQuery, ReasonBody, ReleaseBody, grant,
    value,
};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, WithAsOf};

pub(crate) const SPEC_FIELDS: [&str; 10] = [
    "plan",
    "customer_email",
    "max_domains",
    "max_devices",
    "domains",
    "expires_at",
    "metadata",
    "customer_name",
    "external_id",
    "grants",
];
pub(crate) const CHANGE_FIELDS: [&str; 11] = [
    "plan",
    "customer_email",
    "max_domains",
    "max_devices",
    "domains",
    "expires_at",
    "metadata",
    "status",
    "customer_name",
    "external_id",
    "reason",
];

pub(super) async fn create(
    State(state): State<HttpState>,
    Authenticated { actor, .. }: Authenticated,
    IdempotencyHeader(idempotency_key): IdempotencyHeader,
    fields: Fields,
) -> Result<Response, Problem> {
    let spec = read_spec(&mut fields.only(&SPEC_FIELDS)?)?;
    let now = state.services.now();
    let issued = state.services.licenses.by(&actor).issue(&spec, idempotency_key).await;
    let license = issued.map_err(Problem::from_body_error)?;
    let response = license_response(StatusCode::CREATED, &license, &[], now);
    Ok(wire::with_location(response, format!("licenses/{}", license.detail.license.id)))
}

pub(super) async fn get(
    State(state): State<HttpState>,
    LicensePath(id): LicensePath,
    _: NoQuery,
) -> Result<Response, Problem> {
    answer(&state.services, state.services.licenses.get(&id)).await
}

pub(super) async fn change(
    LicenseCommand { services, actor, license, version }: LicenseCommand,
    fields: Fields,
) -> Result<Response, Problem> {
    let (change, reason) = read_patch(fields)?;
    let now = services.now();
    let licenses = services.licenses.by(&actor).with_reason(reason);
    let changed = licenses.execute(&license, &Command::Change(change), version).await;
    respond(&services, &changed.map_err(Problem::from_body_error)?, now).await
}

pub(super) async fn revoke(
    command: LicenseCommand,
    ReasonBody(reason): ReasonBody,
) -> Result<Response, Problem> {
    execute_because(command, Command::Revoke, reason).await
}

pub(super) async fn suspend(
    command: LicenseCommand,
    ReasonBody(reason): ReasonBody,
) -> Result<Response, Problem> {
    execute_because(command, Command::Suspend, reason).await
}

pub(super) async fn reinstate(command: LicenseCommand, _: NoInput) -> Result<Response, Problem> {
    execute(command, Command::Reinstate).await
}

pub(super) async fn renew(
    LicenseCommand { services, actor, license, version }: LicenseCommand,
    IdempotencyHeader(key): IdempotencyHeader,
    _: NoInput,
) -> Result<Response, Problem> {
    let licenses = services.licenses.by(&actor).with_idempotency_key(key);
    answer(&services, licenses.execute(&license, &Command::Renew, version)).await
}

pub(super) async fn rotate_key(
    LicenseCommand { services, actor, license, version }: LicenseCommand,
    IdempotencyHeader(key): IdempotencyHeader,
    ReleaseBody(release): ReleaseBody,
) -> Result<Response, Problem> {
    let licenses = services.licenses.by(&actor).with_idempotency_key(key);
    answer(&services, licenses.rotate_key(&license, release, version)).await
}

/// Executes a command and answers with the license.
pub(super) async fn execute(target: LicenseCommand, command: Command) -> Result<Response, Problem> {
    execute_because(target, command, None).await
}

/// Executes a command for this reason, and answers with the license.
pub(super) async fn execute_because(
    target: LicenseCommand,
    command: Command,
    reason: Option<Reason>,
) -> Result<Response, Problem> {
    let LicenseCommand { services, actor, license, version } = target;
    let licenses = services.licenses.by(&actor).with_reason(reason);
    answer(&services, licenses.execute(&license, &command, version)).await
}

/// Awaits a call of the service and answers with its license.
pub(super) async fn answer(
    services: &Services,
    call: impl Future<Output = Result<KeyedLicense, ServiceError>>,
) -> Result<Response, Problem> {
    let now = services.now();
    respond(services, &call.await?, now).await
}

/// Returns a license, and the leases that software accepts although it should not.
pub(super) async fn respond(
    services: &Services,
    license: &KeyedLicense,
    now: DateTime<Utc>,
) -> Result<Response, Problem> {
    let leases = services.leases.outstanding(&license.detail.license).await?;
    Ok(license_response(StatusCode::OK, license, &leases, now))
}

/// A license with leases that software accepts although it should not.
#[derive(Serialize)]
struct WithLeases<'a> {
    #[serde(flatten)]
    license: LicenseJson<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outstanding_leases: Vec<LeaseJson<'a>>,
}

/// Returns a license with its key, its version as `ETag`, and whether the request was repeated. `now` is the
/// time when the call began.
fn license_response(
    status: StatusCode,
    license: &KeyedLicense,
    leases: &[Lease],
    now: DateTime<Utc>,
) -> Response {
    let counted = [license.detail.counters.as_of];
    let tag = format!("\"{}\"", license.detail.license.version);
    let outstanding_leases = leases.iter().map(LeaseJson::from).collect();
    let answer = WithLeases { license: license_json(license, now), outstanding_leases };
    let json = wire::json(status, &WithAsOf::new(answer, counted, now));
    wire::replayed(license.repeated, ([(ETAG, tag)], json).into_response())
}

/// Returns a license with its key, as admins see it.
pub(super) fn license_json(keyed: &KeyedLicense, now: DateTime<Utc>) -> LicenseJson<'_> {
    LicenseJson::new(&keyed.detail, Some(keyed.key.reveal()), now, usize::MAX)
}

/// Reads the fields of a new license. The names of the fields must have been checked.
pub(super) fn read_spec(fields: &mut Fields) -> Result<LicenseSpec, Problem> {
    Ok(LicenseSpec {
        plan: fields.require("plan", value::name)?,
        customer_email: fields.take("customer_email", value::parsed_or_null(CustomerEmail::parse))?.flatten(),
        max_domains: fields.take("max_domains", read_limit)?,
        max_devices: fields.take("max_devices", read_limit)?,
        domains: fields.take("domains", read_domains)?.unwrap_or_default(),
        expires_at: fields.take("expires_at", value::expiry)?,
        metadata: fields.take("metadata", read_metadata(Metadata::from_json))?.unwrap_or_default(),
        customer_name: fields.take("customer_name", value::parsed_or_null(CustomerName::parse))?.flatten(),
        external_id: fields.take("external_id", value::parsed_or_null(ExternalId::parse))?.flatten(),
        grants: fields.take("grants", grant::grants)?.unwrap_or_default(),
    })
}

/// Reads a change, and the reason of its new status.
fn read_patch(fields: Fields) -> Result<(LicensePatch, Option<Reason>), Problem> {
    let mut fields = fields.only(&CHANGE_FIELDS)?;
    let patch = LicensePatch {
        plan: fields.take("plan", value::name)?,
        customer_email: fields.take("customer_email", value::parsed_or_null(CustomerEmail::parse))?,
        max_domains: fields.take("max_domains", read_limit)?,
        max_devices: fields.take("max_devices", read_limit)?,
        domains: fields.take("domains", read_domains)?,
        expires_at: fields.take("expires_at", value::expiry)?,
        metadata: fields.take("metadata", read_metadata(MetadataPatch::from_json))?,
        state: fields.take("status", read_state)?,
        customer_name: fields.take("customer_name", value::parsed_or_null(CustomerName::parse))?,
        external_id: fields.take("external_id", value::parsed_or_null(ExternalId::parse))?,
    };
    let reason = fields.take_reason()?;
    if reason.is_some() && !matches!(patch.state, Some(TargetState::Suspended | TargetState::Revoked)) {
        let detail = "Send a reason only with the status suspended or revoked.";
        return Err(Problem::invalid_field("reason", detail));
    }
    Ok((patch, reason))
}

fn read_limit(field: &'static str, value: Value) -> Result<Limit, Problem> {
    let number = match value {
        Value::Null => return Ok(Limit::Unlimited),
        // JSON has one type of number: 3.0 is 3.
        Value::Number(number) => number.as_f64().filter(|number| number.fract() == 0.0),
        other => return Err(value::wrong_type(field, "a whole number, or null for unlimited", &other)),
    };
    let within = number.filter(|number| (0.0..=f64::from(limits::MAX_SLOTS)).contains(number));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and within its bounds"
    )]
    within.map(|number| Limit::AtMost(number as u32)).ok_or_else(|| {
        let detail =
            format!("This must be a whole number from 0 to {}, or null for unlimited.", limits::MAX_SLOTS);
        Problem::invalid_field(field, detail)
    })
}

fn read_domains(field: &'static str, value: Value) -> Result<Vec<DomainName>, Problem> {
    value::list(field, value, (limits::DOMAINS_PER_REQUEST, "domains"), |field, text| {
        DomainName::parse_registered(&text).map_err(|error| value::invalid(field, &error))
    })
}

/// Returns a reader of metadata, or of changes to it.
fn read_metadata<T>(
    read: impl FnOnce(Value) -> Result<T, MetadataError>,
) -> impl FnOnce(&'static str, Value) -> Result<T, Problem> {
    |field, value| match value {
        value @ Value::Object(_) => read(value).map_err(|error| value::invalid(field, &error)),
        other => Err(value::wrong_type(field, "an object", &other)),
    }
}

fn read_state(field: &'static str, value: Value) -> Result<TargetState, Problem> {
    let text = value::text(field, value)?;
    match Status::ALL.into_iter().find(|status| status.as_str() == text) {
        Some(Status::Active) => Ok(TargetState::Active),
        Some(Status::Suspended) => Ok(TargetState::Suspended),
        Some(Status::Revoked) => Ok(TargetState::Revoked),
        Some(Status::Expired) => {
            Err(Problem::invalid_field(field, "A license expires at its expires_at; set that field instead."))
        }
        None => Err(Problem::invalid_field(field, "This must be active, suspended or revoked.")),
    }
}
