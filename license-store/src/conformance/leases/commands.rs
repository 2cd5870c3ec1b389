//! Cases for commands on leases.

use license_core::signing::{SigningKeyCommand, SigningKeyDenial, SigningKeyOutcome};

use super::fixture::{
    end_of_hold, key_id, lease, lease_of, leases_of, loaded_keys, new_key, newest, rotate_and_release,
    signing_keys, start,
};
use crate::conformance::prelude::*;

/// The lease, the hold of both slots, and the end of all leases of the license are in one commit.
pub async fn lease_is_stored_with_its_hold(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let license = issue(store, &spec("offline")).await;
    let command = lease_of(claim(Some("shop.example.com"), Some("größe 1")), 1);
    ask(store, &license.id, &command).await.expect("a lease");
    let found = detail(other, &license.id).await;
    let until = Some(end_of_hold());
    assert_eq!(found.license.leased_until, until, "the end of all leases");
    let holds: Vec<_> = found.domains.iter().chain(&found.devices).map(|held| held.held_until).collect();
    assert_eq!(holds, [until; 2], "the holds of domain and device");
    let lease = newest(other, &license.id).await;
    let (domain, device) = (found.domains[0].id.clone(), found.devices[0].id.clone());
    assert_eq!((&lease.device, &lease.domain), (&device, &Some(domain)), "the activations of the lease");
    assert_eq!((lease.issued_at, lease.accepted_until()), (at(60), end_of_hold()));
    assert_eq!((&lease.signing_key, lease.is_renewal, lease.ended), (&key_id(1), false, None));
    assert!(lease.claims.contains(&format!("\"jti\":\"{}\"", lease.id)), "{}", lease.claims);
    assert_eq!(ok!(other.leases().find_lease(&lease.id)), Some(lease.clone()));
    let unknown = LeaseId::parse("lease_00000000000000000000_0000000001").expect("an id");
    assert_eq!(ok!(other.leases().find_lease(&unknown)), None);
    ask(store, &license.id, &command).await.expect("a renewal");
    let renewal = newest(other, &license.id).await;
    assert!(renewal.is_renewal && renewal.id > lease.id, "{renewal:?}");
    assert_eq!(leases_of(other, &license.id).await, [lease, renewal], "a renewal keeps the first lease");
}

/// A lease by a key that is not active changes nothing. A key that signed a lease is kept until its end.
pub async fn lease_needs_the_active_signing_key(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let license = issue(store, &spec("offline_long")).await;
    for key in [2, 9] {
        let denied = ask(store, &license.id, &lease_of(claim(None, Some("a")), key)).await;
        assert_eq!(denied, Err(DenialCode::SigningKeyInactive), "key {key}");
    }
    assert_eq!(*detail(other, &license.id).await.license, license, "a denied lease writes nothing");
    ask(store, &license.id, &lease("a")).await.expect("the active key");
    let signed_until = loaded_keys(other).await.get(&key_id(1)).and_then(|key| key.signed_until);
    let needed = newest(other, &license.id).await.needs_key_until();
    assert_eq!(signed_until, Some(needed), "the key is kept for the lease");
    signing_keys(store, &SigningKeyCommand::Rotate { next: new_key(3), force: false }).await;
    let denied = ask(store, &license.id, &lease("a")).await;
    assert_eq!(denied, Err(DenialCode::SigningKeyInactive), "a retiring key");
    let again = signing_keys(store, &SigningKeyCommand::Rotate { next: new_key(4), force: false }).await;
    let expected = SigningKeyDenial::StillRetiring { id: key_id(1), until: needed };
    assert_eq!(again, SigningKeyOutcome::Denied(expected));
}

/// A held slot is neither evicted, nor released as idle, nor by the customer.
pub async fn held_device_is_neither_evicted_nor_idle(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let license = issue(store, &spec("offline_roaming")).await;
    ask_at(store, &license.id, &lease("held"), at(60)).await.expect("a lease");
    for (name, seconds) in [("b", 61), ("c", 62)] {
        ask_at(store, &license.id, &activate(None, Some(name)), at(seconds)).await.expect("a slot");
    }
    let names = async || {
        let devices = detail(other, &license.id).await.devices;
        devices.iter().map(|device| device.binding.value().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["held", "c"], "the lease was not evicted, though it is older");
    let idle = async |now| {
        let before = now - TimeDelta::days(1);
        let query = IdleQuery { plan: "offline_roaming", version: 1, before, now, limit: 9 };
        ok!(other.activations().find_idle(&query))
    };
    let later = at(60) + TimeDelta::days(3);
    assert_eq!(idle(later).await, std::slice::from_ref(&license.id));
    ask_at(store, &license.id, &Command::ReleaseIdle, later).await.expect("an idle device");
    assert_eq!(names().await, ["held"], "the lease was not idle");
    assert_eq!(idle(later).await, [], "no other device is idle");
    assert_eq!(idle(end_of_hold()).await, std::slice::from_ref(&license.id), "the lease is over");
    ask_at(store, &license.id, &Command::ReleaseIdle, end_of_hold()).await.expect("an idle device");
}

/// A slot is found and freed when the lease that was handed back is over, and not before.
pub async fn returned_slot_is_freed_at_the_end(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let [license, revoked] = [issue(store, &spec("offline")).await, issue(store, &spec("offline")).await];
    for id in [&license.id, &revoked.id] {
        ask(store, id, &lease("a")).await.expect("a lease");
        ask(store, id, &activate(None, Some("b"))).await.expect("a slot");
        let lease = newest(other, id).await.id;
        ask(store, id, &Command::ReturnLease(lease)).await.expect("a lease");
        assert_eq!(newest(other, id).await.ended, Some((LeaseEnd::Returned, at(60))));
    }
    ask(store, &revoked.id, &Command::Revoke).await.expect("active");
    let before = end_of_hold() - TimeDelta::microseconds(1);
    assert_eq!(ok!(other.leases().find_returned(before, 9)), []);
    let early = ask_at(store, &license.id, &Command::ReleaseReturned, before).await;
    assert_eq!(early, Err(DenialCode::ActivationNotFound));
    assert_eq!(ok!(other.leases().find_returned(end_of_hold(), 9)), std::slice::from_ref(&license.id));
    ask_at(store, &license.id, &Command::ReleaseReturned, end_of_hold()).await.expect("a returned slot");
    assert_eq!(ok!(other.leases().find_returned(end_of_hold(), 9)), []);
    let found = detail(other, &license.id).await;
    assert_counts(&found);
    assert_eq!((found.license.devices_used, found.devices[0].binding.value()), (1, "b"));
}

/// All slots that a holder of the key can take are free, and all leases are revoked.
pub async fn rotation_with_release_frees_all_slots(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let license = issue(store, &spec("offline")).await;
    ask(store, &license.id, &set_domains(["*.example.com"])).await.expect("a wildcard");
    for command in [lease_of(claim(Some("evil.org"), Some("a")), 1), lease("b"), activate(None, Some("c"))] {
        ask(store, &license.id, &command).await.expect("a slot");
    }
    ask(store, &license.id, &rotate_and_release()).await.expect("active");
    let found = detail(other, &license.id).await;
    assert_counts(&found);
    assert_eq!((found.domains[0].binding.value(), found.domains.len()), ("*.example.com", 1));
    assert_eq!(found.devices, []);
    let ended: Vec<_> = leases_of(other, &license.id).await.iter().map(|lease| lease.ended).collect();
    assert_eq!(ended, [Some((LeaseEnd::Revoked, at(60))); 2]);
    for own in [lease("a"), lease("b"), activate(None, Some("c"))] {
        ask(store, &license.id, &own).await.expect("the customer has the slots again");
    }
}

/// Renewals and revoked leases do not count as leases of the day; a lease of the day before does not either.
pub async fn leases_of_a_day_are_counted(Handles { store, other, .. }: &Handles) {
    start(store).await;
    let license = issue(store, &spec("offline")).await;
    let lease_at = async |name: &str, now| ask_at(store, &license.id, &lease(name), now).await.map(drop);
    for name in ["a", "a", "b", "b"] {
        lease_at(name, at(60)).await.expect("two devices and their renewals");
    }
    assert_eq!(lease_at("c", at(60)).await, Err(DenialCode::OfflineLimitReached));
    let device = detail(other, &license.id).await.devices[0].id.clone();
    ask(store, &license.id, &Command::Release(device)).await.expect("held");
    lease_at("c", at(60)).await.expect("a revoked lease does not count");
    assert_eq!(lease_at("d", at(60)).await, Err(DenialCode::OfflineLimitReached));
    lease_at("d", end_of_hold()).await.expect("the leases are over");
}
