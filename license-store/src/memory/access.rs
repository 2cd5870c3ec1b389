//! Tokens and the audit in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::audit::{Actor, AuditEntry, AuditFilter, AuditStore, Audited, Erasure};
use license_core::change::{Notice, TokenChange};
use license_core::event::Subject;
use license_core::license::LicenseId;
use license_core::store::{Page, PageRequest, StoreError};
use license_core::token::{
    ApiToken, NewToken, TokenDigest, TokenId, TokenRevocation, TokenStore, TokenUse, revoke,
};
use serde_json::Value;

use super::{Data, MemoryStore};

/// What is kept of tokens and of what they did.
#[derive(Debug, Default)]
pub(super) struct Access {
    tokens: BTreeMap<TokenId, ApiToken>,
    audit: BTreeMap<u64, AuditEntry>,
    last_entry: u64,
}

impl Access {
    pub(super) fn add(&mut self, entry: &AuditEntry) {
        self.last_entry += 1;
        self.audit.insert(self.last_entry, entry.clone());
    }
}

impl Data {
    /// Replaces a customer's address in what is kept of a license, besides the license itself.
    pub(super) fn erase(&mut self, id: &LicenseId, erasure: &Erasure) {
        self.erase_from_events(id, erasure);
        for entry in self.access.audit.values_mut().filter(|entry| entry.license_id.as_ref() == Some(id)) {
            entry.metadata = None;
            erase_from(entry, erasure);
        }
    }

    fn erase_from_events(&mut self, id: &LicenseId, erasure: &Erasure) {
        self.outbox.each_of(&Subject::License(id.clone()), |event| {
            erasure.erase_from_event(&mut event.data);
        });
    }
}

/// Whether the address stood there.
fn erase_from(entry: &mut AuditEntry, erasure: &Erasure) -> bool {
    let mut changes = Value::Object(std::mem::take(&mut entry.changes));
    let found = erasure.erase_from(&mut changes);
    if let Value::Object(changes) = changes {
        entry.changes = changes;
    }
    found
}

fn notice(token: &ApiToken) -> Notice {
    Notice::TokenChanged(TokenChange { token_id: token.id.clone(), digest: token.digest })
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn create_token(&self, NewToken { token, audit }: &NewToken) -> Result<(), StoreError> {
        let mut data = self.data();
        let tokens = &mut data.access.tokens;
        if tokens.values().any(|known| known.id == token.id || known.digest == token.digest) {
            return Err(StoreError::AlreadyExists { what: "the token's id or digest" });
        }
        tokens.insert(token.id.clone(), token.clone());
        data.access.add(audit);
        self.feed.notify(notice(token));
        Ok(())
    }

    async fn revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        let mut data = self.data();
        let Some(known) = data.access.tokens.get_mut(id) else { return Ok(None) };
        if let Some(TokenRevocation { token, audit }) = revoke(known, by, now) {
            self.feed.notify(notice(&token));
            *known = token.clone();
            data.access.add(&audit);
            return Ok(Some(token));
        }
        Ok(Some(known.clone()))
    }

    async fn token_by_digest(
        &self,
        digest: &TokenDigest,
        _: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        Ok(self.data().access.tokens.values().find(|token| token.digest == *digest).cloned())
    }

    async fn token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError> {
        Ok(self.data().access.tokens.get(id).cloned())
    }

    async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError> {
        let data = self.data();
        let below = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let found = data.access.tokens.range::<TokenId, _>((Bound::Unbounded, below)).rev();
        let items = found.map(|(_, token)| token.clone()).take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |token: &ApiToken| token.id.clone()))
    }

    async fn note_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        let mut data = self.data();
        for TokenUse { id, at } in uses {
            if let Some(token) = data.access.tokens.get_mut(id) {
                token.last_used_at = token.last_used_at.max(Some(*at));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl AuditStore for MemoryStore {
    async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError> {
        let data = self.data();
        let below = page.after.unwrap_or(u64::MAX);
        let found = data.access.audit.range(..below).rev().filter(|(_, entry)| filter.admits(entry));
        let audited =
            |(sequence, entry): (&u64, &AuditEntry)| Audited { sequence: *sequence, entry: entry.clone() };
        let items = found.map(audited).take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |audited: &Audited| audited.sequence))
    }

    async fn forget_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let mut data = self.data();
        let mut old: Vec<_> = data
            .access
            .audit
            .iter()
            .filter(|(_, entry)| entry.at < before)
            .map(|(sequence, entry)| (entry.at, *sequence))
            .collect();
        old.sort_unstable();
        old.truncate(limit as usize);
        for (_, sequence) in &old {
            data.access.audit.remove(sequence);
        }
        Ok(old.len() as u64)
    }

    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut data = self.data();
        let mut last = BTreeMap::new();
        for (sequence, entry) in &mut data.access.audit {
            if erase_from(entry, erasure)
                && let Some(id) = &entry.license_id
            {
                last.insert(id.clone(), *sequence);
            }
        }
        for (id, last) in &last {
            for (_, entry) in data.access.audit.range_mut(..=last) {
                if entry.license_id.as_ref() == Some(id) {
                    entry.metadata = None;
                }
            }
            data.erase_from_events(id, erasure);
        }
        data.access.add(entry);
        Ok(())
    }
}
