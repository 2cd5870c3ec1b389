//! Rows as tokens and entries of the audit, and those as parameters.

use std::net::IpAddr;

use license_core::audit::{Actor, AuditEntry, Audited, Who};
use license_core::license::LicenseId;
use license_core::store::StoreError;
use license_core::token::{ApiToken, Scopes, TokenDigest, TokenId, TokenName};
use serde_json::json;

use crate::sql::dialect::{Columns, Value};
use crate::sql::rows::{Reader, micros};

/// The parameters of a token, in the order of the columns. Destructured whole, so that no field is forgotten.
pub(super) fn token_values<'a>(token: &'a ApiToken, scopes: &'a str) -> [Value<'a>; 8] {
    let ApiToken { id, digest, name, scopes: _, created_at, last_used_at, expires_at, revoked_at } = token;
    [
        id.as_str().into(),
        digest.as_bytes().as_slice().into(),
        name.as_str().into(),
        scopes.into(),
        created_at.timestamp_micros().into(),
        micros(*last_used_at).into(),
        micros(*expires_at).into(),
        micros(*revoked_at).into(),
    ]
}

/// What is written of an entry and is no text yet.
pub(super) struct AuditTexts {
    address: Option<String>,
    changes: String,
    metadata: Option<String>,
}

impl AuditTexts {
    pub(super) fn new(entry: &AuditEntry) -> Self {
        Self {
            address: entry.actor.address.map(|address| address.to_string()),
            changes: json!(entry.changes).to_string(),
            metadata: entry.metadata.as_ref().map(ToString::to_string),
        }
    }

    /// The parameters of the entry, in the order of the columns.
    pub(super) fn values<'a>(&'a self, entry: &'a AuditEntry) -> [Value<'a>; 11] {
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

impl<R: Columns> Reader<'_, R> {
    pub(super) fn token(&self) -> Result<ApiToken, StoreError> {
        let (id, name, scopes) = (self.text("id")?, self.text("name")?, self.text("scopes")?);
        Ok(ApiToken {
            id: self.parse("id", id.as_str(), |text| TokenId::parse(text).ok_or("no id"))?,
            digest: TokenDigest::from_bytes(self.digest("digest")?),
            name: self.parse("name", name.as_str(), TokenName::parse)?,
            scopes: self.parse("scopes", scopes.as_str(), Scopes::parse)?,
            created_at: self.time("created_at")?,
            last_used_at: self.maybe_time("last_used_at")?,
            expires_at: self.maybe_time("expires_at")?,
            revoked_at: self.maybe_time("revoked_at")?,
        })
    }

    pub(super) fn audited(&self) -> Result<Audited, StoreError> {
        let (kind, token, name) =
            (self.text("actor_kind")?, self.maybe_text("actor_token")?, self.maybe_text("actor_name")?);
        let who = self.parse("actor_kind", name, |name| {
            Who::from_stored(&kind, token.as_deref(), name).ok_or("no known actor")
        })?;
        let address = self.maybe_text("address")?;
        let address =
            address.map(|text| self.parse("address", text.as_str(), str::parse::<IpAddr>)).transpose()?;
        let license_id = self.maybe_text("license_id")?;
        let token_id = self.maybe_text("token_id")?;
        let changes = self.text("changes")?;
        let metadata = self.maybe_text("metadata")?;
        let entry = AuditEntry {
            at: self.time("at")?,
            actor: Actor { who, request_id: self.maybe_text("request_id")?, address },
            action: self.text("action")?,
            license_id: license_id
                .map(|text| self.parse("license_id", text.as_str(), LicenseId::parse))
                .transpose()?,
            token_id: token_id
                .map(|text| self.parse("token_id", text.as_str(), |text| TokenId::parse(text).ok_or("no id")))
                .transpose()?,
            changes: self.parse("changes", changes.as_str(), serde_json::from_str)?,
            metadata: metadata
                .map(|text| self.parse("metadata", text.as_str(), serde_json::from_str))
                .transpose()?,
        };
        Ok(Audited { sequence: self.count("sequence")?, entry })
    }
}
