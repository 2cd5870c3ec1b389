use std::fs;

use license_core::key::KeyDigest;
use license_core::license::{Counters, LicenseId};
use license_core::store::{
    HealthWarning, LicenseFilter, LicenseQuery, LicenseStore, PageRequest, StoreError, StoreHealth,
    TransferStore,
};
use license_core::transfer::{ImportBatch, ImportedLicense};
use license_core::validation::Claim;
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
        [database.pools.writer.acquire().await.expect("one"), database.read_connection().await.expect("one")];
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

const START: chrono::DateTime<chrono::Utc> = chrono::DateTime::UNIX_EPOCH;

/// Checks that nothing is acknowledged and nothing is read.
async fn assert_down(store: &SqliteStore, what: &str) {
    let new = crate::sql::test_fixture::new_license(200, START);
    let results = [
        store.create(&new).await.map(drop),
        store.ping().await,
        store.get(&new.license.id).await.map(drop),
        store.put_if_absent("name", b"value").await.map(drop),
    ];
    for result in results {
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{what}: {result:?}");
    }
}

/// Opens a database with a license, and returns its id.
async fn open_with_license() -> (tempfile::TempDir, SqliteStore, LicenseId) {
    let (folder, store) = open().await;
    let id = crate::sql::test_fixture::issue(&store, 1, START).await;
    (folder, store, id)
}

#[tokio::test]
async fn missing_file_is_an_outage_until_it_is_back() {
    let (folder, store, id) = open_with_license().await;
    for name in ["licenses.db", "licenses.db-wal", "licenses.db-shm"] {
        let (path, elsewhere) = (folder.path().join(name), folder.path().join("elsewhere"));
        fs::rename(&path, &elsewhere).expect("it is there");
        assert_down(&store, name).await;
        // Another file with the name is not the one that is open.
        fs::write(&path, "another file").expect("it is written");
        assert_down(&store, name).await;
        fs::rename(&elsewhere, &path).expect("it is put back");
        store.ping().await.expect("it works again");
        assert!(store.get(&id).await.expect("reads work").is_some());
        store.put_if_absent(name, b"value").await.expect("writes work");
    }
    store.close().await;
}

#[tokio::test]
async fn moved_folder_is_an_outage_until_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, elsewhere) = (folder.path().join("data"), folder.path().join("elsewhere"));
    fs::create_dir(&data).expect("a folder");
    let store = SqliteStore::open(data.join("licenses.db")).await.expect("a database");
    fs::rename(&data, &elsewhere).expect("it is moved");
    assert_down(&store, "moved").await;
    fs::rename(&elsewhere, &data).expect("it is moved back");
    store.ping().await.expect("it works again");
    store.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn redirected_link_is_an_outage() {
    let folder = tempfile::tempdir().expect("a folder");
    let (link, one, other) =
        (folder.path().join("link.db"), folder.path().join("one.db"), folder.path().join("other.db"));
    SqliteStore::open(&one).await.expect("a database").close().await;
    SqliteStore::open(&other).await.expect("a database").close().await;
    std::os::unix::fs::symlink(&one, &link).expect("a link");
    let store = SqliteStore::open(&link).await.expect("a database behind a link");
    assert!(folder.path().join("one.db-wal").exists());
    store.put_if_absent("name", b"value").await.expect("writes work");
    fs::remove_file(&link).expect("it is there");
    std::os::unix::fs::symlink(&other, &link).expect("a link");
    assert_down(&store, "redirected").await;
    store.close().await;
}

/// The commit is in the files that were removed, so it must not be acknowledged.
#[tokio::test]
async fn commit_into_removed_file_is_not_acknowledged() {
    let (folder, store, _) = open_with_license().await;
    let database = &store.database;
    let tx = database.begin(Durability::PowerLoss).await.expect("the writer");
    fs::remove_file(folder.path().join("licenses.db")).expect("it is there");
    let committed = database.commit(tx).await;
    assert!(matches!(committed, Err(StoreError::Unavailable { .. })), "{committed:?}");
    store.close().await;
}

/// SQLite would remove the log, and with it changes that were acknowledged.
#[tokio::test]
async fn log_without_its_database_is_not_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, log) = (folder.path().join("licenses.db"), folder.path().join("licenses.db-wal"));
    fs::write(&log, "changes").expect("it is written");
    for is_empty in [false, true] {
        if is_empty {
            fs::write(&path, "").expect("it is written");
        }
        let error = SqliteStore::open(&path).await.expect_err("the database is lost");
        assert!(matches!(error, OpenError::Damaged { has_log: true, .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&log).expect("the log stays"), "changes");
        assert_eq!(path.exists(), is_empty, "nothing is created");
    }
}

/// SQLite moves the log into the database file when it closes, even if the log has lost its name.
#[tokio::test]
async fn stop_saves_what_is_in_a_removed_log() {
    let (folder, store, id) = open_with_license().await;
    fs::remove_file(folder.path().join("licenses.db-wal")).expect("it is there");
    assert_down(&store, "no log").await;
    store.close().await;
    let store = SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
    assert!(store.get(&id).await.expect("reads work").is_some());
    store.close().await;
}

#[tokio::test]
async fn full_disk_is_a_warning_until_a_write_succeeds() {
    let (_folder, store, id) = open_with_license().await;
    let limit_pages = async |pages: u32| {
        let sql = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        let mut writer = store.database.pools.writer.acquire().await.expect("the writer");
        sqlx::query(sql).fetch_all(&mut *writer).await.expect("a limit");
    };
    limit_pages(1).await;
    assert_eq!(store.warnings(), []);
    let large = vec![7; 100_000];
    let result = store.put_if_absent("large", &large).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
    assert_eq!(store.warnings(), [HealthWarning::DiskFull]);
    store.ping().await.expect("the store is ready: reads and cached validations work");
    assert!(store.get(&id).await.expect("reads work").is_some());
    assert_eq!(store.warnings(), [HealthWarning::DiskFull], "a read says nothing about room");
    limit_pages(1_000_000).await;
    store.put_if_absent("large", &large).await.expect("there is room");
    assert_eq!(store.warnings(), []);
    store.close().await;
}

fn all_licenses() -> LicenseQuery {
    let page = PageRequest { after: None, limit: 10 };
    LicenseQuery { filter: LicenseFilter::default(), at: START, page }
}

#[tokio::test]
async fn validation_does_not_wait_for_lists() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = SqliteOptions { readers: 1, list_readers: 1, ..SqliteOptions::default() };
    let store = SqliteStore::open_with(folder.path().join("licenses.db"), &options).await;
    let store = store.expect("a database");
    let id = crate::sql::test_fixture::issue(&store, 1, START).await;
    let list = store.database.begin_list().await.expect("the only connection for lists");
    let found = store.find_by_key(&KeyDigest::from_bytes([1; 32]), &Claim::default()).await;
    assert!(found.expect("an answer").is_some());
    assert!(store.get(&id).await.expect("an answer").is_some());
    drop(list);
    store.close().await;
}

#[tokio::test]
async fn list_that_takes_too_long_is_too_broad() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("licenses.db");
    let options = SqliteOptions { list_timeout: Duration::ZERO, ..SqliteOptions::default() };
    let store = SqliteStore::open_with(&path, &options).await.expect("a database");
    for number in 1..=60 {
        crate::sql::test_fixture::issue(&store, number, START).await;
    }
    let list =
        store.list(&LicenseQuery { page: PageRequest { after: None, limit: 60 }, ..all_licenses() }).await;
    assert!(matches!(list, Err(StoreError::QueryTooBroad { .. })), "{list:?}");
    // Neither single licenses nor exports have the limit, also on a connection that had it.
    let id = LicenseId::parse("lic_001").expect("an id");
    assert!(store.get(&id).await.expect("an answer").is_some());
    for _ in 0..4 {
        let mut snapshot = store.snapshot().await.expect("a snapshot");
        assert_eq!(snapshot.licenses(None, 1_000).await.expect("all licenses").len(), 60);
    }
    store.close().await;
}

/// Lists with several filters need them to choose the index.
#[tokio::test]
async fn import_updates_the_statistics_of_licenses() {
    let (folder, store) = open().await;
    let imported = ImportedLicense {
        license: crate::sql::test_fixture::new_license(1, START).license,
        counters: Counters::default(),
        activations: Vec::new(),
        events: Vec::new(),
        id_given: true,
        key_given: true,
        trial_claims: Vec::new(),
        leases: Vec::new(),
    };
    let batch = ImportBatch { licenses: vec![imported], at: START, by: None };
    store.import(&batch).await.expect("imported");
    store.close().await;
    let path = folder.path().join("licenses.db");
    let store = SqliteStore::open(&path).await.expect("a database");
    let mut reader = store.database.read_connection().await.expect("a connection");
    let rows = sqlx::query("SELECT DISTINCT tbl FROM sqlite_stat1").fetch_all(&mut *reader).await;
    let tables: Vec<String> = rows.expect("statistics").iter().map(|row| row.get("tbl")).collect();
    assert!(tables.contains(&"licenses".to_owned()), "{tables:?}");
    drop(reader);
    store.close().await;
}

#[tokio::test]
async fn database_tells_its_version_and_schema() {
    let (_folder, store) = open().await;
    let info = store.database().await.expect("answers").expect("a database");
    assert_eq!((info.kind.as_deref(), info.schema), (Some("SQLite"), Some(1)));
    assert!(info.version.is_some_and(|version| version.starts_with("3.")));
}
