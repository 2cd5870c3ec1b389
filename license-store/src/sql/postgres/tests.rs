use license_core::key::KeyDigest;
use license_core::store::{
    LicenseFilter, LicenseQuery, LicenseStore, PageRequest, StoreError, StoreHealth, TransferStore,
};
use license_core::usage::{Validation, ValidationOutcome};
use license_core::validation::Claim;
use sqlx::Row;
use test_database::TestDatabase;

use super::*;

/// Returns the output of `EXPLAIN ANALYZE`. The server plans the first five executions of a statement for
/// their parameters; later ones can use a generic plan. `mode` forces either.
async fn plan(connection: &mut PgConnection, mode: &str, sql: &SqlStr, parameters: &str) -> String {
    let statement = format!("PREPARE planned AS {}; SET plan_cache_mode = {mode}", sql.as_str());
    connection.execute(AssertSqlSafe(statement)).await.expect("a statement");
    let explain = format!("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE planned ({parameters})");
    let rows = connection.fetch_all(AssertSqlSafe(explain)).await.expect("a plan");
    connection.execute("DEALLOCATE planned").await.expect("a prepared statement");
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

/// Returns the largest number of rows that a step of the plan read or filtered out.
fn most_rows(plan: &str) -> u64 {
    let words: Vec<_> = plan.split([' ', '=', '\n', ')']).collect();
    let read =
        words.windows(4).filter(|words| words[0] == "(actual" && words[1] == "rows").map(|words| words[2]);
    let removed = plan.lines().filter_map(|line| line.trim().strip_prefix("Rows Removed by Filter: "));
    read.chain(removed).map(|number| number.parse::<u64>().expect("a number")).max().expect("a step")
}

#[tokio::test]
async fn activations_of_large_license_are_looked_up_by_index() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
    let mut connection = database.connect().await;
    // The statistics are older than the rows of the large license: each license has one domain and no device.
    let fill = "
        INSERT INTO licenses (id, key_digest, sealed_key, state, product, plan, customer_email, domains_used,
            devices_used, created_at, metadata, version, last_event, expiry_notice_days, at_limit, ends_at, term_starts, term_started_at,
            plan_version, overrides)
            SELECT 'lic_' || n, sha256(CAST(n AS TEXT)::bytea), '', 'active', 'default', 'p', 'a@b.c', 1, 0, 1,
            '{}', 1, 1, 0, 0, 1, 'issue', 1, 1, '[]' FROM generate_series(1, 20000) AS n;
        INSERT INTO activations (license_id, kind, value, id, created_at, last_seen_at, last_seen_day, validations, is_returned)
            SELECT 'lic_' || n, 'domain', 'some-name.example.com', 'act_' || n || '_2', 1, 1, 0, 0, 0
            FROM generate_series(1, 20000) AS n;
        ANALYZE;
        INSERT INTO activations (license_id, kind, value, id, created_at, last_seen_at, last_seen_day, validations, is_returned)
            SELECT 'lic_5', CASE n % 2 WHEN 0 THEN 'domain' ELSE 'device' END, 'd' || n, 'act_5_' || n, 1, n, 0, 0, 0
            FROM generate_series(10, 20000) AS n;
        UPDATE licenses SET domains_used = 9996, devices_used = 9995 WHERE id = 'lic_5'";
    connection.execute(fill).await.expect("rows");
    let (licenses, activations) = (&store.database.sql.licenses, &store.database.sql.activations);
    let three = r#"'["x.d9998", "*.d9998", "d9998"]'"#;
    let cases = [
        ("find_by_key", &licenses.find_by_key, format!("sha256('5'), {three}, 'd9999'")),
        ("find_by_key of a small license", &licenses.find_by_key, format!("sha256('6'), {three}, 'd9999'")),
        ("activations_of_claim", &activations.of_claim, format!("'lic_5', {three}, 'd9999'")),
        ("activation", &activations.get, "'lic_5', 'act_5_777'".to_owned()),
        ("activations", &activations.list, "'lic_5', '', 26".to_owned()),
        ("activations_of_kind", &activations.list_of_kind, "'lic_5', '', 26, 'domain'".to_owned()),
        ("delete_activations", &activations.delete, r#"'lic_5', '["act_5_777"]'"#.to_owned()),
        ("lock_license", &licenses.lock, "'lic_5'".to_owned()),
    ];
    for (name, sql, parameters) in cases {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = plan(&mut connection, mode, sql, &parameters).await;
            let rows = most_rows(&plan);
            assert!(rows <= 26, "{name} reads {rows} rows:\n{plan}");
        }
    }
}

/// Statements of the compactor find activations by index, instead of comparing all pairs of rows.
#[tokio::test]
async fn seen_activations_are_looked_up_by_index() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
    let mut connection = database.connect().await;
    let fill = "
        INSERT INTO licenses (id, key_digest, sealed_key, state, product, plan, customer_email, domains_used,
            devices_used, created_at, metadata, version, last_event, expiry_notice_days, at_limit, ends_at, term_starts, term_started_at,
            plan_version, overrides)
            SELECT 'lic_' || n, sha256(CAST(n AS TEXT)::bytea), '', 'active', 'default', 'p', 'a@b.c', 0, 1, 1,
            '{}', 1, 1, 0, 0, 1, 'issue', 1, 1, '[]' FROM generate_series(1, 3000) AS n;
        INSERT INTO activations (license_id, kind, value, id, created_at, last_seen_at, last_seen_day, validations, is_returned)
            SELECT 'lic_' || n, 'device', 'x', 'act_' || n || '_2', 1, 1, 0, 0, 0 FROM generate_series(1, 3000) AS n;
        ANALYZE";
    connection.execute(fill).await.expect("rows");
    let rows = |columns: &str| {
        let rows = (1..=2_000).map(|n| format!(r#"["lic_{n}", "device", "x"{columns}]"#));
        format!("'[{}]'", rows.collect::<Vec<_>>().join(", "))
    };
    let compaction = &store.database.sql.compaction;
    for mode in ["force_custom_plan", "force_generic_plan"] {
        for (sql, columns) in
            [(&compaction.activations, ""), (&compaction.update_last_seen, ", 1, 5, 5, 0, 1, null")]
        {
            let plan = plan(&mut connection, mode, sql, &rows(columns)).await;
            assert!(!plan.contains("Removed by Join Filter"), "compares all pairs of rows:\n{plan}");
        }
    }
    let seen = "SELECT COUNT(*) FROM activations WHERE validations = 1";
    let seen: i64 = connection.fetch_one(seen).await.expect("a count").get(0);
    assert_eq!(seen, 2_000, "updated activations");
}

/// Reports look up rollups by day and license, and scan neither all of a day nor all of a license.
#[tokio::test]
async fn usage_is_looked_up_by_index() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
    let mut connection = database.connect().await;
    // 500 licenses with one validation a day for 40 days.
    let fill = "
        INSERT INTO validations (day, sequence, license_id, at, outcome, domain)
            SELECT 20000 + day, day * 500 + n, 'lic_' || n, (20000 + day) * 86400000000 + n, 'VALID', 'd' || n || '.com'
            FROM generate_series(0, 39) AS day, generate_series(1, 500) AS n;
        INSERT INTO rollups SELECT at / 86400000000, license_id, outcome, domain, '', '', 1, at, at FROM validations;
        ANALYZE";
    connection.execute(fill).await.expect("rows");
    let day = |number: i64| (20_000 + number) * 86_400_000_000;
    // Thirty days that begin and end at noon.
    let (from, to) = (day(5) + 43_200_000_000, day(35) + 43_200_000_000);
    let ranges = format!("20006, 20035, {from}, {}, {}, {to}", day(6), day(35));
    for (name, text) in store.database.sql.reports.by_name() {
        let parameters = match name {
            "recent of all" => format!("{from}, {to}, {to}, 9, 26"),
            "recent day of a license" => "20006, 20035, 'lic_7'".to_owned(),
            "recent of a license" => format!("20034, 'lic_7', {from}, {to}, {to}, 9, 26"),
            name if name.ends_with("of a license") => format!("'lic_7', {ranges}"),
            _ => continue,
        };
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = plan(&mut connection, mode, &AssertSqlSafe(text).into_sql_str(), &parameters).await;
            let rows = most_rows(&plan);
            assert!(rows <= 31, "{name} reads {rows} rows:\n{plan}");
        }
    }
}

/// A call can be cancelled at any await. If its transaction stayed open, the next call on its connection
/// would lose its writes.
#[tokio::test]
async fn cancelled_begin_leaves_no_transaction_open() {
    let Some(database) = TestDatabase::new().await else { return };
    let options = PostgresOptions { max_connections: 1, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&database.url(), &options).await.expect("a store");
    let now = chrono::DateTime::from_timestamp(1_780_000_000, 0).expect("a time");
    let license = crate::sql::test_fixture::issue(&store, 1, now).await;
    let mut observer = database.connect().await;
    let validation = Validation::new(license.clone(), now, ValidationOutcome::Valid, Claim::default());
    for polls in 1..=40 {
        let cancel = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = store.database.begin_read() => {}
            () = cancel => {}
        }
        store.record(std::slice::from_ref(&validation), None).await.expect("recorded");
        let recorded = "SELECT (SELECT COUNT(*) FROM journal) + (SELECT COUNT(*) FROM validations)";
        let recorded: i64 = observer.fetch_one(recorded).await.expect("a count").get(0);
        assert_eq!(recorded, polls, "cancelled after {polls} polls");
    }
}

#[tokio::test]
async fn list_that_takes_too_long_is_too_broad() {
    let Some(database) = TestDatabase::new().await else { return };
    let options = PostgresOptions { list_timeout: Duration::ZERO, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&database.url(), &options).await.expect("a store");
    let now = chrono::DateTime::from_timestamp(1_780_000_000, 0).expect("a time");
    crate::sql::test_fixture::issue(&store, 1, now).await;
    // Reads of the table wait for this lock, longer than a list may take.
    let mut other = database.connect().await;
    other.execute("BEGIN; LOCK TABLE licenses IN ACCESS EXCLUSIVE MODE").await.expect("a lock");
    let page = PageRequest { after: None, limit: 10 };
    let query = LicenseQuery { filter: LicenseFilter::default(), at: now, page };
    let list = store.list(&query).await;
    assert!(matches!(list, Err(StoreError::QueryTooBroad { .. })), "{list:?}");
    other.execute("ROLLBACK").await.expect("it is released");
    // A snapshot for an export, on the same connections, has the limit of other statements.
    let mut snapshot = store.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.licenses(None, 10).await.expect("licenses").len(), 1);
}

#[tokio::test]
async fn validation_does_not_wait_for_lists() {
    let Some(database) = TestDatabase::new().await else { return };
    let options = PostgresOptions { max_connections: 1, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&database.url(), &options).await.expect("a store");
    let now = chrono::DateTime::from_timestamp(1_780_000_000, 0).expect("a time");
    crate::sql::test_fixture::issue(&store, 1, now).await;
    let mut lists = Vec::new();
    for _ in 0..options.list_connections {
        lists.push(store.database.begin_list().await.expect("a connection"));
    }
    let found = store.find_by_key(&KeyDigest::from_bytes([1; 32]), &Claim::default()).await;
    assert!(found.expect("an answer").is_some());
}

/// A search with many parts has a high estimated cost, and takes less time than its compilation.
#[tokio::test]
async fn plans_of_lists_are_not_compiled() {
    let Some(database) = TestDatabase::with_settings(&[("jit", "on")]).await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
    let mut list = store.database.begin_list().await.expect("a connection");
    let jit: String = list.fetch_one("SHOW jit").await.expect("a setting").get(0);
    assert_eq!(jit, "off");
}

#[test]
fn debug_of_options_shows_no_url() {
    let url = Some("postgres://me:hunter2@db/licenses".to_owned());
    let options = PostgresOptions { listen_url: url, ..PostgresOptions::default() };
    assert!(!format!("{options:?}").contains("hunter2"), "{options:?}");
}

#[tokio::test]
async fn database_tells_its_version_and_schema() {
    let Some(database) = TestDatabase::new().await else { return };
    let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store");
    let info = store.database().await.expect("answers").expect("a database");
    assert_eq!((info.kind.as_deref(), info.schema), (Some("PostgreSQL"), Some(1)));
    assert!(info.version.is_some_and(|version| version.starts_with(|digit: char| digit.is_ascii_digit())));
}
