//! Cases for trial claims of exports and imports.

use super::fixture::{all_rows, batch, import, incoming};
use crate::conformance::prelude::*;

fn claim(number: u8, license: &LicenseId) -> TrialClaim {
    TrialClaim { digest: TrialDigest::from_bytes([number; 32]), license: license.clone() }
}

fn batch_of(claims: &[TrialClaim]) -> TrialClaimBatch {
    let by = Some(Arc::new(Actor::new(Principal::CommandLine)));
    TrialClaimBatch { claims: claims.to_vec(), at: at(900), by }
}

async fn claims(store: &Handle, limit: u32) -> Vec<TrialClaim> {
    let mut snapshot = ok!(store.transfer().snapshot());
    all_rows!(limit, |found| {
        snapshot.trial_claims(found.last().map(|claim: &TrialClaim| &claim.digest), limit)
    })
}

/// The first claim of a digest stays. Claims are listed by digest, with any page size.
pub async fn trial_claims_are_imported_once(Handles { store, other, .. }: &Handles) {
    let [one, two] = [incoming().license.id, incoming().license.id];
    let all = [claim(255, &one), claim(0, &two), claim(7, &one)];
    assert_eq!(ok!(store.transfer().dry_run_trial_claims(&all)), 3);
    assert_eq!(claims(other, 9).await, [], "a dry run writes nothing");
    assert_eq!(ok!(store.transfer().import_trial_claims(&batch_of(&all))), 3);
    let expected = [claim(0, &two), claim(7, &one), claim(255, &one)];
    let repeated = [claim(7, &two), claim(255, &one)];
    assert_eq!(ok!(other.transfer().dry_run_trial_claims(&repeated)), 0);
    assert_eq!(ok!(other.transfer().import_trial_claims(&batch_of(&repeated))), 0);
    assert_eq!(ok!(other.transfer().import_trial_claims(&batch_of(&[]))), 0);
    for limit in [1, 2, 1_000] {
        assert_eq!(claims(other, limit).await, expected, "in pages of {limit}");
    }
    if let Some(audit) = &store.audit {
        let page = ok!(audit.list_audit(&AuditFilter::default(), &PageRequest { after: None, limit: 9 }));
        let entries: Vec<_> = page.items.iter().map(|one| one.entry.action.as_str()).collect();
        assert_eq!(entries, ["trial_claims.import"], "one entry for the new claims");
    }
}

/// An imported license takes its trials, unless they are used. It is stored either way.
pub async fn imported_license_takes_its_trials(Handles { store, other, .. }: &Handles) {
    let ann = LicenseSpec::new("trial", email("ann@example.com"));
    let bob = LicenseSpec::new("trial", email("bob@example.com"));
    let first = issue(store, &ann).await.id;
    let imported = |spec: &LicenseSpec| {
        let of = incoming();
        let digests = new_license(spec).trial_claims.into_iter().map(|claim| claim.digest);
        let trial_claims =
            digests.map(|digest| TrialClaim { digest, license: of.license.id.clone() }).collect();
        ImportedLicense { trial_claims, ..of }
    };
    let both = [imported(&ann), imported(&bob)];
    assert_eq!(ok!(store.transfer().dry_run(&batch(both.clone()))), [Imported::New, Imported::New]);
    assert_eq!(claims(store, 9).await.len(), 1, "a dry run writes nothing");
    assert_eq!(import(store, both.clone()).await, [Imported::New, Imported::New]);
    assert_eq!(import(store, both.clone()).await, [Imported::Existing, Imported::Existing]);
    assert_eq!(ok!(other.create(&new_license(&bob))), Created::TrialUsed);
    let owners: BTreeSet<_> = claims(other, 9).await.into_iter().map(|claim| claim.license).collect();
    assert_eq!(owners, BTreeSet::from([first, both[1].license.id.clone()]), "the first claim stays");
}
