//! A cache of API tokens in front of a store, which also records when they were last used.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::{
    Actor, ApiToken, NewLink, NewSession, NewToken, SessionOpener, TokenDigest, TokenId, TokenState, TokenUse,
};
use license_core::clock::Clock;
use license_core::store::{
    ChangeNotice, ChangeStream, LicenseStore, Page, PageRequest, StoreError, StreamState, TokenStore,
};
use tokio::task::AbortHandle;

use super::entries::Replacement;
use super::options::CacheOptions;
use super::read_through::{ReadThrough, unavailable};
use super::source::CacheSource;

/// Interval at which last uses are written.
const FLUSH_INTERVAL: Duration = Duration::from_mins(1);

/// Answers `find_token_by_digest` from memory, and forwards all other calls to the store.
///
/// A background task writes the last use of each active token once a minute.
pub struct TokenCache {
    tokens: Arc<ReadThrough<Tokens>>,
    clock: Arc<dyn Clock>,
    tasks: [AbortHandle; 2],
}

struct Tokens {
    store: Arc<dyn TokenStore>,
    feed: Arc<dyn LicenseStore>,
    /// Uses that are not written yet.
    uses: Mutex<HashMap<TokenId, DateTime<Utc>>>,
}

impl CacheSource for Tokens {
    type Key = TokenDigest;
    type Query = ();
    type Part = ();
    type Value = Arc<ApiToken>;

    async fn load(
        &self,
        digest: &TokenDigest,
        (): &(),
        _: DateTime<Utc>,
    ) -> Result<Option<Arc<ApiToken>>, StoreError> {
        Ok(self.store.find_token_by_digest(digest).await?.map(Arc::new))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.feed.ping().await
    }

    fn is_listening(&self) -> bool {
        self.feed.stream_state() == StreamState::Listening
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

    fn record_use(&self, token: &ApiToken, now: DateTime<Utc>) {
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
        let written = self.store.record_token_uses(&list).await;
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
    /// Creates an empty cache in front of `store`. `feed` has the change stream of the same database.
    ///
    /// # Panics
    /// Panics outside a tokio runtime, which runs the tasks that listen to the change stream, load tokens and
    /// write their uses.
    pub fn new(
        store: Arc<dyn TokenStore>,
        feed: Arc<dyn LicenseStore>,
        clock: Arc<dyn Clock>,
        options: CacheOptions,
    ) -> Self {
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
        Self { tokens, clock, tasks: [listener, flusher.abort_handle()] }
    }

    /// Writes the uses that are not written yet.
    ///
    /// # Errors
    /// Returns the store's error. The next call includes the uses that were not written.
    pub async fn flush_uses(&self) -> Result<(), StoreError> {
        self.tokens.source.flush_uses().await
    }

    fn store(&self) -> &dyn TokenStore {
        &*self.tokens.source.store
    }
}

/// Applies change notifications.
async fn listen(tokens: Arc<ReadThrough<Tokens>>, mut feed: Box<dyn ChangeStream>) {
    loop {
        match feed.next().await {
            ChangeNotice::TokenChanged(change) => tokens.replace(&change.digest, |_| Replacement::Remove),
            ChangeNotice::Missed => tokens.entries.invalidate_all(),
            ChangeNotice::LicenseChanged(_)
            | ChangeNotice::Events
            | ChangeNotice::CatalogChanged
            | ChangeNotice::SigningKeysChanged => {}
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for TokenCache {
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError> {
        let created = self.store().create_token(new).await;
        // Its digest may be cached as absent.
        self.tokens.replace(&new.token.digest, |_| Replacement::Remove);
        created
    }

    /// Completes even if the caller is cancelled. The entries of a token, its sessions and its links are
    /// invalidated with all others, also after an error: the token may have been revoked.
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
                Ok(None) => {}
                Ok(Some(token)) if token.kind.parent().is_some() => {
                    tokens.replace(&token.digest, |_| Replacement::Remove);
                }
                // The entries of its sessions and links too, which have other digests.
                Ok(Some(_)) | Err(_) => tokens.entries.invalidate_all(),
            }
            revoked
        });
        revoked.await.unwrap_or_else(|panic| Err(unavailable(panic)))
    }

    async fn find_token_by_digest(&self, digest: &TokenDigest) -> Result<Option<ApiToken>, StoreError> {
        let now = self.clock.now();
        let Some(mut token) = self.tokens.get(digest, &(), now).await? else { return Ok(None) };
        if token.is_idle(now) {
            // The entry does not have the uses since it was loaded.
            self.flush_uses().await?;
            self.tokens.replace(digest, |_| Replacement::Remove);
            let Some(current) = self.tokens.get(digest, &(), now).await? else { return Ok(None) };
            token = current;
        }
        self.tokens.source.record_use(&token, now);
        Ok(Some(ApiToken::clone(&token)))
    }

    async fn get_token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError> {
        self.store().get_token(id).await
    }

    async fn list_tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError> {
        self.store().list_tokens(page).await
    }

    async fn record_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        self.store().record_token_uses(uses).await
    }

    async fn create_link(&self, new: &NewLink) -> Result<Option<ApiToken>, StoreError> {
        let created = self.store().create_link(new).await;
        // Its digest may be cached as absent.
        self.tokens.replace(&new.digest, |_| Replacement::Remove);
        created
    }

    async fn open_session(&self, new: &NewSession) -> Result<Option<ApiToken>, StoreError> {
        let opened = self.store().open_session(new).await;
        self.tokens.replace(&new.digest, |_| Replacement::Remove);
        if let SessionOpener::Link(link) = &new.opener {
            self.tokens.replace(link, |_| Replacement::Remove);
        }
        opened
    }

    async fn prune_sessions(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.store().prune_sessions(before, limit).await
    }
}

#[cfg(test)]
mod tests;
