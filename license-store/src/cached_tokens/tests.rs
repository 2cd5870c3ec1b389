//! What is remembered of tokens, and when it is not.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::TimeDelta;
use license_core::audit::Who;
use license_core::token::{Scope, TokenName};
use tokio::sync::Notify;

use super::*;
use crate::memory::MemoryStore;

/// Counts reads, and does as the test says.
#[derive(Debug, Default)]
struct Scripted {
    inner: MemoryStore,
    reads: AtomicUsize,
    notes: Mutex<Vec<TokenUse>>,
    down: AtomicBool,
    /// A read has what it found, and waits for leave.
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
    cached: Arc<CachedTokens>,
    by: Actor,
}

impl Bench {
    fn new() -> Self {
        let store = Arc::new(Scripted::default());
        let feed = Arc::new(store.inner.clone());
        let cached = CachedTokens::new(Arc::clone(&store) as _, feed, TokenCacheOptions::default());
        Self { store, cached: Arc::new(cached), by: Actor::new(Who::CommandLine) }
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
        self.cached.create_token(&NewToken::new(token.clone(), &self.by)).await.expect("create");
        token
    }

    async fn find(&self, token: &ApiToken, now: DateTime<Utc>) -> Result<Option<TokenState>, StoreError> {
        let found = self.cached.token_by_digest(&token.digest, now).await?;
        Ok(found.map(|token| token.state(now)))
    }

    fn reads(&self) -> usize {
        self.store.reads.swap(0, Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_check_costs_no_read_when_remembered_and_one_after_the_ttl() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    for second in 0..300 {
        assert_eq!(bench.find(&token, at(second)).await.expect("found"), Some(TokenState::Active));
    }
    assert_eq!(bench.reads(), 1);
    bench.find(&token, at(300)).await.expect("found");
    assert_eq!(bench.reads(), 1, "the time is over");
    // Where the clock was set back nobody knows how old it is.
    bench.find(&token, at(299)).await.expect("found");
    assert_eq!(bench.reads(), 1);
}

#[tokio::test]
async fn a_revoked_token_lets_nobody_in_once_that_is_answered() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    bench.find(&token, at(0)).await.expect("found");
    bench.cached.revoke_token(&token.id, &bench.by, at(1)).await.expect("revoke").expect("a token");
    assert_eq!(bench.find(&token, at(1)).await.expect("found"), Some(TokenState::Revoked));
}

#[tokio::test]
async fn what_another_node_revokes_is_heard() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    bench.find(&token, at(0)).await.expect("found");
    bench.store.inner.revoke_token(&token.id, &bench.by, at(1)).await.expect("revoke");
    while bench.find(&token, at(1)).await.expect("found") != Some(TokenState::Revoked) {
        tokio::task::yield_now().await;
    }
}

/// Interleaved: it is read, then revoked, then the read comes back.
#[tokio::test]
async fn a_read_that_began_before_a_revocation_is_not_kept() {
    let bench = Bench::new();
    let token = bench.make(1).await;
    bench.store.hold.store(true, Ordering::SeqCst);
    let (cached, digest) = (Arc::clone(&bench.cached), token.digest);
    let reading = tokio::spawn(async move { cached.token_by_digest(&digest, at(1)).await });
    bench.store.held.notified().await;
    bench.store.hold.store(false, Ordering::SeqCst);
    bench.cached.revoke_token(&token.id, &bench.by, at(1)).await.expect("revoke");
    bench.store.leave.notify_one();
    reading.await.expect("no panic").expect("read").expect("a token");
    assert_eq!(bench.find(&token, at(1)).await.expect("found"), Some(TokenState::Revoked));
}

#[tokio::test]
async fn expiry_is_judged_at_every_call() {
    let bench = Bench::new();
    let mut token = bench.make(1).await;
    token.id = TokenId::parse("tok_2").expect("an id");
    token.digest = TokenDigest::from_bytes([2; 32]);
    token.expires_at = Some(at(10));
    bench.cached.create_token(&NewToken::new(token.clone(), &bench.by)).await.expect("create");
    let last = at(10) - TimeDelta::microseconds(1);
    assert_eq!(bench.find(&token, last).await.expect("found"), Some(TokenState::Active));
    assert_eq!(bench.find(&token, at(10)).await.expect("found"), Some(TokenState::Expired));
    assert_eq!(bench.reads(), 1);
}

#[tokio::test]
async fn while_the_store_is_down_what_is_remembered_goes_on_and_others_are_unknown() {
    let bench = Bench::new();
    let (known, other) = (bench.make(1).await, bench.make(2).await);
    bench.find(&known, at(0)).await.expect("found");
    bench.store.down.store(true, Ordering::SeqCst);
    bench.cached.shared.remembered().doubt_all();
    assert_eq!(bench.find(&known, at(400)).await.expect("remembered"), Some(TokenState::Active));
    bench.find(&other, at(400)).await.expect_err("nobody knows");
    assert_eq!(bench.find(&known, at(3_599)).await.expect("remembered"), Some(TokenState::Active));
    bench.find(&known, at(3_600)).await.expect_err("the outage is too long");
    bench.store.down.store(false, Ordering::SeqCst);
    assert_eq!(bench.find(&other, at(3_601)).await.expect("found"), Some(TokenState::Active));
}

#[tokio::test]
async fn a_digest_of_no_token_is_remembered_shortly_until_it_is_made() {
    let bench = Bench::new();
    let digest = TokenDigest::from_bytes([1; 32]);
    for second in 0..5 {
        assert_eq!(bench.cached.token_by_digest(&digest, at(second)).await.expect("asked"), None);
    }
    assert_eq!(bench.reads(), 1);
    assert_eq!(bench.cached.token_by_digest(&digest, at(5)).await.expect("asked"), None);
    assert_eq!(bench.reads(), 1);
    let token = bench.make(1).await;
    assert_eq!(bench.find(&token, at(5)).await.expect("found"), Some(TokenState::Active));
}

#[tokio::test]
async fn memory_is_bounded() {
    let store = Arc::new(Scripted::default());
    let options = TokenCacheOptions { entries: 10, ..TokenCacheOptions::default() };
    let feed = Arc::new(store.inner.clone());
    let cached = CachedTokens::new(Arc::clone(&store) as _, feed, options);
    let bench = Bench { store, cached: Arc::new(cached), by: Actor::new(Who::CommandLine) };
    for number in 0..100 {
        let token = bench.make(number).await;
        bench.find(&token, at(0)).await.expect("found");
        let unknown = TokenDigest::from_bytes([100 + number; 32]);
        bench.cached.token_by_digest(&unknown, at(0)).await.expect("asked");
    }
    assert!(bench.cached.len() <= 10 && !bench.cached.is_empty(), "{} entries", bench.cached.len());
    assert!(bench.cached.shared.remembered().unknown.len() <= 10);
}

#[tokio::test(start_paused = true)]
async fn the_last_use_is_written_once_a_minute() {
    let bench = Bench::new();
    let (token, unused) = (bench.make(1).await, bench.make(2).await);
    for second in 0..50 {
        bench.find(&token, at(second)).await.expect("found");
    }
    assert!(bench.store.notes.lock().expect("no panic").is_empty(), "not on the way of a request");
    bench.store.down.store(true, Ordering::SeqCst);
    tokio::time::sleep(NOTE_EVERY).await;
    tokio::task::yield_now().await;
    bench.store.down.store(false, Ordering::SeqCst);
    tokio::time::sleep(NOTE_EVERY).await;
    tokio::task::yield_now().await;
    let expected = [TokenUse { id: token.id.clone(), at: at(49) }];
    assert_eq!(*bench.store.notes.lock().expect("no panic"), expected, "once, and not lost where it failed");
    let noted = bench.cached.token(&token.id).await.expect("read").expect("a token");
    assert_eq!(noted.last_used_at, Some(at(49)));
    bench.cached.revoke_token(&unused.id, &bench.by, at(50)).await.expect("revoke");
    bench.find(&unused, at(51)).await.expect("found");
    bench.cached.note_uses().await.expect("noted");
    assert_eq!(bench.cached.token(&unused.id).await.expect("read").expect("a token").last_used_at, None);
}
