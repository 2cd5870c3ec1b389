//! Bulk jobs of two engines over one store.

use std::sync::Arc;

use license_core::access::{Actor, AuditFilter, Principal};
use license_core::bulk::{BulkAction, BulkJob, BulkJobStatus, LicenseOutcome};
use license_core::command::IdempotencyKey;
use license_core::error::ServiceError;
use license_core::event::EventType;
use license_core::license::LicenseId;
use license_core::limits;
use license_core::store::PageRequest;
use license_core::{Denial, Plan, PlanCatalog, Secret, ValidateRequest};
use tokio::time::sleep;

use super::{clock, nodes, spec};
use crate::engine::Engine;
use crate::faults::{Fault, FaultStore};
use crate::memory::MemoryStore;

fn key() -> IdempotencyKey {
    IdempotencyKey::parse("renew-all").expect("a key")
}

fn actor() -> Actor {
    Actor::new(Principal::Named("support".to_owned()))
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
async fn finished(engine: &Engine, job: &BulkJob) -> BulkJob {
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
    let job = engine.bulk.create(BulkAction::Renew, ids.clone(), Some(&actor()), Some(&key())).await;
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
    let job = engine.bulk.create(BulkAction::Renew, ids.clone(), None, Some(&key())).await.expect("a job");
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
    let job = engine.bulk.create(BulkAction::Suspend, ids, None, None).await.expect("a job");
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
    let job = engine.bulk.create(BulkAction::Revoke, ids, None, None).await.expect("a job");
    let progress = finished(&engine, &job.job).await.progress;
    // The outcome of the damaged license was lost with its step, and the license is readable again.
    assert_eq!((progress.count(LicenseOutcome::Done), progress.total()), (5, 5));
    assert_eq!(store.remaining(), 0, "every fault has struck");
    engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn invalid_job_is_rejected() {
    let plans = PlanCatalog::new([Plan::new("starter")]).expect("plans");
    let [engine, other] = nodes(&clock(), plans).await;
    let ids = issue(&engine, 1).await;
    let create = async |action, ids: Vec<LicenseId>| {
        engine.bulk.create(action, ids, None, None).await.expect_err("rejected")
    };
    let many = (0..=limits::BULK_JOB_LICENSES).map(|n| LicenseId::parse(&format!("lic_{n}")).expect("an id"));
    assert!(matches!(create(BulkAction::Suspend, Vec::new()).await, ServiceError::JobLicenses { count: 0 }));
    assert!(matches!(create(BulkAction::Suspend, many.collect()).await, ServiceError::JobLicenses { .. }));
    assert!(matches!(create(BulkAction::Renew, ids.clone()).await, ServiceError::IdempotencyKeyRequired));
    let plan = BulkAction::MovePlan { plan: "gone".to_owned() };
    assert!(matches!(create(plan, ids).await, ServiceError::Denied(Denial::PlanUnknown { .. })));
    engine.shutdown().await;
    other.shutdown().await;
}
