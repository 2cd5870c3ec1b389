//! The port of API tokens.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::{
    Actor, ApiToken, NewToken, TokenDigest, TokenId, TokenRevocation, TokenUse, revoke,
};
use license_core::store::{ChangeNotice, Page, PageRequest, StoreError, TokenChanged, TokenStore};
use serde_json::json;

use super::database::{Row, SqlDatabase, reader};
use super::dialect::{Dialect, Durability, values};
use super::rows::{json_rows, token_values};
use super::statements::TokenStatements;
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    async fn try_create_token(&self, NewToken { token, audit }: &NewToken) -> Result<(), StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let scopes = token.scopes.to_string();
        let values = token_values(token, &scopes);
        if self.fetch(&mut tx, &self.sql.tokens.insert, &values).await?.is_empty() {
            return Err(StoreError::AlreadyExists { what: "the token's id or digest" });
        }
        self.insert_audit(&mut tx, audit).await?;
        self.commit_and_notify(tx, vec![changed(token)]).await
    }

    async fn try_revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let found = self.fetch(&mut tx, &self.sql.tokens.lock, values![id.as_str()]).await?;
        let Some(token) = first_token::<D>(&found)? else { return Ok(None) };
        let Some(TokenRevocation { token, audit }) = revoke(&token, by, now) else { return Ok(Some(token)) };
        let revoked_at = token.revoked_at.map(|at| at.timestamp_micros());
        self.fetch(&mut tx, &self.sql.tokens.revoke, values![id.as_str(), revoked_at]).await?;
        self.insert_audit(&mut tx, &audit).await?;
        self.commit_and_notify(tx, vec![changed(&token)]).await?;
        Ok(Some(token))
    }

    async fn try_record_token_uses(&self, uses: &str) -> Result<(), StoreError> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.sql.tokens.record_uses, values![uses]).await?;
        self.commit(tx).await
    }
}

fn changed(token: &ApiToken) -> ChangeNotice {
    ChangeNotice::TokenChanged(TokenChanged { token_id: token.id.clone(), digest: token.digest })
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

    async fn find_token_by_digest(&self, digest: &TokenDigest) -> Result<Option<ApiToken>, StoreError> {
        let values = values![digest.as_bytes().as_slice()];
        first_token::<D>(&self.database.read(&self.database.sql.tokens.find_by_digest, values).await?)
    }

    async fn get_token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError> {
        first_token::<D>(&self.database.read(&self.database.sql.tokens.get, values![id.as_str()]).await?)
    }

    async fn list_tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError> {
        let (sql, values) = TokenStatements::list(page);
        let rows = self.database.read(&sql, &values).await?;
        let items = rows.iter().map(read_token::<D>).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |token: &ApiToken| token.id.clone()))
    }

    async fn record_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let rows = json_rows(uses.iter().map(|used| json!([used.id.as_str(), used.at.timestamp_micros()])));
        self.database.retry.run(|| self.database.try_record_token_uses(&rows)).await
    }
}
