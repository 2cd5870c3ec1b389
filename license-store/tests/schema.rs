//! How databases are made, found and refused; and what they keep by themselves.

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::collections::BTreeMap;
    use std::path::Path;

    use license_core::command::{Command, CommandContext, Outcome};
    use license_core::key::KeyDigest;
    use license_core::license::{LicenseId, LicenseState};
    use license_core::store::{LicenseFilter, LicenseStore, PageRequest};
    use license_core::usage::{RollupFilter, UsageQuery, roll_up};
    use license_core::verdict::Claim;
    use license_store::sql::OpenError;
    use license_store::sql::sqlite::SqliteStore;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Executor};
    use tempfile::TempDir;
    use tokio::task::JoinSet;

    async fn run(path: &Path, sql: &'static str) {
        let mut connection =
            SqliteConnectOptions::new().filename(path).connect().await.expect("a connection");
        connection.execute(sql).await.expect("it runs");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn handles_that_start_at_once_migrate_once() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("licenses.db");
        let mut opening = JoinSet::new();
        for _ in 0..8 {
            opening.spawn(SqliteStore::open(path.clone()));
        }
        for opened in opening.join_all().await {
            opened.expect("opens").ping().await.expect("answers");
        }
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_and_left_alone() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("licenses.db");
        SqliteStore::open(&path).await.expect("opens").close().await;
        run(&path, "INSERT INTO license_migrations SELECT 99, 'later', installed_on, success, checksum, 0 FROM license_migrations WHERE version = 1")
            .await;
        let error = SqliteStore::open(&path).await.expect_err("it is newer");
        assert!(matches!(error, OpenError::NewerSchema { found: 99, known: 8 }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "one line: {error}");
        run(&path, "DELETE FROM license_migrations WHERE version = 99").await;
        SqliteStore::open(&path).await.expect("it is as it was");
    }

    /// `fixtures/README.md` says how these files are made.
    #[tokio::test]
    async fn a_database_of_each_earlier_schema_opens() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        for schema in 1..=7 {
            let folder = TempDir::new().expect("a folder");
            let path = folder.path().join("licenses.db");
            std::fs::copy(fixtures.join(format!("schema-{schema}.db")), &path).expect("the fixture");
            let store = SqliteStore::open(&path).await.expect("it opens");
            let page = PageRequest::default();
            let now = "2026-06-01T00:00:00Z".parse().expect("a time");
            let licenses = store.licenses(&LicenseFilter::default(), now, &page).await.expect("licenses");
            let [second, first] = &licenses.items[..] else { panic!("two licenses: {licenses:?}") };
            assert_eq!(first.license.id, LicenseId::parse("lic_fixture1").expect("an id"));
            assert_eq!(first.license.metadata.as_map()["order"], "A-17");
            let bound = |activations: &[license_core::activation::Activation]| {
                activations.iter().map(|held| held.binding.value().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(bound(&first.domains), ["example.com", "xn--bcher-kva.de"]);
            assert_eq!(bound(&first.devices), ["device 'one'"]);
            let (digest, device) = (KeyDigest::from_bytes([1; 32]), Claim::of(&first.devices[0].binding));
            let found =
                store.license_by_key(&digest, &device, now).await.expect("a store").expect("by its key");
            assert_eq!(found.bindings().count(), 3);
            assert!(found.held(&device).device);
            assert_eq!(first.counters.validation_count, 2);
            assert_eq!(second.license.state, LicenseState::Revoked);
            let id = &first.license.id;
            let usage = store.usage(id, &UsageQuery::default()).await.expect("usage");
            assert_eq!((usage.total(), usage.denied()), (2, 1));
            let rollups =
                store.rollups(&RollupFilter::default(), &PageRequest::default()).await.expect("rollups");
            let rollups: BTreeMap<_, _> =
                rollups.items.into_iter().map(|rollup| (rollup.key, rollup.sum)).collect();
            assert_eq!(rollups, roll_up(&usage.recent.items), "what was recorded before is rolled up");
            let events = store.events(id, 0, 100).await.expect("events");
            assert_eq!(events.len() as u64, first.license.last_event);
            assert_eq!(store.keep_first("name", b"other").await.expect("kept"), b"value");
            let plans = license_core::plan::PlanCatalog::new([license_core::plan::Plan::new("professional")]);
            let context = CommandContext {
                plans: plans.expect("a plan").into(),
                now,
                expected_version: None,
                by: None,
            };
            let outcome = store.execute(id, &Command::Suspend, &context).await.expect("execute");
            assert!(
                matches!(outcome, Outcome::Done(license) if license.version == first.license.version + 1)
            );
            let release = Command::Release(first.devices[0].id.clone());
            let outcome = store.execute(id, &release, &context).await.expect("execute");
            assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
            let found =
                store.license_by_key(&digest, &device, now).await.expect("a store").expect("by its key");
            assert_eq!(found.bindings().count(), 2);
            assert!(!found.held(&device).device);
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use license_core::store::LicenseStore;
    use license_store::sql::OpenError;
    use license_store::sql::postgres::{PostgresOptions, PostgresStore};
    use sqlx::{Executor, Row};
    use test_database::TestDatabase;
    use tokio::task::JoinSet;

    async fn start_at_once(database: &TestDatabase, url: String, transaction_pooler: bool) {
        let options =
            PostgresOptions { max_connections: 2, transaction_pooler, ..PostgresOptions::default() };
        let mut opening = JoinSet::new();
        for _ in 0..8 {
            let (url, options) = (url.clone(), options.clone());
            opening.spawn(async move { PostgresStore::connect(&url, &options).await });
        }
        for opened in opening.join_all().await {
            opened.expect("connects").ping().await.expect("answers");
        }
        let count = "SELECT COUNT(*) FROM license_migrations";
        let row = database.connect().await.fetch_one(count).await.expect("the table");
        assert_eq!(row.get::<i64, _>(0), 8, "each schema is made once");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nodes_that_start_at_once_migrate_once() {
        let Some(database) = TestDatabase::new().await else { return };
        start_at_once(&database, database.url(), false).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nodes_that_start_at_once_behind_pgbouncer_migrate_once() {
        let Some(database) = TestDatabase::new().await else { return };
        let Some(url) = database.pgbouncer_url() else { return };
        start_at_once(&database, url, true).await;
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_and_left_alone() {
        let Some(database) = TestDatabase::new().await else { return };
        let options = PostgresOptions::default();
        PostgresStore::connect(&database.url(), &options).await.expect("connects").close().await;
        let mut raw = database.connect().await;
        raw.execute("INSERT INTO license_migrations SELECT 99, 'later', installed_on, success, checksum, 0 FROM license_migrations WHERE version = 1")
            .await
            .expect("a later schema");
        let error = PostgresStore::connect(&database.url(), &options).await.expect_err("it is newer");
        assert!(matches!(error, OpenError::NewerSchema { found: 99, known: 8 }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "one line: {error}");
        raw.execute("DELETE FROM license_migrations WHERE version = 99").await.expect("as it was");
        PostgresStore::connect(&database.url(), &options).await.expect("it is as it was");
    }

    /// In a database of another encoding, the first customer with an umlaut would be refused in the midst of a sale.
    #[tokio::test]
    async fn another_encoding_is_refused() {
        let Some(database) = TestDatabase::with_encoding("LATIN1").await else { return };
        let error = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await;
        let error = error.expect_err("another encoding").to_string();
        assert!(error.contains("its encoding is LATIN1; licenses need UTF8"), "{error}");
    }

    /// Pages go by the order of texts. One that has the order of a language gives other pages on other servers, and
    /// others than `LicenseId` compares.
    #[tokio::test]
    async fn every_text_compares_by_its_bytes() {
        let Some(database) = TestDatabase::new().await else { return };
        PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("connects");
        let texts = "SELECT attrelid::regclass || '.' || attname, collname FROM pg_attribute \
             JOIN pg_collation ON pg_collation.oid = attcollation \
             WHERE attrelid::regclass::text IN (SELECT tablename FROM pg_tables WHERE schemaname = 'public') \
             AND attnum > 0 AND attrelid::regclass::text <> 'license_migrations'";
        let rows = database.connect().await.fetch_all(texts).await.expect("columns");
        assert!(rows.len() > 15, "{} columns of text", rows.len());
        for row in rows {
            assert_eq!(row.get::<String, _>(1), "C", "the order of {}", row.get::<String, _>(0));
        }
    }
}
