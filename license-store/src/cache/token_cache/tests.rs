//! Which tokens are served from memory, and when they are not.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::TimeDelta;
use license_core::audit::Who;
use license_core::token::{Scope, TokenName};
use tokio::sync::Notify;

use super::*;
use crate::memory::MemoryStore;

/// A store that counts loads, and is down or slow if the test says so.
#[derive(Debug, Default)]
struct Scripted {
    inner: MemoryStore,
    reads: AtomicUsize,
    notes: Mutex<Vec<TokenUse>>,
    down: AtomicBool,
    /// A load has read, and waits for `leave`.
    hold: AtomicBool,
    held: Notify,
    leave: Notify,
}

#[async_trait]
impl TokenStore for Scripted {
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError> {
        self.inner.create_token(new).await
    }
    async fn revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        self.inner.revoke_token(id, by, now).await
    }
    async fn token_by_digest(
        &self,
        digest: &TokenDigest,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { source: "down".into() });
        }
        let found = self.inner.token_by_digest(digest, now).await;
        if self.hold.load(Ordering::SeqCst) {
            self.held.notify_one();
            self.leave.notified().await;
        }
        found
    }
    async fn token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError> {
        self.inner.token(id).await
    }
    async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError> {
        self.inner.tokens(page).await
    }
    async fn note_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { source: "down".into() });
        }
        self.notes.lock().expect("no panic").extend_from_slice(uses);
        self.inner.note_token_uses(uses).await
    }
}

#[async_trait]
impl AuditStore for Scripted {
    async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError> {
        self.inner.audit(filter, page).await
    }
    async fn forget_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.inner.forget_audit(before, limit).await
    }
    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError> {
        self.inner.erase_customer(erasure, entry).await
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).expect("a time")
}

struct Bench {
    store: Arc<Scripted>,
    cache: Arc<TokenCache>,
    by: Actor,
}

impl Bench {
    fn new() -> Self {
        Self::with(CacheOptions::default())
    }

    fn with(options: CacheOptions) -> Self {
        let store = Arc::new(Scripted::default());
        let feed = Arc::new(store.inner.clone());
        let cache = TokenCache::new(Arc::clone(&store) as _, feed, options);
        Self { store, cache: Arc::new(cache), by: Actor::new(Who::CommandLine) }
    }

    /// From now on the cache hears of no change, so that only its own calls can invalidate an entry.
    fn stop_listening(&self) {
        let [listener, _] = &self.cache.tasks;
        listener.abort();
    }

    async fn make(&self, number: u8) -> ApiToken {
        let token = ApiToken {
            id: TokenId::parse(&format!("tok_{number}")).expect("an id"),
            digest: TokenDigest::from_bytes([number; 32]),
            name: TokenName::parse("a").expect("a name"),
            scopes: Scope::Admin.into(),
            created_at: at(0),
            last_used_at: None,
            expires_at: None,
            revoked_at: None,
        };
        self.create(&token).await;
        token
    }

    async fn create(&self, token: &ApiToken) {
        self.cache.create_token(&NewToken::new(token.clone(), &self.by)).await.expect("create");
        // The notification arrives before the first load.
        tokio::task::yield_now().await;
    }

    async fn find(&self, token: &ApiToken, now: DateTime<Utc>) -> Result<Option<TokenState>, StoreError> {
        let found = self.cache.token_by_digest(&token.digest, now).await?;
        Ok(found.map(|token| token.state(now)))
    }

    fn reads(&self) -> usize {
        self.store.reads.swap(0, Ordering::SeqCst)
    }
}

#[tokio::test]
async fn cached_token_is_loaded_again_after_ttl() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    for second in 0..300 {
        assert_eq!(bench.find(&token, at(second)).await.expect("found"), Some(TokenState::Active));
    }
    assert_eq!(bench.reads(), 1);
    bench.find(&token, at(300)).await.expect("found");
    assert_eq!(bench.reads(), 1, "the TTL is over");
    // The age of an entry from the future is unknown.
    bench.find(&token, at(299)).await.expect("found");
    assert_eq!(bench.reads(), 1);
}

#[tokio::test]
async fn revoked_token_is_rejected_once_acknowledged() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    bench.stop_listening();
    bench.find(&token, at(0)).await.expect("found");
    bench.cache.revoke_token(&token.id, &bench.by, at(1)).await.expect("revoke").expect("a token");
    assert_eq!(bench.find(&token, at(1)).await.expect("found"), Some(TokenState::Revoked));
}

#[tokio::test]
async fn token_revoked_on_other_node_is_rejected() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    bench.find(&token, at(0)).await.expect("found");
    bench.store.inner.revoke_token(&token.id, &bench.by, at(1)).await.expect("revoke");
    while bench.find(&token, at(1)).await.expect("found") != Some(TokenState::Revoked) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn load_overtaken_by_revocation_is_discarded() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    bench.stop_listening();
    bench.store.hold.store(true, Ordering::SeqCst);
    let (cache, digest) = (Arc::clone(&bench.cache), token.digest);
    let reading = tokio::spawn(async move { cache.token_by_digest(&digest, at(1)).await });
    bench.store.held.notified().await;
    bench.store.hold.store(false, Ordering::SeqCst);
    bench.cache.revoke_token(&token.id, &bench.by, at(1)).await.expect("revoke");
    bench.store.leave.notify_one();
    reading.await.expect("no panic").expect("read").expect("a token");
    assert_eq!(bench.find(&token, at(1)).await.expect("found"), Some(TokenState::Revoked));
}

#[tokio::test]
async fn expiry_is_evaluated_for_cached_token() {
    let bench = Bench::new();
    let mut token = bench.make(1).await;
    token.id = TokenId::parse("tok_2").expect("an id");
    token.digest = TokenDigest::from_bytes([2; 32]);
    token.expires_at = Some(at(10));
    bench.create(&token).await;
    let last = at(10) - TimeDelta::microseconds(1);
    assert_eq!(bench.find(&token, last).await.expect("found"), Some(TokenState::Active));
    assert_eq!(bench.find(&token, at(10)).await.expect("found"), Some(TokenState::Expired));
    assert_eq!(bench.reads(), 1);
}

#[tokio::test]
async fn cached_token_is_served_while_store_is_down() {
    let bench = Bench::new();
    let (known, other) = (bench.make(1).await, bench.make(2).await);
    bench.find(&known, at(0)).await.expect("found");
    bench.store.down.store(true, Ordering::SeqCst);
    bench.cache.tokens.entries.invalidate_all();
    assert_eq!(bench.find(&known, at(400)).await.expect("cached"), Some(TokenState::Active));
    bench.find(&other, at(400)).await.expect_err("not cached");
    assert_eq!(bench.find(&known, at(3_599)).await.expect("cached"), Some(TokenState::Active));
    bench.find(&known, at(3_600)).await.expect_err("the outage is too long");
    bench.store.down.store(false, Ordering::SeqCst);
    assert_eq!(bench.find(&other, at(3_601)).await.expect("found"), Some(TokenState::Active));
}

#[tokio::test]
async fn absent_digest_is_cached_until_token_is_created() {
    let bench = Bench::new();
    bench.stop_listening();
    let digest = TokenDigest::from_bytes([1; 32]);
    for second in 0..5 {
        assert_eq!(bench.cache.token_by_digest(&digest, at(second)).await.expect("asked"), None);
    }
    assert_eq!(bench.reads(), 1);
    assert_eq!(bench.cache.token_by_digest(&digest, at(5)).await.expect("asked"), None);
    assert_eq!(bench.reads(), 1);
    let token = bench.make(1).await;
    assert_eq!(bench.find(&token, at(5)).await.expect("found"), Some(TokenState::Active));
}

/// With a short TTL because no notification arrives from other processes, negative entries expire as soon.
#[tokio::test]
async fn absent_digest_is_cached_for_the_ttl_at_most() {
    let bench = Bench::with(CacheOptions { ttl: Duration::from_secs(1), ..CacheOptions::default() });
    let digest = TokenDigest::from_bytes([1; 32]);
    for (second, reads) in [(0, 1), (1, 1)] {
        assert_eq!(bench.cache.token_by_digest(&digest, at(second)).await.expect("asked"), None);
        assert_eq!(bench.reads(), reads);
    }
}

#[tokio::test]
async fn tokens_are_evicted_beyond_the_size() {
    let bench = Bench::with(CacheOptions { size: 10_000, ..CacheOptions::default() });
    for number in 0..100 {
        let token = bench.make(number).await;
        bench.find(&token, at(0)).await.expect("found");
    }
    assert!((10..40).contains(&bench.cache.len()), "{} entries", bench.cache.len());
    assert!(bench.cache.tokens.entries.weight() <= 10_000);
}

#[tokio::test(start_paused = true)]
async fn last_use_is_written_once_a_minute() {
    let bench = Bench::new();
    let (token, unused) = (bench.make(1).await, bench.make(2).await);
    for second in 0..50 {
        bench.find(&token, at(second)).await.expect("found");
    }
    assert!(bench.store.notes.lock().expect("no panic").is_empty(), "a request writes nothing");
    bench.store.down.store(true, Ordering::SeqCst);
    tokio::time::sleep(FLUSH_INTERVAL).await;
    tokio::task::yield_now().await;
    bench.store.down.store(false, Ordering::SeqCst);
    tokio::time::sleep(FLUSH_INTERVAL).await;
    tokio::task::yield_now().await;
    let expected = [TokenUse { id: token.id.clone(), at: at(49) }];
    assert_eq!(*bench.store.notes.lock().expect("no panic"), expected, "once, and not lost by the failure");
    let noted = bench.cache.token(&token.id).await.expect("read").expect("a token");
    assert_eq!(noted.last_used_at, Some(at(49)));
    bench.cache.revoke_token(&unused.id, &bench.by, at(50)).await.expect("revoke");
    bench.find(&unused, at(51)).await.expect("found");
    bench.cache.flush_uses().await.expect("noted");
    assert_eq!(bench.cache.token(&unused.id).await.expect("read").expect("a token").last_used_at, None);
}

#[tokio::test]
async fn concurrent_misses_share_one_load() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    bench.store.hold.store(true, Ordering::SeqCst);
    let calls = [(); 3].map(|()| {
        let (cache, digest) = (Arc::clone(&bench.cache), token.digest);
        tokio::spawn(async move { cache.token_by_digest(&digest, at(0)).await })
    });
    bench.store.held.notified().await;
    tokio::task::yield_now().await;
    bench.store.leave.notify_one();
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("loaded"), Some(token.clone()));
    }
    assert_eq!(bench.reads(), 1);
}

/// The first call of an outage waits for the deadline, later ones do not.
#[tokio::test(start_paused = true)]
async fn hanging_store_delays_one_call_by_the_deadline() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    bench.find(&token, at(0)).await.expect("found");
    bench.store.hold.store(true, Ordering::SeqCst);
    for waited in [CacheOptions::default().deadline, Duration::ZERO] {
        let begun = tokio::time::Instant::now();
        assert_eq!(bench.find(&token, at(400)).await.expect("cached"), Some(TokenState::Active));
        assert_eq!(begun.elapsed(), waited);
    }
}
