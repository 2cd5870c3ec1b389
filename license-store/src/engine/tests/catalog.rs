//! Plans of several nodes and of several starts.

use license_core::access::{Actor, Principal};
use license_core::catalog::{Plan, PlanCatalog, PlanPatch};
use license_core::clock::{SystemClock, SystemRng};
use license_core::command::LicensePatch;
use license_core::service::{ServiceOptions, Services, SlotHolder};
use license_core::store::{ChangeNotice, ChangeStream};
use tokio::time::{Instant, sleep};

use super::*;
use crate::jobs::CatalogJob;

async fn engine(store: &MemoryStore) -> Engine {
    Engine::builder(Arc::new(store.clone()), &secret()).start().await.expect("an engine")
}

/// The services of a node that hears of no change.
async fn deaf_node(store: &MemoryStore) -> Services {
    let store: Arc<dyn FullStore> = Arc::new(store.clone());
    let options = ServiceOptions::new(&secret(), SystemClock, SystemRng).keep_catalog();
    Services::open(store, options).await.expect("services")
}

async fn change(services: &Services, field: &str, value: u32) {
    let patch = PlanPatch::default().set(field, value);
    services.catalog.change_plan("starter", patch, None).await.expect("a change");
}

fn version(services: &Services) -> u32 {
    services.catalog.current().entry("starter").expect("the plan").current().version
}

/// Waits until the node knows version 2. Returns the time that passed.
async fn until_known(services: &Services) -> Duration {
    let begun = Instant::now();
    while version(services) != 2 {
        sleep(Duration::from_millis(1)).await;
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn change_of_a_plan_reaches_other_nodes_by_a_notice() {
    let store = MemoryStore::new();
    let (engine, other) = (engine(&store).await, engine(&store).await);
    assert_eq!((version(&engine), version(&other)), (1, 1));
    change(&engine, "max_devices", 9).await;
    assert_eq!(version(&engine), 2, "on this node at once");
    assert!(until_known(&other).await < Duration::from_millis(100));
    engine.shutdown().await;
    other.shutdown().await;
}

/// A stream that never yields, as between two processes on one SQLite file.
struct Silent;

#[async_trait]
impl ChangeStream for Silent {
    async fn next(&mut self) -> ChangeNotice {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn change_without_a_notice_is_seen_within_five_seconds() {
    let store = MemoryStore::new();
    let (engine, node) = (engine(&store).await, deaf_node(&store).await);
    let job = CatalogJob { catalog: node.catalog.clone(), changes: Box::new(Silent) };
    engine.spawn(job);
    sleep(Duration::from_secs(1)).await;
    change(&engine, "max_devices", 9).await;
    assert!(until_known(&node).await <= Duration::from_secs(5));
    engine.shutdown().await;
}

#[tokio::test]
async fn unknown_plan_version_is_read_at_once() {
    let store = MemoryStore::new();
    let engine = engine(&store).await;
    let key = async || {
        change(&engine, "max_devices", version(&engine) + 5).await;
        let issued = engine.licenses.issue(&spec(), None).await.expect("a license");
        (issued.detail.license.id.clone(), issued.key.reveal().to_owned())
    };
    let node = deaf_node(&store).await;
    let (_, valid) = key().await;
    let request = ValidateRequest { key: &valid, fingerprint: Some("a"), ..ValidateRequest::default() };
    assert!(node.validation.validate(&request).await.expect("a verdict").is_valid());
    let (id, _) = key().await;
    node.licenses.renew(&id).await.expect("a renewal");
    let (id, released) = key().await;
    node.licenses.change(&id, LicensePatch::default().max_devices(1)).await.expect("a change");
    let (_, deactivated) = key().await;
    for key in [released, deactivated] {
        let actor = Actor::new(Principal::Customer);
        node.validation.deactivate(&key, SlotHolder::Device("a"), actor).await.expect("a denial");
    }
    let plan = Plan::new("new");
    engine.catalog.create_plan(&plan).await.expect("a plan");
    let spec = LicenseSpec { plan: "new".to_owned(), ..spec() };
    node.licenses.issue(&spec, None).await.expect("a license of a plan that this node did not know");
    let unknown = LicenseSpec { plan: "none".to_owned(), ..spec };
    assert!(node.licenses.issue(&unknown, None).await.is_err());
    engine.shutdown().await;
}

#[tokio::test]
async fn built_in_plans_are_written_once() {
    let store = MemoryStore::new();
    let first = engine(&store).await;
    let entry = first.catalog.plan("starter").await.expect("the plan");
    assert_eq!((entry.managed_by.as_deref(), entry.versions.len()), (None, 1));
    first.catalog.archive_plan("starter", None).await.expect("archived");
    change(&first, "max_devices", 9).await;
    first.shutdown().await;
    let second = engine(&store).await;
    let entry = second.catalog.plan("starter").await.expect("the plan");
    assert!(!entry.is_available());
    assert_eq!(entry.versions.len(), 2, "a start does not restore the plan");
    second.shutdown().await;
}

#[tokio::test]
async fn plans_in_code_are_applied_at_each_start() {
    let store = MemoryStore::new();
    let start = async |plans: Vec<Plan>| {
        let plans = PlanCatalog::new(plans).expect("plans");
        let builder = Engine::builder(Arc::new(store.clone()), &secret()).plans(plans);
        builder.start().await
    };
    let pro = Plan::new("pro").max_devices(1);
    let engine = start(vec![pro.clone(), Plan::new("old")]).await.expect("an engine");
    assert_eq!(engine.catalog.current().entry("pro").expect("a plan").managed_by.as_deref(), Some("code"));
    let spec = LicenseSpec { plan: "old".to_owned(), ..spec() };
    let issued = engine.licenses.issue(&spec, None).await.expect("a license");
    engine.shutdown().await;

    let engine = start(vec![pro.clone().max_devices(2)]).await.expect("licenses have plans that code lacks");
    let catalog = engine.catalog.current();
    assert_eq!(catalog.entry("pro").expect("a plan").current().version, 2);
    assert!(!catalog.entry("old").expect("a plan").is_available());
    let request = ValidateRequest { key: issued.key.reveal(), ..ValidateRequest::default() };
    assert!(engine.validate(&request).await.expect("a verdict").is_valid());
    engine.shutdown().await;

    let error = start(vec![pro.product("editor")]).await.expect_err("a plan keeps its product");
    let text = "The plan \"pro\" belongs to the product \"default\" and cannot move to another one.";
    assert_eq!(error.to_string(), text);
}
