//! `/api/v1/audit`: who changed what.

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::audit::{Actor, AuditEntry, AuditFilter, Audited};
use license_core::license::LicenseId;
use license_core::limits;
use license_core::token::TokenId;
use serde::Serialize;
use serde_json::{Map, Value};

use super::events::parse_position;
use crate::extract::Query;
use crate::problem::Problem;
use crate::state::Access;
use crate::wire::{self, PageJson};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditEntry))]
pub(super) struct AuditJson<'a> {
    /// Grows with time.
    id: u64,
    /// When it was done.
    #[serde(serialize_with = "wire::time")]
    at: DateTime<Utc>,
    /// Who did it.
    actor: ActorJson<'a>,
    /// What was done, such as license.revoke.
    action: &'a str,
    /// The license it was done to.
    license_id: Option<&'a str>,
    /// The token it was done to.
    token_id: Option<&'a str>,
    /// Before and after of what changed; never a key, and no secret.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    changes: Map<String, Value>,
    /// The X-Request-Id of the request.
    request_id: Option<&'a str>,
    /// Where the request came from, if the server keeps it.
    address: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Actor))]
pub(super) struct ActorJson<'a> {
    /// What kind of actor it is.
    kind: &'static str,
    /// The token's, where it was one.
    token_id: Option<&'a str>,
    /// The token's, or that of who else it was.
    name: Option<&'a str>,
}

impl<'a> From<&'a Audited> for AuditJson<'a> {
    fn from(Audited { sequence, entry }: &'a Audited) -> Self {
        let AuditEntry { at, actor, action, license_id, token_id, changes, metadata } = entry;
        let Actor { who, request_id, address } = actor;
        let mut changes = changes.clone();
        if let Some(metadata) = metadata {
            changes.insert("metadata".to_owned(), metadata.clone());
        }
        Self {
            id: *sequence,
            at: *at,
            actor: ActorJson {
                kind: who.kind(),
                token_id: who.token_id().map(TokenId::as_str),
                name: who.name(),
            },
            action,
            license_id: license_id.as_ref().map(LicenseId::as_str),
            token_id: token_id.as_ref().map(TokenId::as_str),
            changes,
            request_id: request_id.as_deref(),
            address: address.map(|address| address.to_string()),
        }
    }
}

pub(super) async fn list(Access(access): Access, mut query: Query) -> Result<Response, Problem> {
    let action = |text: &str| {
        let well_formed = (1..=limits::ACTION_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
        well_formed.then(|| text.to_owned())
    };
    let filter = AuditFilter {
        license_id: query.take("license", "the id of a license", |text| LicenseId::parse(text).ok())?,
        token_id: query.take("token", "the id of a token", TokenId::parse)?,
        action: query.take("action", "an action such as license.revoke", action)?,
        from: query.time("from")?,
        to: query.time("to")?,
    };
    let page = query.page(parse_position)?;
    query.finish()?;
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && from > to
    {
        return Err(Problem::bad_request("from", "This must not be after to."));
    }
    let found = access.audit(&filter, &page).await?;
    let page = PageJson {
        data: found.items.iter().map(AuditJson::from).collect(),
        next_cursor: found.next.map(|number| number.to_string()),
    };
    let mut response = wire::json(StatusCode::OK, &page);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
