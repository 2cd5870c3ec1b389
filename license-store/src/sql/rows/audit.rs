//! Rows of the audit log.

use std::net::IpAddr;

use license_core::access::TokenId;
use license_core::access::{Actor, AuditEntry, Audited, Who};
use license_core::license::LicenseId;
use license_core::store::StoreError;
use serde_json::json;

use super::reader::Reader;
use crate::sql::dialect::{SqlRow, Value};

/// The texts of an entry that its parameters borrow.
pub(crate) struct AuditTexts {
    address: Option<String>,
    changes: String,
    metadata: Option<String>,
}

impl AuditTexts {
    pub(crate) fn new(entry: &AuditEntry) -> Self {
        Self {
            address: entry.actor.address.map(|address| address.to_string()),
            changes: json!(entry.changes).to_string(),
            metadata: entry.metadata.as_ref().map(ToString::to_string),
        }
    }

    /// The parameters of the entry, in the order of the columns.
    pub(crate) fn values<'a>(&'a self, entry: &'a AuditEntry) -> [Value<'a>; 11] {
        let AuditEntry { at, actor, action, license_id, token_id, changes: _, metadata: _ } = entry;
        let Actor { who, request_id, address: _ } = actor;
        [
            at.timestamp_micros().into(),
            who.kind().into(),
            who.token_id().map(TokenId::as_str).into(),
            who.name().into(),
            request_id.as_deref().into(),
            self.address.as_deref().into(),
            action.as_str().into(),
            license_id.as_ref().map(LicenseId::as_str).into(),
            token_id.as_ref().map(TokenId::as_str).into(),
            self.changes.as_str().into(),
            self.metadata.as_deref().into(),
        ]
    }
}

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn audited(&self) -> Result<Audited, StoreError> {
        let (kind, token, name) =
            (self.text("actor_kind")?, self.maybe_text("actor_token")?, self.maybe_text("actor_name")?);
        let who = self.parse("actor_kind", name, |name| {
            Who::from_stored(&kind, token.as_deref(), name).ok_or("no known actor")
        })?;
        let actor = Actor {
            who,
            request_id: self.maybe_text("request_id")?,
            address: self.maybe_parsed("address", str::parse::<IpAddr>)?,
        };
        let entry = AuditEntry {
            at: self.time("at")?,
            actor,
            action: self.text("action")?,
            license_id: self.maybe_parsed("license_id", LicenseId::parse)?,
            token_id: self.maybe_parsed("token_id", TokenId::parse)?,
            changes: self.json("changes")?,
            metadata: self.maybe_parsed("metadata", |text| serde_json::from_str(text))?,
        };
        Ok(Audited { sequence: self.count("sequence")?, entry })
    }
}
