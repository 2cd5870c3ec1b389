//! Implements `TokenStore`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::{
    Actor, ApiToken, NewLink, NewSession, NewToken, OpenedSession, SessionOpener, TokenDigest, TokenId,
    TokenRevocation, TokenUse, revoke,
};
use license_core::store::{ChangeNotice, Page, PageRequest, TokenChanged, TokenStore};

use super::prelude::*;
use super::rows::token_values;
use super::statements::TokenStatements;
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    async fn try_create_token(&self, new: &NewToken) -> Result<()> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.insert_token(&mut tx, new).await?;
        self.commit_and_notify(tx, vec![changed(&new.token)]).await
    }

    async fn insert_token(&self, tx: &mut Tx<D>, NewToken { token, audit }: &NewToken) -> Result<()> {
        if self.fetch(tx, &self.sql.tokens.insert, &token_values(token)).await?.is_empty() {
            return Err(StoreError::AlreadyExists { what: "the token's id or digest" });
        }
        self.insert_audit(tx, audit).await
    }

    async fn lock_token(&self, tx: &mut Tx<D>, id: &TokenId) -> Result<Option<ApiToken>> {
        let found = self.fetch(tx, &self.sql.tokens.lock, values![id.as_str()]).await?;
        found.first("tokens", "", Reader::token)
    }

    async fn try_create_link(&self, new: &NewLink) -> Result<Option<ApiToken>> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let parent = self.lock_token(&mut tx, &new.parent).await?;
        let Some(link) = parent.and_then(|parent| new.decide(&parent)) else { return Ok(None) };
        self.insert_token(&mut tx, &link).await?;
        self.commit_and_notify(tx, vec![changed(&link.token)]).await?;
        Ok(Some(link.token))
    }

    async fn try_open_session(&self, new: &NewSession) -> Result<Option<ApiToken>> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let link = match &new.opener {
            SessionOpener::Token(_) => None,
            SessionOpener::Link(digest) => {
                let values = values![digest.as_bytes().as_slice()];
                let found = self.fetch(&mut tx, &self.sql.tokens.find_by_digest, values).await?;
                found.first("tokens", "", Reader::token)?
            }
        };
        let parent = match &new.opener {
            SessionOpener::Token(id) => Some(id),
            SessionOpener::Link(_) => link.as_ref().and_then(|link| link.kind.parent()),
        };
        let Some(parent) = parent else { return Ok(None) };
        // The parent first, as in a revocation, so that the two cannot wait for each other.
        let Some(parent) = self.lock_token(&mut tx, parent).await? else { return Ok(None) };
        let link = match link {
            Some(link) => self.lock_token(&mut tx, &link.id).await?,
            None => None,
        };
        let Some(OpenedSession { session, used_link }) = new.decide(link.as_ref(), &parent) else {
            return Ok(None);
        };
        self.insert_token(&mut tx, &session).await?;
        if let Some(link) = &used_link {
            self.set_revoked(&mut tx, link).await?;
        }
        let notices = used_link.iter().chain([&session.token]).map(changed).collect();
        self.commit_and_notify(tx, notices).await?;
        Ok(Some(session.token))
    }

    async fn try_prune_sessions(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let mut tx = self.begin(Durability::Repeatable).await?;
        let values = values![before.timestamp_micros(), i64::from(limit)];
        let deleted = self.fetch(&mut tx, &self.sql.tokens.prune_sessions, values).await?.len();
        self.commit(tx).await?;
        Ok(deleted as u64)
    }

    async fn set_revoked(&self, tx: &mut Tx<D>, token: &ApiToken) -> Result<()> {
        let revoked_at = token.revoked_at.map(|at| at.timestamp_micros());
        self.fetch(tx, &self.sql.tokens.revoke, values![token.id.as_str(), revoked_at]).await.map(drop)
    }

    async fn try_revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let Some(token) = self.lock_token(&mut tx, id).await? else { return Ok(None) };
        let Some(TokenRevocation { token, audit }) = revoke(&token, by, now) else { return Ok(Some(token)) };
        self.set_revoked(&mut tx, &token).await?;
        let values = values![id.as_str(), now.timestamp_micros()];
        let children = self.fetch(&mut tx, &self.sql.tokens.revoke_children, values).await?;
        let children = children.all("tokens", "", Reader::token)?;
        self.insert_audit(&mut tx, &audit).await?;
        self.commit_and_notify(tx, children.iter().chain([&token]).map(changed).collect()).await?;
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

    async fn create_link(&self, new: &NewLink) -> Result<Option<ApiToken>> {
        retry(|| self.database.try_create_link(new)).await
    }

    async fn open_session(&self, new: &NewSession) -> Result<Option<ApiToken>> {
        retry(|| self.database.try_open_session(new)).await
    }

    async fn prune_sessions(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        retry(|| self.database.try_prune_sessions(before, limit)).await
    }
}
