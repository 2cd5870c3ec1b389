//! Cases for external ids, which no two licenses share.

use super::fixture::external_id;
use crate::conformance::prelude::*;

fn spec_with(text: &str) -> LicenseSpec {
    LicenseSpec { external_id: Some(external_id(text)), ..spec("open") }
}

fn set(text: Option<&str>) -> Command {
    let external_id = Some(text.map(external_id));
    Command::Change(LicensePatch { external_id, ..LicensePatch::default() })
}

const TAKEN: Done = Err(DenialCode::ExternalIdTaken);

/// A taken external id denies a new license and a change, which write nothing.
pub async fn external_id_is_unique(Handles { store, other, .. }: &Handles) {
    let first = issue(store, &spec_with("sub_1")).await;
    let mut second = new_license(&spec_with("sub_1"));
    second.idempotency = Some(idempotency("order-1", 1));
    assert_eq!(ok!(other.create(&second)), Created::ExternalIdTaken);
    assert_eq!(ok!(other.get(&second.license.id)), None, "no license is stored");
    second.license.external_id = Some(external_id("sub_2"));
    assert_eq!(ok!(other.create(&second)), Created::New, "the idempotency key is unused");
    let id = &second.license.id;
    let before = detail(store, id).await;
    assert_eq!(ask(other, id, &set(Some("sub_1"))).await, TAKEN);
    assert_eq!(detail(store, id).await, before, "a denied change writes nothing");
    assert_eq!(ask(other, &first.id, &set(Some("sub_1"))).await.map(|one| one.version), Ok(first.version));
}

/// An external id that a license gave up can be used again, also by a revoked license.
pub async fn removed_external_id_is_free(Handles { store, other, .. }: &Handles) {
    let (first, second) = (issue(store, &spec_with("sub_1")).await.id, issue(store, &spec("open")).await.id);
    ask(store, &first, &set(None)).await.expect("active");
    ask(store, &second, &Command::Revoke).await.expect("active");
    ask(other, &second, &set(Some("sub_1"))).await.expect("free");
    assert_eq!(detail(store, &first).await.license.external_id, None);
    assert_eq!(detail(store, &second).await.license.external_id, Some(external_id("sub_1")));
    assert_eq!(ask(store, &first, &set(Some("sub_1"))).await, TAKEN);
    ask(store, &second, &set(Some("sub_2"))).await.expect("free");
    ask(store, &first, &set(Some("sub_1"))).await.expect("free again");
}

/// An import does not store a license whose external id another one has.
pub async fn import_keeps_external_ids_unique(Handles { store, other, .. }: &Handles) {
    let Some(transfer) = &store.transfer else { return };
    let existing = issue(store, &spec_with("sub_1")).await;
    let incoming = |text: &str| ImportedLicense {
        license: new_license(&spec_with(text)).license,
        counters: Counters::default(),
        activations: Vec::new(),
        events: Vec::new(),
        id_given: true,
        key_given: true,
        trial_claims: Vec::new(),
        leases: Vec::new(),
    };
    let licenses = vec![incoming("sub_1"), incoming("sub_2"), incoming("sub_2"), incoming("sub_3")];
    let second = licenses[1].license.id.clone();
    let batch = ImportBatch { licenses, at: at(100), by: None };
    let expected = [
        Imported::ExternalIdTaken { by: existing.id.clone() },
        Imported::New,
        Imported::ExternalIdTaken { by: second },
        Imported::New,
    ];
    assert_eq!(ok!(transfer.dry_run(&batch)), expected);
    assert_eq!(ok!(transfer.import(&batch)), expected);
    for (license, stored) in batch.licenses.iter().zip([false, true, false, true]) {
        assert_eq!(ok!(other.get(&license.license.id)).is_some(), stored, "{}", license.license.id);
    }
}

/// Of callers that race for one external id, by creating or changing a license, exactly one gets it.
pub async fn racing_callers_share_no_external_id(Handles { store, both, .. }: &Handles) {
    for round in 0..4 {
        let ids = issue_many(store, "open", 24).await;
        let wanted = format!("sub_{round}");
        let outcomes = race(both, 24, |task, store| {
            let (id, wanted) = (ids[task].clone(), wanted.clone());
            async move {
                if task % 3 == 2 {
                    ok!(store.create(&new_license(&spec_with(&wanted)))) == Created::New
                } else {
                    match ask(&store, &id, &set(Some(&wanted))).await {
                        Ok(_) => true,
                        Err(code) => {
                            assert_eq!(code, DenialCode::ExternalIdTaken);
                            false
                        }
                    }
                }
            }
        });
        let winners = outcomes.await.into_iter().filter(|won| *won).count();
        assert_eq!(winners, 1, "{winners} of 24 racing callers got {wanted}");
    }
}
