//! A cache of API tokens in front of a store, which also records when they were last used.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::audit::{AccessStore, Actor, AuditEntry, AuditFilter, AuditStore, Audited, Erasure};
use license_core::change::{ChangeFeed, FeedState, Notice};
use license_core::store::{LicenseStore, Page, PageRequest, StoreError};
use license_core::token::{ApiToken, NewToken, TokenDigest, TokenId, TokenState, TokenStore, TokenUse};
use tokio::task::AbortHandle;

use super::CacheOptions;
use super::read_through::{ReadThrough, Source, unavailable};

/// Interval at which the last uses of tokens are written.
const FLUSH_INTERVAL: Duration = Duration::from_mins(1);

/// Answers `token_by_digest` from memory, and forwards all other calls to the store.
///
/// The last use of each active token is written once a minute, by a task of its own.
pub struct TokenCache {
    tokens: Arc<ReadThrough<Tokens>>,
    tasks: [AbortHandle; 2],
}

struct Tokens {
    store: Arc<dyn AccessStore>,
    feed: Arc<dyn LicenseStore>,
    /// Uses that are not written yet.
    uses: Mutex<HashMap<TokenId, DateTime<Utc>>>,
}

impl Source for Tokens {
    type Key = TokenDigest;
    type Query = ();
    type Part = ();
    type Value = Arc<ApiToken>;

    async fn load(
        &self,
        digest: &TokenDigest,
        (): &(),
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<ApiToken>>, StoreError> {
        Ok(self.store.token_by_digest(digest, now).await?.map(Arc::new))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.feed.ping().await
    }

    fn is_listening(&self) -> bool {
        self.feed.feed_state() == FeedState::Listening
    }

    fn part((): &()) {}

    /// A token changes once: when it is revoked.
    fn version(token: &Arc<ApiToken>) -> u64 {
        u64::from(token.revoked_at.is_some())
    }

    fn heap_size(token: &Arc<ApiToken>) -> usize {
        let counters = 2 * size_of::<usize>();
        counters + size_of::<ApiToken>() + token.id.as_str().len() + token.name.as_str().len()
    }
}

impl Tokens {
    fn uses(&self) -> MutexGuard<'_, HashMap<TokenId, DateTime<Utc>>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_use(&self, token: &ApiToken, now: DateTime<Utc>) {
        if token.state(now) != TokenState::Active {
            return;
        }
        let mut uses = self.uses();
        match uses.get_mut(&token.id) {
            Some(at) => *at = now.max(*at),
            None => {
                uses.insert(token.id.clone(), now);
            }
        }
    }

    async fn flush_uses(&self) -> Result<(), StoreError> {
        let uses = std::mem::take(&mut *self.uses());
        let list: Vec<_> = uses.iter().map(|(id, at)| TokenUse { id: id.clone(), at: *at }).collect();
        let written = self.store.note_token_uses(&list).await;
        if written.is_err() {
            let mut waiting = self.uses();
            for (id, at) in uses {
                let latest = waiting.entry(id).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        written
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadThrough { source, options, .. } = &*self.tokens;
        let mut debug = f.debug_struct("TokenCache");
        debug.field("store", &source.store).field("options", options).finish_non_exhaustive()
    }
}

impl Drop for TokenCache {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl TokenCache {
    /// An empty cache in front of `store`. The change stream of `feed`, normally the same database, says which tokens changed.
    ///
    /// # Panics
    /// Outside a tokio runtime, which runs the tasks that listen to the change stream, load tokens and write their uses.
    pub fn new(store: Arc<dyn AccessStore>, feed: Arc<dyn LicenseStore>, options: CacheOptions) -> Self {
        let changes = feed.changes();
        let tokens = Tokens { store, feed, uses: Mutex::default() };
        let tokens = Arc::new(ReadThrough::new(tokens, options));
        let listener = tokio::spawn(listen(Arc::clone(&tokens), changes)).abort_handle();
        let shared = Arc::clone(&tokens);
        let flusher = tokio::spawn(async move {
            loop {
                tokio::time::sleep(FLUSH_INTERVAL).await;
                if let Err(error) = shared.source.flush_uses().await {
                    tracing::warn!(%error, "the last uses of tokens were not written; the next attempt includes them");
                }
            }
        });
        Self { tokens, tasks: [listener, flusher.abort_handle()] }
    }

    /// Writes the uses that are not written yet.
    ///
    /// # Errors
    /// Returns the store's error. The uses are kept for the next attempt.
    pub async fn flush_uses(&self) -> Result<(), StoreError> {
        self.tokens.source.flush_uses().await
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.entries.len()
    }

    /// Whether the cache has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn store(&self) -> &dyn AccessStore {
        &*self.tokens.source.store
    }
}

/// Applies change notifications.
async fn listen(tokens: Arc<ReadThrough<Tokens>>, mut feed: Box<dyn ChangeFeed>) {
    loop {
        match feed.next().await {
            Notice::TokenChanged(change) => tokens.invalidate(&change.digest, |_| true),
            Notice::Missed => tokens.entries.invalidate_all(),
            Notice::Changed(_) | Notice::Outbox => {}
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for TokenCache {
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError> {
        let created = self.store().create_token(new).await;
        // Its digest may be cached as absent.
        self.tokens.invalidate(&new.token.digest, |_| true);
        created
    }

    /// Completed even if the caller goes away. After an error that leaves open whether the token was revoked, every entry is
    /// stale.
    async fn revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        let (tokens, id, by) = (Arc::clone(&self.tokens), id.clone(), by.clone());
        let revoked = self.tokens.runtime.spawn(async move {
            let revoked = tokens.source.store.revoke_token(&id, &by, now).await;
            match &revoked {
                Ok(Some(token)) => tokens.invalidate(&token.digest, |_| true),
                Ok(None) => {}
                Err(_) => tokens.entries.invalidate_all(),
            }
            revoked
        });
        revoked.await.unwrap_or_else(|panic| Err(unavailable(panic)))
    }

    async fn token_by_digest(
        &self,
        digest: &TokenDigest,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        let Some(token) = self.tokens.get(digest, &(), now).await? else { return Ok(None) };
        self.tokens.source.note_use(&token, now);
        Ok(Some(ApiToken::clone(&token)))
    }

    async fn token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError> {
        self.store().token(id).await
    }

    async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError> {
        self.store().tokens(page).await
    }

    async fn note_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        self.store().note_token_uses(uses).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AuditStore for TokenCache {
    async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError> {
        self.store().audit(filter, page).await
    }

    async fn forget_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.store().forget_audit(before, limit).await
    }

    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError> {
        self.store().erase_customer(erasure, entry).await
    }
}

#[cfg(test)]
mod tests;
