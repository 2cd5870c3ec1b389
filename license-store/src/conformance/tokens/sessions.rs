//! Cases for sessions and one-time links.

use super::store::{assert_audited, make};
use crate::conformance::audit::entries::{actor, all_entries};
use crate::conformance::prelude::*;

fn id(number: u8) -> TokenId {
    TokenId::parse(&format!("tok_{number:03}")).expect("an id")
}

fn new_link(number: u8, parent: &ApiToken, seconds: i64) -> NewLink {
    let digest = TokenDigest::from_bytes([number; 32]);
    NewLink { id: id(number), digest, parent: parent.id.clone(), by: actor(), at: at(seconds) }
}

fn new_session(number: u8, opener: SessionOpener, seconds: i64) -> NewSession {
    let (request_id, address) = (Some("request-7".to_owned()), "192.0.2.7".parse().ok());
    let digest = TokenDigest::from_bytes([number; 32]);
    NewSession { id: id(number), digest, opener, request_id, address, at: at(seconds) }
}

async fn link(store: &Handle, number: u8, parent: &ApiToken) -> ApiToken {
    let link = ok!(store.tokens().create_link(&new_link(number, parent, 10)));
    link.expect("the parent is active")
}

async fn session(store: &Handle, number: u8, parent: &ApiToken) -> ApiToken {
    let new = new_session(number, SessionOpener::Token(parent.id.clone()), 10);
    ok!(store.tokens().open_session(&new)).expect("the parent is active")
}

async fn get(store: &Handle, token: &ApiToken) -> ApiToken {
    ok!(store.tokens().get_token(&token.id)).expect("the token exists")
}

/// Every handle reads each field of a link and of a session, by id, by digest and in lists.
pub async fn link_and_session_are_stored_unchanged(Handles { store, other, .. }: &Handles) {
    let parent = make(store, 1).await;
    let (new_link, opener) = (new_link(2, &parent, 10), SessionOpener::Token(parent.id.clone()));
    let new_session = new_session(3, opener, 11);
    let expected_link = new_link.decide(&parent).expect("the parent is active");
    let expected = new_session.decide(None, &parent).expect("the parent is active").session;
    assert_eq!(ok!(store.tokens().create_link(&new_link)), Some(expected_link.token.clone()));
    assert_eq!(ok!(store.tokens().open_session(&new_session)), Some(expected.token.clone()));
    for store in [store, other] {
        for token in [&expected_link.token, &expected.token] {
            assert_eq!(get(store, token).await, *token);
            assert_eq!(ok!(store.tokens().find_token_by_digest(&token.digest)).as_ref(), Some(token));
        }
        let listed = all_pages!(2, |page| store.tokens().list_tokens(&page));
        assert_eq!(listed, [expected.token.clone(), expected_link.token.clone(), parent.clone()]);
    }
    let Some(audit) = &store.audit else { return };
    let entries = all_entries(&**audit).await;
    assert_eq!(entries[..2], [expected.audit, expected_link.audit]);
}

/// A link is used up in the commit that opens its session.
pub async fn link_opens_one_session(Handles { store, other, .. }: &Handles) {
    let parent = make(store, 1).await;
    let link = link(store, 2, &parent).await;
    let open = |number, seconds| new_session(number, SessionOpener::Link(link.digest), seconds);
    let opened = ok!(store.tokens().open_session(&open(3, 20))).expect("the link is unused");
    assert_eq!(opened.kind, TokenKind::Session(parent.id.clone()));
    assert_eq!(get(other, &link).await, ApiToken { revoked_at: Some(at(20)), ..link.clone() });
    assert_eq!(ok!(other.tokens().open_session(&open(4, 21))), None);
    assert_eq!(ok!(other.tokens().get_token(&id(4))), None);
    assert_audited(store, 3, "of a token, a link and one session").await;
}

/// A link opens nothing after its end, and neither does an unknown one nor the digest of a token or session.
pub async fn unusable_opener_opens_nothing(Handles { store, .. }: &Handles) {
    let parent = make(store, 1).await;
    let (link, session) = (link(store, 2, &parent).await, session(store, 3, &parent).await);
    let end = link.expires_at.expect("a link ends");
    let late = NewSession { at: end, ..new_session(9, SessionOpener::Link(link.digest), 0) };
    assert_eq!(ok!(store.tokens().open_session(&late)), None, "an expired link");
    for (opener, what) in [
        (SessionOpener::Link(TokenDigest::from_bytes([8; 32])), "an unknown link"),
        (SessionOpener::Link(parent.digest), "an API token as a link"),
        (SessionOpener::Link(session.digest), "a session as a link"),
        (SessionOpener::Token(id(8)), "an unknown token"),
        (SessionOpener::Token(session.id.clone()), "a session as a token"),
        (SessionOpener::Token(link.id.clone()), "a link as a token"),
    ] {
        assert_eq!(ok!(store.tokens().open_session(&new_session(9, opener, 20))), None, "{what}");
    }
    for parent in [&session, &link, &ApiToken { id: id(8), ..link.clone() }] {
        assert_eq!(ok!(store.tokens().create_link(&new_link(9, parent, 20))), None, "{parent:?}");
    }
    assert_eq!(ok!(store.tokens().get_token(&id(9))), None);
    assert_audited(store, 3, "after refused sessions").await;
}

/// An id or digest is used once. A refused session does not use up its link.
pub async fn taken_session_is_rejected(Handles { store, .. }: &Handles) {
    let parent = make(store, 1).await;
    let link = link(store, 2, &parent).await;
    let good = new_session(3, SessionOpener::Link(link.digest), 20);
    for taken in
        [NewSession { id: id(1), ..good.clone() }, NewSession { digest: parent.digest, ..good.clone() }]
    {
        assert_error!(store.tokens().open_session(&taken).await, AlreadyExists);
    }
    let taken = NewLink { id: id(2), ..new_link(4, &parent, 20) };
    assert_error!(store.tokens().create_link(&taken).await, AlreadyExists);
    assert_audited(store, 2, "after rejected sessions").await;
    assert_eq!(get(store, &link).await, link);
    assert!(ok!(store.tokens().open_session(&good)).is_some());
}

/// A revocation ends the sessions and links of the token, and no others, on every handle.
pub async fn sessions_end_with_their_token(Handles { store, other, .. }: &Handles) {
    let (parent, bystander) = (make(store, 1).await, make(store, 2).await);
    let children = [session(store, 3, &parent).await, link(store, 4, &parent).await];
    let ended_before = session(store, 5, &parent).await;
    ok!(store.tokens().revoke_token(&ended_before.id, &actor(), at(20)));
    let unrelated = session(store, 6, &bystander).await;
    ok!(store.tokens().revoke_token(&parent.id, &actor(), at(30)));
    for child in children {
        let expected = ApiToken { revoked_at: Some(at(30)), ..child };
        assert_eq!(get(other, &expected).await, expected);
        assert_eq!(ok!(other.tokens().find_token_by_digest(&expected.digest)), Some(expected));
    }
    assert_eq!(get(other, &ended_before).await.revoked_at, Some(at(20)));
    assert_eq!(get(other, &unrelated).await, unrelated);
    assert_eq!(get(other, &bystander).await, bystander);
    let new = new_session(7, SessionOpener::Token(parent.id.clone()), 40);
    assert_eq!(ok!(other.tokens().open_session(&new)), None, "the token is revoked");
    assert_eq!(ok!(other.tokens().create_link(&new_link(7, &parent, 40))), None, "the token is revoked");
}

/// A session that ends leaves its token alone.
pub async fn ended_session_leaves_its_token(Handles { store, .. }: &Handles) {
    let parent = make(store, 1).await;
    let (first, second) = (session(store, 2, &parent).await, session(store, 3, &parent).await);
    let ended = ok!(store.tokens().revoke_token(&first.id, &actor(), at(20)));
    assert_eq!(ended, Some(ApiToken { revoked_at: Some(at(20)), ..first }));
    assert_eq!(get(store, &parent).await, parent);
    assert_eq!(get(store, &second).await, second);
}

/// One of many callers with the same link gets a session.
pub async fn racing_callers_open_one_session(Handles { both: handles, .. }: &Handles) {
    let parent = make(&handles[0], 1).await;
    for round in 0..3_u8 {
        let link = link(&handles[0], 2 + round, &parent).await;
        let opened = race(handles, 16, |task, store| {
            let number = 10 + round * 16 + u8::try_from(task).expect("few");
            let new = new_session(number, SessionOpener::Link(link.digest), 20);
            async move { ok!(store.tokens().open_session(&new)) }
        });
        let opened: Vec<_> = opened.await.into_iter().flatten().collect();
        assert_eq!(opened.len(), 1, "sessions of one link in round {round}: {opened:?}");
    }
    assert_audited(&handles[1], 7, "of a token, three links and three sessions").await;
}

/// No session and no link of a token is active after its revocation, also if they were created at the same
/// time.
pub async fn racing_revocation_leaves_no_session(Handles { both: handles, .. }: &Handles) {
    for round in 0..3_u8 {
        let parent = make(&handles[0], 1 + round).await;
        let made = race(handles, 16, |task, store| {
            let (number, parent) = (10 + round * 16 + u8::try_from(task).expect("few"), parent.clone());
            async move {
                match task % 4 {
                    0 => {
                        ok!(store.tokens().revoke_token(&parent.id, &actor(), at(20)));
                        None
                    }
                    1 => ok!(store.tokens().create_link(&new_link(number, &parent, 20))),
                    _ => {
                        let opener = SessionOpener::Token(parent.id.clone());
                        ok!(store.tokens().open_session(&new_session(number, opener, 20)))
                    }
                }
            }
        });
        for child in made.await.into_iter().flatten() {
            let ended = get(&handles[1], &child).await;
            assert_eq!(ended.revoked_at, Some(at(20)), "a child of a revoked token in round {round}");
        }
    }
}

/// The changes of a link, a session and a revocation are announced for each token, link and session.
pub async fn session_changes_are_announced(Handles { store, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    let mut stream = store.changes();
    let parent = make(store, 1).await;
    let link = link(store, 2, &parent).await;
    let new = new_session(3, SessionOpener::Link(link.digest), 20);
    let session = ok!(store.tokens().open_session(&new)).expect("the link is unused");
    ok!(store.tokens().revoke_token(&parent.id, &actor(), at(30)));
    let mut announced = Vec::new();
    for _ in 0..6 {
        let select = |notice| {
            if let ChangeNotice::TokenChanged(change) = notice { Some(change.token_id) } else { None }
        };
        announced.push(next_notice(&mut *stream, select).await);
    }
    // Notices of one commit come in any order.
    announced[2..4].sort();
    announced[4..].sort();
    let (parent, link, session) = (parent.id, link.id, session.id);
    assert_eq!(announced, [parent.clone(), link.clone(), link, session.clone(), parent, session]);
}

/// Old sessions and links are deleted in batches. Newer ones and API tokens stay.
pub async fn old_sessions_are_deleted(Handles { store, other, .. }: &Handles) {
    let parent = make(store, 1).await;
    let opener = || SessionOpener::Token(parent.id.clone());
    for (number, seconds) in [(2, 20), (3, 29), (4, 30)] {
        ok!(store.tokens().open_session(&new_session(number, opener(), seconds)));
    }
    ok!(store.tokens().create_link(&new_link(5, &parent, 21)));
    for pruned in [2, 1, 0] {
        assert_eq!(ok!(other.tokens().prune_sessions(at(30), 2)), pruned);
    }
    let left = all_pages!(10, |page| store.tokens().list_tokens(&page));
    let left: Vec<_> = left.into_iter().map(|token| token.id).collect();
    assert_eq!(left, [id(4), id(1)]);
}
