//! Bulk jobs of two engines over one store.

use std::sync::Arc;

use chrono::TimeDelta;
use license_core::access::{Actor, AuditFilter, Principal};
use license_core::bulk::{BulkAction, BulkJob, BulkJobStatus, LicenseOutcome};
use license_core::catalog::{Limit, PlanPatch};
use license_core::command::IdempotencyKey;
use license_core::error::ServiceError;
use license_core::event::EventType;
use license_core::license::{Fingerprint, LicenseId, Reason};
use license_core::limits;
use license_core::service::BulkRequest;
use license_core::store::{JobLicenses, PageRequest, SearchFilter};
use license_core::{Denial, Plan, PlanCatalog, Secret, ValidateRequest};
use tokio::time::sleep;

use super::{clock, nodes, spec};
use crate::engine::Engine;
use crate::faults::{Fault, FaultStore};
use crate::memory::MemoryStore;

pub(super) fn key() -> IdempotencyKey {
    IdempotencyKey::parse("renew-all").expect("a key")
}

fn actor() -> Actor {
    Actor::new(Principal::Named("support".to_owned()))
}

pub(super) fn on_ids(action: BulkAction, ids: &[LicenseId]) -> BulkRequest {
    BulkRequest { action, licenses: JobLicenses::Ids(ids.to_vec()), reason: None }
}

pub(super) fn of_plan(plan: &str) -> SearchFilter {
    SearchFilter { plan: Some(plan.to_owned()), ..SearchFilter::default() }
}

async fn issue(engine: &Engine, count: usize) -> Vec<LicenseId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let issued = engine.licenses.issue(&spec("starter"), None).await.expect("a license");
        ids.push(issued.detail.license.id.clone());
    }
    ids
}

/// Waits until the job is finished.
pub(super) async fn finished(engine: &Engine, job: &BulkJob) -> BulkJob {
    loop {
        let job = engine.bulk.get(&job.id).await.expect("the job");
        if job.status != BulkJobStatus::Running {
            return job;
        }
        sleep(super::super::bulk::EVERY).await;
    }
}

/// Every license is renewed once, although both nodes run the job. Its events and audit entries name the job
/// and its creator.
#[tokio::test(start_paused = true)]
async fn job_of_two_nodes_renews_each_license_once() {
    let [engine, other] = nodes(&clock(), PlanCatalog::standard()).await;
    let mut ids = issue(&engine, 40).await;
    engine.licenses.revoke(&ids[3]).await.expect("revoked");
    ids.push(LicenseId::parse("lic_unknown").expect("an id"));
    ids.push(ids[0].clone());
    let job = engine.bulk.create(on_ids(BulkAction::Renew, &ids), Some(&actor()), Some(&key())).await;
    let job = finished(&other, &job.expect("a job").job).await;
    assert_eq!(job.status, BulkJobStatus::Completed);
    let counts = (job.progress.total(), job.progress.count(LicenseOutcome::Done));
    assert_eq!(counts, (41, 39));
    assert_eq!(job.progress.count(LicenseOutcome::NotFound), 1);
    assert_eq!(job.progress.denied().collect::<Vec<_>>(), [(Denial::Revoked.code(), 1)]);
    let events = engine.events.after(0, 1_000).await.expect("events");
    let renewed: Vec<_> =
        events.iter().filter(|one| one.event.event_type == EventType::LicenseRenewed).collect();
    assert_eq!(renewed.len(), 39);
    assert!(renewed.iter().all(|one| one.event.data["job"] == job.id.as_str()));
    let filter = AuditFilter { action: Some("license.renew".to_owned()), ..AuditFilter::default() };
    let audit = engine.access.audit(&filter, &PageRequest { after: None, limit: 100 }).await;
    let audit = audit.expect("the audit log").items;
    assert_eq!(audit.len(), 39);
    assert!(audit.iter().all(|one| one.entry.actor == actor()));
    engine.shutdown().await;
    other.shutdown().await;
}

/// A step whose outcomes were lost is repeated after the next start, and renews no license twice.
#[tokio::test(start_paused = true)]
async fn interrupted_job_continues_without_a_second_effect() {
    let store = Arc::new(FaultStore::new(MemoryStore::new()));
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("a secret");
    let start = async || {
        let builder = Engine::builder(Arc::clone(&store) as _, &secret);
        builder.start().await.expect("an engine")
    };
    let engine = start().await;
    let ids = issue(&engine, 30).await;
    let terms = async |engine: &Engine| {
        let mut terms = Vec::new();
        for id in &ids {
            terms.push(engine.licenses.get(id).await.expect("a license").detail.license.expires_at);
        }
        terms
    };
    let before = terms(&engine).await;
    // The node stops while the outcomes of the first step are being stored.
    let stopped = store.hold("settle_job_step");
    let job = engine.bulk.create(on_ids(BulkAction::Renew, &ids), None, Some(&key())).await.expect("a job");
    stopped.reached().await;
    engine.shutdown().await;
    let halfway = terms(&engine).await;
    assert!(halfway.iter().zip(&before).any(|(now, before)| now > before), "the first step has run");

    let engine = start().await;
    let job = finished(&engine, &job.job).await;
    assert_eq!(job.progress.count(LicenseOutcome::Done), 30);
    let after = terms(&engine).await;
    for ((before, halfway), after) in before.iter().zip(&halfway).zip(&after) {
        assert!(after > before, "every license is renewed");
        assert!(halfway == before || halfway == after, "no license is renewed twice");
    }
    engine.shutdown().await;
}

/// After a suspension by a job is completed, no validation on its node answers "valid".
#[tokio::test(start_paused = true)]
async fn completed_job_has_suspended_its_licenses() {
    let [engine, other] = nodes(&clock(), PlanCatalog::standard()).await;
    let issued = engine.licenses.issue(&spec("starter"), None).await.expect("a license");
    let request = ValidateRequest { key: issued.key.reveal(), ..ValidateRequest::default() };
    assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    let ids = vec![issued.detail.license.id.clone()];
    let job = engine.bulk.create(on_ids(BulkAction::Suspend, &ids), None, None).await.expect("a job");
    finished(&engine, &job.job).await;
    assert!(!engine.validate(&request).await.expect("a verdict").is_valid());
    engine.shutdown().await;
    other.shutdown().await;
}

/// A damaged license does not stop the others, and an outage is waited for.
#[tokio::test(start_paused = true)]
async fn job_survives_faults_of_the_store() {
    let store = Arc::new(FaultStore::new(MemoryStore::new()));
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("a secret");
    let engine = Engine::builder(Arc::clone(&store) as _, &secret).start().await.expect("an engine");
    let ids = issue(&engine, 5).await;
    store.script("execute", [None, Some(Fault::Corrupt), Some(Fault::Unavailable), None]);
    store.script("settle_job_step", [Some(Fault::Unavailable)]);
    let job = engine.bulk.create(on_ids(BulkAction::Revoke, &ids), None, None).await.expect("a job");
    let progress = finished(&engine, &job.job).await.progress;
    // The outcome of the damaged license was lost with its step, and the license is readable again.
    assert_eq!((progress.count(LicenseOutcome::Done), progress.total()), (5, 5));
    assert_eq!(store.remaining(), 0, "every fault has struck");
    engine.shutdown().await;
}

/// A job by search gives its reason to each license, event and audit entry. Its dry run writes nothing.
#[tokio::test(start_paused = true)]
async fn job_by_search_gives_its_reason() {
    let [engine, other] = nodes(&clock(), PlanCatalog::standard()).await;
    let ids = issue(&engine, 12).await;
    let licenses = JobLicenses::Search { filter: of_plan("starter"), expect: 12 };
    let suspend = BulkAction::Suspend;
    let found = engine.bulk.dry_run(&suspend, licenses.clone(), Some(12), None).await.expect("a dry run");
    assert_eq!((found.matched, found.sample.len()), (12, 10));
    let reason = Reason::parse("chargeback").ok();
    let request = BulkRequest { action: BulkAction::Suspend, licenses, reason: reason.clone() };
    let job = engine.bulk.create(request.clone(), Some(&actor()), Some(&key())).await.expect("a job").job;
    assert_eq!((job.progress.total(), &job.reason), (12, &reason));
    let job = finished(&other, &job).await;
    assert_eq!(job.progress.count(LicenseOutcome::Done), 12);
    for id in &ids {
        let license = engine.licenses.get(id).await.expect("a license").detail.license;
        assert_eq!((license.state.as_str(), &license.state_reason), ("suspended", &reason));
    }
    let events = engine.events.after(0, 1_000).await.expect("events");
    let suspended = events.iter().filter(|one| one.event.event_type == EventType::LicenseSuspended);
    assert_eq!(suspended.filter(|one| one.event.data["reason"] == "chargeback").count(), 12);
    let page = PageRequest { after: None, limit: 100 };
    let audit = engine.access.audit(&AuditFilter::default(), &page).await.expect("the audit log").items;
    let with_reason: Vec<_> = audit.iter().filter(|one| one.entry.reason == reason).collect();
    let created = with_reason.iter().filter(|one| one.entry.action == "job.create").count();
    assert_eq!((with_reason.len(), created), (13, 1));

    // The same request, whatever matches by now; another filter, number or reason is another request.
    let again = engine.bulk.create(request.clone(), Some(&actor()), Some(&key())).await.expect("the job");
    assert_eq!((again.repeated, &again.job), (true, &job));
    let search = |filter, expect| JobLicenses::Search { filter, expect };
    let narrower = SearchFilter { fingerprint: Fingerprint::parse("d").ok(), ..of_plan("starter") };
    for other in [
        BulkRequest { licenses: search(narrower, 12), ..request.clone() },
        BulkRequest { licenses: search(of_plan("starter"), 11), ..request.clone() },
        BulkRequest { reason: None, ..request.clone() },
        BulkRequest { licenses: JobLicenses::Ids(ids.clone()), ..request.clone() },
    ] {
        let error = engine.bulk.create(other, Some(&actor()), Some(&key())).await.expect_err("another");
        assert!(matches!(error, ServiceError::Denied(Denial::KeyReused)), "{error}");
    }
    engine.shutdown().await;
    other.shutdown().await;
}

/// A job by a search that finds more licenses than a job can have is refused.
#[tokio::test]
async fn too_large_search_is_refused() {
    let store = Arc::new(FaultStore::new(MemoryStore::new()));
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("a secret");
    let engine = Engine::builder(Arc::clone(&store) as _, &secret).start().await.expect("an engine");
    let most = u64::from(limits::BULK_JOB_LICENSES);
    let search = |expect| JobLicenses::Search { filter: of_plan("starter"), expect };
    let request =
        |expect| BulkRequest { action: BulkAction::Suspend, licenses: search(expect), reason: None };
    let error = engine.bulk.create(request(most), None, None).await.expect_err("none match");
    let ServiceError::JobCountDiffers { expect, matched } = error else { panic!("{error}") };
    assert_eq!((expect, matched), (most, 0));
    let error = engine.bulk.create(request(most + 1), None, None).await.expect_err("too many");
    assert!(matches!(error, ServiceError::JobTooLarge), "{error}");
    engine.shutdown().await;
}

/// A change of a plan for all moves its licenses on every node, by one event each. A license that was revoked
/// meanwhile denies it.
#[tokio::test(start_paused = true)]
async fn changed_plan_moves_all_its_licenses() {
    let clock = clock();
    let [engine, other] = nodes(&clock, PlanCatalog::standard()).await;
    let plan = Plan::new("pro").max_devices(3);
    engine.catalog.create_plan(&plan).await.expect("a plan");
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(
            engine.licenses.issue(&spec("pro"), None).await.expect("a license").detail.license.id.clone(),
        );
    }
    let patch = PlanPatch::default().set("max_devices", 5);
    let catalog = engine.catalog.by(&Arc::new(actor()));
    let (plan, id) = catalog.change_plan_for_all("pro", patch, Some(1)).await.expect("changed");
    engine.licenses.revoke(&ids[0]).await.expect("revoked");
    assert_eq!(plan.current().version, 2);
    clock.advance(TimeDelta::seconds(10));
    let job = finished(&other, &engine.bulk.get(&id).await.expect("the job")).await;
    assert_eq!((job.progress.total(), job.progress.count(LicenseOutcome::Done)), (20, 19));
    assert_eq!(job.progress.denied().collect::<Vec<_>>(), [(Denial::Revoked.code(), 1)]);
    for id in &ids[1..] {
        let license = engine.licenses.get(id).await.expect("a license").detail.license;
        assert_eq!((license.plan_version, license.max_devices), (2, Limit::AtMost(5)));
    }
    let events = engine.events.after(0, 1_000).await.expect("events");
    let updated: Vec<_> =
        events.iter().filter(|one| one.event.event_type == EventType::LicenseUpdated).collect();
    assert_eq!(updated.len(), 19);
    assert!(updated.iter().all(|one| one.event.data["job"] == id.as_str()));
    engine.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn invalid_job_is_rejected() {
    let plans = PlanCatalog::new([Plan::new("starter")]).expect("plans");
    let [engine, other] = nodes(&clock(), plans).await;
    let ids = issue(&engine, 1).await;
    let create = async |action, ids: Vec<LicenseId>| {
        engine.bulk.create(on_ids(action, &ids), None, None).await.expect_err("rejected")
    };
    let many = (0..=limits::BULK_JOB_LICENSES).map(|n| LicenseId::parse(&format!("lic_{n}")).expect("an id"));
    assert!(matches!(create(BulkAction::Suspend, Vec::new()).await, ServiceError::JobLicenses { count: 0 }));
    assert!(matches!(create(BulkAction::Suspend, many.collect()).await, ServiceError::JobLicenses { .. }));
    assert!(matches!(create(BulkAction::Renew, ids.clone()).await, ServiceError::IdempotencyKeyRequired));
    let plan = BulkAction::MovePlan { plan: "gone".to_owned() };
    assert!(matches!(create(plan, ids.clone()).await, ServiceError::Denied(Denial::PlanUnknown { .. })));
    let apply = BulkAction::ApplyPlan { plan: "starter".to_owned(), version: 1 };
    assert!(matches!(create(apply, ids).await, ServiceError::JobAction("apply_plan")));
    let licenses = JobLicenses::Search { filter: SearchFilter::default(), expect: 1 };
    let all = BulkRequest { action: BulkAction::Suspend, licenses: licenses.clone(), reason: None };
    let error = engine.bulk.create(all, None, None).await.expect_err("rejected");
    assert!(matches!(error, ServiceError::JobWithoutFilter), "{error}");
    let error = engine.bulk.dry_run(&BulkAction::Suspend, licenses, None, None).await.expect_err("rejected");
    assert!(matches!(error, ServiceError::JobWithoutFilter), "{error}");
    engine.shutdown().await;
    other.shutdown().await;
}
