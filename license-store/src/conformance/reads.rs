//! Cases of the methods that read.

use std::collections::BTreeSet;

use license_core::activation::ActivationKind;
use license_core::command::{Command, LicenseChange};
use license_core::customer::CustomerEmail;
use license_core::license::{Expiry, License, LicenseDetail, LicenseId, Status};
use license_core::limits;
use license_core::store::{LicenseFilter, LicenseStore, PageRequest, StoreError};
use license_core::verdict::{Claim, Held, Standing, without_key};

use super::Harness;
use super::fixture::{
    activate, ask, at, claim, detail, domain, fresh_digest, issue, issue_with_slots, new_license, spec,
};

/// A key finds its license, and an unknown key none.
pub async fn a_key_finds_its_license_only(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let licenses = [issue(&store, &spec("open")).await, issue(&store, &spec("small")).await];
    for license in &licenses {
        let found = other
            .license_by_key(&license.key_digest, &Claim::default(), at(1))
            .await
            .expect("license_by_key");
        let expected = without_key(license.clone().into());
        assert_eq!(found.as_ref().map(Standing::license), Some(&*expected));
    }
    let unknown =
        other.license_by_key(&fresh_digest(), &Claim::default(), at(1)).await.expect("license_by_key");
    assert_eq!(unknown, None);
    let unknown = new_license(&spec("open")).license.id;
    assert_eq!(other.license(&unknown).await.expect("license"), None);
}

/// What a claim holds of a license.
async fn held_of(store: &dyn LicenseStore, license: &License, claim: &Claim) -> Held {
    let standing = store.license_by_key(&license.key_digest, claim, at(1)).await;
    standing.expect("license_by_key").expect("the license").held(claim)
}

/// A claim finds domains by name, by wildcard and by `www.`, and devices exactly.
pub async fn a_claim_finds_what_it_holds(harness: &dyn Harness) {
    let store = harness.open().await;
    let mut bound = spec("open");
    bound.domains = vec![domain("example.com"), domain("*.example.org")];
    let license = issue(&store, &bound).await;
    ask(&store, &license.id, &activate(None, Some("Device-1"))).await.expect("free");
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
        let found = held_of(&store, &license, &claim(domain, fingerprint)).await;
        assert_eq!(found, Held { domain: held.0, device: held.1 }, "{domain:?} {fingerprint:?}");
    }
}

/// A license with [`limits::MAX_INLINE_BINDINGS`] bindings comes with all of them, whatever the claim. With one more, it
/// comes with those that could cover the claim, and no others.
pub async fn inline_bindings_come_with_the_license(harness: &dyn Harness) {
    let store = harness.open().await;
    let mut bound = spec("open");
    bound.domains = (1..limits::MAX_INLINE_BINDINGS).map(|n| domain(&format!("d{n}.example.com"))).collect();
    let license = issue(&store, &bound).await;
    let read = async |claim: &Claim| {
        let standing = store.license_by_key(&license.key_digest, claim, at(1)).await;
        standing.expect("license_by_key").expect("the license")
    };
    let last = format!("d{}.example.com", bound.domains.len());
    let claims = [(Some("d1.example.com"), None), (Some(&*last), None), (None, Some("device 1"))];
    let claims = claims.map(|(domain, fingerprint)| claim(domain, fingerprint));
    ask(&store, &license.id, &activate(None, Some("device 1"))).await.expect("free");
    let standing = read(&Claim::default()).await;
    assert!(standing.license().has_inline_bindings());
    let read_inline = standing.bindings().count();
    let most = limits::MAX_INLINE_BINDINGS;
    assert!(read_inline as u64 == most, "{read_inline} of {most} bindings");
    for claim in &claims {
        assert!(standing.held(claim) != Held::default(), "one of all: {claim:?}");
    }
    ask(&store, &license.id, &activate(None, Some("device 2"))).await.expect("free");
    for claim in &claims {
        let standing = read(claim).await;
        assert!(!standing.license().has_inline_bindings());
        let bindings: Vec<_> = standing.bindings().collect();
        let [binding] = bindings[..] else { panic!("{} bindings for {claim:?}", bindings.len()) };
        assert!(Held::of(claim, [binding]) != Held::default(), "{binding:?} for {claim:?}");
    }
    assert_eq!(read(&Claim::default()).await.bindings().count(), 0);
}

/// What no longer has a slot is not found by a key either, however it lost it: of few bindings, and of many.
pub async fn what_lost_its_slot_is_held_no_longer(harness: &dyn Harness) {
    for more in [1, limits::MAX_INLINE_BINDINGS - 1] {
        let store = harness.open().await;
        let mut bound = spec("roaming");
        bound.domains = (0..more).map(|n| domain(&format!("d{n}.example.com"))).collect();
        let license = issue(&store, &bound).await;
        let devices = ["one", "two", "three"].map(|name| claim(None, Some(name)));
        let domains = ["a.com", "b.com", "d0.example.com"].map(|name| claim(Some(name), None));
        // As the lists have it, and each answer with them.
        let check = async |store: &dyn LicenseStore| {
            let LicenseDetail { domains: of_domains, devices: of_devices, .. } =
                detail(store, &license.id).await;
            for claim in devices.iter().chain(&domains) {
                let listed = of_domains.iter().chain(&of_devices).map(|activation| &activation.binding);
                let held = held_of(store, &license, claim).await;
                assert_eq!(held, Held::of(claim, listed), "held, and listed: {claim:?}");
            }
        };
        // The third device takes the slot of another.
        for claim in domains[..1].iter().chain(&devices) {
            ask(&store, &license.id, &Command::Activate(claim.clone())).await.expect("free");
            check(&store).await;
        }
        let list = |names: &[&str]| {
            let domains = Some(names.iter().map(|name| domain(name)).collect());
            Command::Change(LicenseChange { domains, ..LicenseChange::default() })
        };
        let LicenseDetail { domains: of_domains, devices: of_devices, .. } =
            detail(&store, &license.id).await;
        for activation in [&of_domains[0], &of_devices[0]] {
            ask(&store, &license.id, &Command::Release(activation.id.clone())).await.expect("bound");
            check(&store).await;
        }
        for names in [&["b.com"][..], &[]] {
            ask(&store, &license.id, &list(names)).await.expect("a list");
            check(&store).await;
        }
        check(&harness.open().await).await;
    }
}

/// What another license holds does not count.
pub async fn claims_of_other_licenses_are_not_held(harness: &dyn Harness) {
    let store = harness.open().await;
    let (mine, theirs) = (issue(&store, &spec("open")).await, issue(&store, &spec("open")).await);
    ask(&store, &theirs.id, &activate(Some("a.com"), Some("d"))).await.expect("free");
    let held = held_of(&store, &mine, &claim(Some("a.com"), Some("d"))).await;
    assert_eq!(held, Held::default(), "another license holds that domain and that device");
    // The text of a device is not the text of a domain.
    ask(&store, &mine.id, &activate(None, Some("a.com"))).await.expect("free");
    let held = held_of(&store, &mine, &claim(Some("a.com"), None)).await;
    assert_eq!(held, Held::default(), "a device of that text is no domain");
}

async fn listed(store: &dyn LicenseStore, filter: &LicenseFilter, seconds: i64) -> Vec<LicenseId> {
    let page = store.licenses(filter, at(seconds), &PageRequest::default()).await.expect("licenses");
    page.items.into_iter().map(|detail| detail.license.id.clone()).collect()
}

/// `expired` is a matter of the clock, to the microsecond, and of active licenses only.
pub async fn filters_by_status_to_the_microsecond(harness: &dyn Harness) {
    let store = harness.open().await;
    let mut ending = spec("open");
    ending.expires_at = Some(Expiry::At(at(100)));
    let mut forever = spec("open");
    forever.expires_at = Some(Expiry::Never);
    let ending_active = issue(&store, &ending).await.id;
    let ending_suspended = issue(&store, &ending).await.id;
    let ending_revoked = issue(&store, &ending).await.id;
    let perpetual = issue(&store, &forever).await.id;
    ask(&store, &ending_suspended, &Command::Suspend).await.expect("active");
    ask(&store, &ending_revoked, &Command::Revoke).await.expect("active");
    let micro = chrono::TimeDelta::microseconds(1);
    for (now, status, expected) in [
        (at(100) - micro, Status::Active, vec![&perpetual, &ending_active]),
        (at(100) - micro, Status::Expired, vec![]),
        (at(100), Status::Active, vec![&perpetual]),
        (at(100), Status::Expired, vec![&ending_active]),
        (at(100), Status::Suspended, vec![&ending_suspended]),
        (at(100), Status::Revoked, vec![&ending_revoked]),
    ] {
        let filter = LicenseFilter { status: Some(status), ..LicenseFilter::default() };
        let page = store.licenses(&filter, now, &PageRequest::default()).await.expect("licenses");
        let found: Vec<_> = page.items.iter().map(|detail| &detail.license.id).collect();
        assert_eq!(found, expected, "{status:?} at {now}");
    }
    assert_eq!(
        listed(&store, &LicenseFilter::default(), 0).await,
        [perpetual, ending_revoked, ending_suspended, ending_active],
        "newest first"
    );
}

/// Parts of a filter narrow each other.
pub async fn filters_by_plan_and_customer(harness: &dyn Harness) {
    let store = harness.open().await;
    let email = |text: &str| CustomerEmail::parse(text).expect("an address");
    let mut ids = Vec::new();
    for (plan, customer) in [
        ("open", "a@x.com"),
        ("small", "a@x.com"),
        ("open", "b@x.com"),
        ("small", "b@x.com"),
        ("open", "a@x.com"),
    ] {
        let mut spec = spec(plan);
        spec.customer_email = email(customer);
        ids.push(issue(&store, &spec).await.id);
    }
    ask(&store, &ids[4], &Command::Suspend).await.expect("active");
    let filter = |plan: Option<&str>, customer: Option<&str>, status| LicenseFilter {
        plan: plan.map(str::to_owned),
        customer_email: customer.map(email),
        status,
    };
    for (filter, expected) in [
        (filter(Some("open"), None, None), vec![4, 2, 0]),
        (filter(None, Some("A@X.com"), None), vec![4, 1, 0]),
        (filter(Some("open"), Some("a@x.com"), None), vec![4, 0]),
        (filter(Some("open"), Some("a@x.com"), Some(Status::Active)), vec![0]),
        (filter(None, None, Some(Status::Active)), vec![3, 2, 1, 0]),
        (filter(Some("none"), None, None), vec![]),
        (filter(Some("open\0"), None, None), vec![]),
        (filter(None, Some("%@x.com"), None), vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|n: usize| ids[n].clone()).collect();
        assert_eq!(listed(&store, &filter, 0).await, expected, "{filter:?}");
    }
}

/// While licenses are added and changed, pages show each license that was there once.
pub async fn pages_of_licenses_are_stable(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let mut before = Vec::new();
    for _ in 0..23 {
        before.push(issue(&store, &spec("open")).await.id);
    }
    before.reverse();
    for limit in [1, 5, 23, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        for page_number in 0.. {
            assert!(page_number < 100, "pages of {limit} do not end");
            let request = PageRequest { after, limit };
            let page = store.licenses(&LicenseFilter::default(), at(0), &request).await.expect("licenses");
            assert!(page.items.len() <= limit as usize);
            found.extend(page.items.into_iter().map(|detail| detail.license.id.clone()));
            issue(&other, &spec("small")).await;
            ask(&other, &before[7], &Command::Renew).await.expect("active");
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let found: Vec<_> = found.into_iter().filter(|id| before.contains(id)).collect();
        assert_eq!(found, before, "pages of {limit}");
    }
}

/// Activations by kind and in pages, oldest first.
pub async fn pages_of_activations(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    for n in 0..12 {
        ask(&store, &license.id, &activate(Some(&format!("d{n}.com")), Some(&format!("d{n}"))))
            .await
            .expect("free");
    }
    let domains: Vec<_> = (0..12).map(|n| format!("d{n}.com")).collect();
    let devices: Vec<_> = (0..12).map(|n| format!("d{n}")).collect();
    let both: Vec<_> = domains.iter().zip(&devices).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    for (kind, expected) in
        [(None, both), (Some(ActivationKind::Domain), domains), (Some(ActivationKind::Device), devices)]
    {
        for limit in [1, 5, 12, 24, 100] {
            let (mut found, mut after) = (Vec::new(), None);
            for page_number in 0.. {
                assert!(page_number < 100, "pages of {limit} do not end");
                let request = PageRequest { after, limit };
                let page = store.activations(&license.id, kind, &request).await.expect("activations");
                found.extend(page.items.into_iter().map(|held| held.activation.binding.value().to_owned()));
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{kind:?} in pages of {limit}");
        }
    }
    let unknown = new_license(&spec("open")).license.id;
    let result = store.activations(&unknown, None, &PageRequest::default()).await;
    assert!(matches!(result, Err(StoreError::NotFound { .. })), "expected NotFound, got {result:?}");
}

/// A license lists so many activations of each kind; all are counted.
pub async fn long_lists_are_cut(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue_with_slots(&store, 5_000).await;
    let count = limits::LISTED_ACTIVATIONS as usize;
    let list = |from: usize| LicenseChange {
        domains: Some((from..count).map(|n| domain(&format!("d{n}.com"))).collect()),
        ..LicenseChange::default()
    };
    ask(&store, &license.id, &Command::Change(list(0))).await.expect("a list");
    ask(&store, &license.id, &activate(Some("one-more.com"), None)).await.expect("free");
    let found = detail(&store, &license.id).await;
    assert_eq!(found.license.domains_used, count as u64 + 1);
    assert_eq!(found.domains.len(), count);
    assert!(found.domains.is_sorted_by(|a, b| a.id < b.id), "oldest first");
    assert!(
        found.domains.iter().all(|activation| activation.binding.value() != "one-more.com"),
        "the newest is cut"
    );
    let held = held_of(&store, &license, &claim(Some("one-more.com"), None)).await;
    assert!(held.domain, "and is held all the same");
}

/// Events after a number, at most so many.
pub async fn events_from_a_number_on(harness: &dyn Harness) {
    let store = harness.open().await;
    let license = issue(&store, &spec("open")).await;
    for command in [Command::Suspend, Command::Reinstate, Command::Renew] {
        ask(&store, &license.id, &command).await.expect("allowed");
    }
    for (after, limit, expected) in
        [(0, 100, 1..5), (2, 100, 3..5), (1, 2, 2..4), (4, 100, 5..5), (99, 9, 5..5)]
    {
        let events = store.events(&license.id, after, limit).await.expect("events");
        let found: Vec<_> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(found, expected.collect::<Vec<u64>>(), "after {after}, at most {limit}");
    }
    let unknown = new_license(&spec("open")).license.id;
    assert_eq!(store.events(&unknown, 0, 9).await.expect("events"), []);
}

/// Every plan that a license has, once.
pub async fn plans_in_use(harness: &dyn Harness) {
    let store = harness.open().await;
    assert_eq!(store.plans_in_use().await.expect("plans"), Vec::<String>::new());
    let first = issue(&store, &spec("open")).await;
    issue(&store, &spec("open")).await;
    issue(&store, &spec("small")).await;
    let found = async || {
        let plans = store.plans_in_use().await.expect("plans");
        let set: BTreeSet<_> = plans.iter().cloned().collect();
        assert_eq!(set.len(), plans.len(), "each once");
        set
    };
    assert_eq!(found().await, BTreeSet::from(["open".to_owned(), "small".to_owned()]));
    let small = LicenseChange { plan: Some("small".to_owned()), ..LicenseChange::default() };
    ask(&store, &first.id, &Command::Change(small)).await.expect("allowed");
    assert_eq!(found().await.len(), 2, "one license still has it");
}

/// The store answers.
pub async fn it_answers(harness: &dyn Harness) {
    harness.open().await.ping().await.expect("ping");
}
