//! A dry run tells what the job does.

use license_core::bulk::{BulkAction, LicenseOutcome};
use license_core::error::ServiceError;
use license_core::license::{LicenseId, Reason};
use license_core::service::BulkDryRun;
use license_core::store::{JobLicenses, SearchFilter};
use license_core::validation::DenialCode;
use license_core::{Denial, Plan, PlanCatalog};

use super::bulk::{finished, key, of_plan, on_ids};
use super::{clock, nodes, spec};
use crate::engine::Engine;

/// Six licenses: three active, one suspended, two revoked.
async fn licenses(engine: &Engine) -> Vec<LicenseId> {
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(engine.licenses.issue(&spec("p"), None).await.expect("a license").detail.license.id.clone());
    }
    engine.licenses.suspend(&ids[3]).await.expect("suspended");
    for id in &ids[4..] {
        engine.licenses.revoke(id).await.expect("revoked");
    }
    ids
}

fn plans() -> PlanCatalog {
    let plans = [Plan::new("p").term_days(Some(30)), Plan::new("q"), Plan::new("x").product("other")];
    PlanCatalog::new(plans).expect("plans")
}

/// For every action, the numbers of the dry run are those of the job that is run after it. The dry run itself
/// changes nothing.
#[tokio::test(start_paused = true)]
async fn dry_run_tells_what_the_job_does() {
    let move_to = |plan: &str| BulkAction::MovePlan { plan: plan.to_owned() };
    let revoked = (DenialCode::LicenseRevoked, 2);
    for (action, changed, unchanged, denied) in [
        (BulkAction::Suspend, 3, 1, vec![revoked]),
        (BulkAction::Reinstate, 1, 3, vec![revoked]),
        (BulkAction::Renew, 4, 0, vec![revoked]),
        (BulkAction::Revoke, 4, 2, vec![]),
        (move_to("q"), 4, 0, vec![revoked]),
        (move_to("p"), 0, 4, vec![revoked]),
    ] {
        let [engine, other] = nodes(&clock(), plans()).await;
        let ids = licenses(&engine).await;
        let events = engine.events.after(0, 1_000).await.expect("events").len();
        let all = JobLicenses::Search { filter: of_plan("p"), expect: 0 };
        for licenses in [JobLicenses::Ids(ids.clone()), all] {
            let found = engine.bulk.dry_run(&action, licenses, None, None).await.expect("a dry run");
            let BulkDryRun { matched, decided, sample, .. } = &found;
            assert_eq!((*matched, *decided, sample.len()), (6, 6, 6), "{action:?}");
            assert_eq!((found.changed, found.unchanged), (changed, unchanged), "{action:?}");
            assert_eq!(found.denied, denied.iter().copied().collect(), "{action:?}");
        }
        assert_eq!(engine.events.after(0, 1_000).await.expect("events").len(), events, "nothing happened");
        let job = engine.bulk.create(on_ids(action.clone(), &ids), None, Some(&key())).await.expect("a job");
        let progress = finished(&other, &job.job).await.progress;
        assert_eq!(progress.count(LicenseOutcome::Done), changed + unchanged, "{action:?}");
        assert_eq!(progress.denied().collect::<Vec<_>>(), denied, "{action:?}");
        let after = engine.events.after(0, 1_000).await.expect("events").len();
        assert_eq!((after - events) as u64, changed, "{action:?}: each change has its event");
        engine.shutdown().await;
        other.shutdown().await;
    }
}

/// Another reason changes a suspended license, and a plan of another product is denied.
#[tokio::test(start_paused = true)]
async fn dry_run_knows_the_reason_and_the_product() {
    let [engine, other] = nodes(&clock(), plans()).await;
    let ids = JobLicenses::Ids(licenses(&engine).await[..4].to_vec());
    let reason = Reason::parse("chargeback").ok();
    let found = engine.bulk.dry_run(&BulkAction::Suspend, ids.clone(), None, reason.as_ref()).await;
    let found = found.expect("a dry run");
    assert_eq!((found.changed, found.unchanged), (4, 0));
    let to_other = BulkAction::MovePlan { plan: "x".to_owned() };
    let found = engine.bulk.dry_run(&to_other, ids.clone(), None, None).await.expect("a dry run");
    assert_eq!(found.denied, [(DenialCode::ProductDiffers, 4)].into());
    let unknown = BulkAction::MovePlan { plan: "gone".to_owned() };
    let error = engine.bulk.dry_run(&unknown, ids, None, None).await.expect_err("rejected");
    assert!(matches!(error, ServiceError::Denied(Denial::PlanUnknown { .. })), "{error}");
    engine.shutdown().await;
    other.shutdown().await;
}

/// A dry run of more licenses than it decides on says how many it looked at.
#[tokio::test(start_paused = true)]
async fn dry_run_of_many_licenses_decides_on_the_newest() {
    let [engine, other] = nodes(&clock(), plans()).await;
    for _ in 0..5_100 {
        engine.licenses.issue(&spec("p"), None).await.expect("a license");
    }
    let all = JobLicenses::Search { filter: of_plan("p"), expect: 0 };
    let found = engine.bulk.dry_run(&BulkAction::Suspend, all, None, None).await.expect("a dry run");
    assert_eq!((found.matched, found.decided, found.changed), (5_100, 5_000, 5_000));
    let none = JobLicenses::Search { filter: SearchFilter::default(), expect: 0 };
    let error = engine.bulk.dry_run(&BulkAction::Suspend, none, None, None).await.expect_err("rejected");
    assert!(matches!(error, ServiceError::JobWithoutFilter), "{error}");
    engine.shutdown().await;
    other.shutdown().await;
}
