use license_core::store::LicenseStore;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::*;

async fn open() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
    (folder, store)
}

/// Returns the steps of SQLite's plan for a statement.
async fn plan(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::query(explain).fetch_all(connection).await.expect("a plan");
    rows.iter().map(|row| row.get("detail")).collect()
}

/// A license can have 100,000 activations, so statements must not scan them.
#[tokio::test]
async fn activations_are_looked_up_by_index() {
    let (_folder, store) = open().await;
    let database = &store.database;
    let (licenses, activations, compaction) =
        (&database.sql.licenses, &database.sql.activations, &database.sql.compaction);
    let named = [
        ("find_by_key", &licenses.find_by_key),
        ("license", &licenses.detail),
        ("delete_activations", &activations.delete),
        ("activation", &activations.get),
        ("activations_of_claim", &activations.of_claim),
        ("activations", &activations.list),
        ("activations_of_kind", &activations.list_of_kind),
        ("label_activation", &activations.set_label),
        ("least_recently_seen", &activations.least_recently_seen),
        ("least_recently_seen_before", &activations.least_recently_seen_before),
        ("idle", &activations.idle),
        ("activations of a fold", &compaction.activations),
        ("update_last_seen", &compaction.update_last_seen),
    ];
    // Connections plan separately: the writer created the tables, the reader opened an existing database.
    let mut connections =
        [database.writer.acquire().await.expect("one"), database.read_connection().await.expect("one")];
    for connection in &mut connections {
        for (name, sql) in named {
            let plan = plan(connection, sql.as_str()).await;
            let steps = plan.iter().filter(|step| step.contains("activations") || step.contains(" a "));
            let steps: Vec<_> =
                steps.filter(|step| step.starts_with("SEARCH") || step.starts_with("SCAN")).collect();
            assert!(!steps.is_empty(), "{name}: {plan:#?}");
            for step in steps {
                // Inline bindings are read by license alone; the statement limits their number.
                let few = name == "find_by_key" && step.contains("(license_id=?)");
                let by_key = step.contains("(license_id=? AND kind=?")
                    || step.contains("(license_id=? AND last_seen_day<?");
                let by_day =
                    name == "least_recently_seen" && step.contains("activations_by_last_seen (license_id=?)");
                let idle = name == "idle" && step.contains("activations_idle (plan=? AND last_seen_day<?)");
                assert!(few || by_key || by_day || idle, "{name} scans in {step} of {plan:#?}");
            }
        }
    }
}

/// Reports look up rollups by day and license, and scan neither all of a day nor all of a license.
#[tokio::test]
async fn usage_is_looked_up_by_index() {
    let (_folder, store) = open().await;
    let mut reader = store.database.read_connection().await.expect("a connection");
    for (name, sql) in store.database.sql.reports.by_name() {
        let plan = plan(&mut reader, sql).await;
        let steps = |table: &str| {
            let of_table = plan
                .iter()
                .filter(|step| step.split(' ').nth(1).is_some_and(|name| name == table || name == "v"));
            of_table.map(String::as_str).collect::<Vec<_>>()
        };
        let (rollups, validations) = (steps("rollups"), steps("validations"));
        // This includes the first and the last day of a table, which are at the ends of its key.
        assert!(
            rollups.iter().chain(&validations).all(|step| step.starts_with("SEARCH")),
            "{name}: {plan:#?}"
        );
        if name.ends_with("of a license") && !name.starts_with("recent") {
            let step = "SEARCH rollups USING PRIMARY KEY (day=? AND license_id=?)";
            assert!(rollups.contains(&step), "{name}: {plan:#?}");
            let step = "SEARCH validations USING PRIMARY KEY (day=? AND license_id=? AND at>? AND at<?)";
            assert!(validations.contains(&step), "{name}: {plan:#?}");
        }
        if name == "recent of a license" {
            assert!(
                validations.iter().all(|step| step.contains("PRIMARY KEY (day=? AND license_id=?")),
                "{plan:#?}"
            );
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{name} sorts rows: {plan:#?}");
        }
        if name == "recent of all" {
            assert!(validations.iter().all(|step| step.contains("validations_by_time")), "{plan:#?}");
        }
    }
}

#[tokio::test]
async fn closed_store_has_no_write_ahead_log() {
    let (folder, store) = open().await;
    crate::sql::test_fixture::issue(&store, 1, chrono::DateTime::UNIX_EPOCH).await;
    let log = folder.path().join("licenses.db-wal");
    assert!(log.exists());
    store.close().await;
    assert!(!log.exists());
}

/// The oldest row of the journal has the lowest id, so it is found without sorting.
#[tokio::test]
async fn as_of_is_read_without_sorting() {
    let (_folder, store) = open().await;
    let mut reader = store.database.read_connection().await.expect("a connection");
    let plan = plan(&mut reader, &format!("SELECT {}", crate::sql::statements::AS_OF)).await;
    assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:#?}");
}
