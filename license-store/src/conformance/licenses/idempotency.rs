//! Cases of idempotency keys of commands.

use crate::conformance::prelude::*;

/// The context of a command with an idempotency key.
pub(super) fn keyed(asked: Idempotency) -> CommandContext {
    CommandContext { idempotency: Some(asked), ..context(at(60)) }
}

/// A repeated command changes nothing and returns the license as it is now, even if it would be denied.
pub async fn repeated_command_has_one_effect(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let renew = async |store: &Handle, context: &CommandContext| {
        ok!(store.execute(&license.id, &Command::Renew, context))
    };
    let key = keyed(idempotency("payment 1", 1));
    let CommandOutcome::Done(renewed) = renew(store, &key).await else { panic!("the first is executed") };
    let now = async || Arc::clone(&detail(store, &license.id).await.license);
    assert_eq!(renew(store, &key).await, CommandOutcome::Repeated(Arc::clone(&renewed)));
    assert_eq!(renew(other, &key).await, CommandOutcome::Repeated(Arc::clone(&renewed)), "another handle");
    let content = renew(other, &keyed(idempotency("payment 1", 2))).await;
    assert_eq!(content, CommandOutcome::Denied(Denial::KeyReused), "another request");
    assert_eq!(now().await, renewed, "one term is added");

    let stale = CommandContext { expected_version: Some(1), ..key.clone() };
    assert_eq!(renew(store, &stale).await, CommandOutcome::Repeated(renewed), "the key precedes the version");
    let CommandOutcome::Done(again) = renew(store, &keyed(idempotency("payment 2", 1))).await else {
        panic!("another key is executed")
    };
    assert_eq!(again.version, 3);
    ask(store, &license.id, &Command::Revoke).await.expect("allowed");
    assert_eq!(renew(store, &key).await, CommandOutcome::Repeated(now().await), "after a revocation");
    if let Some(events) = license_events(store, &license.id, 0).await {
        let expected = ["license.created", "license.renewed", "license.renewed", "license.revoked"];
        assert_eq!(types(&events), expected);
    }
}

/// A repeated rotation keeps the key of the first one.
pub async fn repeated_rotation_keeps_the_first_key(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let context = keyed(idempotency("rotation", 1));
    let first = ok!(store.execute(&license.id, &rotate(), &context));
    let CommandOutcome::Done(first) = first else { panic!("the first is executed: {first:?}") };
    for store in [store, other] {
        let again = ok!(store.execute(&license.id, &rotate(), &context));
        assert_eq!(again, CommandOutcome::Repeated(Arc::clone(&first)));
        let stale = CommandContext { expected_version: Some(1), ..context.clone() };
        let again = ok!(store.execute(&license.id, &rotate(), &stale));
        assert_eq!(again, CommandOutcome::Repeated(Arc::clone(&first)), "the key precedes the version");
        let found = ok!(store.find_by_key(&first.key_digest, &Claim::default()));
        assert!(found.is_some(), "the first new key works");
    }
    let stale = expecting(Some(1));
    let denied = ok!(store.execute(&license.id, &rotate(), &stale));
    assert_eq!(denied, CommandOutcome::Denied(Denial::Stale { version: first.version }));
}

/// A denied command leaves its idempotency key unused.
pub async fn denied_command_uses_no_key(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    let stale = CommandContext { expected_version: Some(9), ..keyed(idempotency("payment", 1)) };
    let denied = ok!(store.execute(&license.id, &Command::Renew, &stale));
    assert_eq!(denied, CommandOutcome::Denied(Denial::Stale { version: 1 }));
    assert_eq!(ok!(store.find_used_key(&idempotency("payment", 1))), None);
    let done = ok!(store.execute(&license.id, &Command::Renew, &keyed(idempotency("payment", 2))));
    assert!(matches!(done, CommandOutcome::Done(_)), "{done:?}");
}

/// The oldest keys of creates and commands are deleted, in bounded batches.
pub async fn old_keys_are_pruned_in_batches(Handles { store, other, .. }: &Handles) {
    let mut new = new_license(&spec("open"));
    new.idempotency = Some(idempotency("create", 1));
    ok!(store.create(&new));
    let renew = async |key: &str, seconds| {
        let context = CommandContext { now: at(seconds), ..keyed(idempotency(key, 1)) };
        ok!(store.execute(&new.license.id, &Command::Renew, &context))
    };
    for (key, seconds) in [("a", 10), ("b", 20), ("c", 30)] {
        renew(key, seconds).await;
    }
    for pruned in [2, 1, 0] {
        assert_eq!(ok!(other.prune_used_keys(at(30), 2)), pruned);
    }
    for (key, is_used) in [("create", false), ("a", false), ("b", false), ("c", true)] {
        assert_eq!(ok!(store.find_used_key(&idempotency(key, 1))).is_some(), is_used, "{key}");
    }
    assert!(matches!(renew("c", 40).await, CommandOutcome::Repeated(_)), "a key that is kept");
    assert!(matches!(renew("a", 40).await, CommandOutcome::Done(_)), "a key that was pruned");
}
