//! Cases for the storage of tokens.

use crate::conformance::audit::entries::{actor, all_entries};
use crate::conformance::prelude::*;

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
        kind: TokenKind::Api,
    }
}

/// Creates a token.
pub(in crate::conformance) async fn make(store: &Handle, number: u8) -> ApiToken {
    let token = token(number);
    ok!(store.tokens().create_token(&NewToken::new(token.clone(), &actor())));
    token
}

/// Asserts the number of audit entries, if the store has an audit log.
pub(super) async fn assert_audited(store: &Handle, count: usize, context: &str) {
    if let Some(audit) = &store.audit {
        assert_eq!(all_entries(&**audit).await.len(), count, "audit entries {context}");
    }
}

/// Every handle reads each field of a token, by id and by digest.
pub async fn token_is_stored_unchanged(Handles { store, other, .. }: &Handles) {
    let made = make(store, 1).await;
    for store in [store, other] {
        assert_eq!(ok!(store.tokens().get_token(&made.id)), Some(made.clone()));
        assert_eq!(ok!(store.tokens().find_token_by_digest(&made.digest)), Some(made.clone()));
    }
    let unknown = TokenDigest::from_bytes([9; 32]);
    assert_eq!(ok!(store.tokens().find_token_by_digest(&unknown)), None);
    assert_eq!(ok!(store.tokens().get_token(&TokenId::first())), None);
    if let Some(audit) = &store.audit {
        assert_eq!(all_entries(&**audit).await, [NewToken::new(made, &actor()).audit]);
    }
}

/// An id or digest is used once.
pub async fn taken_token_is_rejected(Handles { store, .. }: &Handles) {
    let made = make(store, 1).await;
    let (same_id, same_digest) = (
        ApiToken { digest: TokenDigest::from_bytes([2; 32]), ..made.clone() },
        ApiToken { id: TokenId::first(), ..made.clone() },
    );
    for taken in [same_id, same_digest] {
        assert_error!(store.tokens().create_token(&NewToken::new(taken, &actor())).await, AlreadyExists);
    }
    assert_eq!(ok!(store.tokens().get_token(&made.id)), Some(made));
    assert_audited(store, 1, "after two rejected tokens").await;
}

/// Tokens are listed by descending id, in pages.
pub async fn tokens_are_listed_newest_first(Handles { store, .. }: &Handles) {
    let mut made = Vec::new();
    for number in 1..=5 {
        made.push(make(store, number).await);
    }
    made.reverse();
    let found = all_pages!(2, |page| store.tokens().list_tokens(&page));
    assert_eq!(found, made);
}

/// The time of the last use only moves forward. Unknown tokens are ignored.
pub async fn last_use_only_moves_forward(Handles { store, .. }: &Handles) {
    let (one, two) = (make(store, 1).await, make(store, 2).await);
    let used = |token: &ApiToken, second| TokenUse { id: token.id.clone(), at: at(second) };
    let unknown = TokenUse { id: TokenId::first(), at: at(5) };
    for uses in [vec![used(&one, 5), unknown, used(&two, 6)], vec![used(&one, 4)], vec![]] {
        ok!(store.tokens().record_token_uses(&uses));
    }
    for (token, second) in [(&one, 5), (&two, 6)] {
        let read = ok!(store.tokens().get_token(&token.id)).expect("the token exists");
        assert_eq!(read, ApiToken { last_used_at: Some(at(second)), ..token.clone() });
    }
    // A clock that was a year ahead.
    for at in [at(31_536_000), at(7)] {
        ok!(store.tokens().record_token_uses(&[TokenUse { id: one.id.clone(), at }]));
        let read = ok!(store.tokens().get_token(&one.id)).expect("the token exists");
        assert_eq!(read.last_used_at, Some(at));
    }
    assert_audited(store, 2, "after uses").await;
}

async fn next_token(stream: &mut dyn ChangeStream) -> TokenChanged {
    let select = |notice| if let ChangeNotice::TokenChanged(change) = notice { Some(change) } else { None };
    next_notice(stream, select).await
}

/// New and revoked tokens are announced after the commit, on the handles of `Harness::stream_scope`.
pub async fn token_changes_are_announced(Handles { store, other, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    let (mut stream, mut other) = (store.changes(), other.changes());
    let made = make(store, 1).await;
    let change = TokenChanged { token_id: made.id.clone(), digest: made.digest };
    assert_eq!(next_token(&mut *stream).await, change);
    ok!(store.tokens().revoke_token(&made.id, &actor(), at(1)));
    assert_eq!(next_token(&mut *stream).await, change);
    if *scope == StreamScope::AllHandles {
        let found = [next_token(&mut *other).await, next_token(&mut *other).await];
        assert_eq!(found, [change.clone(), change]);
    }
}
