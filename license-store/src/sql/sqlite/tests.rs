use license_core::store::LicenseStore;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::*;

async fn open() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
    (folder, store)
}

/// The steps by which SQLite executes a statement.
async fn plan(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::query(explain).fetch_all(connection).await.expect("a plan");
    rows.iter().map(|row| row.get("detail")).collect()
}

/// A license may have 100,000 activations: a statement looks up those that it needs.
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
    // The writer has made the tables, the reader has opened them.
    let mut connections = [database.write_connection().await, database.read_connection().await.expect("one")];
    for connection in &mut connections {
        for (name, sql) in named {
            let plan = plan(connection, sql.as_str()).await;
            let looks = plan.iter().filter(|step| step.contains("activations") || step.contains(" a "));
            let looks: Vec<_> =
                looks.filter(|step| step.starts_with("SEARCH") || step.starts_with("SCAN")).collect();
            assert!(!looks.is_empty(), "{name}: {plan:#?}");
            for look in looks {
                // All inline bindings are read by the license alone; the statement limits how many.
                let few = name == "find_by_key" && look.contains("(license_id=?)");
                let by_key = look.contains("(license_id=? AND kind=?")
                    || look.contains("(license_id=? AND last_seen_day<?");
                let by_day =
                    name == "least_recently_seen" && look.contains("activations_by_last_seen (license_id=?)");
                let idle = name == "idle" && look.contains("activations_idle (plan=? AND last_seen_day<?)");
                assert!(few || by_key || by_day || idle, "{name} scans: {look} of {plan:#?}");
            }
        }
    }
}

/// Reports look up days and licenses: they scan neither all rollups of a day nor all of a license.
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
        // The first and the last day of a table are at an end of its key.
        assert!(
            rollups.iter().chain(&validations).all(|step| step.starts_with("SEARCH")),
            "{name}: {plan:#?}"
        );
        if name.ends_with("of a license") && !name.starts_with("recent") {
            let look = "SEARCH rollups USING PRIMARY KEY (day=? AND license_id=?)";
            assert!(rollups.contains(&look), "{name}: {plan:#?}");
            let look = "SEARCH validations USING PRIMARY KEY (day=? AND license_id=? AND at>? AND at<?)";
            assert!(validations.contains(&look), "{name}: {plan:#?}");
        }
        if name == "recent of a license" {
            assert!(
                validations.iter().all(|step| step.contains("PRIMARY KEY (day=? AND license_id=?")),
                "{plan:#?}"
            );
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "it is read in order: {plan:#?}");
        }
        if name == "recent of all" {
            assert!(validations.iter().all(|step| step.contains("validations_by_time")), "{plan:#?}");
        }
    }
}

#[tokio::test]
async fn closed_store_leaves_no_log() {
    let (folder, store) = open().await;
    crate::sql::test_fixture::issue(&store, 1, chrono::DateTime::UNIX_EPOCH).await;
    let log = folder.path().join("licenses.db-wal");
    assert!(log.exists());
    store.close().await;
    assert!(!log.exists());
}

/// The journal is read in the order of its ids, and the oldest row is at its beginning.
#[tokio::test]
async fn as_of_reads_one_row_of_the_journal() {
    let (_folder, store) = open().await;
    let mut reader = store.database.read_connection().await.expect("a connection");
    let plan = plan(&mut reader, &format!("SELECT {}", crate::sql::statements::AS_OF)).await;
    assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:#?}");
}
