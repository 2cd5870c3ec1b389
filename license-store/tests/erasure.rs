//! The erasure of a customer, searched for in every table of a database.

#![cfg(any(feature = "sqlite", feature = "postgres"))]

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use license_core::access::{Actor, Principal};
use license_core::bulk::BulkAction;
use license_core::clock::ManualClock;
use license_core::command::{IdempotencyKey, LicensePatch, LicenseSpec};
use license_core::key::Secret;
use license_core::license::{
    ActivationTarget, Binding, CustomerEmail, CustomerName, Fingerprint, Metadata, MetadataPatch, Reason,
};
use license_core::service::{BulkRequest, ServiceOptions, Services};
use license_core::store::{FullStore, JobLicenses, SearchFilter};
use license_core::webhook::{Attempt, AttemptResult, EndpointSettings, EventSelection};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;

/// Texts that must be in no table after the erasure, and that are in some before.
const TRACES: [&str; 4] = ["old.customer@example.com", "order-of-old", "note-on-old", "name-of-old"];

fn email(text: &str) -> CustomerEmail {
    CustomerEmail::parse(text).expect("an address")
}

/// Gives a license to another customer, without an actor, after a receiver has answered with the data of the
/// old one. Prunes the audit, and erases the old customer.
async fn erase_former_customer(store: Arc<dyn FullStore>, before: impl AsyncFnOnce()) {
    let clock = Arc::new(ManualClock::at("2026-06-01T12:00:00Z".parse().expect("a time")));
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("a secret");
    let options = ServiceOptions::new(&secret, Arc::clone(&clock), ChaCha20Rng::seed_from_u64(1));
    let services = Services::open(store, options).await.expect("services");
    let actor = Arc::new(Actor::new(Principal::CommandLine));
    let webhooks = services.webhooks.by(&actor);
    let (url, events) = ("https://example.com/hook".to_owned(), EventSelection::All);
    let settings = EndpointSettings { url, events, description: None, skip_job_events: false };
    webhooks.create(settings, None).await.expect("an endpoint");

    let note = |text: &str| Metadata::from_json(json!({ "note": text })).expect("metadata");
    let spec = LicenseSpec::new("starter", email(TRACES[0]))
        .metadata(note("note-on-old"))
        .customer_name(CustomerName::parse("name-of-old").expect("a name"));
    let key = IdempotencyKey::parse("order-of-old").ok();
    let issued = services.licenses.by(&actor).issue(&spec, key.clone()).await.expect("a license");
    let id = &issued.detail.license.id;
    let licenses = services.licenses.by(&actor).with_idempotency_key(key);
    licenses.renew(id).await.expect("renewed");
    let because = licenses.with_reason(Reason::parse("as note-on-old says").ok());
    let device = Binding::Device(Fingerprint::parse("d1").expect("a fingerprint"));
    because.block(id, ActivationTarget::Binding(device)).await.expect("blocked");
    because.suspend(id).await.expect("suspended");
    let filter = SearchFilter { customer_email: Some(email(TRACES[0])), ..SearchFilter::default() };
    let request = BulkRequest {
        action: BulkAction::Suspend,
        licenses: JobLicenses::Search { filter, expect: 1 },
        reason: Reason::parse("also as note-on-old says").ok(),
    };
    let job_key = IdempotencyKey::parse("order-of-old").ok();
    services.bulk.create(request, Some(&actor), job_key.as_ref()).await.expect("a job");
    while services.bulk.run_step(None, 9).await.expect("a step").is_some() {}
    for outgoing in webhooks.lease(9, 9, TimeDelta::minutes(1)).await.expect("deliveries").deliveries {
        let body = format!("thank you, {}", TRACES[0]);
        let result = AttemptResult::Answered { status: 200, retry_after: None, body };
        let attempt = Attempt { at: services.now(), duration: Duration::ZERO, result };
        webhooks.settle(&outgoing, attempt).await.expect("settled");
    }
    let metadata = Some(MetadataPatch::from_json(json!({ "note": "note-on-new" })).expect("a patch"));
    let change =
        LicensePatch { customer_email: Some(Some(email("new@example.com"))), metadata, ..Default::default() };
    services.licenses.change(id, change).await.expect("changed");
    before().await;
    clock.advance(TimeDelta::days(2));
    assert!(services.access.prune_audit(1, services.now()).await.expect("pruned") > 0);
    let (_, erased) = services.customers.erase(&email(TRACES[0]), &actor).await.expect("erased");
    assert_eq!(erased, 0, "no license belongs to the customer");
}

/// Asserts that traces are in some table before the erasure, and in none after it. Idempotency keys are in
/// none at any time.
fn assert_erased(before: &[(&str, Vec<String>)], after: &[(&str, Vec<String>)]) {
    for (trace, tables) in before {
        assert_eq!(tables.is_empty(), *trace == "order-of-old", "{trace} before the erasure: {tables:?}");
    }
    for (trace, tables) in after {
        assert_eq!(tables, &[""; 0], "{trace} after the erasure");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn former_customer_is_in_no_table_of_sqlite() {
    use license_store::sql::sqlite::SqliteStore;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{AssertSqlSafe, ConnectOptions, Row};

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("licenses.db");
    let store = Arc::new(SqliteStore::open(&path).await.expect("a database"));
    let search = async || {
        let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.expect("a connection");
        let columns =
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'";
        let columns = sqlx::query(columns).fetch_all(&mut raw).await.expect("columns");
        assert!(columns.len() > 100, "{} columns", columns.len());
        let mut found = TRACES.map(|trace| (trace, Vec::new()));
        for column in columns {
            let (table, column): (String, String) = (column.get(0), column.get(1));
            for (trace, tables) in &mut found {
                let sql = format!(
                    r#"SELECT COUNT(*) FROM "{table}" WHERE CAST("{column}" AS TEXT) LIKE '%{trace}%'"#
                );
                let count = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut raw).await.expect("a count");
                if count.get::<i64, _>(0) > 0 {
                    tables.push(format!("{table}.{column}"));
                }
            }
        }
        found
    };
    let mut before = TRACES.map(|trace| (trace, Vec::new()));
    erase_former_customer(store, async || before = search().await).await;
    assert_erased(&before, &search().await);
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn former_customer_is_in_no_table_of_postgres() {
    use license_store::sql::postgres::{PostgresOptions, PostgresStore};
    use sqlx::{AssertSqlSafe, Row};

    let Some(database) = test_database::TestDatabase::new().await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await;
    let store = Arc::new(store.expect("a database"));
    let search = async || {
        let mut raw = database.connect().await;
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
        let tables = sqlx::query(tables).fetch_all(&mut raw).await.expect("tables");
        assert!(tables.len() > 15, "{} tables", tables.len());
        let mut found = TRACES.map(|trace| (trace, Vec::new()));
        for table in tables {
            let table: String = table.get(0);
            for (trace, tables) in &mut found {
                let sql =
                    format!(r#"SELECT COUNT(*) FROM "{table}" AS one WHERE one::text LIKE '%{trace}%'"#);
                let count = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut raw).await.expect("a count");
                if count.get::<i64, _>(0) > 0 {
                    tables.push(table.clone());
                }
            }
        }
        found
    };
    let mut before = TRACES.map(|trace| (trace, Vec::new()));
    erase_former_customer(store, async || before = search().await).await;
    assert_erased(&before, &search().await);
}
