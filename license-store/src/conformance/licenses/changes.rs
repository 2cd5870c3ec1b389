//! Cases for `changes`. They check nothing if the store has no change stream.

use crate::conformance::prelude::*;

/// Returns the next change of a license. Ignores other licenses and missed notices.
async fn next_of(stream: &mut dyn ChangeStream, license: &License) -> LicenseChanged {
    let select = |notice| match notice {
        ChangeNotice::LicenseChanged(change) if change.license_id == license.id => Some(change),
        _ => None,
    };
    next_notice(stream, select).await
}

/// Returns the change to a version. Earlier changes may be announced late to a new listener.
async fn next_to(version: u64, stream: &mut dyn ChangeStream, license: &License) -> LicenseChanged {
    loop {
        let change = next_of(stream, license).await;
        assert!(change.version <= version, "version {version} of {} is announced", license.id);
        if change.version == version {
            return change;
        }
    }
}

/// Each change is announced after its commit, with license, key and version. Denials and validations are not.
pub async fn every_change_is_announced(Handles { store, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    let mut stream = store.changes();
    assert_eq!(store.stream_state(), StreamState::Listening);
    let license = issue(store, &spec("small")).await;
    let change =
        |version| LicenseChanged { license_id: license.id.clone(), key_digest: license.key_digest, version };
    assert_eq!(next_of(&mut *stream, &license).await, change(1), "a new license");
    ask(store, &license.id, &activate(Some("a.com"), None)).await.expect("free");
    assert_eq!(next_of(&mut *stream, &license).await, change(2), "an activation");
    ok!(store.record(&[validation(&license.id, 1, VALID)], None));
    ask(store, &license.id, &Command::Reinstate).await.expect("nothing to do");
    ask(store, &license.id, &Command::Revoke).await.expect("active");
    assert_eq!(next_of(&mut *stream, &license).await, change(3), "a revocation, and nothing before it");
    ask(store, &license.id, &Command::Suspend).await.expect_err("revoked");
    let mut second = new_license(&spec("small"));
    second.license.key_digest = license.key_digest;
    store.create(&second).await.expect_err("the key is taken");
    let last = issue(store, &spec("small")).await;
    let next = tokio::time::timeout(NOTICE_TIMEOUT, stream.next()).await.expect("the last is announced");
    let expected = LicenseChanged { license_id: last.id.clone(), key_digest: last.key_digest, version: 1 };
    assert_eq!(next, ChangeNotice::LicenseChanged(expected), "denials are not announced");
}

/// A rotation is announced for the old key and for the new one.
pub async fn rotation_is_announced_for_both_keys(Handles { store, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    let license = issue(store, &spec("small")).await;
    let mut stream = store.changes();
    let digest = fresh_digest();
    let command = Command::RotateKey { digest, sealed: SealedKey::from_bytes(vec![1]), release: false };
    ask(store, &license.id, &command).await.expect("active");
    let mut found = [
        next_to(2, &mut *stream, &license).await.key_digest,
        next_to(2, &mut *stream, &license).await.key_digest,
    ];
    found.sort();
    let mut expected = [license.key_digest, digest];
    expected.sort();
    assert_eq!(found, expected);
}

/// A change is announced on other handles if `Harness::stream_scope` includes them.
pub async fn change_is_announced_on_other_handles(Handles { store, other, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    let license = issue(store, &spec("small")).await;
    let (mut own, mut stream) = (store.changes(), other.changes());
    ask(store, &license.id, &Command::Revoke).await.expect("active");
    next_to(2, &mut *own, &license).await;
    if *scope == StreamScope::AllHandles {
        let LicenseChanged { key_digest, .. } = next_to(2, &mut *stream, &license).await;
        assert_eq!(key_digest, license.key_digest, "announced on another handle");
    }
}

/// Each listener receives every change from its start on.
pub async fn each_listener_receives_all_changes(Handles { store, scope, .. }: &Handles) {
    if !scope.has_stream() {
        return;
    }
    let license = issue(store, &spec("small")).await;
    let mut early = store.changes();
    ask(store, &license.id, &Command::Suspend).await.expect("active");
    next_to(2, &mut *early, &license).await;
    let mut late = store.changes();
    ask(store, &license.id, &Command::Reinstate).await.expect("suspended");
    next_to(3, &mut *early, &license).await;
    next_to(3, &mut *late, &license).await;
}
