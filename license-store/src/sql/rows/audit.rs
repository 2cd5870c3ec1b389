//! Rows of the audit log.

use std::net::IpAddr;

use license_core::access::{Actor, AuditEntry, Audited, Principal, TokenId};
use license_core::license::{LicenseId, Reason};
use license_core::webhook::EndpointId;
use serde_json::json;

use super::reader::{Reader, row_of, unknown};
use crate::Result;
use crate::sql::dialect::{SqlRow, Value};

/// An entry as a JSON row, in the order of the columns.
pub(crate) fn audit_row(entry: &AuditEntry) -> serde_json::Value {
    let AuditEntry { at, actor, action, license_id, token_id, endpoint_id, changes, metadata, reason } =
        entry;
    let Actor { principal, request_id, address } = actor;
    row_of([
        Value::from(at.timestamp_micros()),
        principal.kind().into(),
        principal.token_id().map(TokenId::as_str).into(),
        principal.name().into(),
        request_id.as_deref().into(),
        address.map(|address| address.to_string()).into(),
        action.as_str().into(),
        license_id.as_ref().map(LicenseId::as_str).into(),
        token_id.as_ref().map(TokenId::as_str).into(),
        endpoint_id.as_ref().map(EndpointId::as_str).into(),
        json!(changes).to_string().into(),
        metadata.as_ref().map(ToString::to_string).into(),
        reason.as_ref().map(Reason::as_str).into(),
    ])
}

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn audited(&self) -> Result<Audited> {
        let sequence = self.count("sequence")?;
        let row = Reader { id: &sequence.to_string(), ..*self };
        Ok(Audited { sequence, entry: row.entry()? })
    }

    pub(crate) fn actor(&self) -> Result<Actor> {
        let (kind, token, name) =
            (self.text("actor_kind")?, self.maybe_text("actor_token")?, self.maybe_text("actor_name")?);
        let principal = self.parse("actor_kind", name, |name| {
            Principal::from_stored(&kind, token.as_deref(), name).ok_or_else(|| unknown(&kind))
        })?;
        Ok(Actor {
            principal,
            request_id: self.maybe_text("request_id")?,
            address: self.maybe_parsed("address", str::parse::<IpAddr>)?,
        })
    }

    fn entry(&self) -> Result<AuditEntry> {
        Ok(AuditEntry {
            at: self.time("at")?,
            actor: self.actor()?,
            action: self.text("action")?,
            license_id: self.maybe_parsed("license_id", LicenseId::parse)?,
            token_id: self.maybe_parsed("token_id", TokenId::parse)?,
            endpoint_id: self.maybe_parsed("endpoint_id", EndpointId::parse)?,
            changes: self.json("changes")?,
            metadata: self.maybe_parsed("metadata", |text| serde_json::from_str(text))?,
            reason: self.maybe_parsed("reason", Reason::parse)?,
        })
    }
}
