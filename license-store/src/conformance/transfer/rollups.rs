//! Cases for `import_rollups` and `dry_run_rollups`.

use super::fixture::{import, incoming};
use crate::conformance::prelude::*;

/// Builds a rollup of a license and day.
pub(super) fn rollup(license: &LicenseId, day: i64, country: Option<&str>, count: u64) -> Rollup {
    let key = RollupKey {
        day: Day::from_number(day),
        license_id: license.clone(),
        outcome: ValidationOutcome::Valid,
        domain: (day % 2 == 0).then(|| domain("*.example.org")),
        device: (day % 2 == 1).then(|| device("größe 1")),
        country: country.and_then(Country::parse),
    };
    let at = |micros| Day::from_number(day).start() + TimeDelta::microseconds(micros);
    Rollup { key, sum: UsageSum { count, first_at: at(7), last_at: at(9_000_000_001) } }
}

pub(super) async fn rollups(store: &Handle, limit: u32) -> Vec<Rollup> {
    let mut snapshot = store.transfer().snapshot().await.expect("snapshot");
    let mut found: Vec<Rollup> = Vec::new();
    loop {
        let after = found.last().map(|rollup| rollup.key.clone());
        let page = snapshot.rollups(after.as_ref(), limit).await.expect("rollups");
        assert!(page.len() <= limit as usize, "a page of {limit} has {} rollups", page.len());
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// Rollups of existing licenses are stored once, and reports count them.
pub async fn rollups_are_imported_once(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let one = incoming();
    let id = one.license.id.clone();
    import(&store, [one]).await;
    let unknown = incoming().license.id;
    let all =
        [rollup(&id, 20_000, None, 3), rollup(&unknown, 20_000, None, 1), rollup(&id, 20_001, Some("DE"), 2)];
    let expected = [ImportedRollup::New, ImportedRollup::NoLicense, ImportedRollup::New];
    assert_eq!(store.transfer().dry_run_rollups(&all).await.expect("dry_run"), expected);
    assert_eq!(rollups(&other, 9).await, [], "a dry run writes nothing");
    assert_eq!(store.transfer().import_rollups(&all).await.expect("import"), expected);
    let stored = [all[0].clone(), all[2].clone()];
    for _ in 0..2 {
        assert_eq!(rollups(&other, 9).await, stored, "a repeated import stores nothing");
        if let Some(usage) = &other.usage {
            let report = usage_report(&**usage, &id, &UsageQuery::default()).await;
            assert_eq!(report.total(), 5, "reports count imported rollups");
        }
        let again = [rollup(&id, 20_000, None, 70), rollup(&id, 20_001, Some("DE"), 2)];
        let settled = other.transfer().import_rollups(&again).await.expect("import");
        assert_eq!(settled, [ImportedRollup::Existing, ImportedRollup::Existing]);
    }
    assert_eq!(store.transfer().import_rollups(&[]).await.expect("import"), []);
}

/// A pruned rollup is in the totals and is not imported again. Single validations of imported days are
/// missing.
pub async fn pruned_rollup_is_not_imported_again(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    let Some(reports) = &other.usage else { return };
    let one = incoming();
    let id = one.license.id.clone();
    import(&store, [one]).await;
    let old = [rollup(&id, 20_000, None, 3)];
    assert_eq!(store.transfer().import_rollups(&old).await.expect("import"), [ImportedRollup::New]);
    let usage = usage_report(&**reports, &id, &UsageQuery::default()).await;
    let next = Day::from_number(20_001).start();
    assert_eq!(usage.kept.records_from, Some(next), "single validations of an imported day are missing");
    let (retention, now) =
        (UsageRetention { record_days: 1, rollup_days: 10 }, Day::from_number(20_020).start());
    while reports.prune_usage(&retention, now, 9).await.expect("prune_usage") > 0 {}
    assert_eq!(store.transfer().dry_run_rollups(&old).await.expect("dry_run"), [ImportedRollup::Pruned]);
    assert_eq!(store.transfer().import_rollups(&old).await.expect("import"), [ImportedRollup::Pruned]);
    let usage = usage_report(&**reports, &id, &UsageQuery::default()).await;
    assert_eq!(usage.total(), 3, "a repeated import after pruning counts nothing");
    assert_eq!(rollups(&other, 9).await, []);
}
