//! Cases for `list_activations`.

use crate::conformance::licenses::evictions::{record, seen};
use crate::conformance::prelude::*;

async fn list(store: &Handle, id: &LicenseId) -> Vec<ActivationDetail> {
    let page = PageRequest::default();
    let read = || store.activations().list_activations(id, None, &page);
    caught_up!(read(), |page| page.items.iter().find_map(|held| held.last_seen.as_of)).items
}

async fn named(store: &Handle, id: &LicenseId, name: &str) -> ActivationDetail {
    let found = list(store, id).await.into_iter().find(|held| held.activation.binding.value() == name);
    found.unwrap_or_else(|| panic!("{name} holds a slot"))
}

/// Activations are listed by kind and in pages, oldest first.
pub async fn activation_pages_are_complete(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("open")).await;
    for n in 0..12 {
        let claim = activate(Some(&format!("d{n}.com")), Some(&format!("d{n}")));
        ask(store, &license.id, &claim).await.expect("free");
    }
    let domains: Vec<_> = (0..12).map(|n| format!("d{n}.com")).collect();
    let devices: Vec<_> = (0..12).map(|n| format!("d{n}")).collect();
    let both: Vec<_> = domains.iter().zip(&devices).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    for (kind, expected) in
        [(None, both), (Some(ActivationKind::Domain), domains), (Some(ActivationKind::Device), devices)]
    {
        for limit in [1, 5, 12, 24, 100] {
            let found =
                all_pages!(limit, |page| store.activations().list_activations(&license.id, kind, &page));
            let found = found.into_iter().map(|held| held.activation.binding.value().to_owned());
            assert_eq!(found.collect::<Vec<_>>(), expected, "{kind:?} in pages of {limit}");
        }
    }
    let unknown = new_license(&spec("open")).license.id;
    let result = store.activations().list_activations(&unknown, None, &PageRequest::default()).await;
    assert_error!(result, NotFound);
}

/// Valid validations count for the domain and device of their claim. A wildcard domain counts every name
/// below it. Denied ones, those of other names and those of other licenses do not count. A device that is
/// bound again starts at zero.
pub async fn last_seen_counts_valid_validations(Handles { store, other, .. }: &Handles) {
    let license =
        issue(store, &LicenseSpec { domains: vec![domain("*.shop.com"), domain("a.com")], ..spec("open") })
            .await;
    let id = &license.id;
    let stranger = issue(store, &spec("open")).await;
    ask(store, id, &activate(None, Some("d"))).await.expect("free");
    ask(store, &stranger.id, &activate(None, Some("d"))).await.expect("free");
    for held in list(other, id).await {
        let LastSeen { first_seen_at, last_seen_at, validations, .. } = held.last_seen;
        assert_eq!((first_seen_at, last_seen_at, validations), (None, None, 0), "{:?}", held.activation);
    }
    let location = |country: &str| Country::parse(country).map(Location::of);
    let of = |domain: Option<&str>, device: Option<&str>, when: i64, country: &str| Validation {
        claim: claim(domain, device),
        location: location(country),
        ..validation(id, when, VALID)
    };
    let covered = Some(domain("*.shop.com"));
    record(
        store,
        &[
            of(Some("a.com"), Some("d"), 70, "DE"),
            Validation { covered_by: covered.clone(), ..of(Some("x.shop.com"), Some("d"), 72, "FR") },
            Validation { covered_by: covered, ..of(Some("y.shop.com"), Some("e"), 71, "US") },
            of(None, Some("d"), 69, ""),
            of(Some("shop.com"), None, 99, "US"),
            Validation { outcome: EXPIRED, ..of(Some("a.com"), Some("d"), 99, "US") },
            Validation { license_id: stranger.id.clone(), ..of(Some("a.com"), None, 99, "US") },
        ],
    )
    .await;
    for (name, first, last, validations, country) in
        [("*.shop.com", 71, 72, 2, "FR"), ("a.com", 70, 70, 1, "DE"), ("d", 69, 72, 3, "FR")]
    {
        for store in [store, other] {
            let last_seen = named(store, id, name).await.last_seen;
            assert_eq!(last_seen.first_seen_at, Some(at(first)), "{name} was first seen");
            assert_eq!(last_seen.last_seen_at, Some(at(last)), "{name} was last seen");
            assert_eq!(last_seen.validations, validations, "valid validations of {name}");
            assert_eq!(last_seen.country.as_ref().map(Country::as_str), Some(country), "country of {name}");
        }
    }
    assert_eq!(named(store, &stranger.id, "d").await.last_seen.validations, 0, "a device of another license");

    let device = named(store, id, "d").await.activation;
    ask(store, id, &Command::Release(device.id.clone())).await.expect("bound");
    ask_at(store, id, &activate(None, Some("d")), at(100)).await.expect("free");
    let again = named(other, id, "d").await;
    assert_ne!(again.activation.id, device.id);
    assert_eq!(again.last_seen.validations, 0, "a device that was bound again");
    // A validation before `created_at` belongs to the previous activation of this name.
    record(store, &[seen(id, "d", 99), seen(id, "d", 100)]).await;
    let LastSeen { validations, first_seen_at, .. } = named(other, id, "d").await.last_seen;
    assert_eq!((validations, first_seen_at), (1, Some(at(100))), "validations since the activation");
}
