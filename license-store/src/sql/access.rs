//! Tokens and the audit in a database of SQL.

mod rows;
mod statements;

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
use serde_json::json;
use sqlx::SqlStr;

use super::SqlStore;
use super::database::{Row, SqlDatabase, Tx, reader};
use super::dialect::{Dialect, Durability, Value, values};
use super::rows::{int, json_rows};

pub(super) use statements::AccessStatements;

/// Events that are gone through at once.
const EVENTS_AT_ONCE: i64 = 500;

impl<D: Dialect> SqlDatabase<D> {
    /// Adds an entry to the audit, in the commit of what it tells of.
    pub(super) async fn add_audit(&self, tx: &mut Tx<D>, entry: &AuditEntry) -> Result<(), StoreError> {
        let texts = rows::AuditTexts::new(entry);
        self.fetch(tx, &self.access.insert_audit, &texts.values(entry)).await.map(drop)
    }

    /// Replaces a customer's address in what is kept of a license, besides its row.
    pub(super) async fn erase(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        erasure: &Erasure,
    ) -> Result<(), StoreError> {
        let (email, anonymous) = erasure.replacement();
        let values = values![email.as_str(), anonymous.as_str(), id.as_str()];
        self.fetch(tx, &self.access.erase_audit_of, values).await?;
        self.erase_from_events(tx, id, erasure).await
    }

    /// Some at a time: there may be many, and each is read and written as JSON.
    async fn erase_from_events(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        erasure: &Erasure,
    ) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let values = values![id.as_str(), int(after), EVENTS_AT_ONCE];
            let rows = self.fetch(tx, &self.statements.events, values).await?;
            let mut erased = Vec::new();
            for row in &rows {
                let mut event =
                    reader::<D>(row, "events", id.as_str()).event(Subject::License(id.clone()))?;
                after = event.sequence;
                if erasure.erase_from_event(&mut event.data) {
                    erased.push(json!([event.sequence, event.data.to_string()]));
                }
            }
            if !erased.is_empty() {
                let rows = json_rows(erased.into_iter());
                self.fetch(tx, &self.access.write_events, values![rows.as_str(), id.as_str()]).await?;
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn try_create_token(&self, NewToken { token, audit }: &NewToken) -> Result<(), StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let scopes = token.scopes.to_string();
        let values = rows::token_values(token, &scopes);
        if self.fetch(&mut tx, &self.access.insert_token, &values).await?.is_empty() {
            return Err(StoreError::AlreadyExists { what: "the token's id or digest" });
        }
        self.add_audit(&mut tx, audit).await?;
        self.commit_and_notify(tx, vec![notice(token)]).await
    }

    async fn try_revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let found = self.fetch(&mut tx, &self.access.lock_token, values![id.as_str()]).await?;
        let Some(token) = first_token::<D>(&found)? else { return Ok(None) };
        let Some(TokenRevocation { token, audit }) = revoke(&token, by, now) else { return Ok(Some(token)) };
        let revoked_at = token.revoked_at.map(|at| at.timestamp_micros());
        self.fetch(&mut tx, &self.access.revoke_token, values![id.as_str(), revoked_at]).await?;
        self.add_audit(&mut tx, &audit).await?;
        self.commit_and_notify(tx, vec![notice(&token)]).await?;
        Ok(Some(token))
    }

    async fn try_note_token_uses(&self, uses: &str) -> Result<(), StoreError> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.access.note_token_uses, values![uses]).await?;
        self.commit_and_notify(tx, Vec::new()).await
    }

    async fn try_forget_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let values = values![before.timestamp_micros(), i64::from(limit)];
        let forgotten = self.fetch(&mut tx, &self.access.forget_audit, values).await?.len();
        self.commit_and_notify(tx, Vec::new()).await?;
        Ok(forgotten as u64)
    }

    async fn try_erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError> {
        let (email, anonymous) = erasure.replacement();
        let values = values![email.as_str(), anonymous.as_str()];
        let mut tx = self.begin(Durability::PowerLoss).await?;
        // Of what is told of a license by its entries, so these come last.
        let of = self.fetch(&mut tx, &self.access.licenses_named_with, values).await?;
        for row in &of {
            let id = reader::<D>(row, "audit", "").license_id("license_id")?;
            self.erase_from_events(&mut tx, &id, erasure).await?;
        }
        self.fetch(&mut tx, &self.access.erase_metadata, values).await?;
        self.fetch(&mut tx, &self.access.erase_audit, values).await?;
        self.add_audit(&mut tx, entry).await?;
        self.commit_and_notify(tx, Vec::new()).await
    }

    async fn read_token(&self, sql: &SqlStr, by: Value<'_>) -> Result<Option<ApiToken>, StoreError> {
        first_token::<D>(&self.fetch(&mut *self.reader().await?, sql, &[by]).await?)
    }
}

fn notice(token: &ApiToken) -> Notice {
    Notice::TokenChanged(TokenChange { token_id: token.id.clone(), digest: token.digest })
}

fn first_token<D: Dialect>(rows: &[Row<D>]) -> Result<Option<ApiToken>, StoreError> {
    rows.first().map(read_token::<D>).transpose()
}

fn read_token<D: Dialect>(row: &Row<D>) -> Result<ApiToken, StoreError> {
    let id = reader::<D>(row, "tokens", "").text("id")?;
    reader::<D>(row, "tokens", &id).token()
}

#[async_trait]
impl<D: Dialect> TokenStore for SqlStore<D> {
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError> {
        self.database.retry.run(|| self.database.try_create_token(new)).await
    }

    async fn revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        self.database.retry.run(|| self.database.try_revoke_token(id, by, now)).await
    }

    async fn token_by_digest(
        &self,
        digest: &TokenDigest,
        _: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        self.database
            .read_token(&self.database.access.token_by_digest, digest.as_bytes().as_slice().into())
            .await
    }

    async fn token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError> {
        self.database.read_token(&self.database.access.token, id.as_str().into()).await
    }

    async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError> {
        let after = page.after.as_ref().map(TokenId::as_str);
        let (sql, limit) = (statements::tokens(after.is_some()), i64::from(page.limit) + 1);
        let rows = match after {
            None => self.database.fetch(&mut *self.database.reader().await?, &sql, values![limit]).await?,
            Some(after) => {
                self.database.fetch(&mut *self.database.reader().await?, &sql, values![limit, after]).await?
            }
        };
        let items = rows.iter().map(read_token::<D>).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |token: &ApiToken| token.id.clone()))
    }

    async fn note_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let rows = json_rows(uses.iter().map(|used| json!([used.id.as_str(), used.at.timestamp_micros()])));
        self.database.retry.run(|| self.database.try_note_token_uses(&rows)).await
    }
}

#[async_trait]
impl<D: Dialect> AuditStore for SqlStore<D> {
    async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError> {
        let page = &PageRequest { after: page.after.map(int), limit: page.limit };
        let (sql, values) = statements::audit(filter, page);
        let rows = self.database.fetch(&mut *self.database.reader().await?, &sql, &values).await?;
        let read = |row: &Row<D>| {
            let sequence = reader::<D>(row, "audit", "").int("sequence")?.to_string();
            reader::<D>(row, "audit", &sequence).audited()
        };
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |audited: &Audited| audited.sequence))
    }

    async fn forget_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.database.retry.run(|| self.database.try_forget_audit(before, limit)).await
    }

    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError> {
        self.database.retry.run(|| self.database.try_erase_customer(erasure, entry)).await
    }
}
