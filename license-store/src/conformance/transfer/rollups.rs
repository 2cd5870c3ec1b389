//! Cases for `import_rollups` and `dry_run_rollups`.

use super::fixture::{all_rows, import, incoming};
use crate::conformance::prelude::*;

/// Builds a rollup of a license and day.
pub(super) fn rollup(license: &LicenseId, day: i64, country: Option<&str>, count: u64) -> Rollup {
    let key = RollupKey {
        day: Day::from_number(day),
        license_id: license.clone(),
        outcome: VALID,
        domain: (day % 2 == 0).then(|| domain("*.example.org")),
        device: (day % 2 == 1).then(|| device("größe 1")),
        country: country.and_then(Country::parse),
    };
    let at = |micros| Day::from_number(day).start() + TimeDelta::microseconds(micros);
    Rollup { key, sum: UsageSum { count, first_at: at(7), last_at: at(9_000_000_001) } }
}

/// Builds a batch of an import by the command line.
pub(super) fn batch_of(rollups: &[Rollup]) -> RollupBatch {
    let by = Some(Arc::new(Actor::new(Principal::CommandLine)));
    RollupBatch { rollups: rollups.to_vec(), at: at(900), by }
}

pub(super) async fn rollups(store: &Handle, limit: u32) -> Vec<Rollup> {
    let mut snapshot = ok!(store.transfer().snapshot());
    all_rows!(limit, |found| snapshot.rollups(found.last().map(|rollup: &Rollup| &rollup.key), limit))
}

/// Rollups of existing licenses are stored once, and reports count them.
pub async fn rollups_are_imported_once(Handles { store, other, .. }: &Handles) {
    let one = incoming();
    let id = one.license.id.clone();
    import(store, [one]).await;
    let unknown = incoming().license.id;
    let all =
        [rollup(&id, 20_000, None, 3), rollup(&unknown, 20_000, None, 1), rollup(&id, 20_001, Some("DE"), 2)];
    let expected = [ImportedRollup::New, ImportedRollup::NoLicense, ImportedRollup::New];
    assert_eq!(ok!(store.transfer().dry_run_rollups(&all)), expected);
    assert_eq!(rollups(other, 9).await, [], "a dry run writes nothing");
    assert_eq!(ok!(store.transfer().import_rollups(&batch_of(&all))), expected);
    let stored = [all[0].clone(), all[2].clone()];
    for _ in 0..2 {
        assert_eq!(rollups(other, 9).await, stored, "a repeated import stores nothing");
        if other.usage.is_some() {
            let report = usage_report(other, &id, &UsageQuery::default()).await;
            assert_eq!(report.total(), 5, "reports count imported rollups");
        }
        let again = [rollup(&id, 20_000, None, 70), rollup(&id, 20_001, Some("DE"), 2)];
        let settled = ok!(other.transfer().import_rollups(&batch_of(&again)));
        assert_eq!(settled, [ImportedRollup::Existing, ImportedRollup::Existing]);
    }
    assert_eq!(ok!(store.transfer().import_rollups(&batch_of(&[]))), []);
}

/// A pruned rollup is in the totals and is not imported again. Single validations of imported days are
/// missing.
pub async fn pruned_rollup_is_not_imported_again(Handles { store, other, .. }: &Handles) {
    let Some(reports) = &other.usage else { return };
    let one = incoming();
    let id = one.license.id.clone();
    import(store, [one]).await;
    let old = [rollup(&id, 20_000, None, 3)];
    assert_eq!(ok!(store.transfer().import_rollups(&batch_of(&old))), [ImportedRollup::New]);
    let usage = usage_report(other, &id, &UsageQuery::default()).await;
    let next = Day::from_number(20_001).start();
    assert_eq!(usage.kept.records_from, Some(next), "single validations of an imported day are missing");
    let (retention, now) =
        (UsageRetention { record_days: 1, rollup_days: 10 }, Day::from_number(20_020).start());
    while ok!(reports.prune_usage(&retention, now, 9)) > 0 {}
    assert_eq!(ok!(store.transfer().dry_run_rollups(&old)), [ImportedRollup::Pruned]);
    assert_eq!(ok!(store.transfer().import_rollups(&batch_of(&old))), [ImportedRollup::Pruned]);
    let usage = usage_report(other, &id, &UsageQuery::default()).await;
    assert_eq!(usage.total(), 3, "a repeated import after pruning counts nothing");
    assert_eq!(rollups(other, 9).await, []);
}

/// New rollups and new settings of an import are audited in their commit, existing ones are not.
pub async fn imported_rollups_and_settings_are_audited(Handles { store, other, .. }: &Handles) {
    let (one, Some(audit)) = (incoming(), &other.audit) else { return };
    let id = one.license.id.clone();
    import(store, [one]).await;
    let before = ok!(audit.list_audit(&AuditFilter::default(), &PageRequest::default())).items.len();
    let all = [rollup(&id, 20_000, None, 3), rollup(&id, 20_001, None, 2)];
    let entry = AuditEntry::of_clock(None, at(901), &Actor::new(Principal::CommandLine));
    for _ in 0..2 {
        ok!(store.transfer().import_rollups(&batch_of(&all)));
        for value in [b"first", b"other"] {
            let declared = store.transfer().declare_setting("format/a", value, Some(entry.clone()));
            assert_eq!(ok!(declared), b"first");
        }
        let entries = ok!(audit.list_audit(&AuditFilter::default(), &PageRequest::default())).items;
        let new: Vec<_> = entries.iter().take(entries.len() - before).map(|one| &*one.entry.action).collect();
        assert_eq!(new, ["clock.accept", "usage.import"], "newest first, each once");
    }
}
