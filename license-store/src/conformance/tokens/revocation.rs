//! Cases for `revoke_token`.

use super::store::{assert_audited, make};
use crate::conformance::audit::entries::{actor, all_entries};
use crate::conformance::prelude::*;

/// Every handle reads a revocation at once. A second one changes nothing.
pub async fn revocation_is_final_and_audited_once(Handles { store, other, .. }: &Handles) {
    let made = make(store, 1).await;
    let expected = ApiToken { revoked_at: Some(at(10)), ..made.clone() };
    for now in [at(10), at(11)] {
        let revoked = ok!(store.tokens().revoke_token(&made.id, &actor(), now));
        assert_eq!(revoked, Some(expected.clone()));
        assert_eq!(ok!(other.tokens().find_token_by_digest(&made.digest)), Some(expected.clone()));
    }
    assert_eq!(ok!(store.tokens().revoke_token(&TokenId::first(), &actor(), at(10))), None);
    let Some(audit) = &store.audit else { return };
    let entries = all_entries(&**audit).await;
    let [revoked, _] = &entries[..] else { panic!("two entries: {entries:?}") };
    let found = (revoked.action.as_str(), &revoked.token_id, &revoked.actor);
    assert_eq!(found, ("token.revoke", &Some(made.id), &actor()));
}

/// One of many concurrent revocations is made, and all callers see its time.
pub async fn racing_revocations_are_audited_once(Handles { both: handles, .. }: &Handles) {
    let made = make(&handles[0], 1).await;
    let revoked = race(handles, 16, |task, store| {
        let (id, now) = (made.id.clone(), at(i64::try_from(task).expect("few")));
        async move { ok!(store.tokens().revoke_token(&id, &actor(), now)) }
    });
    let times: BTreeSet<_> =
        revoked.await.into_iter().map(|token| token.expect("the token exists").revoked_at).collect();
    assert_eq!(times.len(), 1, "all callers see one revocation");
    assert_audited(&handles[1], 2, "after racing revocations").await;
}
