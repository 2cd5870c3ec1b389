//! License leases: issue, hand back and list.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::access::{Actor, Principal};
use license_core::license::{Lease, LeaseEnd, LeaseId};
use license_core::service::{LeaseAnswer, LeaseLimit, LeaseRequest, SignedLease, ValidateRequest};
use license_core::validation::{Denial, DenialCode};
use serde::Serialize;

use super::key_request::{self, KeyCall, days_or_null};
use super::validate::{self, Denied, NotFound, SlotsUsed};
use crate::auth::{self, Authenticated};
use crate::extract::{Fields, LicensePath, Query, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson};

/// Fields of a request.
const FIELDS: [&str; 7] = ["key", "domain", "fingerprint", "client", "product", "released_at", "days"];

/// Denials of a lease: those of a validation, and two more.
pub(crate) const DENIALS: [DenialCode; 19] = {
    let mut all = [DenialCode::OfflineNotAllowed; 19];
    let (of_validation, _) = all.split_at_mut(validate::DENIALS.len());
    of_validation.copy_from_slice(&validate::DENIALS);
    all[18] = DenialCode::OfflineLimitReached;
    all
};

/// A lease was issued.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct IssuedLease<'a> {
    /// The signed token of the lease.
    lease: &'a str,
    /// The license file: the lease, and the tokens from which software learns the signing keys.
    file: &'a str,
    /// The end of the lease. Software accepts it for five more minutes, and never later.
    expires_at: DateTime<Utc>,
    /// From this time on, software asks for a new lease.
    refresh_after: DateTime<Utc>,
    /// Why the lease is shorter than the request: `plan` or `license`. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_by: Option<&'static str>,
    /// Slots in use.
    usage: SlotsUsed,
}

impl<'a> From<&'a SignedLease> for IssuedLease<'a> {
    fn from(issued: &'a SignedLease) -> Self {
        let SignedLease { lease, license, token, file, limited_by } = issued;
        Self {
            lease: token,
            file,
            expires_at: lease.expires_at,
            refresh_after: lease.refresh_after(),
            limited_by: limited_by.map(|limit| match limit {
                LeaseLimit::Plan => "plan",
                LeaseLimit::License => "license",
            }),
            usage: SlotsUsed::from(&**license),
        }
    }
}

/// A lease was handed back.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct ReturnedLease {
    /// Always true: the lease has ended.
    returned: bool,
    /// When the slot of the device is free; null if it is free now.
    free_at: Option<DateTime<Utc>>,
    /// Slots in use.
    usage: SlotsUsed,
}

/// No lease was handed back.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct NotReturned {
    /// Always false: nothing was changed.
    returned: bool,
    /// Stable error code.
    error: &'static str,
    /// Explanation for people.
    message: String,
}

/// A lease.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Lease))]
pub(crate) struct LeaseJson<'a> {
    /// Id of the lease, its claim `jti`.
    id: &'a str,
    /// Activation of the device.
    activation_id: &'a str,
    /// When it was issued.
    issued_at: DateTime<Utc>,
    /// The end of the lease. Software accepts it for five more minutes, and never later.
    expires_at: DateTime<Utc>,
    /// Why it ended before its time: `revoked` or `returned`; null if it did not. Software that does not
    /// fetch the list of revocations accepts it until its end.
    ended_by: Option<&'static str>,
    /// When it ended before its time; null if it did not.
    ended_at: Option<DateTime<Utc>>,
}

impl<'a> From<&'a Lease> for LeaseJson<'a> {
    fn from(lease: &'a Lease) -> Self {
        let Lease { id, device, issued_at, expires_at, ended, .. } = lease;
        Self {
            id: id.as_str(),
            activation_id: device.as_str(),
            issued_at: *issued_at,
            expires_at: *expires_at,
            ended_by: ended.map(|(end, _): (LeaseEnd, _)| end.as_str()),
            ended_at: ended.map(|(_, at)| at),
        }
    }
}

pub(super) async fn issue(State(state): State<HttpState>, request: Request) -> Response {
    key_request::call(&state, request, answer).await
}

async fn answer(call: KeyCall<'_>, request: Request) -> Result<Response, Problem> {
    let location = call.state.geoip.location(request.headers(), request.extensions());
    let (body, _permit) = call.read(request, &FIELDS).await?;
    call.check_key(&body)?;
    let validation = ValidateRequest {
        key: &body.key,
        domain: body.domain.as_deref(),
        fingerprint: body.fingerprint.as_deref(),
        client: body.client.as_deref(),
        location: location.as_ref(),
        released_at: body.released_at,
        product: body.product.as_deref(),
        ..ValidateRequest::default()
    };
    let issued = call.state.services.leases.issue(&LeaseRequest { validation, days: body.days }).await?;
    Ok(match &issued {
        LeaseAnswer::Lease(lease) => body.answer(StatusCode::OK, &IssuedLease::from(&**lease)),
        LeaseAnswer::NotFound => body.answer(StatusCode::NOT_FOUND, &NotFound::new()),
        LeaseAnswer::Denied(denied) => body.answer(StatusCode::OK, &Denied::new(denied)),
    })
}

pub(super) async fn release(State(state): State<HttpState>, request: Request) -> Response {
    key_request::call(&state, request, answer_release).await
}

async fn answer_release(call: KeyCall<'_>, request: Request) -> Result<Response, Problem> {
    let request_id = auth::request_id(request.extensions(), request.headers());
    let (body, _permit) = call.read_code(request, "release").await?;
    let actor = Actor { request_id, ..Actor::new(Principal::Customer) };
    Ok(match call.state.services.leases.hand_back_by_code(&body.code, actor).await {
        Ok(returned) => {
            let usage = SlotsUsed::from(&*returned.license);
            body.answer(StatusCode::OK, &ReturnedLease { returned: true, free_at: returned.free_at, usage })
        }
        Err(error) => {
            let denial = error.into_denial()?;
            if denial == Denial::LeaseNotFound {
                return Err(denial.into());
            }
            let (error, message) = (denial.code().as_str(), denial.to_string());
            body.answer(StatusCode::OK, &NotReturned { returned: false, error, message })
        }
    })
}

/// Answers a request code of software on a machine without a network.
pub(super) async fn issue_by_code(
    State(state): State<HttpState>,
    Authenticated { actor, .. }: Authenticated,
    fields: Fields,
) -> Result<Response, Problem> {
    let mut fields = fields.only(&["request", "days"])?;
    let code = fields.require("request", value::text)?;
    let days = fields.take("days", days_or_null)?.flatten();
    let issued = state.services.leases.issue_by_code(&code, days, &actor).await?;
    Ok(match &issued {
        LeaseAnswer::Lease(lease) => wire::json(StatusCode::OK, &IssuedLease::from(&**lease)),
        LeaseAnswer::NotFound => wire::json(StatusCode::NOT_FOUND, &NotFound::new()),
        LeaseAnswer::Denied(denied) => wire::json(StatusCode::OK, &Denied::new(denied)),
    })
}

pub(super) async fn list(
    State(state): State<HttpState>,
    LicensePath(id): LicensePath,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = query.page(|text| LeaseId::parse(text).ok())?;
    query.finish()?;
    let found = state.services.leases.list(&id, &page).await?;
    Ok(wire::json(StatusCode::OK, &PageJson::new(&found, LeaseJson::from)))
}
