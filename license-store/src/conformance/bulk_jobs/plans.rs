//! Cases for jobs that move the licenses of a plan to its current version.

use license_core::bulk::{BulkAction, BulkJob, BulkJobStatus, BulkJobStep, LicenseOutcome};
use license_core::catalog::{Plan, PlanPatch};
use license_core::catalog_command::{CatalogCommand, CatalogContext, CatalogOutcome};

use super::jobs::{get, job_id};
use crate::conformance::audit::entries::{actor, all_entries};
use crate::conformance::catalog::commands::{catalog_context, changed, loaded};
use crate::conformance::prelude::*;

/// Sets the device limit of the plan "pro" for all its licenses, by the job with this number.
fn for_all(devices: u32, job: u32) -> CatalogCommand {
    let patch = PlanPatch::default().set("max_devices", devices);
    CatalogCommand::ChangePlanForAll { name: "pro".to_owned(), patch, job: job_id(job) }
}

/// Issues a license of the plan "pro" with its current version.
async fn sell(store: &Handle) -> LicenseId {
    let new = new_license_in(&loaded(store).await, &spec("pro"));
    assert_eq!(ok!(store.create(&new)), Created::New);
    new.license.id
}

async fn version(store: &Handle, id: &LicenseId) -> u32 {
    detail(store, id).await.license.plan_version
}

/// Executes the next step of a job. Returns the job, or `None` if no job runs.
async fn step(store: &Handle, after: Option<BulkJob>, limit: u32) -> Option<BulkJob> {
    let after = after.map(|job| job.id);
    let BulkJobStep { id, action, licenses, .. } = ok!(store.bulk_jobs().next_job_step(after, limit))?;
    let mut outcomes = Vec::new();
    for license in licenses {
        let plans = Arc::new(loaded(store).await);
        let context = CommandContext { plans, job: Some(id.clone()), ..context(at(70)) };
        let before = version(store, &license).await;
        ask_in(store, &license, &action.command(), &context).await.expect("allowed");
        assert!(version(store, &license).await >= before, "{license} went back to an older version");
        outcomes.push((license, LicenseOutcome::Done));
    }
    ok!(store.bulk_jobs().settle_job_step(&id, &outcomes, at(71)));
    ok!(store.bulk_jobs().get_job(&id))
}

/// Executes all jobs, which take turns.
async fn run(store: &Handle) {
    let mut last = None;
    while let Some(job) = step(store, last, 2).await {
        last = Some(job);
    }
}

/// A change of a plan for all creates its job in the same commit: with the licenses of older versions that are not
/// revoked, and an audit entry with their number. A denied change creates none.
pub async fn plan_job_has_the_licenses_of_older_versions(Handles { store, other, .. }: &Handles) {
    for name in ["pro", "solo"] {
        changed(store, &CatalogCommand::CreatePlan(Plan::new(name).max_devices(1))).await;
    }
    let (first, revoked) = (sell(store).await, sell(store).await);
    let solo = new_license_in(&loaded(store).await, &spec("solo"));
    ok!(store.create(&solo));
    ask(store, &revoked, &Command::Revoke).await.expect("active");
    let patch = PlanPatch::default().set("max_devices", 2);
    changed(store, &CatalogCommand::ChangePlan { name: "pro".to_owned(), patch }).await;
    let second = sell(store).await;

    let context = CatalogContext { by: Some(Arc::new(actor())), ..catalog_context() };
    let stale = CatalogContext { expected_revision: Some(7), ..context.clone() };
    let denied = ok!(store.catalog().execute_catalog(&for_all(3, 1), &stale));
    assert!(matches!(denied, CatalogOutcome::Denied(_)), "{denied:?}");
    assert_eq!(ok!(store.bulk_jobs().get_job(&job_id(1))), None);
    for (job, devices) in [(1, 3), (2, 3)] {
        ok!(store.catalog().execute_catalog(&for_all(devices, job), &context));
        let BulkJob { action, status, created_at, by, progress, .. } = get(other, job).await;
        assert_eq!(action, BulkAction::ApplyPlan { plan: "pro".to_owned(), version: 3 });
        assert_eq!((status, created_at, by), (BulkJobStatus::Running, at(60), Some(actor())));
        assert_eq!(progress.open, 2);
    }
    let mut licenses = vec![first, second];
    licenses.sort();
    let next = ok!(other.bulk_jobs().next_job_step(None, 9)).expect("the job runs");
    assert_eq!(next.licenses, licenses);
    assert_eq!(
        loaded(other).await.entry("pro").expect("the plan").versions.len(),
        3,
        "the terms changed once"
    );
    if let Some(audit) = &store.audit {
        let entries = all_entries(&**audit).await;
        let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["job.create", "job.create", "plan.change"], "newest first");
        assert_eq!(entries[0].changes["licenses"]["after"], json!(2));
        assert_eq!(entries[0].changes["plan_version"]["after"], json!(3));
    }
}

/// Licenses keep the limits that were set on them, and `expires_at`. Those of another plan stay as they are.
pub async fn plan_job_keeps_overrides_and_expiry(Handles { store, other, .. }: &Handles) {
    changed(store, &CatalogCommand::CreatePlan(Plan::new("pro").max_devices(3).term_days(365))).await;
    let (plain, special) = (sell(store).await, sell(store).await);
    let plans = Arc::new(loaded(store).await);
    let context = CommandContext { plans, ..context(at(60)) };
    let patch = LicensePatch::default().max_devices(9).expires_at(Expiry::At(at(86_400)));
    ask_in(store, &special, &Command::Change(patch), &context).await.expect("allowed");
    let before = detail(store, &special).await.license;
    changed(store, &for_all(1, 1)).await;
    run(store).await;
    let after = detail(other, &special).await.license;
    assert_eq!((after.plan_version, after.max_devices), (2, Limit::AtMost(9)));
    assert_eq!((after.overrides, after.expires_at), (before.overrides, before.expires_at));
    let moved = detail(other, &plain).await.license;
    assert_eq!((moved.plan_version, moved.max_devices), (2, Limit::AtMost(1)));
    assert_eq!(moved.expires_at, Some(at(365 * 86_400)));
    let job = get(other, 1).await;
    assert_eq!((job.status, job.progress.total()), (BulkJobStatus::Completed, 2));
    if let Some(events) = license_events(other, &plain, 0).await {
        let updated = events.last().expect("events");
        assert_eq!((updated.event_type.as_str(), updated.is_of_job()), ("license.updated", true));
        assert_eq!(updated.data["fields"], json!(["max_devices", "plan_version"]));
    }
}

/// A job is not completed before all nodes have heard of the change.
pub async fn plan_job_waits_for_other_nodes(Handles { store, other, .. }: &Handles) {
    changed(store, &CatalogCommand::CreatePlan(Plan::new("pro").max_devices(1))).await;
    changed(store, &for_all(2, 1)).await;
    for (seconds, status) in [(69, BulkJobStatus::Running), (70, BulkJobStatus::Completed)] {
        ok!(store.bulk_jobs().settle_job_step(&job_id(1), &[], at(seconds)));
        assert_eq!(get(other, 1).await.status, status, "{} s after the change", seconds - 60);
    }
}

/// A license that another node sells with the version before, because it has not heard of the change, is moved
/// too. A job without licenses looks for such licenses once.
pub async fn plan_job_finds_licenses_sold_meanwhile(Handles { store, other, .. }: &Handles) {
    changed(store, &CatalogCommand::CreatePlan(Plan::new("pro").max_devices(1))).await;
    for job in [1, 2] {
        let stale = loaded(other).await;
        let known = if job == 1 { None } else { Some(sell(store).await) };
        changed(store, &for_all(job + 1, job)).await;
        let late = new_license_in(&stale, &spec("pro"));
        assert_eq!(ok!(other.create(&late)), Created::New);
        run(store).await;
        assert_eq!(version(other, &late.license.id).await, job + 1, "a license that was sold late");
        let BulkJob { status, progress, finished_at, .. } = get(other, job).await;
        assert_eq!((status, finished_at), (BulkJobStatus::Completed, Some(at(71))));
        // The second job also has the license of the first.
        let expected = if known.is_some() { 3 } else { 1 };
        assert_eq!(progress.total(), expected);
    }
}

/// Of two quick changes, the later one has the last word, in whatever order the jobs run.
pub async fn later_plan_job_wins(Handles { store, other, .. }: &Handles) {
    changed(store, &CatalogCommand::CreatePlan(Plan::new("pro").max_devices(1))).await;
    let mut sold = Vec::new();
    for _ in 0..5 {
        sold.push(sell(store).await);
    }
    for (devices, job) in [(2, 2), (3, 1)] {
        changed(store, &for_all(devices, job)).await;
    }
    // The id of the later job is lower, so it begins.
    run(other).await;
    for id in &sold {
        let license = detail(other, id).await.license;
        assert_eq!((license.plan_version, license.max_devices), (3, Limit::AtMost(3)));
    }
    for (job, total) in [(1, 5), (2, 5)] {
        let BulkJob { status, progress, .. } = get(store, job).await;
        assert_eq!((status, progress.count(LicenseOutcome::Done)), (BulkJobStatus::Completed, total));
    }
}

/// While licenses are sold, changes for all race. In the end each license has the last version.
pub async fn racing_changes_for_all_move_every_license(Handles { both: handles, .. }: &Handles) {
    changed(&handles[0], &CatalogCommand::CreatePlan(Plan::new("pro").max_devices(100))).await;
    let sold = race(handles, 9, |task, store| async move {
        let number = u32::try_from(task).expect("few");
        if task % 3 == 0 {
            changed(&store, &for_all(number + 1, number)).await;
            return Vec::new();
        }
        let mut sold = Vec::new();
        for _ in 0..5 {
            sold.push(sell(&store).await);
        }
        sold
    })
    .await;
    run(&handles[0]).await;
    let last = loaded(&handles[1]).await.entry("pro").expect("the plan").current().version;
    assert_eq!(last, 4);
    for id in sold.iter().flatten() {
        assert_eq!(version(&handles[1], id).await, last, "the version of {id}");
    }
}
