//! Errors of a database: unreadable rows, locks, timeouts and lost connections.

#![cfg(any(feature = "sqlite", feature = "postgres"))]

use std::sync::Arc;

use chrono::{DateTime, Utc};
use license_core::catalog::{Plan, PlanCatalog};
use license_core::command::{
    Command, CommandContext, Idempotency, IdempotencyDigest, LicenseSpec, NewLicense, create,
};
use license_core::domain::DomainName;
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{CustomerEmail, Fingerprint, LicenseId};
use license_core::store::{
    EventStore, FullStore, LicenseFilter, LicenseQuery, LicenseStore, PageRequest, StoreError, UsageStore,
};
use license_core::trial::TrialKey;
use license_core::usage::{UsageQuery, Validation, ValidationOutcome};
use license_core::validation::Claim;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time in range")
}

fn plans() -> PlanCatalog {
    PlanCatalog::new([Plan::new("open")]).expect("plans in bounds")
}

/// Builds a license with a domain and an idempotency key. Higher numbers have higher ids.
fn license(number: u8) -> NewLicense {
    let id = LicenseId::parse(&format!("lic_{number:03}")).expect("an id");
    let key = (KeyDigest::from_bytes([number; 32]), SealedKey::from_bytes(vec![number]));
    let mut spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    spec.domains = vec![DomainName::parse("example.com").expect("a domain")];
    let key_of_request = IdempotencyDigest::from_bytes([number; 32]);
    let idempotency = Idempotency { key: key_of_request, request: [number; 32] };
    create(id, key, &spec, Some(idempotency), &plans(), &TrialKey::from_bytes([7; 32]).into(), now())
        .expect("in bounds")
}

fn validation(id: &LicenseId) -> Validation {
    let claim = Claim {
        domain: Some(DomainName::parse("example.com").expect("a domain")),
        fingerprint: Some(Fingerprint::parse("device").expect("a fingerprint")),
        ..Claim::default()
    };
    Validation::new(id.clone(), now(), ValidationOutcome::Valid, claim)
}

async fn execute(store: &dyn LicenseStore, id: &LicenseId, command: &Command) -> Result<(), StoreError> {
    let context = CommandContext {
        plans: Arc::new(plans()),
        now: now(),
        expected_version: None,
        expected_key: None,
        by: None,
        idempotency: None,
        reason: None,
        job: None,
        trials: TrialKey::from_bytes([7; 32]).into(),
    };
    store.execute(id, command, &context).await.map(drop)
}

/// An invalid value of a column, and a call that reads it.
struct Broken {
    table: &'static str,
    column: &'static str,
    value: &'static str,
    read: Read,
}

enum Read {
    ById,
    ByKey,
    List,
    Execute,
    Activations,
    Events,
    Usage,
    CreateAgain,
}

const fn broken(table: &'static str, column: &'static str, value: &'static str, read: Read) -> Broken {
    Broken { table, column, value, read }
}

const BROKEN: &[Broken] = &[
    broken("licenses", "key_digest", "BYTES", Read::ById),
    broken("licenses", "state", "'paused'", Read::ById),
    broken("licenses", "state", "'paused'", Read::ByKey),
    broken("licenses", "state", "'paused'", Read::List),
    broken("licenses", "state", "'paused'", Read::Execute),
    broken("licenses", "customer_email", "'nobody'", Read::ById),
    broken("licenses", "customer_name", "''", Read::ById),
    broken("licenses", "external_id", "''", Read::ById),
    broken("licenses", "max_domains", "-1", Read::ById),
    broken("licenses", "max_devices", "4294967296", Read::ById),
    broken("licenses", "domains_used", "-1", Read::ByKey),
    broken("licenses", "devices_used", "-1", Read::Execute),
    broken("licenses", "created_at", "9223372036854775807", Read::ById),
    broken("licenses", "activated_at", "9223372036854775807", Read::ById),
    broken("licenses", "expires_at", "-9223372036854775808", Read::ByKey),
    broken("licenses", "metadata", "'{'", Read::ById),
    broken("licenses", "metadata", "'[]'", Read::List),
    broken("licenses", "version", "-1", Read::Execute),
    broken("licenses", "last_event", "-1", Read::Execute),
    broken("license_counters", "validation_count", "-1", Read::ById),
    broken("license_counters", "last_validated_at", "9223372036854775807", Read::ById),
    broken("activations", "value", "'Example.COM'", Read::ById),
    broken("activations", "id", "'number 1'", Read::List),
    broken("activations", "country", "'Germany'", Read::Activations),
    broken("activations", "created_at", "9223372036854775807", Read::Activations),
    broken("events", "event_type", "'license.lost'", Read::Events),
    broken("events", "at", "9223372036854775807", Read::Events),
    broken("events", "data", "'{'", Read::Events),
    broken("validations", "outcome", "'perhaps'", Read::Usage),
    broken("validations", "at", "9223372036854775806", Read::Usage),
    broken("validations", "domain", "'a b'", Read::Usage),
    broken("validations", "device", "''", Read::Usage),
    broken("idempotency_keys", "request", "BYTES", Read::CreateAgain),
];

/// Makes a call that reads the row.
async fn read_row(store: &dyn FullStore, new: &NewLicense, read: &Read) -> Result<(), StoreError> {
    let id = &new.license.id;
    match read {
        Read::ById => store.get(id).await.map(drop),
        Read::ByKey => store.find_by_key(&new.license.key_digest, &Claim::default()).await.map(drop),
        Read::List => {
            let page = PageRequest { after: None, limit: 9 };
            let query = LicenseQuery { filter: LicenseFilter::default(), at: now(), page };
            store.list(&query).await.map(drop)
        }
        Read::Execute => execute(store, id, &Command::Suspend).await,
        Read::Activations => store.list_activations(id, None, &PageRequest::default()).await.map(drop),
        Read::Events => store.license_events(id, 0, 9).await.map(drop),
        Read::Usage => store.report(id, &UsageQuery::default()).await.map(drop),
        Read::CreateAgain => store.create(new).await.map(drop),
    }
}

async fn assert_corrupt(store: &dyn FullStore, new: &NewLicense, broken: &Broken) {
    let Broken { table, column, value, read } = broken;
    let found = read_row(store, new, read).await;
    // An error names the license of a row.
    let row = new.license.id.as_str();
    match found {
        Err(error @ StoreError::Corrupt { .. }) => {
            let text = error.to_string();
            assert_eq!(text, format!("{table}.{column} of {row:?} cannot be read"), "with {value}");
            assert!(!error.is_retryable());
        }
        other => panic!("{table}.{column} = {value} is read: {other:?}"),
    }
}

/// Stores a license and a validation.
async fn fill(store: &dyn FullStore, new: &NewLicense) {
    store.create(new).await.expect("create");
    store.record(&[validation(&new.license.id)], None).await.expect("record");
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::PathBuf;
    use std::time::Duration;

    use license_store::sql::sqlite::{SqliteOptions, SqliteStore};
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{AssertSqlSafe, ConnectOptions, Executor, SqliteConnection};
    use tempfile::TempDir;

    use super::*;

    fn file() -> (TempDir, PathBuf) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("licenses.db");
        (folder, path)
    }

    async fn raw(path: &PathBuf) -> SqliteConnection {
        SqliteConnectOptions::new().filename(path).connect().await.expect("a connection")
    }

    #[tokio::test]
    async fn unreadable_row_is_named() {
        for broken in BROKEN {
            let (_folder, path) = file();
            let (store, new) = (SqliteStore::open(&path).await.expect("opens"), license(1));
            fill(&store, &new).await;
            store.compact().await.expect("compacted");
            let Broken { table, column, value, .. } = broken;
            let update = format!("UPDATE {table} SET {column} = {}", value.replace("BYTES", "x'00'"));
            raw(&path).await.execute(AssertSqlSafe(update)).await.expect("breaks");
            assert_corrupt(&store, &new, broken).await;
        }
    }

    #[tokio::test]
    async fn lock_of_other_process_is_contention() {
        let (_folder, path) = file();
        let options = SqliteOptions { lock_timeout: Duration::from_millis(300), ..SqliteOptions::default() };
        let store = SqliteStore::open_with(&path, &options).await.expect("opens");
        let new = license(1);
        store.create(&new).await.expect("create");
        let mut other = raw(&path).await;
        other.execute("BEGIN IMMEDIATE").await.expect("the lock");
        let id = &new.license.id;
        for result in [
            execute(&store, id, &Command::Suspend).await,
            store.create(&license(2)).await.map(drop),
            store.record(&[validation(id)], None).await,
            store.put_if_absent("name", b"value").await.map(drop),
        ] {
            let error = result.expect_err("locked");
            assert!(matches!(error, StoreError::Contended { .. }) && error.is_retryable(), "{error:?}");
        }
        store.get(id).await.expect("reads succeed");
        other.execute("ROLLBACK").await.expect("released");
        execute(&store, id, &Command::Suspend).await.expect("unlocked");
        assert_eq!(
            store.license_events(id, 0, 99).await.expect("events").len(),
            new.events.len() + 1,
            "executed once"
        );
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use license_core::usage::UsageReport;
    use license_store::sql::postgres::{PostgresOptions, PostgresStore};
    use sqlx::postgres::PgConnectOptions;
    use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
    use test_database::TestDatabase;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A timeout that no test reaches.
    const NEVER: Duration = Duration::from_mins(10);

    fn options() -> PostgresOptions {
        PostgresOptions { max_connections: 4, ..PostgresOptions::default() }
    }

    async fn connect(database: &TestDatabase, options: &PostgresOptions) -> PostgresStore {
        PostgresStore::connect(&database.url(), options).await.expect("connects")
    }

    /// Repeats a statement until it returns a row.
    async fn until(connection: &mut PgConnection, query: &'static str) -> sqlx::postgres::PgRow {
        loop {
            if let Some(row) = connection.fetch_optional(query).await.expect("a query") {
                return row;
            }
        }
    }

    /// Selects transactions that wait for a lock.
    const WAITING: &str = "SELECT xact_start::text FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";

    #[tokio::test]
    async fn unreadable_row_is_named() {
        let Some(database) = TestDatabase::new().await else { return };
        let store = connect(&database, &options()).await;
        let new = license(1);
        let mut raw = database.connect().await;
        let clear = "TRUNCATE licenses, leases, activations, license_counters, events, validations, rollups, journal, idempotency_keys";
        for broken in BROKEN {
            raw.execute(clear).await.expect("empty");
            fill(&store, &new).await;
            store.compact().await.expect("compacted");
            let Broken { table, column, value, .. } = broken;
            let update = format!("UPDATE {table} SET {column} = {}", value.replace("BYTES", r"'\x00'"));
            raw.execute(AssertSqlSafe(update)).await.expect("breaks");
            assert_corrupt(&store, &new, broken).await;
        }
    }

    #[tokio::test]
    async fn lock_of_other_node_is_contention() {
        let Some(database) = TestDatabase::new().await else { return };
        let store =
            connect(&database, &PostgresOptions { lock_timeout: Duration::from_millis(300), ..options() })
                .await;
        let new = license(1);
        store.create(&new).await.expect("create");
        let mut other = database.connect().await;
        other.execute("BEGIN; SELECT id FROM licenses FOR UPDATE").await.expect("the lock");
        let id = &new.license.id;
        let error = execute(&store, id, &Command::Suspend).await.expect_err("locked");
        assert!(matches!(error, StoreError::Contended { .. }) && error.is_retryable(), "{error:?}");
        store.get(id).await.expect("reads succeed");
        store.record(&[validation(id)], None).await.expect("recording succeeds");
        other.execute("ROLLBACK").await.expect("released");
        execute(&store, id, &Command::Suspend).await.expect("unlocked");
        assert_eq!(
            store.license_events(id, 0, 99).await.expect("events").len(),
            new.events.len() + 1,
            "executed once"
        );
        let usage: UsageReport = store.report(id, &UsageQuery::default()).await.expect("usage");
        assert_eq!(usage.total(), 1, "counted once");
    }

    #[tokio::test]
    async fn lock_conflict_is_retried() {
        let Some(database) = TestDatabase::new().await else { return };
        let patience = PostgresOptions { lock_timeout: Duration::from_secs(3), ..options() };
        let store = Arc::new(connect(&database, &patience).await);
        let new = license(1);
        store.create(&new).await.expect("create");
        let (mut other, mut watcher) = (database.connect().await, database.connect().await);
        other.execute("BEGIN; SELECT id FROM licenses FOR UPDATE").await.expect("the lock");
        let (asked, id) = (Arc::clone(&store), new.license.id.clone());
        let asking = tokio::spawn(async move { execute(&*asked, &id, &Command::Suspend).await });
        // A waiting transaction with another start time is a retry.
        let first: String = until(&mut watcher, WAITING).await.get(0);
        while let waiting = watcher.fetch_optional(WAITING).await.expect("a query")
            && waiting.is_none_or(|waiting| waiting.get::<String, _>(0) == first)
        {
            assert!(!asking.is_finished(), "no retry: {:?}", asking.await);
        }
        other.execute("ROLLBACK").await.expect("released");
        asking.await.expect("no panic").expect("the retry");
        let events = store.license_events(&new.license.id, 0, 99).await.expect("events");
        assert_eq!(events.len(), new.events.len() + 1, "executed once");
    }

    #[tokio::test]
    async fn statement_timeout_is_unavailable() {
        let Some(database) = TestDatabase::new().await else { return };
        let timeout = Duration::from_millis(100);
        for transaction_pooler in [false, true] {
            let options = PostgresOptions {
                statement_timeout: timeout,
                lock_timeout: NEVER,
                transaction_pooler,
                ..options()
            };
            let (store, new) = (connect(&database, &options).await, license(1));
            let mut other = database.connect().await;
            other.execute("BEGIN; LOCK TABLE licenses IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
            let digest = &new.license.key_digest;
            let read = store.find_by_key(digest, &Claim::default()).await.map(drop);
            for result in [read, store.create(&new).await.map(drop)] {
                let error = result.expect_err("the table is locked");
                assert!(matches!(error, StoreError::Unavailable { .. }) && error.is_retryable(), "{error:?}");
            }
            other.execute("ROLLBACK").await.expect("released");
            assert!(store.find_by_key(digest, &Claim::default()).await.expect("answers").is_none());
        }
    }

    #[tokio::test]
    async fn exhausted_pool_is_unavailable() {
        let Some(database) = TestDatabase::new().await else { return };
        let options = PostgresOptions {
            max_connections: 1,
            acquire_timeout: Duration::from_millis(500),
            statement_timeout: NEVER,
            lock_timeout: NEVER,
            ..options()
        };
        let (store, new) = (Arc::new(connect(&database, &options).await), license(1));
        let (mut other, mut watcher) = (database.connect().await, database.connect().await);
        other.execute("BEGIN; LOCK TABLE licenses IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
        let (asked, created) = (Arc::clone(&store), new.clone());
        let waiting = tokio::spawn(async move { asked.create(&created).await });
        until(&mut watcher, WAITING).await;
        let error = store.ping().await.expect_err("the only connection is in use");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        other.execute("ROLLBACK").await.expect("released");
        waiting.await.expect("no panic").expect("created");
        store.ping().await.expect("the connection is free");
    }

    #[tokio::test]
    async fn lost_connection_is_unavailable_and_replaced() {
        let Some(database) = TestDatabase::new().await else { return };
        let store = Arc::new(connect(&database, &PostgresOptions { lock_timeout: NEVER, ..options() }).await);
        let new = license(1);
        store.create(&new).await.expect("create");
        let (mut other, mut watcher) = (database.connect().await, database.connect().await);
        other.execute("BEGIN; SELECT id FROM licenses FOR UPDATE").await.expect("the lock");
        let (asked, id) = (Arc::clone(&store), new.license.id.clone());
        let asking = tokio::spawn(async move { execute(&*asked, &id, &Command::Suspend).await });
        until(&mut watcher, WAITING).await;
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE datname = current_database() AND application_name = 'license-store'";
        watcher.execute(terminate).await.expect("terminated");
        let error = asking.await.expect("no panic").expect_err("its connection is gone");
        assert!(matches!(error, StoreError::Unavailable { .. }) && error.is_retryable(), "{error:?}");
        other.execute("ROLLBACK").await.expect("released");
        // The pool does not test connections before use, so each may fail once.
        let mut failures = 0;
        while let Err(error) = execute(&*store, &new.license.id, &Command::Suspend).await {
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
            failures += 1;
            assert!(failures <= 4, "the store does not recover: {error:?}");
        }
        let events = store.license_events(&new.license.id, 0, 99).await.expect("events");
        assert_eq!(events.len(), new.events.len() + 1, "the lost command wrote nothing");
    }

    /// Starts a proxy in front of a server, and returns its URL. Once `armed`, it forwards a COMMIT and
    /// drops the answer.
    async fn lose_answers_to_commits(url: &str, armed: &Arc<AtomicBool>) -> String {
        let server: PgConnectOptions = url.parse().expect("a URL");
        let address = (server.get_host().to_owned(), server.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let armed = Arc::clone(armed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut from_client, mut to_client) = client.into_split();
                let server = TcpStream::connect(address.clone()).await.expect("the server");
                let (mut from_server, mut to_server) = server.into_split();
                let committing = Arc::new(AtomicBool::new(false));
                let (cut, armed) = (Arc::clone(&committing), Arc::clone(&armed));
                tokio::spawn(async move {
                    let mut bytes = vec![0; 65_536];
                    while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                        if cut.load(Ordering::SeqCst) || to_client.write_all(&bytes[..length]).await.is_err()
                        {
                            break;
                        }
                    }
                });
                tokio::spawn(async move {
                    let mut bytes = vec![0; 65_536];
                    while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                        let commits = bytes[..length].windows(7).any(|window| window == b"COMMIT\0");
                        committing.store(commits && armed.load(Ordering::SeqCst), Ordering::SeqCst);
                        to_server.write_all(&bytes[..length]).await.expect("the server listens");
                    }
                });
            }
        });
        server.host("127.0.0.1").port(port).to_url_lossy().to_string()
    }

    /// The command may have committed, so a retry could execute it twice.
    #[tokio::test]
    async fn lost_commit_answer_is_unavailable_and_not_retried() {
        let Some(database) = TestDatabase::new().await else { return };
        let store = connect(&database, &options()).await;
        let new = license(1);
        store.create(&new).await.expect("create");
        let armed = Arc::new(AtomicBool::new(false));
        let url = lose_answers_to_commits(&database.url(), &armed).await;
        let cut_off = PostgresStore::connect(&url, &options()).await.expect("connects");
        armed.store(true, Ordering::SeqCst);
        let id = &new.license.id;
        let error = execute(&cut_off, id, &Command::Suspend).await.expect_err("no answer");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        let events = store.license_events(id, 0, 99).await.expect("events");
        assert_eq!(events.len(), new.events.len() + 1, "executed once");
    }

    /// The fold may have committed; the next pass detects it.
    #[tokio::test]
    async fn lost_answer_to_compaction_counts_once() {
        let Some(database) = TestDatabase::new().await else { return };
        let store = connect(&database, &options()).await;
        let new = license(1);
        fill(&store, &new).await;
        store.compact().await.expect("compacted");
        store.close().await;
        let armed = Arc::new(AtomicBool::new(false));
        let url = lose_answers_to_commits(&database.url(), &armed).await;
        let cut_off = PostgresStore::connect(&url, &options()).await.expect("connects");
        cut_off.compact().await.expect("nothing to compact");
        armed.store(true, Ordering::SeqCst);
        cut_off.record(&[validation(&new.license.id)], None).await.expect("recorded in one statement");
        cut_off.compact().await.expect_err("its answer is lost");
        armed.store(false, Ordering::SeqCst);
        cut_off.compact().await.expect("compacted");
        let detail = cut_off.get(&new.license.id).await.expect("a license").expect("it exists");
        assert_eq!((detail.counters.validation_count, detail.counters.as_of), (2, None));
    }

    #[tokio::test]
    async fn unreachable_server_is_an_error_without_password() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        let url = format!("postgres://nobody:secret@127.0.0.1:{port}/none");
        let options = PostgresOptions { acquire_timeout: Duration::from_millis(500), ..options() };
        let error = PostgresStore::connect(&url, &options).await.expect_err("no server");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("secret"), "no password: {text}");
    }
}
