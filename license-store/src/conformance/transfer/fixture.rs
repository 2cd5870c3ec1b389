//! Imported licenses and snapshots that the cases use.

use license_core::signing::SigningKeyId;

use crate::conformance::prelude::*;

/// Builds an imported license with a domain, a device and its leases, 7 events and 5 counted validations.
pub(super) fn incoming() -> ImportedLicense {
    let grant = Grant::new("seats", 5).expect("a grant").until(at(86_400)).expect("a time in range");
    let mut license = new_license(&LicenseSpec { grants: vec![grant], ..spec("small") }).license;
    license.last_event = 7;
    license.version = 6;
    let bound = [(3, Binding::Domain(domain("*.example.org"))), (5, Binding::Device(device("größe 1")))];
    let activation = |(number, binding)| {
        let id = format!("act_{}_{number:010}", &license.id.as_str()["lic_".len()..]);
        let seen = number == 5;
        let activation = Activation {
            id: ActivationId::parse(&id).expect("an id"),
            binding,
            created_at: at(number),
            label: seen.then(|| Label::parse("büro").expect("a label")),
            held_until: seen.then(|| at(700_000)),
            is_returned: seen,
        };
        let last_seen = LastSeen {
            first_seen_at: seen.then(|| at(6)),
            last_seen_at: seen.then(|| at(8)),
            validations: seen.into(),
            country: seen.then(|| Country::parse("NZ").expect("a country")),
            as_of: None,
        };
        ActivationDetail { activation, last_seen }
    };
    let activations = bound.map(activation).to_vec();
    (license.domains_used, license.devices_used) = (1, 1);
    license.activated_at = Some(at(3));
    license.leased_until = Some(at(700_000));
    let lease = |number: u64, ended| Lease {
        id: LeaseId::parse(&format!("lease_{}_{number:010}", &license.id.as_str()["lic_".len()..]))
            .expect("an id"),
        license_id: license.id.clone(),
        device: activations[1].activation.id.clone(),
        domain: (number == 6).then(|| activations[0].activation.id.clone()),
        issued_at: at(6),
        expires_at: DateTime::from_timestamp(at(600_000).timestamp(), 0).expect("a time"),
        signing_key: SigningKeyId::parse("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").expect("an id"),
        claims: json!({ "fp": "größe \u{1} \"1\"" }).to_string(),
        is_renewal: number == 7,
        ended,
    };
    let leases = vec![lease(6, Some((LeaseEnd::Returned, at(8)))), lease(7, None)];
    let counters = Counters { validation_count: 5, last_validated_at: Some(at(9)), as_of: None };
    let trial_claims = Vec::new();
    ImportedLicense {
        license,
        counters,
        trial_claims,
        activations,
        events: Vec::new(),
        id_given: true,
        key_given: true,
        leases,
    }
}

pub(super) fn batch(licenses: impl IntoIterator<Item = ImportedLicense>) -> ImportBatch {
    let by = Some(Arc::new(Actor::new(Principal::CommandLine)));
    ImportBatch { licenses: licenses.into_iter().collect(), at: at(100), by }
}

/// Returns the detail that a store must return after the import.
pub(super) fn shown(incoming: &ImportedLicense) -> LicenseDetail {
    let of_kind = |domains: bool| {
        let found = incoming
            .activations
            .iter()
            .map(|one| &one.activation)
            .filter(|one| matches!(one.binding, Binding::Domain(_)) == domains);
        found.cloned().collect()
    };
    LicenseDetail {
        license: incoming.license.clone().into(),
        counters: incoming.counters,
        domains: of_kind(true),
        devices: of_kind(false),
    }
}

pub(super) async fn import(
    store: &Handle,
    licenses: impl IntoIterator<Item = ImportedLicense>,
) -> Vec<Imported> {
    ok!(store.transfer().import(&batch(licenses)))
}

pub(super) type LicenseWithCounters = (Arc<License>, Counters);
pub(super) type BoundTo = (LicenseId, ActivationDetail);

/// Reads a table of a snapshot in pages.
macro_rules! all_rows {
    ($limit:expr, |$found:ident| $page:expr) => {{
        let mut $found = Vec::new();
        loop {
            let page = ok!($page);
            assert!(page.len() <= $limit as usize, "a page of {} has {} rows", $limit, page.len());
            if page.is_empty() {
                break $found;
            }
            $found.extend(page);
        }
    }};
}
pub(super) use all_rows;

/// Reads the leases of a snapshot that software may still accept at `now`, in pages.
pub(super) async fn read_leases(store: &Handle, now: DateTime<Utc>, limit: u32) -> Vec<Lease> {
    let mut snapshot = ok!(store.transfer().snapshot());
    all_rows!(limit, |found| {
        snapshot.leases(found.last().map(|lease: &Lease| (&lease.license_id, &lease.id)), now, limit)
    })
}

/// Reads the licenses and activations of a snapshot, in pages.
pub(super) async fn read_all(store: &Handle, limit: u32) -> (Vec<LicenseWithCounters>, Vec<BoundTo>) {
    let mut snapshot = ok!(store.transfer().snapshot());
    let licenses = all_rows!(limit, |found| {
        snapshot.licenses(found.last().map(|(license, _): &LicenseWithCounters| &license.id), limit)
    });
    let activations = all_rows!(limit, |found| {
        snapshot
            .activations(found.last().map(|(license, one): &BoundTo| (license, &one.activation.id)), limit)
    });
    (licenses, activations)
}
