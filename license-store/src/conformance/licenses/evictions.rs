//! Cases for devices that lose their slot because they were not seen.

use super::slots::{CALLERS, ROUNDS};
use crate::conformance::prelude::*;

/// Returns the devices that hold a slot, oldest first.
pub(in crate::conformance) async fn devices(store: &Handle, id: &LicenseId) -> Vec<String> {
    let found = detail(store, id).await;
    assert_counts(&found);
    found.devices.into_iter().map(|held| held.binding.value().to_owned()).collect()
}

/// A valid validation of a device.
pub(in crate::conformance) fn seen(id: &LicenseId, device: &str, when: i64) -> Validation {
    Validation { claim: claim(None, Some(device)), ..validation(id, when, VALID) }
}

pub(in crate::conformance) async fn record(store: &Handle, validations: &[Validation]) {
    ok!(store.record(validations, None));
}

/// If the plan evicts, a new device takes the slot of the least recently seen device. All recorded
/// validations count.
pub async fn new_device_evicts_least_recently_seen(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("roaming")).await;
    let id = &license.id;
    for (when, name) in [(61, "a"), (62, "b")] {
        ask_at(store, id, &activate(None, Some(name)), at(when)).await.expect("free");
    }
    record(other, &[seen(id, "a", 63)]).await;
    let expected = [("c", ["a", "c"]), ("d", ["c", "d"]), ("e", ["d", "e"])];
    for (when, (name, left)) in (70..).zip(expected) {
        ask_at(store, id, &activate(None, Some(name)), at(when)).await.expect("it evicts");
        let held = devices(other, id).await;
        assert_eq!(held, left, "{name} evicts the least recently seen device");
    }
    let seen_twice = ask_at(store, id, &activate(None, Some("e")), at(80)).await.expect("held");
    assert_eq!(seen_twice.devices_used, 2, "a device that holds a slot evicts none");
}

/// Racing new devices on a full license each get a slot, and no more devices than slots remain.
pub async fn evictions_never_oversell(Handles { both: handles, .. }: &Handles) {
    for round in 0..ROUNDS {
        for slots in [1, 3_u32] {
            let license = issue(
                &handles[0],
                &LicenseSpec { max_devices: Some(Limit::AtMost(slots)), ..spec("roaming") },
            )
            .await;
            for n in 0..slots {
                ask(&handles[0], &license.id, &activate(None, Some(&format!("before {n}"))))
                    .await
                    .expect("free");
            }
            let won = race(handles, CALLERS, |task, store| {
                let (id, command) = (license.id.clone(), activate(None, Some(&format!("new {task}"))));
                async move { ask(&store, &id, &command).await.map(|license| license.devices_used) }
            })
            .await;
            let message = format!("round {round}: {CALLERS} racing claims of new devices on {slots} slots");
            assert!(won.iter().all(|used| *used == Ok(slots.into())), "{message}: {won:?}");
            let held = devices(&handles[1], &license.id).await;
            assert_eq!(held.len(), slots as usize, "{message}: {held:?}");
            assert!(held.iter().all(|name| name.starts_with("new")), "{message}: {held:?}");
        }
    }
}

/// An idle device is released once, or a validation that was recorded before keeps it.
pub async fn idle_release_races_with_validations(Handles { both: handles, .. }: &Handles) {
    let day = 86_400;
    for round in 0..ROUNDS * 2 {
        let license = issue(&handles[0], &spec("roaming")).await;
        ask(&handles[0], &license.id, &activate(None, Some("d"))).await.expect("free");
        let recorded = Arc::new(AtomicBool::new(false));
        let swept = race(handles, 8, |task, store| {
            let (id, recorded) = (license.id.clone(), Arc::clone(&recorded));
            async move {
                if task == 0 {
                    record(&store, &[seen(&id, "d", 40 * day)]).await;
                    recorded.store(true, Ordering::SeqCst);
                    return false;
                }
                let seen_before = recorded.load(Ordering::SeqCst);
                let released = ask_at(&store, &id, &Command::ReleaseIdle, at(40 * day)).await.is_ok();
                let why = "a device was released as idle after its validation was acknowledged";
                assert!(!(released && seen_before), "round {round}: {why}");
                released
            }
        })
        .await;
        let times = swept.iter().filter(|released| **released).count();
        let held = devices(&handles[1], &license.id).await;
        assert!(times <= 1, "round {round}: one slot was released {times} times");
        assert!(held.is_empty() == (times == 1), "round {round}: released {times} times, held by {held:?}");
        let late = ask_at(&handles[1], &license.id, &Command::ReleaseIdle, at(40 * day)).await;
        assert_eq!(late.err(), Some(DenialCode::ActivationNotFound), "a device that stayed was seen");
        if let Some(activations) = &handles[0].activations {
            let page = activations.list_activations(&license.id, None, &PageRequest::default()).await;
            let counted = page.expect("a page").items.first().map_or(1, |held| held.last_seen.validations);
            assert_eq!(counted, 1, "the validation of a device that stayed is counted");
        }
    }
}
