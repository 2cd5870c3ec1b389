//! Cases of `replace_setting`.

use license_core::store::SettingChange;

use crate::conformance::audit::entries::all_entries;
use crate::conformance::prelude::*;

const NAME: &str = "a setting";

fn change(from: &[u8], to: &[u8]) -> SettingChange {
    let audit = AuditEntry::of_clock(None, at(90), &Actor::new(Principal::CommandLine));
    SettingChange { name: NAME.to_owned(), from: from.to_vec(), to: to.to_vec(), audit }
}

async fn replace(store: &Handle, from: &[u8], to: &[u8]) -> bool {
    ok!(store.transfer().replace_setting(&change(from, to)))
}

async fn put(store: &Handle, value: &[u8]) -> Vec<u8> {
    ok!(store.put_if_absent(NAME, value))
}

/// Only the value that was read is replaced, and every handle reads the new one. A missing setting stays
/// missing.
pub async fn replaced_setting_is_shared(Handles { store, other, .. }: &Handles) {
    assert!(!replace(store, b"", b"new").await, "there is no setting yet");
    assert_eq!(put(store, b"one\0\xff").await, b"one\0\xff");
    assert!(!replace(other, b"one", b"two").await, "another value");
    assert!(replace(other, b"one\0\xff", b"two").await);
    assert!(!replace(store, b"one\0\xff", b"three").await, "the value is replaced already");
    assert_eq!(put(store, b"later").await, b"two");
    let listed = ok!(store.transfer().settings_with_prefix(NAME));
    assert_eq!(listed, [(NAME.to_owned(), b"two".to_vec())]);
}

/// Of racing callers that have read the same value, one replaces it.
pub async fn racing_replacements_have_one_winner(Handles { both: handles, .. }: &Handles) {
    put(&handles[0], b"first").await;
    let won = race(handles, 12, |task, store| async move {
        let to = task.to_be_bytes();
        replace(&store, b"first", &to).await.then_some(to)
    })
    .await;
    let won: Vec<_> = won.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "{won:?} replaced one value");
    assert_eq!(put(&handles[1], b"later").await, won[0]);
}

/// The audit entry is written if the value is replaced, and only then.
pub async fn replaced_setting_is_audited(Handles { store, .. }: &Handles) {
    put(store, b"first").await;
    if store.audit.is_none() {
        return;
    }
    assert!(!replace(store, b"other", b"second").await);
    assert_eq!(all_entries(store.audit()).await, []);
    assert!(replace(store, b"first", b"second").await);
    assert_eq!(all_entries(store.audit()).await, [change(b"", b"").audit]);
}
