//! What no two callers can be made to do at one moment.

use chrono::{DateTime, TimeDelta, Utc};
use license_core::catalog::{Plan, PlanCatalog};
use license_core::command::{LicenseSpec, create};
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{CustomerEmail, Expiry, LicenseId};
use license_core::store::{EventStore, ExpiryScan, LicenseStore, PageRequest, WebhookStore};
use license_core::webhook::{Endpoint, EndpointId, EndpointSettings, EventSelection, SealedSecret};

use crate::sql::dialect::Dialect;
use crate::sql::store::SqlStore;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time in range")
}

/// Between the reading of endpoints and the telling one is made: what is told goes to those that are there
/// then.
async fn check_endpoints_that_change<D: Dialect>(store: &SqlStore<D>) {
    let plans = PlanCatalog::new([Plan::new("open")]).expect("plans in bounds");
    let sweep =
        ExpiryScan { now: now() + TimeDelta::days(2), expiring_until: now() + TimeDelta::days(2), limit: 10 };
    let page = PageRequest { after: None, limit: 100 };
    for number in 1..=2_u8 {
        let mut spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
        spec.expires_at = Some(Expiry::At(now() + TimeDelta::days(1)));
        let id = LicenseId::parse(&format!("lic_{number}")).expect("an id");
        let key = (KeyDigest::from_bytes([number; 32]), SealedKey::from_bytes(vec![number]));
        store.create(&create(id, key, &spec, None, &plans, now()).expect("in bounds")).await.expect("create");
        while store.assign_positions(now(), 100).await.expect("assign_positions") > 0 {}
        let (told, endpoints) = store.database.read_expiring(&sweep).await.expect("reads");
        assert_eq!((told.len(), endpoints.len()), (1, usize::from(number) - 1));
        let settings = EndpointSettings {
            url: "https://example.com/".to_owned(),
            events: EventSelection::All,
            description: None,
        };
        let id = EndpointId::parse(&format!("whe_{number:020}")).expect("an id");
        let endpoint = Endpoint::new(id, settings, SealedSecret::from_bytes(vec![1]), now());
        assert!(store.create_endpoint(&endpoint).await.expect("create_endpoint"));
        assert_eq!(store.database.write_expiry_batch(&told, &endpoints, sweep.now).await.expect("tells"), 1);
        while store.assign_positions(sweep.now, 100).await.expect("assign_positions") > 0 {}
        let delivered =
            store.list_deliveries(&endpoint.id, None, &page).await.expect("list_deliveries").items;
        assert_eq!(delivered.len(), 1, "the endpoint that came between is told");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn endpoints_that_change_amid_a_sweep_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = crate::sql::sqlite::SqliteStore::open(folder.path().join("licenses.db")).await;
    check_endpoints_that_change(&store.expect("a database")).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn endpoints_that_change_amid_a_sweep_on_postgres() {
    use crate::sql::postgres::{PostgresOptions, PostgresStore};
    let Some(database) = test_database::TestDatabase::new().await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await;
    check_endpoints_that_change(&store.expect("a database")).await;
}
