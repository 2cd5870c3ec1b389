//! Cases for commands on signing keys.

use license_core::key::SealedSecret;
use license_core::signing::{
    NewSigningKey, SigningKeyCommand, SigningKeyContext, SigningKeyDenial, SigningKeyOutcome, SigningKeyPair,
    SigningKeySet, SigningKeyState,
};

use crate::conformance::audit::entries::{actor, all_entries};
use crate::conformance::prelude::*;

fn new_key(seed: usize) -> NewSigningKey {
    let seed = u8::try_from(seed).expect("few keys");
    let public = SigningKeyPair::from_seed(&[seed; 32]).public();
    NewSigningKey { public, sealed: SealedSecret::from_bytes(vec![seed; 72]) }
}

fn start(first: usize) -> SigningKeyCommand {
    SigningKeyCommand::Start { active: new_key(first), next: new_key(first + 1) }
}

fn rotate(next: usize) -> SigningKeyCommand {
    SigningKeyCommand::Rotate { next: new_key(next), force: true }
}

async fn execute(store: &Handle, command: &SigningKeyCommand) -> SigningKeyOutcome {
    let context = SigningKeyContext { now: at(60), by: Some(Arc::new(actor())) };
    ok!(store.signing_keys().execute_signing_keys(command, &context))
}

/// Executes a command that is allowed, and returns the keys after it.
async fn changed(store: &Handle, command: &SigningKeyCommand) -> Arc<SigningKeySet> {
    match execute(store, command).await {
        SigningKeyOutcome::Done(set) => set,
        SigningKeyOutcome::Denied(denial) => panic!("{command:?} is done, not denied: {denial}"),
    }
}

async fn loaded(store: &Handle) -> SigningKeySet {
    ok!(store.signing_keys().load_signing_keys(u64::MAX)).expect("keys of another revision")
}

/// Every handle reads each field, after each command. The keys are read only if they have changed.
pub async fn every_field_of_a_signing_key_is_stored(Handles { store, other, .. }: &Handles) {
    assert_eq!(loaded(store).await, SigningKeySet::default(), "a new database has no keys");
    let first = new_key(1).public.id();
    for command in [
        start(1),
        rotate(3),
        SigningKeyCommand::Import(new_key(4)),
        SigningKeyCommand::Revoke { id: first, next: new_key(5) },
        SigningKeyCommand::Retire,
        rotate(6),
    ] {
        let before = loaded(store).await.revision();
        let after = changed(store, &command).await;
        assert_eq!(loaded(other).await, *after, "after {command:?}");
        let known = ok!(other.signing_keys().load_signing_keys(after.revision()));
        assert_eq!(known, None, "its revision is known");
        assert!(after.revision() <= before + 1);
    }
    let unknown = SigningKeyCommand::Revoke { id: new_key(9).public.id(), next: new_key(10) };
    let before = loaded(store).await;
    let denied = SigningKeyDenial::NotFound { id: new_key(9).public.id() };
    assert_eq!(execute(store, &unknown).await, SigningKeyOutcome::Denied(denied));
    assert_eq!(loaded(other).await, before, "a denied command changes nothing");
}

/// Nodes that start at once all get the keys of the first one.
pub async fn racing_starts_agree_on_signing_keys(Handles { both: handles, .. }: &Handles) {
    let sets =
        race(handles, 12, |task, store| async move { changed(&store, &start(1 + 2 * task)).await }).await;
    for set in &sets {
        assert_eq!(set, &sets[0]);
        assert_eq!(set.keys().len(), 2);
    }
    assert_eq!(loaded(&handles[1]).await, *sets[0]);
}

/// Of racing rotations, each has its effect, and one key is active at the end.
pub async fn racing_rotations_are_all_made(Handles { both: handles, .. }: &Handles) {
    changed(&handles[0], &start(1)).await;
    race(handles, 12, |task, store| async move { changed(&store, &rotate(3 + task)).await }).await;
    let set = loaded(&handles[1]).await;
    assert_eq!((set.keys().len(), set.revision()), (14, 13));
    let count = |state| set.keys().iter().filter(|key| key.state == state).count();
    assert_eq!((count(SigningKeyState::Active), count(SigningKeyState::Next)), (1, 1));
}

/// A change has one audit entry and one notice; one that changes nothing has none.
pub async fn signing_key_changes_are_audited_and_announced(Handles { store, other, scope, .. }: &Handles) {
    changed(store, &start(1)).await;
    let listener = if *scope == StreamScope::AllHandles { other } else { store };
    let mut stream = listener.changes();
    assert_eq!(all_entries(store.audit()).await, [], "the first keys are not audited");
    changed(store, &SigningKeyCommand::Retire).await;
    changed(store, &rotate(3)).await;
    let entries = all_entries(store.audit()).await;
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["signing_key.rotate"]);
    assert_eq!(entries[0].changes.len(), 3, "the state of each key: {:?}", entries[0].changes);
    if scope.has_stream() {
        let select = |notice| (notice == ChangeNotice::SigningKeysChanged).then_some(());
        next_notice(&mut *stream, select).await;
    }
}
