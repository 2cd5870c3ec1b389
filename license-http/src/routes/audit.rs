//! `/api/v1/audit`: the log of changes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::access::{Actor, AuditEntry, AuditFilter, Audited, TokenId};
use license_core::license::{LicenseId, Reason};
use license_core::limits;
use license_core::webhook::EndpointId;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::extract::Query;
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson, parse_position};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditEntry))]
pub(crate) struct AuditJson<'a> {
    /// Position in the log; it grows with time.
    id: u64,
    /// When the change was made.
    at: DateTime<Utc>,
    /// Principal made the change.
    actor: ActorJson<'a>,
    /// The action, such as license.revoke.
    action: &'a str,
    /// The changed license.
    license_id: Option<&'a str>,
    /// The changed token.
    token_id: Option<&'a str>,
    /// The changed webhook endpoint.
    endpoint_id: Option<&'a str>,
    /// Changed fields with their values before and after. Never contains a key or a secret. Of a URL it has only
    /// scheme, host and port, because the rest can be a credential.
    changes: Map<String, Value>,
    /// The X-Request-Id of the request.
    request_id: Option<&'a str>,
    /// Client address, if the server stores addresses.
    address: Option<String>,
    /// The reason that was given. Erasing the customer removes it.
    reason: Option<&'a str>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Actor))]
pub(crate) struct ActorJson<'a> {
    /// Kind of the actor.
    kind: &'static str,
    /// Id of the token, if the actor is one.
    token_id: Option<&'a str>,
    /// Name of the token or of another actor.
    name: Option<&'a str>,
}

impl<'a> From<&'a Audited> for AuditJson<'a> {
    fn from(Audited { sequence, entry }: &'a Audited) -> Self {
        let AuditEntry { at, actor, action, license_id, token_id, endpoint_id, changes, metadata, reason } =
            entry;
        let Actor { principal, request_id, address } = actor;
        let mut changes = changes.clone();
        if let Some(Value::Object(personal)) = metadata {
            let mut personal = personal.clone();
            changes.extend(personal.remove_entry("customer_name"));
            if !personal.is_empty() {
                changes.insert("metadata".to_owned(), personal.into());
            }
        }
        Self {
            id: *sequence,
            at: *at,
            actor: ActorJson {
                kind: principal.kind(),
                token_id: principal.token_id().map(TokenId::as_str),
                name: principal.name(),
            },
            action,
            license_id: license_id.as_ref().map(LicenseId::as_str),
            token_id: token_id.as_ref().map(TokenId::as_str),
            endpoint_id: endpoint_id.as_ref().map(EndpointId::as_str),
            changes,
            request_id: request_id.as_deref(),
            address: address.map(|address| address.to_string()),
            reason: reason.as_ref().map(Reason::as_str),
        }
    }
}

pub(super) async fn list(State(state): State<HttpState>, mut query: Query) -> Result<Response, Problem> {
    let action = |text: &str| {
        let well_formed = (1..=limits::ACTION_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
        well_formed.then(|| text.to_owned())
    };
    let [from, to] = query.time_range()?;
    let filter = AuditFilter {
        license_id: query.take("license", "the id of a license", |text| LicenseId::parse(text).ok())?,
        token_id: query.take("token", "the id of a token", |text| TokenId::parse(text).ok())?,
        endpoint_id: query
            .take("endpoint", "the id of a webhook endpoint", |text| EndpointId::parse(text).ok())?,
        action: query.take("action", "an action such as license.revoke", action)?,
        from,
        to,
    };
    let page = query.page(parse_position)?;
    query.finish()?;
    let found = state.services.access.audit(&filter, &page).await?;
    Ok(wire::json(StatusCode::OK, &PageJson::new(&found, AuditJson::from)))
}
