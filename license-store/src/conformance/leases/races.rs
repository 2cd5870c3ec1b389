//! Races of leases, through two handles.

use license_core::signing::{SigningKeyCommand, SigningKeyState};

use super::fixture::{
    lease, lease_of, leases_of, loaded_keys, new_key, rotate_and_release, signing_keys, start,
};
use crate::conformance::licenses::slots::{CALLERS, ROUNDS};
use crate::conformance::prelude::*;

/// Devices that hold a slot or a lease that software accepts never exceed the limit, though callers hand
/// leases back and free their slots. No slot is lost either.
pub async fn leases_and_devices_never_exceed_the_limit(Handles { both: handles, .. }: &Handles) {
    start(&handles[0]).await;
    for _ in 0..ROUNDS {
        let license = issue(&handles[0], &spec("offline")).await;
        race(handles, CALLERS, |task, store| {
            let id = license.id.clone();
            async move { churn(&store, &id, &format!("d{task}"), task % 2 == 0).await }
        })
        .await;
        let found = detail(&handles[1], &license.id).await;
        assert_counts(&found);
        let mut devices: BTreeSet<_> = found.devices.iter().map(|held| held.id.clone()).collect();
        let slots = devices.len();
        let leases = leases_of(&handles[1], &license.id).await;
        devices.extend(leases.iter().map(|lease| lease.device.clone()));
        assert_eq!(devices.len(), slots, "each lease holds a slot: {leases:?}");
        let holders: BTreeSet<_> = leases.iter().map(|lease| lease.device.clone()).collect();
        assert_eq!((slots, holders.len()), (3, 2), "slots in use, and those that leases hold");
    }
}

/// Takes a slot or a lease, tries to give it back, and takes it again.
async fn churn(store: &Handle, id: &LicenseId, name: &str, is_offline: bool) {
    let take = if is_offline { lease(name) } else { activate(None, Some(name)) };
    let target = ActivationTarget::Binding(Binding::Device(device(name)));
    for _ in 0..2 {
        let taken = ask(store, id, &take).await;
        if let (Ok(_), true) = (taken, is_offline) {
            let own = leases_of(store, id).await.into_iter().map(|lease| lease.id);
            for lease in own {
                // That of another caller, or its own: no copy of it is known to be gone.
                let _ = ask(store, id, &Command::ReturnLease(lease)).await;
            }
        }
        let _ = ask(store, id, &Command::Deactivate(target.clone())).await;
        let _ = ask(store, id, &Command::ReleaseReturned).await;
    }
    let _ = ask(store, id, &lease(name)).await;
    let _ = ask(store, id, &take).await;
    let _ = ask(store, id, &activate(None, Some(name))).await;
}

/// A holder of a leaked key takes all slots while the vendor replaces the key. That one call frees them.
pub async fn rotation_recovers_from_a_hostile_holder(Handles { both: handles, .. }: &Handles) {
    start(&handles[0]).await;
    for _ in 0..ROUNDS {
        let license = issue(&handles[0], &spec("offline")).await;
        let rotated = Arc::new(AtomicBool::new(false));
        race(handles, 9, |task, store| {
            let (id, rotated) = (license.id.clone(), Arc::clone(&rotated));
            async move {
                if task == 0 {
                    ask(&store, &id, &rotate_and_release()).await.expect("active");
                    rotated.store(true, Ordering::SeqCst);
                    return;
                }
                // The leaked key is unknown from the rotation on.
                for n in 0.. {
                    if rotated.load(Ordering::SeqCst) || n == 5 {
                        break;
                    }
                    let _ = ask(&store, &id, &lease(&format!("x{task} {n}"))).await;
                    let _ = ask(&store, &id, &activate(None, Some(&format!("y{task} {n}")))).await;
                }
            }
        })
        .await;
        // Calls that began before the rotation may have ended after it.
        ask(&handles[1], &license.id, &rotate_and_release()).await.expect("active");
        for own in [lease("a"), lease("b"), activate(None, Some("c"))] {
            ask(&handles[0], &license.id, &own).await.expect("the customer has all slots");
        }
        let open: Vec<_> = leases_of(&handles[1], &license.id)
            .await
            .into_iter()
            .filter(|lease| lease.ended.is_none())
            .collect();
        assert_eq!(open.len(), 2, "the other leases are revoked: {open:?}");
    }
}

/// Signing keys that are replaced while leases are issued are kept until the last of these leases ends.
pub async fn signing_keys_outlive_their_leases(Handles { both: handles, .. }: &Handles) {
    start(&handles[0]).await;
    let ids = Arc::new(issue_many(&handles[0], "offline_long", 8).await);
    race(handles, 9, |task, store| {
        let ids = Arc::clone(&ids);
        async move {
            for n in 1..=8_u8 {
                if task == 0 {
                    let command = SigningKeyCommand::Rotate { next: new_key(n + 2), force: true };
                    signing_keys(&store, &command).await;
                } else {
                    for key in n..=n + 1 {
                        let _ = ask(&store, &ids[task - 1], &lease_of(claim(None, Some("a")), key)).await;
                    }
                }
            }
        }
    })
    .await;
    let keys = loaded_keys(&handles[1]).await;
    let mut issued = 0;
    for id in ids.iter() {
        for lease in leases_of(&handles[1], id).await {
            issued += 1;
            let key = keys.get(&lease.signing_key).expect("a key");
            let kept = matches!(key.state, SigningKeyState::Active | SigningKeyState::Retiring)
                && key.signed_until.is_some_and(|until| until >= lease.accepted_until());
            assert!(kept, "{} signed {} and is not kept: {key:?}", key.id, lease.id);
        }
    }
    assert!(issued > 0, "a lease was issued");
}
