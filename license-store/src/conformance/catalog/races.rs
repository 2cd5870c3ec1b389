//! Cases for commands on the catalog that race.

use license_core::catalog::Plan;
use license_core::catalog_command::{CatalogCommand, CatalogContext, CatalogOutcome};

use super::commands::{catalog, catalog_context, change, changed, loaded};
use crate::conformance::prelude::*;

const TASKS: u32 = 12;

/// No change of another handle is lost.
pub async fn racing_plan_changes_are_all_made(Handles { both: handles, .. }: &Handles) {
    changed(&handles[0], &CatalogCommand::CreatePlan(Plan::new("pro").max_devices(100))).await;
    race(handles, TASKS as usize, |task, store| async move {
        let devices = u32::try_from(task).expect("few");
        changed(&store, &change("pro", "max_devices", devices)).await;
    })
    .await;
    let after = loaded(&handles[1]).await;
    let entry = after.entry("pro").expect("the plan");
    let numbers: Vec<_> = entry.versions.iter().map(|one| one.version).collect();
    assert_eq!(numbers, (1..=TASKS + 1).collect::<Vec<_>>());
    let devices: BTreeSet<_> =
        entry.versions.iter().filter_map(|one| one.plan.max_devices.as_number()).collect();
    assert_eq!(devices.len(), TASKS as usize + 1, "each change has its version");
    assert_eq!(entry.revision, u64::from(TASKS) + 1);
}

/// Several nodes that start at once write the first plans once.
pub async fn racing_starts_write_plans_once(Handles { both: handles, .. }: &Handles) {
    race(handles, TASKS as usize, |_, store| async move {
        let seed =
            CatalogCommand::Seed { plans: catalog([Plan::new("pro"), Plan::new("solo")]), release: true };
        changed(&store, &seed).await;
    })
    .await;
    let after = loaded(&handles[0]).await;
    let versions: Vec<_> = after.entries().map(|entry| entry.versions.len()).collect();
    assert_eq!((versions, after.revision()), (vec![1, 1], 1));
}

/// Of several changes that expect one revision, exactly one is made.
pub async fn expected_revision_is_checked_under_the_lock(Handles { both: handles, .. }: &Handles) {
    changed(&handles[0], &CatalogCommand::CreatePlan(Plan::new("pro").max_devices(100))).await;
    let outcomes = race(handles, TASKS as usize, |task, store| async move {
        let devices = u32::try_from(task).expect("few");
        let context = CatalogContext { expected_revision: Some(1), ..catalog_context() };
        ok!(store.catalog().execute_catalog(&change("pro", "max_devices", devices), &context))
    })
    .await;
    let made = outcomes.iter().filter(|outcome| matches!(outcome, CatalogOutcome::Done { .. })).count();
    assert_eq!(made, 1);
    assert_eq!(loaded(&handles[0]).await.entry("pro").expect("the plan").versions.len(), 2);
}

/// While edits race, a license is pinned to a version that was current at some moment between the call and
/// its answer, and its limits are those of that version.
pub async fn pinned_version_was_current_while_edits_race(Handles { both: handles, .. }: &Handles) {
    changed(&handles[0], &CatalogCommand::CreatePlan(Plan::new("pro").max_devices(1))).await;
    let current = async |store: &Handle| {
        let catalog = loaded(store).await;
        let version = catalog.entry("pro").expect("the plan").current().version;
        (version, Arc::new(catalog))
    };
    let sold = race(handles, TASKS as usize, move |task, store| async move {
        let mut sold = Vec::new();
        for _ in 0..6 {
            let (before, plans) = current(&store).await;
            if task % 3 == 0 {
                // The device limit of a version is its number.
                let context = CatalogContext { expected_revision: Some(before.into()), ..catalog_context() };
                let edit = change("pro", "max_devices", before + 1);
                ok!(store.catalog().execute_catalog(&edit, &context));
                continue;
            }
            let new = new_license_in(&plans, &spec("pro"));
            assert_eq!(ok!(store.create(&new)), Created::New);
            let (between, plans) = current(&store).await;
            let context = CommandContext { plans, ..context(at(60)) };
            let moved = ask_in(&store, &new.license.id, &Command::Change(patch("pro")), &context).await;
            let (after, _) = current(&store).await;
            sold.push((before..=between, new.license));
            sold.push((between..=after, (*moved.expect("allowed")).clone()));
        }
        sold
    })
    .await;
    let sold: Vec<_> = sold.into_iter().flatten().collect();
    assert_eq!(sold.len(), 96);
    let (last, catalog) = current(&handles[1]).await;
    assert!(last > 1, "edits were made");
    for (versions, license) in sold {
        assert!(versions.contains(&license.plan_version), "{versions:?}: {license:?}");
        let pinned = catalog.version("pro", license.plan_version).expect("the version");
        assert_eq!(pinned.max_devices, Limit::AtMost(license.plan_version));
        assert_eq!(license.max_devices, pinned.max_devices);
        let stored = ok!(handles[0].get(&license.id)).expect("the license").license;
        let pinned = catalog.version("pro", stored.plan_version).expect("the version");
        assert_eq!(stored.max_devices, pinned.max_devices, "it is stored");
    }
}
