//! What the background jobs tell about themselves.

use std::time::Duration;

use license_core::job::JobState;
use license_core::{Plan, PlanCatalog};
use tokio::time::sleep;

use super::*;

fn job(engine: &Engine, name: &str) -> JobState {
    engine.job_log.states().into_iter().find(|job| job.name == name).expect("a job")
}

/// Every job of the engine has run, and tells a failure until the next success.
#[tokio::test(start_paused = true)]
async fn every_job_tells_its_last_run() {
    let store = Arc::new(FaultStore::new(MemoryStore::new()));
    // Without such a plan, two jobs have nothing to ask.
    let plans = PlanCatalog::new([Plan::new("p").idle_days(30).max_devices_per_day(5)]).expect("plans");
    let engine = Engine::builder(store.clone(), &secret()).plans(plans).start().await.expect("an engine");
    sleep(Duration::from_secs(1)).await;
    let jobs = engine.job_log.states();
    assert_eq!(jobs.len(), 16, "{jobs:#?}");
    for job in jobs {
        assert!(job.is_running && job.succeeded_at.is_some() && !job.is_failing, "{job:?}");
    }
    store.set(Fault::Unavailable);
    sleep(Duration::from_hours(2)).await;
    for job in engine.job_log.states() {
        assert!(job.is_running && job.failure.is_some(), "{job:?}");
    }
    let failure = job(&engine, "expiry").failure.expect("a failure").error;
    assert!(failure.contains("unavailable"), "{failure}");
    store.set(None);
    engine.shutdown().await;
    assert!(engine.job_log.states().iter().all(|job| !job.is_running));
}

/// A job that panics.
#[derive(Debug)]
struct PanickingJob;

#[async_trait]
impl BackgroundJob for PanickingJob {
    fn name(&self) -> &'static str {
        "panics"
    }

    async fn run(self: Box<Self>, _: Shutdown, _report: JobReport) {
        panic!("the test wants it");
    }
}

#[tokio::test(start_paused = true)]
async fn panicked_job_does_not_run() {
    let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret()).start().await.expect("an engine");
    engine.spawn(PanickingJob);
    assert!(job(&engine, "panics").is_running);
    sleep(Duration::from_secs(1)).await;
    assert!(!job(&engine, "panics").is_running);
    engine.shutdown().await;
}
