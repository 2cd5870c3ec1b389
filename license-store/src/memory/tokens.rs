//! Implements `TokenStore`.

use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::{
    Actor, ApiToken, NewLink, NewSession, NewToken, OpenedSession, SessionOpener, TokenDigest, TokenId,
    TokenRevocation, TokenUse, revoke,
};
use license_core::store::{ChangeNotice, Page, PageRequest, StoreError, TokenChanged, TokenStore};

use super::data::Data;
use super::store::MemoryStore;
use crate::Result;

fn changed(token: &ApiToken) -> ChangeNotice {
    ChangeNotice::TokenChanged(TokenChanged { token_id: token.id.clone(), digest: token.digest })
}

impl MemoryStore {
    fn insert_token(&self, data: &mut Data, NewToken { token, audit }: &NewToken) -> Result<()> {
        let tokens = &mut data.tokens;
        if tokens.values().any(|known| known.id == token.id || known.digest == token.digest) {
            return Err(StoreError::AlreadyExists { what: "the token's id or digest" });
        }
        tokens.insert(token.id.clone(), token.clone());
        data.audit.add(audit);
        self.feed.notify(changed(token));
        Ok(())
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn create_token(&self, new: &NewToken) -> Result<()> {
        self.insert_token(&mut self.data(), new)
    }

    async fn revoke_token(&self, id: &TokenId, by: &Actor, now: DateTime<Utc>) -> Result<Option<ApiToken>> {
        let mut data = self.data();
        let Some(known) = data.tokens.get_mut(id) else { return Ok(None) };
        if let Some(TokenRevocation { token, audit }) = revoke(known, by, now) {
            self.feed.notify(changed(&token));
            *known = token.clone();
            data.audit.add(&audit);
            let children = data.tokens.values_mut().filter(|one| one.kind.parent() == Some(id));
            for child in children.filter(|child| child.revoked_at.is_none()) {
                child.revoked_at = Some(now);
                self.feed.notify(changed(child));
            }
            return Ok(Some(token));
        }
        Ok(Some(known.clone()))
    }

    async fn find_token_by_digest(&self, digest: &TokenDigest) -> Result<Option<ApiToken>> {
        Ok(self.data().tokens.values().find(|token| token.digest == *digest).cloned())
    }

    async fn get_token(&self, id: &TokenId) -> Result<Option<ApiToken>> {
        Ok(self.data().tokens.get(id).cloned())
    }

    async fn list_tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>> {
        let data = self.data();
        let below = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let found = data.tokens.range::<TokenId, _>((Bound::Unbounded, below)).rev();
        let items = found.map(|(_, token)| token.clone()).take(page.limit as usize + 1).collect();
        Ok(Page::from_one_more(items, page.limit, |token: &ApiToken| token.id.clone()))
    }

    async fn record_token_uses(&self, uses: &[TokenUse]) -> Result<()> {
        let mut data = self.data();
        for used in uses {
            if let Some(token) = data.tokens.get_mut(&used.id) {
                token.last_used_at = Some(used.or_later(token.last_used_at));
            }
        }
        Ok(())
    }

    async fn create_link(&self, new: &NewLink) -> Result<Option<ApiToken>> {
        let mut data = self.data();
        let decided = data.tokens.get(&new.parent).and_then(|parent| new.decide(parent));
        let Some(link) = decided else { return Ok(None) };
        self.insert_token(&mut data, &link)?;
        Ok(Some(link.token))
    }

    async fn open_session(&self, new: &NewSession) -> Result<Option<ApiToken>> {
        let mut data = self.data();
        let (link, parent) = match &new.opener {
            SessionOpener::Token(id) => (None, data.tokens.get(id)),
            SessionOpener::Link(digest) => {
                let link = data.tokens.values().find(|token| token.digest == *digest);
                (link, link.and_then(|link| data.tokens.get(link.kind.parent()?)))
            }
        };
        let decided = parent.and_then(|parent| new.decide(link, parent));
        let Some(OpenedSession { session, used_link }) = decided else { return Ok(None) };
        self.insert_token(&mut data, &session)?;
        if let Some(link) = used_link {
            self.feed.notify(changed(&link));
            data.tokens.insert(link.id.clone(), link);
        }
        Ok(Some(session.token))
    }

    async fn prune_sessions(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let tokens = &mut self.data().tokens;
        let old = |token: &&ApiToken| token.kind.parent().is_some() && token.created_at < before;
        let old: Vec<_> =
            tokens.values().filter(old).take(limit as usize).map(|token| token.id.clone()).collect();
        Ok(old.iter().filter_map(|id| tokens.remove(id)).count() as u64)
    }
}
