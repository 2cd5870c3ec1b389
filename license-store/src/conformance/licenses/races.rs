//! Races for versions, keys and counts, through two handles.

use super::idempotency::keyed;
use super::slots::{CALLERS, ROUNDS};
use crate::conformance::prelude::*;

const SLOTS_FOR_ALL: u32 = 1_000;

/// One of many changes that expect the same version is made.
pub async fn one_change_of_a_version_wins(Handles { both: handles, .. }: &Handles) {
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], SLOTS_FOR_ALL).await;
        let changed = race(handles, CALLERS, |task, store| {
            let (id, command) = (license.id.clone(), activate(None, Some(&format!("d{task}"))));
            async move { ask_in(&store, &id, &command, &expecting(Some(1))).await }
        })
        .await;
        let wins = changed.iter().filter(|result| result.is_ok()).count();
        assert_eq!(wins, 1, "{wins} of {CALLERS} changes of version 1 were made");
        assert_eq!(detail(&handles[1], &license.id).await.license.version, 2);
    }
}

/// Once a revocation is acknowledged on any handle, no claim that begins later is granted.
pub async fn revoked_license_grants_nothing(Handles { both: handles, .. }: &Handles) {
    for _ in 0..ROUNDS {
        let license = issue_with_slots(&handles[0], 100_000).await;
        let revoked = Arc::new(AtomicBool::new(false));
        let late = race(handles, 9, |task, store| {
            let (id, revoked) = (license.id.clone(), Arc::clone(&revoked));
            async move {
                if task == 0 {
                    revoke(&store, &id, &revoked).await
                } else {
                    claim_repeatedly(&store, &id, task, &revoked).await
                }
            }
        })
        .await;
        let late: usize = late.iter().sum();
        assert_eq!(late, 0, "{late} claims that began after the revocation were granted");
        assert_counts(&detail(&handles[1], &license.id).await);
    }
}

async fn revoke(store: &Handle, id: &LicenseId, revoked: &AtomicBool) -> usize {
    for n in 0..3 {
        ask(store, id, &activate(None, Some(&format!("before {n}")))).await.expect("active");
    }
    ask(store, id, &Command::Revoke).await.expect("active");
    revoked.store(true, Ordering::SeqCst);
    0
}

/// Claims until three calls began after the revocation. Returns how many of those were granted.
async fn claim_repeatedly(store: &Handle, id: &LicenseId, task: usize, revoked: &AtomicBool) -> usize {
    let (mut after, mut late) = (0, 0);
    for n in 0.. {
        let began_after = revoked.load(Ordering::SeqCst);
        let granted = ask(store, id, &activate(None, Some(&format!("d{task} {n}")))).await.is_ok();
        if began_after {
            after += 1;
            late += usize::from(granted);
        }
        if after == 3 {
            break;
        }
        tokio::task::yield_now().await;
    }
    late
}

/// One of many creates with the same idempotency key stores its license, and all return its id.
pub async fn one_create_per_idempotency_key_wins(Handles { both: handles, .. }: &Handles) {
    for round in 0..ROUNDS {
        let asked = idempotency(&format!("order {round}"), 1);
        let created = race(handles, CALLERS, |_, store| {
            let mut new = new_license(&spec("open"));
            new.idempotency = Some(asked);
            async move { (new.license.id.clone(), ok!(store.create(&new))) }
        })
        .await;
        let winners: Vec<_> = created.iter().filter(|(_, created)| *created == Created::New).collect();
        assert_eq!(winners.len(), 1, "{} of {CALLERS} creates with one key stored a license", winners.len());
        let first = &winners[0].0;
        for (id, created) in &created {
            assert!(*created == Created::New || *created == Created::Existing(first.clone()), "{created:?}");
            let exists = ok!(handles[1].get(id)).is_some();
            assert_eq!(exists, id == first, "one license is stored");
        }
    }
}

/// One of many renewals with the same idempotency key adds a term.
pub async fn one_renewal_per_idempotency_key_wins(Handles { both: handles, .. }: &Handles) {
    for round in 0..ROUNDS {
        let license = issue(&handles[0], &spec("open")).await;
        let asked = idempotency(&format!("renewal {round}"), 1);
        let renewed = race(handles, CALLERS, |_, store| {
            let (id, context) = (license.id.clone(), keyed(asked));
            async move { ok!(store.execute(&id, &Command::Renew, &context)) }
        })
        .await;
        let wins = renewed.iter().filter(|outcome| matches!(outcome, CommandOutcome::Done(_))).count();
        let repeated =
            renewed.iter().filter(|outcome| matches!(outcome, CommandOutcome::Repeated(_))).count();
        assert_eq!(
            (wins, repeated),
            (1, CALLERS - 1),
            "{wins} of {CALLERS} renewals with one key were executed"
        );
        let expected = license.expires_at.map(|end| end + TimeDelta::days(30));
        let found = detail(&handles[1], &license.id).await.license;
        assert_eq!((found.expires_at, found.version), (expected, 2), "one term is added");
    }
}

/// Every acknowledged validation is counted.
pub async fn concurrent_validations_are_all_counted(Handles { both: handles, .. }: &Handles) {
    let license = issue(&handles[0], &spec("open")).await;
    race(handles, CALLERS, |task, store| {
        let id = license.id.clone();
        async move {
            for n in 0..10 {
                let seconds = i64::try_from(task).expect("few tasks") * 10 + n;
                ok!(store.record(&[validation(&id, seconds, VALID)], None));
            }
        }
    })
    .await;
    let counted = detail(&handles[1], &license.id).await.counters.validation_count;
    let expected = 10 * CALLERS as u64;
    assert_eq!(counted, expected, "{counted} of {expected} acknowledged validations are counted");
    if handles[1].usage.is_some() {
        let report = usage_report(&handles[1], &license.id, &UsageQuery::default()).await;
        assert_eq!(report.total(), counted, "the report equals the counter");
    }
}

/// Concurrent commands and validations on one license lose no count and no change.
pub async fn commands_and_validations_lose_no_count(Handles { both: handles, .. }: &Handles) {
    let license = issue_with_slots(&handles[0], SLOTS_FOR_ALL).await;
    race(handles, CALLERS, |task, store| {
        let id = license.id.clone();
        async move {
            for n in 0..5 {
                if task % 2 == 0 {
                    ok!(store.record(&[validation(&id, 1, VALID)], None));
                } else {
                    ask(&store, &id, &activate(None, Some(&format!("d{task} {n}")))).await.expect("free");
                }
            }
        }
    })
    .await;
    let found = detail(&handles[1], &license.id).await;
    assert_counts(&found);
    let (counted, expected) = (found.counters.validation_count, 5 * CALLERS as u64 / 2);
    assert_eq!(counted, expected, "{counted} of {expected} validations that raced with commands are counted");
    let bound = found.license.devices_used;
    assert_eq!(bound, expected, "{bound} of {expected} devices that raced with validations are bound");
}
