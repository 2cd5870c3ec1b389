//! Cases for `find_by_key` and `ping`.

use crate::conformance::prelude::*;

/// A key finds its license, and an unknown key finds none.
pub async fn key_finds_only_its_license(Handles { store, other, .. }: &Handles) {
    let licenses = [issue(store, &spec("open")).await, issue(store, &spec("small")).await];
    for license in &licenses {
        let found = ok!(other.find_by_key(&license.key_digest, &Claim::default()));
        let expected = without_key(license.clone().into());
        assert_eq!(found.as_ref().map(LicenseSnapshot::license), Some(&*expected));
    }
    let unknown = ok!(other.find_by_key(&fresh_digest(), &Claim::default()));
    assert_eq!(unknown, None);
    let unknown = new_license(&spec("open")).license.id;
    assert_eq!(ok!(other.get(&unknown)), None);
}

/// Returns which parts of a claim the license holds.
pub(super) async fn held_of(store: &Handle, license: &License, claim: &Claim) -> HeldSlots {
    let snapshot = store.find_by_key(&license.key_digest, claim).await;
    snapshot.expect("find_by_key").expect("the license").held(claim)
}

/// Domains match by name, by wildcard and with `www.`. Devices match exactly.
pub async fn claim_is_matched_against_bindings(Handles { store, .. }: &Handles) {
    let license = issue(
        store,
        &LicenseSpec { domains: vec![domain("example.com"), domain("*.example.org")], ..spec("open") },
    )
    .await;
    ask(store, &license.id, &activate(None, Some("Device-1"))).await.expect("free");
    for (domain, fingerprint, held) in [
        (None, None, (false, false)),
        (Some("example.com"), None, (true, false)),
        (Some("www.example.com"), Some("Device-1"), (true, true)),
        (Some("a.example.com"), Some("device-1"), (false, false)),
        (Some("notexample.com"), None, (false, false)),
        (Some("example.org"), Some("Device-1"), (false, true)),
        (Some("a.example.org"), None, (true, false)),
        (Some("c.b.a.example.org"), None, (true, false)),
        (Some("www.example.org"), None, (true, false)),
        (Some("example.org.evil.com"), None, (false, false)),
        (Some("evilexample.org"), None, (false, false)),
    ] {
        let found = held_of(store, &license, &claim(domain, fingerprint)).await;
        assert_eq!(found, HeldSlots { domain: held.0, device: held.1 }, "{domain:?} {fingerprint:?}");
    }
}

/// A license with up to [`limits::MAX_INLINE_BINDINGS`] bindings is returned with all of them, for any
/// claim. A larger license is returned with only those that could cover the claim.
pub async fn inline_bindings_are_complete(Handles { store, .. }: &Handles) {
    let bound = LicenseSpec {
        domains: (1..limits::MAX_INLINE_BINDINGS).map(|n| domain(&format!("d{n}.example.com"))).collect(),
        ..spec("open")
    };
    let license = issue(store, &bound).await;
    let read = async |claim: &Claim| {
        let snapshot = store.find_by_key(&license.key_digest, claim).await;
        snapshot.expect("find_by_key").expect("the license")
    };
    let last = format!("d{}.example.com", bound.domains.len());
    let claims = [(Some("d1.example.com"), None), (Some(&*last), None), (None, Some("device 1"))];
    let claims = claims.map(|(domain, fingerprint)| claim(domain, fingerprint));
    ask(store, &license.id, &activate(None, Some("device 1"))).await.expect("free");
    let snapshot = read(&Claim::default()).await;
    assert!(snapshot.license().has_inline_bindings());
    let read_inline = snapshot.bindings().count();
    let most = limits::MAX_INLINE_BINDINGS;
    assert!(read_inline as u64 == most, "{read_inline} of {most} bindings");
    for claim in &claims {
        assert!(snapshot.held(claim) != HeldSlots::default(), "{claim:?} is held");
    }
    ask(store, &license.id, &activate(None, Some("device 2"))).await.expect("free");
    for claim in &claims {
        let snapshot = read(claim).await;
        assert!(!snapshot.license().has_inline_bindings());
        let bindings: Vec<_> = snapshot.bindings().collect();
        let [binding] = bindings[..] else { panic!("{} bindings for {claim:?}", bindings.len()) };
        assert!(HeldSlots::of(claim, [binding]) != HeldSlots::default(), "{binding:?} for {claim:?}");
    }
    assert_eq!(read(&Claim::default()).await.bindings().count(), 0);
}

/// A released binding is not found by key, however it was released, with few bindings and with many.
pub async fn released_binding_is_not_held(Handles { store, other, .. }: &Handles) {
    for more in [1, limits::MAX_INLINE_BINDINGS - 1] {
        let bound = LicenseSpec {
            domains: (0..more).map(|n| domain(&format!("d{n}.example.com"))).collect(),
            ..spec("roaming")
        };
        let license = issue(store, &bound).await;
        let devices = ["one", "two", "three"].map(|name| claim(None, Some(name)));
        let domains = ["a.com", "b.com", "d0.example.com"].map(|name| claim(Some(name), None));
        // Look-ups agree with the lists.
        let check = async |store: &Handle| {
            let found = detail(store, &license.id).await;
            for claim in devices.iter().chain(&domains) {
                let listed = found.domains.iter().chain(&found.devices).map(|one| &one.binding);
                let held = held_of(store, &license, claim).await;
                assert_eq!(held, HeldSlots::of(claim, listed), "held equals listed: {claim:?}");
            }
        };
        // The third device evicts another.
        for claim in domains[..1].iter().chain(&devices) {
            ask(store, &license.id, &Command::Activate(claim.clone())).await.expect("free");
            check(store).await;
        }
        let found = detail(store, &license.id).await;
        for activation in [&found.domains[0], &found.devices[0]] {
            ask(store, &license.id, &Command::Release(activation.id.clone())).await.expect("bound");
            check(store).await;
        }
        for names in [&["b.com"][..], &[]] {
            ask(store, &license.id, &set_domains(names)).await.expect("a list");
            check(store).await;
        }
        check(other).await;
    }
}

/// Bindings of another license do not count.
pub async fn bindings_of_other_licenses_are_not_held(Handles { store, .. }: &Handles) {
    let (mine, theirs) = (issue(store, &spec("open")).await, issue(store, &spec("open")).await);
    ask(store, &theirs.id, &activate(Some("a.com"), Some("d"))).await.expect("free");
    let held = held_of(store, &mine, &claim(Some("a.com"), Some("d"))).await;
    assert_eq!(held, HeldSlots::default(), "domain and device of another license");
    // A device and a domain may have the same text.
    ask(store, &mine.id, &activate(None, Some("a.com"))).await.expect("free");
    let held = held_of(store, &mine, &claim(Some("a.com"), None)).await;
    assert_eq!(held, HeldSlots::default(), "a device with this text is no domain");
}

/// A store that runs answers `ping`.
pub async fn ping_succeeds(Handles { store, .. }: &Handles) {
    ok!(store.ping());
}
