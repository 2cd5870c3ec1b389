//! Which tokens are served from memory, and when they are not.

use chrono::TimeDelta;
use license_core::access::{Principal, Scope, TokenKind, TokenName};
use license_core::clock::ManualClock;

use super::*;
use crate::faults::{Fault, FaultStore};
use crate::memory::MemoryStore;

const FIND: &str = "find_token_by_digest";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).expect("a time")
}

struct TestCache {
    store: Arc<FaultStore>,
    clock: Arc<ManualClock>,
    cache: Arc<TokenCache>,
    by: Actor,
}

impl TestCache {
    fn new() -> Self {
        Self::with(CacheOptions::default())
    }

    fn with(options: CacheOptions) -> Self {
        let memory = MemoryStore::new();
        let store = Arc::new(FaultStore::new(memory.clone()));
        let clock = Arc::new(ManualClock::at(at(0)));
        let cache =
            TokenCache::new(Arc::clone(&store) as _, Arc::new(memory), Arc::clone(&clock) as _, options);
        Self { store, clock, cache: Arc::new(cache), by: Actor::new(Principal::CommandLine) }
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
            kind: TokenKind::Api,
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
        let found = self.find_digest(&token.digest, now).await?;
        Ok(found.map(|token| token.state(now)))
    }

    async fn find_digest(
        &self,
        digest: &TokenDigest,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        self.clock.set(now);
        self.cache.find_token_by_digest(digest).await
    }

    /// Asserts how often the store was read.
    fn assert_reads(&self, expected: usize) {
        assert_eq!(self.store.calls(FIND), expected);
    }
}

#[tokio::test]
async fn cached_token_is_loaded_again_after_ttl() {
    let tested = TestCache::new();
    let token = tested.make(1).await;
    for second in 0..300 {
        assert_eq!(tested.find(&token, at(second)).await.expect("found"), Some(TokenState::Active));
    }
    tested.assert_reads(1);
    // The TTL has ended.
    tested.find(&token, at(300)).await.expect("found");
    tested.assert_reads(2);
    // The clock moved back, so the age of the entry is unknown.
    tested.find(&token, at(299)).await.expect("found");
    tested.assert_reads(3);
}

#[tokio::test]
async fn revoked_token_is_rejected_once_acknowledged() {
    let tested = TestCache::new();
    let token = tested.make(1).await;
    tested.stop_listening();
    tested.find(&token, at(0)).await.expect("found");
    tested.cache.revoke_token(&token.id, &tested.by, at(1)).await.expect("revoke").expect("a token");
    assert_eq!(tested.find(&token, at(1)).await.expect("found"), Some(TokenState::Revoked));
}

#[tokio::test]
async fn token_revoked_on_other_node_is_rejected() {
    let tested = TestCache::new();
    let token = tested.make(1).await;
    tested.find(&token, at(0)).await.expect("found");
    tested.store.inner().revoke_token(&token.id, &tested.by, at(1)).await.expect("revoke");
    while tested.find(&token, at(1)).await.expect("found") != Some(TokenState::Revoked) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn load_overtaken_by_revocation_is_discarded() {
    let tested = TestCache::new();
    let token = tested.make(1).await;
    tested.stop_listening();
    let hold = tested.store.hold_answer(FIND);
    let (cache, digest) = (Arc::clone(&tested.cache), token.digest);
    let reading = tokio::spawn(async move { cache.find_token_by_digest(&digest).await });
    hold.reached().await;
    tested.cache.revoke_token(&token.id, &tested.by, at(1)).await.expect("revoke");
    hold.release();
    reading.await.expect("no panic").expect("read").expect("a token");
    assert_eq!(tested.find(&token, at(1)).await.expect("found"), Some(TokenState::Revoked));
}

#[tokio::test]
async fn expiry_is_evaluated_for_cached_token() {
    let tested = TestCache::new();
    let mut token = tested.make(1).await;
    token.id = TokenId::parse("tok_2").expect("an id");
    token.digest = TokenDigest::from_bytes([2; 32]);
    token.expires_at = Some(at(10));
    tested.create(&token).await;
    let last = at(10) - TimeDelta::microseconds(1);
    assert_eq!(tested.find(&token, last).await.expect("found"), Some(TokenState::Active));
    assert_eq!(tested.find(&token, at(10)).await.expect("found"), Some(TokenState::Expired));
    tested.assert_reads(1);
}

#[tokio::test]
async fn cached_token_is_served_while_store_is_down() {
    let tested = TestCache::new();
    let (known, other) = (tested.make(1).await, tested.make(2).await);
    tested.find(&known, at(0)).await.expect("found");
    tested.store.set(Fault::Unavailable);
    tested.cache.tokens.entries.invalidate_all();
    assert_eq!(tested.find(&known, at(400)).await.expect("cached"), Some(TokenState::Active));
    tested.find(&other, at(400)).await.expect_err("not cached");
    assert_eq!(tested.find(&known, at(3_599)).await.expect("cached"), Some(TokenState::Active));
    tested.find(&known, at(3_600)).await.expect_err("the outage is too long");
    tested.store.set(None);
    assert_eq!(tested.find(&other, at(3_601)).await.expect("found"), Some(TokenState::Active));
}

#[tokio::test]
async fn absent_digest_is_cached_until_token_is_created() {
    let tested = TestCache::new();
    tested.stop_listening();
    let digest = TokenDigest::from_bytes([1; 32]);
    for second in 0..5 {
        assert_eq!(tested.find_digest(&digest, at(second)).await.expect("asked"), None);
    }
    tested.assert_reads(1);
    assert_eq!(tested.find_digest(&digest, at(5)).await.expect("asked"), None);
    tested.assert_reads(2);
    let token = tested.make(1).await;
    assert_eq!(tested.find(&token, at(5)).await.expect("found"), Some(TokenState::Active));
}

/// A TTL shorter than that of negative entries applies to them too.
#[tokio::test]
async fn absent_digest_is_cached_for_the_ttl_at_most() {
    let tested = TestCache::with(CacheOptions { ttl: Duration::from_secs(1), ..CacheOptions::default() });
    let digest = TokenDigest::from_bytes([1; 32]);
    for (second, reads) in [(0, 1), (1, 2)] {
        assert_eq!(tested.find_digest(&digest, at(second)).await.expect("asked"), None);
        tested.assert_reads(reads);
    }
}

#[tokio::test]
async fn tokens_are_evicted_beyond_the_size() {
    let tested = TestCache::with(CacheOptions { size: 10_000, ..CacheOptions::default() });
    for number in 0..100 {
        let token = tested.make(number).await;
        tested.find(&token, at(0)).await.expect("found");
    }
    assert!(
        (10..40).contains(&tested.cache.tokens.entries.len()),
        "{} entries",
        tested.cache.tokens.entries.len()
    );
    assert!(tested.cache.tokens.entries.weight() <= 10_000);
}

#[tokio::test(start_paused = true)]
async fn last_use_is_written_once_a_minute() {
    let tested = TestCache::new();
    let (token, unused) = (tested.make(1).await, tested.make(2).await);
    for second in 0..50 {
        tested.find(&token, at(second)).await.expect("found");
    }
    assert_eq!(tested.store.calls("record_token_uses"), 0, "a request writes nothing");
    tested.store.set(Fault::Unavailable);
    tokio::time::sleep(FLUSH_INTERVAL).await;
    tokio::task::yield_now().await;
    tested.store.set(None);
    tokio::time::sleep(FLUSH_INTERVAL).await;
    tokio::task::yield_now().await;
    assert_eq!(tested.store.calls("record_token_uses"), 2, "once more after the failure");
    let noted = tested.cache.get_token(&token.id).await.expect("read").expect("a token");
    assert_eq!(noted.last_used_at, Some(at(49)));
    tested.cache.revoke_token(&unused.id, &tested.by, at(50)).await.expect("revoke");
    tested.find(&unused, at(51)).await.expect("found");
    tested.cache.flush_uses().await.expect("written");
    assert_eq!(tested.cache.get_token(&unused.id).await.expect("read").expect("a token").last_used_at, None);
}

/// Neither the TTL nor a use that is not written yet ends a session early, and an idle one ends on time.
#[tokio::test]
async fn session_in_use_is_not_idle() {
    let tested = TestCache::with(CacheOptions { ttl: Duration::from_hours(24), ..CacheOptions::default() });
    let parent = tested.make(1).await;
    let opener = SessionOpener::Token(parent.id.clone());
    let (id, digest) = (TokenId::parse("tok_2").expect("an id"), TokenDigest::from_bytes([2; 32]));
    let new = NewSession { id, digest, opener, request_id: None, address: None, at: at(0) };
    let session = tested.cache.open_session(&new).await.expect("open").expect("the token is active");
    tokio::task::yield_now().await;
    for minute in [0, 30, 59, 89, 148] {
        let state = tested.find(&session, at(minute * 60)).await.expect("found");
        assert_eq!(state, Some(TokenState::Active), "minute {minute}");
    }
    let idle = 148 + 60;
    assert_eq!(tested.find(&session, at(idle * 60)).await.expect("found"), Some(TokenState::Expired));
    assert_eq!(tested.find(&session, at(idle * 60 + 1)).await.expect("found"), Some(TokenState::Expired));
}

#[tokio::test]
async fn session_of_revoked_token_is_rejected_once_acknowledged() {
    let tested = TestCache::new();
    let parent = tested.make(1).await;
    let (id, by, digest) =
        (TokenId::parse("tok_2").expect("an id"), tested.by.clone(), TokenDigest::from_bytes([2; 32]));
    let new = NewLink { id, digest, parent: parent.id.clone(), by, at: at(0) };
    tested.stop_listening();
    assert_eq!(tested.find_digest(&digest, at(0)).await.expect("asked"), None);
    let link = tested.cache.create_link(&new).await.expect("create").expect("the token is active");
    assert_eq!(tested.find(&link, at(0)).await.expect("found"), Some(TokenState::Active));
    let (id, digest) = (TokenId::parse("tok_3").expect("an id"), TokenDigest::from_bytes([3; 32]));
    let opener = SessionOpener::Link(link.digest);
    let new = NewSession { id, digest, opener, request_id: None, address: None, at: at(0) };
    assert_eq!(tested.find_digest(&digest, at(0)).await.expect("asked"), None);
    let session = tested.cache.open_session(&new).await.expect("open").expect("the link is unused");
    assert_eq!(tested.find(&link, at(0)).await.expect("found"), Some(TokenState::Revoked));
    assert_eq!(tested.find(&session, at(0)).await.expect("found"), Some(TokenState::Active));
    let (id, digest) = (TokenId::parse("tok_4").expect("an id"), TokenDigest::from_bytes([4; 32]));
    let opener = SessionOpener::Token(parent.id.clone());
    let new = NewSession { id, digest, opener, request_id: None, address: None, at: at(0) };
    let other = tested.cache.open_session(&new).await.expect("open").expect("the token is active");
    assert_eq!(tested.find(&other, at(0)).await.expect("found"), Some(TokenState::Active));
    tested.cache.revoke_token(&other.id, &tested.by, at(1)).await.expect("revoke");
    assert_eq!(tested.find(&other, at(1)).await.expect("found"), Some(TokenState::Revoked), "ended alone");
    assert_eq!(tested.find(&session, at(1)).await.expect("found"), Some(TokenState::Active));
    tested.cache.revoke_token(&parent.id, &tested.by, at(1)).await.expect("revoke");
    assert_eq!(tested.find(&session, at(1)).await.expect("found"), Some(TokenState::Revoked));
}

#[tokio::test]
async fn concurrent_misses_share_one_load() {
    let tested = TestCache::new();
    let token = tested.make(1).await;
    let hold = tested.store.hold_answer(FIND);
    let calls = [(); 3].map(|()| {
        let (cache, digest) = (Arc::clone(&tested.cache), token.digest);
        tokio::spawn(async move { cache.find_token_by_digest(&digest).await })
    });
    hold.reached().await;
    tokio::task::yield_now().await;
    hold.release();
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("loaded"), Some(token.clone()));
    }
    tested.assert_reads(1);
}

/// The first call of an outage waits for the deadline, later ones do not.
#[tokio::test(start_paused = true)]
async fn hanging_store_delays_one_call_by_the_deadline() {
    let tested = TestCache::new();
    let token = tested.make(1).await;
    tested.find(&token, at(0)).await.expect("found");
    tested.store.set(Fault::Hang);
    for waited in [CacheOptions::default().deadline, Duration::ZERO] {
        let begun = tokio::time::Instant::now();
        assert_eq!(tested.find(&token, at(400)).await.expect("cached"), Some(TokenState::Active));
        assert_eq!(begun.elapsed(), waited);
    }
}
