//! Races for slots, through two handles.

use crate::conformance::prelude::*;

/// More than any pool has connections.
pub(in crate::conformance) const CALLERS: usize = 24;

pub(in crate::conformance) const ROUNDS: usize = 5;

/// Lets `CALLERS` claims race for the slots of a license, each with its own domain or device.
async fn race_for_slots(
    Handles { both: handles, .. }: &Handles,
    full: DenialCode,
    kind: &str,
    claim: impl Fn(usize) -> Command,
) {
    for round in 0..ROUNDS {
        for slots in [1, 3, 7_u32] {
            let license = issue_with_slots(&handles[0], slots).await;
            let won = race(handles, CALLERS, |task, store| {
                let (id, command) = (license.id.clone(), claim(task));
                async move { ask(&store, &id, &command).await }
            })
            .await;
            let wins = won.iter().filter(|result| result.is_ok()).count();
            let message = format!("{wins} of {CALLERS} racing claims won a {slots}-slot license");
            assert_eq!(wins, slots as usize, "round {round}: {message} ({kind})");
            assert!(won.iter().all(|result| result.is_ok() || *result == Err(full)), "{won:?}");
            let detail = detail(&handles[1], &license.id).await;
            assert_counts(&detail);
            assert_eq!(detail.domains.len() + detail.devices.len(), slots as usize, "{message}");
        }
    }
}

/// Exactly as many domains get a slot as there are slots.
pub async fn domains_are_never_oversold_nor_undersold(stores: &Handles) {
    race_for_slots(stores, DenialCode::DomainLimitReached, "domains", |task| {
        activate(Some(&format!("d{task}.com")), None)
    })
    .await;
}

/// Exactly as many devices get a slot as there are slots.
pub async fn devices_are_never_oversold_nor_undersold(stores: &Handles) {
    race_for_slots(stores, DenialCode::DeviceLimitReached, "devices", |task| {
        activate(None, Some(&format!("device {task}")))
    })
    .await;
}

/// Each of many licenses has one winner, with its own domain and events. The winner needs no second slot.
pub async fn concurrent_claims_stay_on_their_license(Handles { both: handles, .. }: &Handles) {
    let most = CALLERS / 3;
    for _ in 0..ROUNDS {
        let mut licenses = Vec::new();
        for _ in 0..most {
            licenses.push(issue_with_slots(&handles[0], 1).await);
        }
        let won = race(handles, CALLERS, |task, store| {
            let (id, domain) = (licenses[task % most].id.clone(), format!("d{task}.com"));
            async move { ask(&store, &id, &activate(Some(&domain), None)).await.is_ok().then_some(domain) }
        })
        .await;
        for (number, license) in licenses.iter().enumerate() {
            let winners: Vec<_> = won.iter().skip(number).step_by(most).flatten().collect();
            let found = detail(&handles[1], &license.id).await;
            assert_counts(&found);
            let held: Vec<_> = found.domains.iter().map(|held| held.binding.value()).collect();
            assert_eq!(winners, held, "the winner of a 1-slot license holds its slot");
            if let Some(events) = license_events(&handles[0], &license.id, 1).await {
                assert_eq!(types(&events), ["license.activated", "activation.created"]);
                assert_eq!((events[0].sequence, events[1].sequence), (2, 3));
                assert_eq!(events[1].data["activation"]["name"], *held[0]);
                assert_eq!(events[1].data["license"]["domains"], serde_json::json!(held));
            }
        }
        let again = race(handles, most, |task, store| {
            let id = licenses[task].id.clone();
            let domain = won.iter().skip(task).step_by(most).flatten().next().cloned().unwrap_or_default();
            async move { ask(&store, &id, &activate(Some(&domain), None)).await }
        })
        .await;
        assert!(again.iter().all(Result::is_ok), "a domain that holds a slot: {again:?}");
    }
}

/// A claim for a domain and a device takes both slots or none.
pub async fn domain_and_device_are_claimed_together(Handles { both: handles, .. }: &Handles) {
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 3).await;
        let won = race(handles, CALLERS, |task, store| {
            let (id, name) = (license.id.clone(), format!("d{task}.com"));
            async move { ask(&store, &id, &activate(Some(&name), Some(&name))).await.is_ok().then_some(name) }
        })
        .await;
        let mut won: Vec<_> = won.into_iter().flatten().collect();
        let found = detail(&handles[1], &license.id).await;
        let values = |activations: &[Activation]| {
            let mut values: Vec<_> = activations.iter().map(|held| held.binding.value().to_owned()).collect();
            values.sort();
            values
        };
        won.sort();
        assert_eq!(won.len(), 3, "3 slots of each kind, 3 winners");
        assert_eq!((values(&found.domains), values(&found.devices)), (won.clone(), won));
    }
}

/// Concurrent first calls from one domain and device take one slot of each, and write one event of each.
pub async fn repeated_claim_takes_one_slot(Handles { both: handles, .. }: &Handles) {
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 7).await;
        let won = race(handles, CALLERS, |_, store| {
            let id = license.id.clone();
            async move { ask(&store, &id, &activate(Some("a.com"), Some("d"))).await }
        })
        .await;
        assert!(won.iter().all(Result::is_ok), "{won:?}");
        let found = detail(&handles[1], &license.id).await;
        assert_counts(&found);
        assert_eq!((found.domains.len(), found.devices.len()), (1, 1));
        if let Some(events) = license_events(&handles[1], &license.id, 1).await {
            assert_eq!(types(&events), ["license.activated", "activation.created", "activation.created"]);
        }
    }
}

/// One of many concurrent releases of an activation frees its slot.
pub async fn racing_releases_free_one_slot(Handles { both: handles, .. }: &Handles) {
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 7).await;
        for name in ["d1", "d2"] {
            ask(&handles[0], &license.id, &activate(None, Some(name))).await.expect("free");
        }
        let held = detail(&handles[0], &license.id).await.devices.remove(0).id;
        let released = race(handles, CALLERS, |_, store| {
            let (id, command) = (license.id.clone(), Command::Release(held.clone()));
            async move { ask(&store, &id, &command).await }
        })
        .await;
        let wins = released.iter().filter(|result| result.is_ok()).count();
        assert_eq!(wins, 1, "{wins} of {CALLERS} racing releases freed one slot");
        let found = detail(&handles[1], &license.id).await;
        assert_counts(&found);
        assert_eq!(found.devices.len(), 1);
    }
}

/// Concurrent claims and releases never exceed the slots, and counts equal activations.
pub async fn claims_and_releases_keep_counts_exact(Handles { both: handles, .. }: &Handles) {
    let license = issue_with_slots(&handles[0], 3).await;
    let taken = race(handles, CALLERS, |task, store| {
        let (id, name) = (license.id.clone(), format!("d{task}"));
        async move {
            let mut taken = 0;
            for _ in 0..5 {
                if ask(&store, &id, &activate(None, Some(&name))).await.is_ok() {
                    taken += 1;
                    let held = detail(&store, &id).await;
                    assert!(held.devices.len() <= 3, "{} devices in 3 slots", held.devices.len());
                    assert_counts(&held);
                    let mine = held.devices.into_iter().find(|device| device.binding.value() == name);
                    let mine = mine.expect("a granted device holds its slot");
                    ask(&store, &id, &Command::Release(mine.id)).await.expect("mine to release");
                }
            }
            taken
        }
    })
    .await;
    let found = detail(&handles[1], &license.id).await;
    assert_counts(&found);
    assert_eq!(found.devices.len(), 0, "all were released");
    let taken: usize = taken.iter().sum();
    if let Some(events) = license_events(&handles[1], &license.id, 0).await {
        assert_eq!(events.len(), 2 + 2 * taken, "created, activated, and two events of each claim");
    }
}
