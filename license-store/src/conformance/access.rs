//! Cases of tokens and of the audit: of [`AccessStore`], by way of [`access_conformance_tests!`](crate::access_conformance_tests).

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use license_core::audit::{AccessStore, Actor, AuditEntry, AuditFilter, Audited, Erasure, Who};
use license_core::change::{ChangeFeed, Notice, TokenChange};
use license_core::command::{Command, CommandContext, Idempotency, IdempotencyKey, Outcome};
use license_core::customer::CustomerEmail;
use license_core::key::SealedKey;
use license_core::license::LicenseId;
use license_core::metadata::Metadata;
use license_core::store::{Created, LicenseStore, PageRequest, StoreError};
use license_core::token::{ApiToken, NewToken, Scopes, TokenDigest, TokenId, TokenName, TokenUse};
use serde_json::json;

use super::fixture::{activate, at, fresh_digest, new_license, plans, spec};

/// One set of data, empty at first, that several handles are opened on.
#[async_trait]
pub trait AccessHarness: Send + Sync {
    /// Opens one more handle on the data, as another process would: the two ports of one store.
    async fn open(&self) -> (Arc<dyn LicenseStore>, Arc<dyn AccessStore>);

    /// As [`Harness::hears_other_handles`](super::Harness::hears_other_handles).
    fn hears_other_handles(&self) -> bool;
}

/// Makes a test of each case. The expression makes a fresh [`AccessHarness`](crate::conformance::access::AccessHarness).
#[macro_export]
macro_rules! access_conformance_tests {
    ($harness:expr) => {
        $crate::access_conformance_tests! { @ $harness;
            a_token_is_kept_as_it_is, a_taken_token_changes_nothing, a_revocation_is_final_and_written_once,
            tokens_are_listed_newest_first, uses_move_forward_only, tokens_are_told_of,
            racing_revocations_are_written_once,
            changes_are_written_with_the_actor, what_nobody_did_is_not_written, a_repeated_request_is_not_written,
            entries_pass_the_filter, old_entries_are_forgotten_in_batches, a_customer_is_erased
        }
    };
    (@ $harness:expr; $($case:ident),+) => {
        $(#[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $case() {
            let harness = $harness;
            $crate::conformance::access::$case(&harness).await;
        })+
    };
}

/// Longer than any notice takes.
const NEVER: std::time::Duration = std::time::Duration::from_secs(20);

fn actor() -> Actor {
    let id = TokenId::parse("tok_actor").expect("an id");
    Actor {
        who: Who::Token { id, name: "CI für \"Büro\"".to_owned() },
        request_id: Some("0a-1".to_owned()),
        address: Some("2001:db8::7".parse().expect("an address")),
    }
}

fn token(number: u8) -> ApiToken {
    ApiToken {
        id: TokenId::parse(&format!("tok_{number:03}")).expect("an id"),
        digest: TokenDigest::from_bytes([number; 32]),
        name: TokenName::parse("a 'name' \u{1f511}").expect("a name"),
        scopes: Scopes::parse("licenses:read,audit:read").expect("scopes"),
        created_at: at(i64::from(number)),
        last_used_at: None,
        expires_at: Some(at(100)),
        revoked_at: None,
    }
}

async fn make(store: &dyn AccessStore, number: u8) -> ApiToken {
    let token = token(number);
    store.create_token(&NewToken::new(token.clone(), &actor())).await.expect("create");
    token
}

async fn audit(store: &dyn AccessStore, filter: &AuditFilter) -> Vec<AuditEntry> {
    let page = PageRequest { after: None, limit: 100 };
    let found = store.audit(filter, &page).await.expect("audit").items;
    assert!(found.is_sorted_by(|a, b| a.sequence > b.sequence), "newest first");
    found.into_iter().map(|Audited { entry, .. }| entry).collect()
}

async fn all(store: &dyn AccessStore) -> Vec<AuditEntry> {
    audit(store, &AuditFilter::default()).await
}

async fn ask(store: &dyn LicenseStore, id: &LicenseId, command: &Command, by: Option<Actor>) -> Outcome {
    let by = by.map(Arc::new);
    let context = CommandContext { plans: plans().into(), now: at(60), expected_version: None, by };
    store.execute(id, command, &context).await.expect("execute")
}

/// All fields come back as they were given, on every handle.
pub async fn a_token_is_kept_as_it_is(harness: &dyn AccessHarness) {
    let ((_, store), (_, other)) = (harness.open().await, harness.open().await);
    let made = make(&store, 1).await;
    for store in [&store, &other] {
        assert_eq!(store.token(&made.id).await.expect("token"), Some(made.clone()));
        assert_eq!(store.token_by_digest(&made.digest, at(2)).await.expect("token"), Some(made.clone()));
    }
    let unknown = TokenDigest::from_bytes([9; 32]);
    assert_eq!(store.token_by_digest(&unknown, at(2)).await.expect("token"), None);
    assert_eq!(store.token(&TokenId::first()).await.expect("token"), None);
    assert_eq!(all(&store).await, [NewToken::new(made, &actor()).audit]);
}

/// An id and a digest are given once.
pub async fn a_taken_token_changes_nothing(harness: &dyn AccessHarness) {
    let (_, store) = harness.open().await;
    let made = make(&store, 1).await;
    let (same_id, same_digest) = (
        ApiToken { digest: TokenDigest::from_bytes([2; 32]), ..made.clone() },
        ApiToken { id: TokenId::first(), ..made.clone() },
    );
    for taken in [same_id, same_digest] {
        let error = store.create_token(&NewToken::new(taken, &actor())).await.expect_err("taken");
        assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error:?}");
    }
    assert_eq!(store.token(&made.id).await.expect("token"), Some(made));
    assert_eq!(all(&store).await.len(), 1, "what was refused is not written");
}

/// Seen by every handle when it returns; again: no change.
pub async fn a_revocation_is_final_and_written_once(harness: &dyn AccessHarness) {
    let ((_, store), (_, other)) = (harness.open().await, harness.open().await);
    let made = make(&store, 1).await;
    let expected = ApiToken { revoked_at: Some(at(10)), ..made.clone() };
    for now in [at(10), at(11)] {
        let revoked = store.revoke_token(&made.id, &actor(), now).await.expect("revoke");
        assert_eq!(revoked, Some(expected.clone()));
        assert_eq!(other.token_by_digest(&made.digest, now).await.expect("token"), Some(expected.clone()));
    }
    assert_eq!(store.revoke_token(&TokenId::first(), &actor(), at(10)).await.expect("revoke"), None);
    let entries = all(&store).await;
    let [revoked, _] = &entries[..] else { panic!("two entries: {entries:?}") };
    assert_eq!(
        (revoked.action.as_str(), &revoked.token_id, &revoked.actor),
        ("token.revoke", &Some(made.id), &actor())
    );
}

/// By id, downwards.
pub async fn tokens_are_listed_newest_first(harness: &dyn AccessHarness) {
    let (_, store) = harness.open().await;
    let mut made = Vec::new();
    for number in 1..=5 {
        made.push(make(&store, number).await);
    }
    made.reverse();
    let (mut seen, mut page) = (Vec::new(), PageRequest { after: None, limit: 2 });
    loop {
        let found = store.tokens(&page).await.expect("tokens");
        seen.extend(found.items);
        let Some(after) = found.next else { break };
        page.after = Some(after);
    }
    assert_eq!(seen, made);
}

/// Of unknown tokens nothing is noted.
pub async fn uses_move_forward_only(harness: &dyn AccessHarness) {
    let (_, store) = harness.open().await;
    let (one, two) = (make(&store, 1).await, make(&store, 2).await);
    let used = |token: &ApiToken, second| TokenUse { id: token.id.clone(), at: at(second) };
    let unknown = TokenUse { id: TokenId::first(), at: at(5) };
    for uses in [vec![used(&one, 5), unknown, used(&two, 6)], vec![used(&one, 4)], vec![]] {
        store.note_token_uses(&uses).await.expect("noted");
    }
    for (token, second) in [(&one, 5), (&two, 6)] {
        let read = store.token(&token.id).await.expect("token").expect("it is there");
        assert_eq!(read, ApiToken { last_used_at: Some(at(second)), ..token.clone() });
    }
    assert_eq!(all(&store).await.len(), 2, "uses are no changes");
}

async fn next_token(feed: &mut dyn ChangeFeed) -> TokenChange {
    let wanted = async {
        loop {
            if let Notice::TokenChanged(change) = feed.next().await {
                break change;
            }
        }
    };
    tokio::time::timeout(NEVER, wanted).await.expect("a token that changed is told of")
}

/// What is made and what is revoked, each after its commit; other handles are told where the store says so.
pub async fn tokens_are_told_of(harness: &dyn AccessHarness) {
    let ((feed, store), (other, _)) = (harness.open().await, harness.open().await);
    let (mut feed, mut other) = (feed.changes(), other.changes());
    let made = make(&store, 1).await;
    let told = TokenChange { token_id: made.id.clone(), digest: made.digest };
    assert_eq!(next_token(&mut *feed).await, told);
    store.revoke_token(&made.id, &actor(), at(1)).await.expect("revoke");
    assert_eq!(next_token(&mut *feed).await, told);
    if harness.hears_other_handles() {
        assert_eq!([next_token(&mut *other).await, next_token(&mut *other).await], [told.clone(), told]);
    }
}

/// Of many that revoke at once, one does.
pub async fn racing_revocations_are_written_once(harness: &dyn AccessHarness) {
    let handles = [harness.open().await.1, harness.open().await.1];
    let made = make(&handles[0], 1).await;
    let mut racing = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (store, id) = (Arc::clone(&handles[number % 2]), made.id.clone());
        let now = at(i64::try_from(number).expect("few"));
        racing.spawn(async move { store.revoke_token(&id, &actor(), now).await.expect("revoke") });
    }
    let times: BTreeSet<_> =
        racing.join_all().await.into_iter().map(|token| token.expect("it is there").revoked_at).collect();
    assert_eq!(times.len(), 1, "all are told of one revocation");
    assert_eq!(all(&handles[1]).await.len(), 2);
}

/// In the commit of the change; each as the core made it.
pub async fn changes_are_written_with_the_actor(harness: &dyn AccessHarness) {
    let ((licenses, store), (_, other)) = (harness.open().await, harness.open().await);
    let mut spec = spec("small");
    spec.metadata = Metadata::from_json(json!({ "order": "A-17" })).expect("metadata");
    let new = new_license(&spec).audited(&actor());
    assert_eq!(licenses.create(&new).await.expect("create"), Created::New);
    let id = &new.license.id;
    let rotate = Command::RotateKey { digest: fresh_digest(), sealed: SealedKey::from_bytes(vec![1]) };
    for command in
        [activate(Some("a.com"), None), Command::Suspend, Command::Reinstate, rotate, Command::Revoke]
    {
        ask(&licenses, id, &command, Some(actor())).await;
    }
    for store in [&store, &other] {
        let entries = all(store).await;
        let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
        let expected = [
            "license.revoke",
            "license.rotate_key",
            "license.reinstate",
            "license.suspend",
            "activation.create",
            "license.create",
        ];
        assert_eq!(actions, expected);
        assert!(entries.iter().all(|entry| entry.actor == actor() && entry.license_id.as_ref() == Some(id)));
        assert_eq!(entries.last(), new.audit.as_ref());
        assert_eq!(json!(entries[0].changes), json!({ "state": { "before": "active", "after": "revoked" } }));
    }
}

/// Neither what has no actor, nor what changes nothing, nor what is denied.
pub async fn what_nobody_did_is_not_written(harness: &dyn AccessHarness) {
    let (licenses, store) = harness.open().await;
    let new = new_license(&spec("small"));
    licenses.create(&new).await.expect("create");
    let id = &new.license.id;
    ask(&licenses, id, &activate(Some("a.com"), None), None).await;
    ask(&licenses, id, &Command::Reinstate, Some(actor())).await;
    ask(&licenses, id, &Command::Revoke, None).await;
    ask(&licenses, id, &Command::Suspend, Some(actor())).await;
    assert_eq!(all(&store).await, []);
}

/// Nor is a request that made its license before, or whose id is taken.
pub async fn a_repeated_request_is_not_written(harness: &dyn AccessHarness) {
    let (licenses, store) = harness.open().await;
    let (mut first, mut second) = (new_license(&spec("small")), new_license(&spec("small")));
    let key = IdempotencyKey::parse("order 1").expect("a key");
    for new in [&mut first, &mut second] {
        new.idempotency = Some(Idempotency { key: key.clone(), request: [1; 32] });
    }
    let (first, second) = (first.audited(&actor()), second.audited(&actor()));
    licenses.create(&first).await.expect("create");
    assert_eq!(licenses.create(&second).await.expect("create"), Created::Before(first.license.id.clone()));
    let mut taken = new_license(&spec("small")).audited(&actor());
    taken.license.id = first.license.id.clone();
    licenses.create(&taken).await.expect_err("taken");
    assert_eq!(all(&store).await.len(), 1);
}

/// Each part alone, and pages.
pub async fn entries_pass_the_filter(harness: &dyn AccessHarness) {
    let (licenses, store) = harness.open().await;
    let made = make(&store, 1).await;
    let new = new_license(&spec("small")).audited(&Actor::new(Who::CommandLine));
    licenses.create(&new).await.expect("create");
    ask(&licenses, &new.license.id, &Command::Revoke, Some(actor())).await;
    store.revoke_token(&made.id, &Actor::new(Who::Named("me".to_owned())), at(100)).await.expect("revoke");
    let every = all(&store).await;
    assert_eq!(every.len(), 4);
    let none = AuditFilter::default;
    for filter in [
        AuditFilter { license_id: Some(new.license.id.clone()), ..none() },
        AuditFilter { token_id: Some(made.id.clone()), ..none() },
        AuditFilter { token_id: actor().who.token_id().cloned(), ..none() },
        AuditFilter { action: Some("license.revoke".to_owned()), ..none() },
        AuditFilter { from: Some(at(60)), ..none() },
        AuditFilter { to: Some(at(60)), ..none() },
        AuditFilter { from: Some(at(2)), to: Some(at(100)), ..none() },
        AuditFilter { action: Some("license.revoke".to_owned()), from: Some(at(61)), ..none() },
    ] {
        let expected: Vec<_> = every.iter().filter(|entry| filter.admits(entry)).cloned().collect();
        assert_eq!(audit(&store, &filter).await, expected, "{filter:?}");
    }
    let (mut seen, mut page) = (Vec::new(), PageRequest { after: None, limit: 3 });
    loop {
        let found = store.audit(&none(), &page).await.expect("audit");
        seen.extend(found.items.into_iter().map(|audited| audited.entry));
        let Some(after) = found.next else { break };
        page.after = Some(after);
    }
    assert_eq!(seen, every);
}

/// The oldest first, so many at most.
pub async fn old_entries_are_forgotten_in_batches(harness: &dyn AccessHarness) {
    let (_, store) = harness.open().await;
    for number in 1..=5 {
        make(&store, number).await;
    }
    for (forgotten, left) in [(2, 3), (1, 2), (0, 2)] {
        assert_eq!(store.forget_audit(at(4), 2).await.expect("forget"), forgotten);
        assert_eq!(all(&store).await.len(), left);
    }
    assert_eq!(all(&store).await.iter().map(|entry| entry.at).collect::<Vec<_>>(), [at(5), at(4)]);
}

/// From the licenses, their events, and all entries; of others nothing.
pub async fn a_customer_is_erased(harness: &dyn AccessHarness) {
    let ((licenses, store), (others, other)) = (harness.open().await, harness.open().await);
    let email = |text: &str| CustomerEmail::parse(text).expect("an address");
    let erasure = Erasure { email: email("me@example.com"), anonymous: email("x@erased.invalid") };
    let issue = async |customer: &str, order: &str| {
        let mut spec = spec("small");
        spec.customer_email = email(customer);
        spec.metadata = Metadata::from_json(json!({ "order": order })).expect("metadata");
        let mut new = new_license(&spec).audited(&actor());
        // As events are that show their license.
        new.events[0].data =
            json!({ "license": { "customer_email": customer, "metadata": { "order": order } } });
        licenses.create(&new).await.expect("create");
        new.license
    };
    let (mine, longer) = (issue("me@example.com", "A-17").await, issue("me@example.com.org", "B-18").await);
    let given = issue("me@example.com", "A-19").await;
    let change = license_core::command::LicenseChange {
        customer_email: Some(email("other@example.com")),
        metadata: Some(Metadata::from_json(json!({ "order": "B-20" })).expect("metadata")),
        ..Default::default()
    };
    ask(&licenses, &given.id, &Command::Change(change), Some(actor())).await;
    ask(&licenses, &given.id, &Command::Revoke, Some(actor())).await;
    let before = all(&store).await.len();
    for license in [&mine, &longer, &given] {
        ask(&licenses, &license.id, &Command::Anonymise(erasure.clone()), Some(actor())).await;
    }
    let entry = AuditEntry::of_erasure(&erasure, 1, &actor(), at(61));
    store.erase_customer(&erasure, &entry).await.expect("erase");

    let entries = all(&other).await;
    assert_eq!(entries.len(), before + 2, "of the license that was the customer's, and of the whole");
    assert_eq!(entries[0], entry);
    let mut text = format!("{entries:?}");
    for license in [&mine, &longer, &given] {
        let read = others.license(&license.id).await.expect("license").expect("it is there").license;
        text += &json!([read.customer_email.as_str(), read.metadata]).to_string();
        for event in others.events(&license.id, 0, 100).await.expect("events") {
            text += &event.data.to_string();
        }
    }
    for trace in ["\"me@example.com\"", "A-17", "A-19"] {
        assert!(!text.contains(trace), "{trace} is left: {text}");
    }
    for kept in ["\"me@example.com.org\"", "B-18", "\"other@example.com\"", "B-20", "x@erased.invalid"] {
        assert!(text.contains(kept), "{kept} is gone: {text}");
    }
}
