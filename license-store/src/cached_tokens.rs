//! A store of tokens in front of a store of tokens, which remembers them and notes their use now and then.

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
use quick_cache::unsync::Cache;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// While changes of other nodes go unheard, what was read longer ago is read again. Texts that are no token are believed to be none
/// for as long.
const UNHEARD_TTL: Duration = Duration::from_secs(5);
/// Before the last use of a token is noted again.
const NOTE_EVERY: Duration = Duration::from_mins(1);
/// After the store failed to answer, what is remembered is answered for so long without asking it again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCacheOptions {
    /// Most tokens that are remembered, and as many digests that no token has.
    pub entries: usize,
    /// A token that was read longer ago is read again: the longest that a change may stay unknown here, whatever happens to the
    /// notices. Where other processes change the same data and no notice tells of it, as in a file of SQLite, it has to be short.
    pub ttl: Duration,
    /// A read that the store has not answered after so long is given up.
    pub deadline: Duration,
    /// While the store does not answer, a token that was read longer ago lets nobody in, either.
    pub outage: Duration,
}

impl Default for TokenCacheOptions {
    fn default() -> Self {
        Self {
            entries: 10_000,
            ttl: Duration::from_mins(5),
            deadline: Duration::from_secs(1),
            outage: Duration::from_hours(1),
        }
    }
}

/// Answers `token_by_digest` from memory where it can; passes all else on.
///
/// - A token that is revoked through this handle is known to be so before that is acknowledged. What other nodes change comes by
///   the change feed; while that is lost, what was read more than five seconds ago is read again.
/// - A read that began before a change never puts the old token back.
/// - While the store is down, tokens that are remembered are answered all the same, for the time that
///   [`TokenCacheOptions::outage`] says. Of others nobody knows.
/// - A use of a token that is active is written down once a minute at most, by a task of its own.
///
/// Clocks are the caller's: ages are reckoned by the `now` of the calls.
pub struct CachedTokens {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

struct Shared {
    inner: Arc<dyn AccessStore>,
    /// Tells whether changes are heard.
    feed: Arc<dyn LicenseStore>,
    options: TokenCacheOptions,
    remembered: Mutex<Remembered>,
    /// The runtime that the cache was made on. What outlives a call runs there: the one that the call runs on may end before.
    runtime: Handle,
}

struct Remembered {
    tokens: Cache<TokenDigest, Entry>,
    unknown: Cache<TokenDigest, i64>,
    /// How often something was changed or doubted: a read that began before comes to nothing.
    changes: u64,
    /// When the store last failed to answer.
    failed_at: Option<i64>,
    /// Uses that are not written down.
    uses: HashMap<TokenId, DateTime<Utc>>,
}

#[derive(Clone)]
struct Entry {
    token: Arc<ApiToken>,
    /// When the read began, in microseconds.
    read_at: i64,
    /// Whether something may have been missed since.
    doubted: bool,
}

enum Found {
    Fresh(Option<Arc<ApiToken>>),
    /// To be read again where the store answers.
    Old(Arc<ApiToken>),
    Nothing,
}

/// Whether `at` is less than so long before `now`. Not where the clock was set back since: nobody knows then.
fn is_within(at: i64, now: DateTime<Utc>, ttl: Duration) -> bool {
    let age = now.timestamp_micros().checked_sub(at).and_then(|age| u64::try_from(age).ok());
    age.is_some_and(|age| Duration::from_micros(age) < ttl)
}

impl fmt::Debug for CachedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { inner, options, .. } = &*self.shared;
        f.debug_struct("CachedTokens").field("inner", inner).field("options", options).finish_non_exhaustive()
    }
}

impl Drop for CachedTokens {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl CachedTokens {
    /// A cache in front of `inner`, empty at first; `feed` is the store whose change feed tells of tokens, normally the same.
    ///
    /// # Panics
    /// Outside a tokio runtime: it listens, and writes uses down, in tasks of its own.
    pub fn new(inner: Arc<dyn AccessStore>, feed: Arc<dyn LicenseStore>, options: TokenCacheOptions) -> Self {
        let changes = feed.changes();
        let remembered = Remembered {
            tokens: Cache::new(options.entries),
            unknown: Cache::new(options.entries),
            changes: 0,
            failed_at: None,
            uses: HashMap::new(),
        };
        let (remembered, runtime) = (Mutex::new(remembered), Handle::current());
        let shared = Arc::new(Shared { inner, feed, options, remembered, runtime });
        let listener = tokio::spawn(listen(Arc::clone(&shared), changes)).abort_handle();
        let notes = Arc::clone(&shared);
        let noting = tokio::spawn(async move {
            loop {
                tokio::time::sleep(NOTE_EVERY).await;
                if let Err(error) = notes.note_uses().await {
                    tracing::warn!(%error, "the last uses of tokens could not be written down; they will be");
                }
            }
        });
        Self { shared, tasks: [listener, noting.abort_handle()] }
    }

    /// Writes down the uses that wait.
    ///
    /// # Errors
    /// A fault of the store; they wait on.
    pub async fn note_uses(&self) -> Result<(), StoreError> {
        self.shared.note_uses().await
    }

    /// How many tokens are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.remembered().tokens.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes what others change to heart, as long as the cache lives.
async fn listen(shared: Arc<Shared>, mut feed: Box<dyn ChangeFeed>) {
    loop {
        match feed.next().await {
            Notice::TokenChanged(change) => shared.remembered().changed(&change.digest),
            Notice::Missed => shared.remembered().doubt_all(),
            Notice::Changed(_) | Notice::Outbox => {}
        }
    }
}

impl Remembered {
    fn changed(&mut self, digest: &TokenDigest) {
        self.changes += 1;
        self.tokens.remove(digest);
        self.unknown.remove(digest);
    }

    fn doubt_all(&mut self) {
        self.changes += 1;
        self.unknown.clear();
        // Not forgotten: while the store is down they are all there is.
        let doubted: Vec<_> = self
            .tokens
            .iter()
            .map(|(digest, entry)| (*digest, Entry { doubted: true, ..entry.clone() }))
            .collect();
        for (digest, entry) in doubted {
            self.tokens.insert(digest, entry);
        }
    }

    fn find(
        &self,
        digest: &TokenDigest,
        now: DateTime<Utc>,
        heard: bool,
        options: &TokenCacheOptions,
    ) -> Found {
        let Some(Entry { token, read_at, doubted }) = self.tokens.get(digest) else {
            let believed = options.ttl.min(UNHEARD_TTL);
            let unknown = heard && self.unknown.get(digest).is_some_and(|at| is_within(*at, now, believed));
            return if unknown { Found::Fresh(None) } else { Found::Nothing };
        };
        let token = Arc::clone(token);
        let ttl = if heard { options.ttl } else { options.ttl.min(UNHEARD_TTL) };
        if !doubted && is_within(*read_at, now, ttl) {
            Found::Fresh(Some(token))
        } else if is_within(*read_at, now, options.outage) {
            Found::Old(token)
        } else {
            Found::Nothing
        }
    }

    /// Remembers what was read, unless something changed since the read began.
    fn keep(
        &mut self,
        digest: &TokenDigest,
        found: Option<&Arc<ApiToken>>,
        now: DateTime<Utc>,
        changes: u64,
    ) {
        self.failed_at = None;
        if self.changes != changes {
            return;
        }
        let read_at = now.timestamp_micros();
        if let Some(token) = found {
            self.unknown.remove(digest);
            self.tokens.insert(*digest, Entry { token: Arc::clone(token), read_at, doubted: false });
        } else {
            self.tokens.remove(digest);
            self.unknown.insert(*digest, read_at);
        }
    }

    fn note_use(&mut self, token: &ApiToken, now: DateTime<Utc>) {
        if token.state(now) == TokenState::Active {
            match self.uses.get_mut(&token.id) {
                Some(at) => *at = now.max(*at),
                None => {
                    self.uses.insert(token.id.clone(), now);
                }
            }
        }
    }
}

impl Shared {
    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(
        &self,
        digest: &TokenDigest,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<ApiToken>>, StoreError> {
        let heard = self.feed.feed_state() == FeedState::Listening;
        let (old, changes) = {
            let remembered = self.remembered();
            let failed = remembered.failed_at.is_some_and(|at| is_within(at, now, ASK_AGAIN));
            match remembered.find(digest, now, heard, &self.options) {
                Found::Fresh(token) => return Ok(token),
                Found::Old(token) if failed => return Ok(Some(token)),
                Found::Old(token) => (Some(token), remembered.changes),
                Found::Nothing => (None, remembered.changes),
            }
        };
        let read = tokio::time::timeout(self.options.deadline, self.inner.token_by_digest(digest, now));
        let read =
            read.await.unwrap_or_else(|elapsed| Err(StoreError::Unavailable { source: elapsed.into() }));
        match read {
            Ok(found) => {
                let found = found.map(Arc::new);
                self.remembered().keep(digest, found.as_ref(), now, changes);
                Ok(found)
            }
            Err(error) if error.is_retryable() => {
                self.remembered().failed_at = Some(now.timestamp_micros());
                old.map_or(Err(error), |token| Ok(Some(token)))
            }
            Err(error) => Err(error),
        }
    }

    async fn note_uses(&self) -> Result<(), StoreError> {
        let uses = std::mem::take(&mut self.remembered().uses);
        let list: Vec<_> = uses.iter().map(|(id, at)| TokenUse { id: id.clone(), at: *at }).collect();
        let noted = self.inner.note_token_uses(&list).await;
        if noted.is_err() {
            let mut remembered = self.remembered();
            for (id, at) in uses {
                let known = remembered.uses.entry(id).or_insert(at);
                *known = at.max(*known);
            }
        }
        noted
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for CachedTokens {
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError> {
        let created = self.shared.inner.create_token(new).await;
        self.shared.remembered().changed(&new.token.digest);
        created
    }

    /// Carried through also where the caller goes away. After an error that leaves open whether it was done, all is doubted.
    async fn revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        let (shared, id, by) = (Arc::clone(&self.shared), id.clone(), by.clone());
        let revoked = self.shared.runtime.spawn(async move {
            let revoked = shared.inner.revoke_token(&id, &by, now).await;
            match &revoked {
                Ok(Some(token)) => shared.remembered().changed(&token.digest),
                Ok(None) => {}
                Err(_) => shared.remembered().doubt_all(),
            }
            revoked
        });
        revoked.await.unwrap_or_else(|panic| Err(StoreError::Unavailable { source: panic.into() }))
    }

    async fn token_by_digest(
        &self,
        digest: &TokenDigest,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        let Some(token) = self.shared.find(digest, now).await? else { return Ok(None) };
        self.shared.remembered().note_use(&token, now);
        Ok(Some(ApiToken::clone(&token)))
    }

    async fn token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError> {
        self.shared.inner.token(id).await
    }

    async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError> {
        self.shared.inner.tokens(page).await
    }

    async fn note_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        self.shared.inner.note_token_uses(uses).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AuditStore for CachedTokens {
    async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError> {
        self.shared.inner.audit(filter, page).await
    }

    async fn forget_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.shared.inner.forget_audit(before, limit).await
    }

    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError> {
        self.shared.inner.erase_customer(erasure, entry).await
    }
}

#[cfg(test)]
mod tests;
