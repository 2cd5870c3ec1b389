//! Implements `TokenStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::{
    Actor, ApiToken, NewToken, TokenDigest, TokenId, TokenRevocation, TokenUse, revoke,
};
use license_core::store::{ChangeNotice, Page, PageRequest, TokenChanged, TokenStore};

use super::prelude::*;
use super::rows::token_values;
use super::statements::TokenStatements;
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    async fn try_create_token(&self, NewToken { token, audit }: &NewToken) -> Result<()> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        if self.fetch(&mut tx, &self.sql.tokens.insert, &token_values(token)).await?.is_empty() {
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
    ) -> Result<Option<ApiToken>> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let found = self.fetch(&mut tx, &self.sql.tokens.lock, values![id.as_str()]).await?;
        let Some(token) = found.first("tokens", "", Reader::token)? else { return Ok(None) };
        let Some(TokenRevocation { token, audit }) = revoke(&token, by, now) else { return Ok(Some(token)) };
        let revoked_at = token.revoked_at.map(|at| at.timestamp_micros());
        self.fetch(&mut tx, &self.sql.tokens.revoke, values![id.as_str(), revoked_at]).await?;
        self.insert_audit(&mut tx, &audit).await?;
        self.commit_and_notify(tx, vec![changed(&token)]).await?;
        Ok(Some(token))
    }

    async fn try_record_token_uses(&self, uses: &str) -> Result<()> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.sql.tokens.record_uses, values![uses]).await?;
        self.commit(tx).await
    }
}

fn changed(token: &ApiToken) -> ChangeNotice {
    ChangeNotice::TokenChanged(TokenChanged { token_id: token.id.clone(), digest: token.digest })
}

#[async_trait]
impl<D: Dialect> TokenStore for SqlStore<D> {
    async fn create_token(&self, new: &NewToken) -> Result<()> {
        retry(|| self.database.try_create_token(new)).await
    }

    async fn revoke_token(&self, id: &TokenId, by: &Actor, now: DateTime<Utc>) -> Result<Option<ApiToken>> {
        retry(|| self.database.try_revoke_token(id, by, now)).await
    }

    async fn find_token_by_digest(&self, digest: &TokenDigest) -> Result<Option<ApiToken>> {
        let values = values![digest.as_bytes().as_slice()];
        let rows = self.database.read(&self.database.sql.tokens.find_by_digest, values).await?;
        rows.first("tokens", "", Reader::token)
    }

    async fn get_token(&self, id: &TokenId) -> Result<Option<ApiToken>> {
        let rows = self.database.read(&self.database.sql.tokens.get, values![id.as_str()]).await?;
        rows.first("tokens", "", Reader::token)
    }

    async fn list_tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>> {
        let (sql, values) = TokenStatements::list(page);
        let rows = self.database.list(&sql, &values).await?;
        let items = rows.all("tokens", "", Reader::token)?;
        Ok(Page::from_one_more(items, page.limit, |token: &ApiToken| token.id.clone()))
    }

    async fn record_token_uses(&self, uses: &[TokenUse]) -> Result<()> {
        if uses.is_empty() {
            return Ok(());
        }
        let rows = json_rows(uses.iter().map(|used| json!([used.id.as_str(), used.at.timestamp_micros()])));
        retry(|| self.database.try_record_token_uses(&rows)).await
    }
}
