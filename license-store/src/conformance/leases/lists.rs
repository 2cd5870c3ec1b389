//! Cases for lists of leases.

use super::fixture::{end_of_hold, lease, lease_of, leases_of, newest, start};
use crate::conformance::prelude::*;

/// The list of revocations has the leases that ended before their time and those of inactive licenses.
pub async fn revoked_leases_are_listed_until_they_end(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let revoked = async |product: &str, now| ok!(other.leases().revoked_leases(product, now));
    let license = issue(store, &spec("offline")).await;
    for name in ["a", "b"] {
        ask(store, &license.id, &lease(name)).await.expect("a lease");
    }
    let ids: Vec<_> = leases_of(store, &license.id).await.into_iter().map(|lease| lease.id).collect();
    assert_eq!(revoked("default", at(60)).await, []);
    let device = detail(store, &license.id).await.devices[0].id.clone();
    ask(store, &license.id, &Command::Release(device)).await.expect("held");
    assert_eq!(revoked("default", at(60)).await, [ids[0].clone()], "its slot was freed");
    ask(store, &license.id, &Command::Suspend).await.expect("active");
    assert_eq!(revoked("default", at(60)).await, ids, "the license is suspended");
    ask(store, &license.id, &Command::Reinstate).await.expect("suspended");
    assert_eq!(revoked("default", at(60)).await, [ids[0].clone()], "the license is active again");
    ask(store, &license.id, &Command::ReturnLease(ids[1].clone())).await.expect("open");
    assert_eq!(revoked("default", at(60)).await, ids, "handed back");

    let elsewhere = issue(store, &spec("offline_editor")).await;
    ask(
        store,
        &elsewhere.id,
        &lease_of(Claim { product: Some("editor".to_owned()), ..claim(None, Some("a")) }, 1),
    )
    .await
    .expect("a lease");
    ask(store, &elsewhere.id, &Command::Revoke).await.expect("active");
    assert_eq!(revoked("default", at(60)).await, ids, "of this product only");
    let editor = newest(store, &elsewhere.id).await.id;
    assert_eq!(revoked("editor", at(60)).await, [editor]);
    let last = end_of_hold() - TimeDelta::microseconds(1);
    assert_eq!(revoked("default", last).await, ids, "software may still accept them");
    assert_eq!(revoked("default", end_of_hold()).await, [], "no software accepts them");
    assert_eq!(revoked("editor", end_of_hold()).await, []);
}

/// Pages have all leases of the license, oldest first.
pub async fn leases_are_listed_in_pages(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let license = issue(store, &spec("offline")).await;
    for _ in 0..3 {
        ask(store, &license.id, &lease("a")).await.expect("a lease");
    }
    let all = leases_of(other, &license.id).await;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = ok!(other.leases().list_leases(&license.id, &PageRequest { after, limit: 2 }));
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), found), (3, all));
    let unknown = LicenseId::parse("lic_unknown").expect("an id");
    let page = PageRequest { after: None, limit: 2 };
    assert_error!(other.leases().list_leases(&unknown, &page).await, NotFound);
}

/// Leases that software may still accept are listed with the latest end first, all or only those that ended.
pub async fn outstanding_leases_are_listed_by_end(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let [license, elsewhere] = [issue(store, &spec("offline")).await, issue(store, &spec("offline")).await];
    let outstanding = async |which: &OutstandingLeases, now, limit| {
        let leases = ok!(other.leases().outstanding_leases(&license.id, which, now, limit));
        leases.into_iter().map(|lease| lease.id).collect::<Vec<_>>()
    };
    assert_eq!(outstanding(&OutstandingLeases::All, at(60), 9).await, []);
    let later = at(60) + TimeDelta::hours(1);
    for (name, now) in [("a", at(60)), ("b", later), ("a", at(60))] {
        ask_at(store, &license.id, &lease(name), now).await.expect("a lease");
    }
    ask(store, &elsewhere.id, &lease("a")).await.expect("a lease");
    let ids: Vec<_> = leases_of(store, &license.id).await.into_iter().map(|lease| lease.id).collect();
    let by_end = [1, 0, 2].map(|n: usize| ids[n].clone());
    assert_eq!(
        outstanding(&OutstandingLeases::All, at(60), 9).await,
        by_end,
        "leases with one end are in the order of their issue"
    );
    assert_eq!(outstanding(&OutstandingLeases::All, at(60), 2).await, by_end[..2], "at most two");
    assert_eq!(outstanding(&OutstandingLeases::Ended, at(60), 9).await, [], "none has ended");
    let devices = detail(store, &license.id).await.devices;
    let device_of =
        |name: &str| devices.iter().find(|held| held.binding.value() == name).expect("a device").id.clone();
    let of_device = OutstandingLeases::OfDevice(device_of("a"));
    assert_eq!(outstanding(&of_device, at(60), 9).await, by_end[1..], "of the device");
    assert_eq!(outstanding(&of_device, at(60), 1).await, by_end[1..2], "at most one of the device");
    let device = device_of("b");
    ask(store, &license.id, &Command::Release(device)).await.expect("held");
    assert_eq!(outstanding(&OutstandingLeases::Ended, at(60), 9).await, by_end[..1], "revoked");
    ask(store, &license.id, &Command::ReturnLease(ids[0].clone())).await.expect("open");
    assert_eq!(outstanding(&OutstandingLeases::Ended, at(60), 9).await, by_end, "handed back");
    assert_eq!(outstanding(&OutstandingLeases::Ended, at(60), 2).await, by_end[..2], "at most two of those");
    assert_eq!(
        outstanding(&OutstandingLeases::All, end_of_hold(), 9).await,
        by_end[..1],
        "the others are over"
    );
    assert_eq!(
        outstanding(&OutstandingLeases::Ended, end_of_hold() + TimeDelta::hours(1), 9).await,
        [],
        "all are over"
    );
}

/// A lease is kept until no software accepts it, and for a day after its issue.
pub async fn old_leases_are_pruned(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let license = issue(store, &spec("offline")).await;
    for _ in 0..3 {
        ask(store, &license.id, &lease("a")).await.expect("a lease");
    }
    let short = LicensePatch { expires_at: Some(Expiry::At(at(3_600))), ..LicensePatch::default() };
    ask(store, &license.id, &Command::Change(short)).await.expect("active");
    ask(store, &license.id, &lease("a")).await.expect("a lease of an hour");
    let prune = async |before, limit| ok!(store.leases().prune_leases(before, limit));
    let day = at(60) + TimeDelta::days(1);
    assert_eq!(prune(day - TimeDelta::microseconds(1), 9).await, 0, "it counts as a lease of the day");
    assert_eq!(prune(day, 9).await, 1);
    assert_eq!(prune(end_of_hold() - TimeDelta::microseconds(1), 9).await, 0);
    assert_eq!(prune(end_of_hold(), 2).await, 2);
    assert_eq!(leases_of(other, &license.id).await.len(), 1);
    assert_eq!(prune(end_of_hold(), 2).await, 1);
}
