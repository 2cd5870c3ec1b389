//! Creation and checks of database schemas.

use std::collections::BTreeSet;

const SQLITE: &str = include_str!("../migrations/sqlite/0001_initial.sql");
const POSTGRES: &str = include_str!("../migrations/postgres/0001_initial.sql");

/// Returns the columns and indexes of a schema.
fn names(schema: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut table = "";
    for line in schema.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["CREATE", "TABLE", name, ..] => table = name,
            ["CREATE", "INDEX", name, ..] | ["CREATE", "UNIQUE", "INDEX", name, ..] => {
                names.insert(format!("index {name}"));
            }
            ["PRIMARY" | "--", ..] => {}
            [column, ..] if line.starts_with("    ") && !table.is_empty() => {
                names.insert(format!("{table}.{column}"));
            }
            _ if line.starts_with(')') => table = "",
            _ => {}
        }
    }
    names
}

#[test]
fn sqlite_and_postgres_have_the_same_tables() {
    let only_sqlite: BTreeSet<_> = names(SQLITE).difference(&names(POSTGRES)).cloned().collect();
    let marker =
        ["first", "last", "after_license", "after_sequence"].map(|column| format!("compaction.{column}"));
    assert_eq!(only_sqlite, marker.into(), "PostgreSQL compacts in one transaction and needs no marker");
    let only_postgres: BTreeSet<_> = names(POSTGRES).difference(&names(SQLITE)).cloned().collect();
    assert_eq!(only_postgres, BTreeSet::new());
    assert!(names(SQLITE).len() > 150, "{}", names(SQLITE).len());
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::Path;

    use license_core::store::LicenseStore;
    use license_store::sql::OpenError;
    use license_store::sql::sqlite::{SqliteOptions, SqliteStore};
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
    async fn concurrent_opens_migrate_once() {
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
    async fn newer_schema_is_rejected_unchanged() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("licenses.db");
        SqliteStore::open(&path).await.expect("opens").close().await;
        run(&path, "INSERT INTO license_migrations SELECT 99, 'later', installed_on, success, checksum, 0 FROM license_migrations WHERE version = 1")
            .await;
        let error = SqliteStore::open(&path).await.expect_err("a newer schema");
        assert!(matches!(error, OpenError::NewerSchema { found: 99, known: 1 }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "one line: {error}");
        run(&path, "DELETE FROM license_migrations WHERE version = 99").await;
        SqliteStore::open(&path).await.expect("the known schema");
    }

    #[tokio::test]
    async fn schema_is_changed_only_if_allowed() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("licenses.db");
        let check_only = SqliteOptions { migrate: false, ..SqliteOptions::default() };
        let error = SqliteStore::open_with(&path, &check_only).await.expect_err("a missing database");
        assert!(matches!(error, OpenError::OlderSchema { found: 0, known: 1 }), "{error:?}");
        assert!(!path.exists(), "it is not created");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        options.connect().await.expect("a file").execute("PRAGMA user_version = 7").await.expect("a header");
        let error = SqliteStore::open_with(&path, &check_only).await.expect_err("a database without tables");
        assert!(matches!(error, OpenError::OlderSchema { found: 0, known: 1 }), "{error:?}");
        SqliteStore::open(&path).await.expect("migrates").close().await;
        SqliteStore::open_with(&path, &check_only).await.expect("the schema of this version");
    }

    /// A trigger or view would be a second copy of a rule.
    #[tokio::test]
    async fn schema_has_no_triggers_and_no_views() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("licenses.db");
        SqliteStore::open(&path).await.expect("opens").close().await;
        let mut connection =
            SqliteConnectOptions::new().filename(&path).connect().await.expect("a connection");
        let found = "SELECT name FROM sqlite_schema WHERE type IN ('trigger', 'view')";
        assert!(connection.fetch_all(found).await.expect("names").is_empty());
        let loose = "SELECT name FROM pragma_table_list WHERE type = 'table' AND strict = 0 AND schema = 'main' \
            AND name NOT LIKE 'sqlite%' AND name <> 'license_migrations'";
        assert!(connection.fetch_all(loose).await.expect("names").is_empty(), "a table is not STRICT");
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
        assert_eq!(row.get::<i64, _>(0), 1, "the schema is created once");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn concurrent_starts_migrate_once() {
        let Some(database) = TestDatabase::new().await else { return };
        start_at_once(&database, database.url(), false).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn concurrent_starts_behind_pgbouncer_migrate_once() {
        let Some(database) = TestDatabase::new().await else { return };
        let Some(url) = database.pgbouncer_url() else { return };
        start_at_once(&database, url, true).await;
    }

    #[tokio::test]
    async fn newer_schema_is_rejected_unchanged() {
        let Some(database) = TestDatabase::new().await else { return };
        let options = PostgresOptions::default();
        PostgresStore::connect(&database.url(), &options).await.expect("connects").close().await;
        let mut raw = database.connect().await;
        raw.execute("INSERT INTO license_migrations SELECT 99, 'later', installed_on, success, checksum, 0 FROM license_migrations WHERE version = 1")
            .await
            .expect("a later schema");
        let error = PostgresStore::connect(&database.url(), &options).await.expect_err("a newer schema");
        assert!(matches!(error, OpenError::NewerSchema { found: 99, known: 1 }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "one line: {error}");
        raw.execute("DELETE FROM license_migrations WHERE version = 99").await.expect("deleted");
        PostgresStore::connect(&database.url(), &options).await.expect("the known schema");
    }

    /// The user needs no right to create tables, and none are created.
    #[tokio::test]
    async fn schema_is_changed_only_if_allowed() {
        let Some(database) = TestDatabase::new().await else { return };
        let options = PostgresOptions::default();
        let check_only = PostgresOptions { migrate: false, ..options.clone() };
        let error =
            PostgresStore::connect(&database.url(), &check_only).await.expect_err("an empty database");
        assert!(matches!(error, OpenError::OlderSchema { found: 0, known: 1 }), "{error:?}");
        let mut raw = database.connect().await;
        let tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        assert!(raw.fetch_all(tables).await.expect("names").is_empty());
        PostgresStore::connect(&database.url(), &options).await.expect("migrates").close().await;
        raw.execute(
            "CREATE ROLE license_test_reader; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \
             license_test_reader; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO license_test_reader",
        )
        .await
        .expect("a role");
        let url =
            format!("{}?options[role]=license_test_reader", database.url().split('?').next().expect("a URL"));
        let store = PostgresStore::connect(&url, &check_only).await.expect("the schema of this version");
        store.put_if_absent("test", b"value").await.expect("rows can be written");
        store.close().await;
        raw.execute("DROP OWNED BY license_test_reader; DROP ROLE license_test_reader")
            .await
            .expect("dropped");
    }

    /// In another encoding, the first name with an umlaut would fail.
    #[tokio::test]
    async fn other_encoding_is_rejected() {
        let Some(database) = TestDatabase::with_encoding("LATIN1").await else { return };
        let error = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await;
        let error = error.expect_err("another encoding").to_string();
        assert!(error.contains("its encoding is LATIN1; create it with encoding UTF8"), "{error}");
    }

    /// Pages are ordered by text. A collation of a language differs between servers, and from the order of
    /// `LicenseId`.
    #[tokio::test]
    async fn text_columns_are_ordered_by_bytes() {
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
