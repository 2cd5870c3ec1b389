//! Implements `TokenStore`.

use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::{
    Actor, ApiToken, NewToken, TokenDigest, TokenId, TokenRevocation, TokenUse, revoke,
};
use license_core::store::{ChangeNotice, Page, PageRequest, StoreError, TokenChanged, TokenStore};

use super::store::MemoryStore;
use crate::Result;

fn changed(token: &ApiToken) -> ChangeNotice {
    ChangeNotice::TokenChanged(TokenChanged { token_id: token.id.clone(), digest: token.digest })
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn create_token(&self, NewToken { token, audit }: &NewToken) -> Result<()> {
        let mut data = self.data();
        let tokens = &mut data.tokens;
        if tokens.values().any(|known| known.id == token.id || known.digest == token.digest) {
            return Err(StoreError::AlreadyExists { what: "the token's id or digest" });
        }
        tokens.insert(token.id.clone(), token.clone());
        data.audit.add(audit);
        self.feed.notify(changed(token));
        Ok(())
    }

    async fn revoke_token(&self, id: &TokenId, by: &Actor, now: DateTime<Utc>) -> Result<Option<ApiToken>> {
        let mut data = self.data();
        let Some(known) = data.tokens.get_mut(id) else { return Ok(None) };
        if let Some(TokenRevocation { token, audit }) = revoke(known, by, now) {
            self.feed.notify(changed(&token));
            *known = token.clone();
            data.audit.add(&audit);
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
}
