//! The indexes that searches use.

use chrono::{DateTime, Utc};
use license_core::domain::DomainName;
use license_core::key::KeyDigest;
use license_core::license::{
    CustomerEmail, EmailDomain, EmailPrefix, ExternalId, Fingerprint, LicenseId, Status,
};
use license_core::store::{
    LicenseStore, PageRequest, SearchCursor, SearchFilter, SearchQuery, SearchRange, SearchSort,
};
use license_core::usage::Day;
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::sql::prelude::*;
use crate::sql::store::SqlStore;
use crate::sql::test_fixture::test_each_database;

/// Number of licenses. With fewer, a planner with statistics would scan them instead of using an index.
const COUNT: u32 = 20_000;
const DAY: i64 = 86_400_000_000;

fn day(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(number * DAY).expect("a time in range")
}

/// Where most licenses match, PostgreSQL can read the newest of all instead.
const MOST_MATCH_ACTIVATED: &str = "licenses_activated|Backward using licenses_pkey";
const MOST_MATCH_LIMIT: &str = "by_limit|Backward using licenses_pkey";

/// Writes licenses. The filters by equal values match few of them. Ten terms end and ten licenses are
/// validated for the last time on each day.
async fn fill<D: Dialect>(store: &SqlStore<D>) {
    let numbers =
        format!("WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < {COUNT})");
    let id = "'lic_' || (100000 + n)";
    let one_of =
        |count: u32, yes: &str, no: &str| format!("CASE WHEN n % {count} = 0 THEN {yes} ELSE {no} END");
    let statements = [
        format!(
            "INSERT INTO licenses (id, key_digest, sealed_key, state, product, plan, customer_email, domains_used, \
             devices_used, created_at, activated_at, expires_at, metadata, version, last_event, expiry_notice_days, \
             external_id, customer_domain, at_limit, ends_at, term_starts, term_started_at, plan_version, overrides) \
             {numbers} SELECT {id}, {digest}, {digest}, {state}, {product}, {plan}, \
             'user' || (n % 5000) || '@host' || (n % 500) || '.example', 1, 1, 1, {activated}, n * {DAY} / 10, '{{}}', 1, 1, 0, \
             'sub_' || n, 'host' || (n % 500) || '.example', {limit}, n * {DAY} / 10, 'issue', 1, 1, '[]' FROM n",
            digest = D::unhex(&format!("'{}' || CAST(10000000 + n AS TEXT)", "0".repeat(56))),
            state = one_of(90, "'suspended'", &one_of(100, "'revoked'", "'active'")),
            product = one_of(50, "'editor'", "'default'"),
            plan = one_of(60, "'pro'", "'basic'"),
            activated = one_of(30, "NULL", "1"),
            limit = one_of(60, "1", "0"),
        ),
        format!(
            "INSERT INTO activations (license_id, kind, value, id, created_at, last_seen_at, last_seen_day, validations, is_returned) \
             {numbers} SELECT {id}, kind, 'one' || n || '.example', 'act_' || n || kind, 1, 1, 0, 0, 0 \
             FROM n CROSS JOIN (SELECT 'domain' AS kind UNION ALL SELECT 'device') AS kinds"
        ),
        format!("INSERT INTO license_metadata {numbers} SELECT 'order', 'A-' || (n % 100), {id} FROM n"),
        format!("INSERT INTO license_counters {numbers} SELECT {id}, 1, n * {DAY} / 10, n / 10 FROM n"),
    ];
    let mut tx = store.database.begin(Durability::ProcessCrash).await.expect("a transaction");
    for statement in statements {
        store.database.fetch(&mut tx, &AssertSqlSafe(statement).into_sql_str(), &[]).await.expect("rows");
    }
    tx.commit().await.expect("a commit");
}

/// Returns each single filter, with the names that the databases have for the index of its page.
fn filters() -> Vec<(&'static str, SearchFilter)> {
    let none = SearchFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let (from, before) = (Some(day(300)), Some(day(1_900)));
    let days = SearchRange { from: Some(Day::from_number(300)), before: Some(Day::from_number(1_900)) };
    vec![
        ("key_digest", SearchFilter { key: Some(KeyDigest::from_bytes([7; 32])), ..none() }),
        ("by_external_id", SearchFilter { external_id: ExternalId::parse("sub_7").ok(), ..none() }),
        (
            "by_customer",
            SearchFilter { customer_email: CustomerEmail::parse("user7@host7.example").ok(), ..none() },
        ),
        ("by_customer", SearchFilter { email_prefix: EmailPrefix::parse("user12").ok(), ..none() }),
        (
            "by_customer_domain",
            SearchFilter { email_domain: EmailDomain::parse("host7.example").ok(), ..none() },
        ),
        ("activations_by_value", SearchFilter { domain: DomainName::parse("one7.example").ok(), ..none() }),
        (
            "activations_by_value",
            SearchFilter { fingerprint: Fingerprint::parse("one7.example").ok(), ..none() },
        ),
        (
            "license_metadata|(name=? AND value=?",
            SearchFilter { metadata: [("order".to_owned(), "A-7".to_owned())].into(), ..none() },
        ),
        ("by_product", SearchFilter { product: text("editor"), ..none() }),
        ("by_plan", SearchFilter { plan: text("pro"), ..none() }),
        ("by_end_part", SearchFilter { status: Some(Status::Active), ..none() }),
        ("by_end_part", SearchFilter { status: Some(Status::Expired), ..none() }),
        ("by_state", SearchFilter { status: Some(Status::Suspended), ..none() }),
        ("by_state", SearchFilter { status: Some(Status::Revoked), ..none() }),
        ("by_end_part", SearchFilter { expires: SearchRange { from, before: None }, ..none() }),
        ("by_end_part", SearchFilter { expires: SearchRange { from: None, before }, ..none() }),
        ("by_end_part", SearchFilter { expires: SearchRange { from, before }, ..none() }),
        ("never_activated", SearchFilter { never_activated: Some(true), ..none() }),
        (MOST_MATCH_ACTIVATED, SearchFilter { never_activated: Some(false), ..none() }),
        ("counters_by_day", SearchFilter { last_validated: days, ..none() }),
        ("by_limit", SearchFilter { at_limit: Some(true), ..none() }),
        (MOST_MATCH_LIMIT, SearchFilter { at_limit: Some(false), ..none() }),
    ]
}

/// No search by a single filter scans a table, with and without statistics.
async fn check_indexes<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let store = open().await;
    fill(&store).await;
    assert_indexes(&store, "without statistics").await;
    let mut tx = store.database.begin(Durability::ProcessCrash).await.expect("a transaction");
    store
        .database
        .fetch(&mut tx, &AssertSqlSafe("ANALYZE".to_owned()).into_sql_str(), &[])
        .await
        .expect("statistics");
    tx.commit().await.expect("a commit");
    store.close().await;
    // A connection keeps the statistics from when it opened.
    assert_indexes(&open().await, "with statistics").await;
}

async fn assert_indexes<D: Dialect>(store: &SqlStore<D>, name: &str) {
    for (index, filter) in filters() {
        for after in [None, Some("lic_110000")] {
            let id = after.map(|id| LicenseId::parse(id).expect("an id"));
            let after = id.map(|id| SearchCursor { expires_at: None, id });
            let page = PageRequest { after, limit: 25 };
            let (filter, sort) = (filter.clone(), SearchSort::NewestFirst);
            let query = SearchQuery { filter, sort, at: day(1_000), page, count: false };
            let plans = store.explain_search(&query).await.expect("plans").join("\n");
            let scanned = |table: &str| {
                let (scan, by_index) = (format!("SCAN {table}"), format!("SCAN {table} USING"));
                plans.contains(&format!("Seq Scan on {table}"))
                    || plans.contains(&scan) && !plans.contains(&by_index)
            };
            let tables = ["licenses", "activations", "license_metadata", "license_counters", "t"];
            let scanned: Vec<_> = tables.into_iter().filter(|table| scanned(table)).collect();
            assert!(scanned.is_empty(), "{query:?} {name} scans {scanned:?}:\n{plans}");
            let is_used = index.split('|').any(|name| plans.contains(name));
            assert!(is_used, "{query:?} {name} does not use {index}:\n{plans}");
        }
    }
}

test_each_database! {
    #[tokio::test]
    searches_use_the_index_of_a_single_filter: check_indexes;
}
