//! `/api/v1/licenses/{id}/blocked`: blocked domains and devices.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::command::Command;
use license_core::domain::DomainName;
use license_core::license::{ActivationTarget, Binding, Block, Fingerprint, Reason};
use serde::Serialize;

use super::licenses::{execute, execute_because};
use crate::extract::{
    ActivationPath, BlockPath, Fields, LicenseCommand, LicensePath, NoInput, NoQuery, ReasonBody, value,
};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Block))]
pub(crate) struct BlockJson<'a> {
    /// Id of the block.
    id: &'a str,
    /// What is blocked.
    kind: &'static str,
    /// Canonical domain name, or device fingerprint. A wildcard blocks every host that it covers.
    name: &'a str,
    /// Your reason; null if none was given.
    reason: Option<&'a str>,
    /// When it was blocked.
    created_at: DateTime<Utc>,
}

impl<'a> From<&'a Block> for BlockJson<'a> {
    fn from(Block { id, binding, reason, created_at }: &'a Block) -> Self {
        Self {
            id: id.as_str(),
            kind: binding.kind().as_str(),
            name: binding.value(),
            reason: reason.as_ref().map(Reason::as_str),
            created_at: *created_at,
        }
    }
}

/// All blocks of a license; their number is bounded.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct BlockList<'a> {
    /// The blocks, oldest first.
    data: Vec<BlockJson<'a>>,
}

pub(super) async fn list(
    State(state): State<HttpState>,
    LicensePath(id): LicensePath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let found = state.services.licenses.get(&id).await?;
    let data = found.detail.license.blocks.iter().map(BlockJson::from).collect();
    Ok(wire::json(StatusCode::OK, &BlockList { data }))
}

pub(super) async fn block_activation(
    ActivationPath(activation): ActivationPath,
    command: LicenseCommand,
    ReasonBody(reason): ReasonBody,
) -> Result<Response, Problem> {
    execute_because(command, Command::Block(ActivationTarget::Id(activation)), reason).await
}

pub(super) async fn block_name(command: LicenseCommand, fields: Fields) -> Result<Response, Problem> {
    let mut fields = fields.only(&["domain", "fingerprint", "reason"])?;
    let domain = fields.take("domain", value::parsed(DomainName::parse_registered))?;
    let fingerprint = fields.take("fingerprint", value::parsed(Fingerprint::parse))?;
    let reason = fields.take_reason()?;
    let binding = match (domain, fingerprint) {
        (Some(domain), None) => Binding::Domain(domain),
        (None, Some(fingerprint)) => Binding::Device(fingerprint),
        (None, None) => {
            return Err(Problem::invalid_field("domain", "Send either domain or fingerprint."));
        }
        (Some(_), Some(_)) => {
            return Err(Problem::invalid_field("fingerprint", "Send only one of domain and fingerprint."));
        }
    };
    execute_because(command, Command::Block(ActivationTarget::Binding(binding)), reason).await
}

pub(super) async fn unblock(
    BlockPath(block): BlockPath,
    command: LicenseCommand,
    _: NoInput,
) -> Result<Response, Problem> {
    execute(command, Command::Unblock(block)).await
}
