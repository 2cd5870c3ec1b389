//! Faults that are written into a database by hand. Each is found by its check, and by no other than those named.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use license_core::clock::ManualClock;
use license_core::command::LicenseSpec;
use license_core::key::Secret;
use license_core::license::{CustomerEmail, Metadata};
use license_core::service::{ServiceOptions, Services, ValidateRequest};
use license_core::store::FullStore;
use license_core::webhook::{EndpointSettings, EventSelection};
use license_store::sql::verify::{CheckResult, Verification};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;

/// A fault: its SQL, the checks that find it, and a part of the message of the first one.
type Seeded = (&'static str, &'static [&'static str], &'static str);

const FAULTS: &[Seeded] = &[
    ("UPDATE licenses SET devices_used = 5", &["slots"], "devices_used is 5, but it has 1 devices"),
    (
        "UPDATE licenses SET domains_used = 0",
        &["slots", "derived_columns"],
        "domains_used is 0, but it has 1 domains",
    ),
    ("UPDATE licenses SET ends_at = 5", &["derived_columns"], "ends_at is not its expires_at"),
    ("UPDATE licenses SET at_limit = 1 - at_limit", &["derived_columns"], "at_limit is not whether"),
    ("UPDATE licenses SET customer_domain = NULL", &["derived_columns"], "customer_domain is not the host"),
    ("UPDATE activations SET plan = 'other@1'", &["derived_columns"], "is not that of the license"),
    (
        "INSERT INTO license_counters (license_id, validation_count) VALUES ('lic_none', 3)",
        &["licenses_exist"],
        "lic_none: license_counters has rows of it, but there is no such license",
    ),
    (
        "INSERT INTO activations (license_id, kind, value, id, created_at, last_seen_at, last_seen_day, validations, \
         is_returned) VALUES ('lic_none', 'domain', 'a.com', 'act_none1', 0, 0, 0, 0, 0)",
        &["licenses_exist"],
        "lic_none: activations has rows of it",
    ),
    ("UPDATE licenses SET plan_version = 9", &["plans", "derived_columns"], "has no version 9"),
    (
        "UPDATE plan_versions SET version = 2 WHERE plan = 'enterprise'",
        &["plans"],
        "enterprise: a version of the plan is missing",
    ),
    (
        "INSERT INTO leases (license_id, id, device_id, issued_at, expires_at, signing_key, claims, is_renewal) \
         SELECT MIN(id), 'lse_1', 'act_1', 0, 9000000000000000, 'key', '{}', 0 FROM licenses",
        &["leases", "open_leases"],
        "lse_1: it ends after the leased_until of its license",
    ),
    ("UPDATE rollups SET count = count + 1", &["history", "counters"], "but rollups count"),
    ("DELETE FROM rollups", &["history"], "validations that no rollup counts"),
    ("DELETE FROM validations", &["history"], "it has 0 validations with outcome VALID, but rollups count 2"),
    (
        "UPDATE license_counters SET validation_count = 1",
        &["counters"],
        "validation_count is 1, but rollups count 2",
    ),
    ("DELETE FROM license_counters", &["counters"], "validation_count is 0, but rollups count 2"),
    (
        "UPDATE license_counters SET last_validated_day = 7",
        &["counters"],
        "is not the day of last_validated_at",
    ),
    (
        "DELETE FROM events WHERE event_type = 'license.activated'",
        &["events", "deliveries"],
        "were pruned or not imported",
    ),
    ("DELETE FROM absent_events", &["events"], "0 were pruned or not imported"),
    (
        "INSERT INTO events (license_id, sequence, event_type, at, data) SELECT MIN(id), 99, 'license.renewed', 0, '{}' FROM licenses",
        &["events"],
        "event 99 is past its last_event",
    ),
    (
        "INSERT INTO events (license_id, sequence, event_type, at, data) VALUES ('lic_none', 1, 'license.renewed', 0, '{}')",
        &["events"],
        "lic_none: event 1 belongs to no license",
    ),
    (
        "UPDATE position_counter SET last_position = 1",
        &["positions"],
        "is not one of those that were assigned",
    ),
    (
        "UPDATE events SET position = CASE WHEN position = (SELECT last_position FROM position_counter) THEN -position \
         ELSE position END",
        &["positions", "deliveries"],
        "is not one of those that were assigned",
    ),
    ("DELETE FROM endpoints", &["deliveries"], "has no endpoint"),
    (
        "INSERT INTO tokens (id, digest, name, scopes, created_at, kind, parent_id) \
         SELECT 'tok_2', key_digest, 'session', '', 0, 'session', 'tok_none' FROM licenses ORDER BY id LIMIT 1",
        &["sessions"],
        "tok_2: its token tok_none does not exist",
    ),
    (
        "INSERT INTO tokens (id, digest, name, scopes, created_at, kind, revoked_at, parent_id) \
         SELECT 'tok_3', key_digest, 'token', '', 0, 'token', 5, NULL FROM licenses WHERE id = (SELECT MIN(id) FROM licenses) \
         UNION ALL SELECT 'tok_4', key_digest, 'session', '', 0, 'session', NULL, 'tok_3' FROM licenses \
         WHERE id = (SELECT MAX(id) FROM licenses)",
        &["sessions"],
        "tok_4: it is not revoked, but its token tok_3 is",
    ),
    (
        "INSERT INTO idempotency_keys (key, request, license_id, sequence, created_at) \
         SELECT key_digest, key_digest, id, 77, 0 FROM licenses",
        &["idempotency_keys"],
        "an idempotency key names its event 77, which does not exist",
    ),
    (
        "INSERT INTO bulk_job_licenses (job_id, license_id) VALUES ('job_none', 'lic_none')",
        &["bulk_jobs"],
        "job_none: it has licenses, but there is no such job",
    ),
    ("UPDATE signing_keys SET state = 'active'", &["signing_keys"], "another signing key is active too"),
    ("DELETE FROM clock", &["single_rows"], "clock: it has 0 rows instead of one"),
    (
        "UPDATE licenses SET sealed_key = (SELECT sealed_key FROM licenses ORDER BY id LIMIT 1)",
        &["keys"],
        "lic_",
    ),
    ("UPDATE licenses SET metadata = '{'", &["rows", "metadata"], "licenses.metadata cannot be read: "),
    ("UPDATE licenses SET state = 'asleep'", &["rows", "metadata"], "asleep"),
    (
        "UPDATE activations SET id = 'nonsense' WHERE kind = 'device'",
        &["rows"],
        "activations.id cannot be read: ",
    ),
    (
        "DELETE FROM license_metadata",
        &["metadata"],
        "it has 0 rows, but the metadata of the licenses has 2 texts",
    ),
    ("DELETE FROM settings", &["secret"], "the database has no data keys"),
    (
        "UPDATE license_migrations SET version = 99",
        &["schema"],
        "has schema 99, but this version knows schemas up to",
    ),
    ("UPDATE license_migrations SET version = 0", &["schema"], "start it once to migrate the database"),
    ("DROP TABLE license_migrations", &["schema"], "it has no tables of license-server"),
];

fn secret() -> Secret {
    Secret::from_hex(&"5a".repeat(32)).expect("a secret")
}

fn start() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().expect("a time")
}

/// Fills a database: two licenses with activations, validations, events and deliveries. Retention has deleted the first
/// event of each.
async fn fill(store: Arc<dyn FullStore>) {
    let clock = Arc::new(ManualClock::at(start()));
    let options = ServiceOptions::new(&secret(), Arc::clone(&clock), ChaCha20Rng::seed_from_u64(1));
    let services = Services::open(Arc::clone(&store), options).await.expect("services");
    let mut keys = Vec::new();
    for number in 1..=2 {
        let email = CustomerEmail::parse(&format!("{number}@example.com")).expect("an address");
        let metadata = Metadata::from_json(json!({ "order": number.to_string() })).expect("metadata");
        let spec = LicenseSpec::new("starter", email).metadata(metadata);
        keys.push(services.licenses.issue(&spec, None).await.expect("a license").key);
    }
    store.assign_positions(start(), 100).await.expect("positions");
    let retention = license_core::store::EventRetention {
        deliveries_before: start(),
        events_before: Some(start() + chrono::TimeDelta::seconds(1)),
        limit: 9,
    };
    assert_eq!(store.prune_events(&retention).await.expect("pruned"), 2);
    let (url, events) = ("https://example.com/hook".to_owned(), EventSelection::All);
    let settings = EndpointSettings { url, events, description: None, skip_job_events: false };
    services.webhooks.create(settings, None).await.expect("an endpoint");
    for key in &keys {
        let request = ValidateRequest {
            key: key.reveal(),
            domain: Some("a.com"),
            fingerprint: Some("laptop"),
            ..ValidateRequest::default()
        };
        for _ in 0..2 {
            assert!(services.validation.validate(&request).await.expect("a verdict").is_valid());
        }
    }
    store.assign_positions(start(), 100).await.expect("positions");
}

/// Returns the names of the checks that failed, and their messages.
fn failed(verification: &Verification) -> Vec<(&'static str, String)> {
    let message = |result: &CheckResult| match result {
        CheckResult::Failed { examples, .. } => {
            examples.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        _ => String::new(),
    };
    verification.failed().map(|check| (check.name, message(&check.result))).collect()
}

/// Returns what is wrong about a verification after a fault was seeded.
fn mismatch(verification: &Verification, (sql, checks, part): Seeded) -> Option<String> {
    let found = failed(verification);
    let mut names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
    let mut expected = checks.to_vec();
    names.sort_unstable();
    expected.sort_unstable();
    let message = found.iter().find(|(name, _)| *name == checks[0]).map(|(_, message)| message.as_str());
    let is_named = message.is_some_and(|message| message.contains(part));
    (names != expected || !is_named)
        .then(|| format!("{sql}\n  expected {expected:?} with {part:?}\n  found {found:?}"))
}

fn assert_found(verification: &Verification, fault: Seeded) {
    assert_eq!(mismatch(verification, fault), None);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::{Path, PathBuf};

    use license_core::store::LicenseStore;
    use license_store::sql::sqlite::{SqliteStore, verify};
    use license_store::sql::verify::VerifyError;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Connection, Executor};
    use tempfile::TempDir;

    use super::*;

    async fn execute(path: &Path, sql: &'static str) {
        let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
        let mut connection = options.connect().await.expect("a connection");
        connection.execute(sql).await.expect(sql);
        connection.close().await.expect("closed");
    }

    async fn database() -> (TempDir, PathBuf) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("licenses.db");
        let store = Arc::new(SqliteStore::open(&path).await.expect("a database"));
        fill(Arc::clone(&store) as _).await;
        store.compact().await.expect("compacted");
        store.close().await;
        (folder, path)
    }

    #[tokio::test]
    async fn every_seeded_fault_is_named() {
        let (folder, path) = database().await;
        let verification = verify(&path, Some(&secret()), start()).await.expect("read");
        assert_eq!(failed(&verification), []);
        assert!(verification.counts.contains(&("licenses".to_owned(), 2)), "{:?}", verification.counts);
        let more: &[Seeded] = &[
            ("UPDATE compaction SET last = 77", &["compaction"], "journal row 77 is missing"),
            (
                "DROP INDEX events_by_position; UPDATE events SET position = 3 WHERE position IS NOT NULL",
                &["positions", "deliveries"],
                "another event has position 3 too",
            ),
        ];
        let mut wrong = Vec::new();
        for fault in FAULTS.iter().chain(more) {
            let copy = folder.path().join("copy.db");
            std::fs::copy(&path, &copy).expect("a copy");
            execute(&copy, fault.0).await;
            let verification = verify(&copy, Some(&secret()), start()).await.expect(fault.0);
            wrong.extend(mismatch(&verification, *fault));
            std::fs::remove_file(copy).expect("removed");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[tokio::test]
    async fn damaged_page_is_named_and_ends_the_checks() {
        let (_folder, path) = database().await;
        let mut bytes = std::fs::read(&path).expect("the file");
        let last = bytes.len() - 4096;
        bytes[last..].fill(0x5a);
        std::fs::write(&path, bytes).expect("written");
        let verification = verify(&path, Some(&secret()), start()).await.expect("read");
        assert_eq!(verification.failed().map(|check| check.name).collect::<Vec<_>>(), ["integrity"]);
        let skipped = |name| {
            let check = verification.checks.iter().find(|check| check.name == name).expect("a check");
            matches!(check.result, CheckResult::Skipped("the checks above failed"))
        };
        assert!(skipped("keys") && skipped("slots") && skipped("single_rows"));
    }

    #[tokio::test]
    async fn wrong_secret_is_named() {
        let (_folder, path) = database().await;
        let other = Secret::from_hex(&"ab".repeat(32)).expect("a secret");
        let verification = verify(&path, Some(&other), start()).await.expect("read");
        assert_found(&verification, ("", &["secret"], "sealed with another secret"));
        let verification = verify(&path, None, start()).await.expect("read");
        assert_eq!(failed(&verification), [], "without a secret, no key is opened");
    }

    /// The files stay as they are: without a log, with one of an open store, and with one of a killed process.
    #[tokio::test]
    async fn verification_writes_nothing() {
        let (folder, path) = database().await;
        let files = || {
            let entries = std::fs::read_dir(folder.path())
                .expect("the folder")
                .map(|entry| entry.expect("a file").path());
            let mut files: Vec<_> =
                entries.map(|path| (std::fs::read(&path).expect("a file"), path)).collect();
            files.retain(|(_, path)| path.extension().is_none_or(|extension| extension != "db-shm"));
            files.sort();
            files
        };
        let before = files();
        verify(&path, Some(&secret()), start()).await.expect("read");
        assert!(files() == before, "without a log");
        let store = SqliteStore::open(&path).await.expect("a database");
        let before = files();
        assert!(before.len() > 1, "an open store has a log");
        verify(&path, Some(&secret()), start()).await.expect("read");
        assert!(files() == before, "while the store is open");
        store.put_if_absent("after", b"1").await.expect("the store still has its locks");
        let copy = folder.path().join("killed");
        std::fs::create_dir(&copy).expect("a folder");
        for suffix in ["", "-wal"] {
            let name = format!("licenses.db{suffix}");
            std::fs::copy(folder.path().join(&name), copy.join(&name)).expect("a copy");
        }
        let killed = copy.join("licenses.db");
        let bytes = |suffix: &str| std::fs::read(copy.join(format!("licenses.db{suffix}"))).expect("a file");
        let before = (bytes(""), bytes("-wal"));
        let verification = verify(&killed, Some(&secret()), start()).await.expect("read");
        assert_eq!(failed(&verification), []);
        let settings = verification.counts.iter().find(|(name, _)| name == "settings").map(|(_, rows)| *rows);
        assert!(settings.is_some_and(|rows| rows > 1), "what is in the log is read");
        assert!((bytes(""), bytes("-wal")) == before, "after a kill");
    }

    #[tokio::test]
    async fn missing_and_foreign_files_are_errors() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("none.db");
        let missing = verify(&path, None, start()).await;
        assert!(matches!(missing, Err(VerifyError::NoDatabase { .. })), "{missing:?}");
        std::fs::write(&path, "no database, however long it is. ".repeat(50)).expect("written");
        let verification = verify(&path, None, start()).await.expect("read");
        assert_found(&verification, ("", &["integrity"], "file is not a database"));
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use license_core::store::LicenseStore;
    use license_store::sql::postgres::{PostgresOptions, PostgresStore, verify};
    use sqlx::Executor;
    use test_database::TestDatabase;

    use super::*;

    async fn filled() -> Option<TestDatabase> {
        let database = TestDatabase::new().await?;
        let store = PostgresStore::connect(&database.url(), &PostgresOptions::default()).await;
        let store = Arc::new(store.expect("a database"));
        fill(Arc::clone(&store) as _).await;
        store.compact().await.expect("compacted");
        store.close().await;
        Some(database)
    }

    /// Each fault is undone by copying the tables back, since a new database for each takes long.
    #[tokio::test]
    async fn every_seeded_fault_is_named() {
        let Some(database) = filled().await else { return };
        let mut connection = database.connect().await;
        connection
            .execute("ALTER TABLE activations DROP CONSTRAINT activations_license_id_fkey")
            .await
            .expect("dropped");
        let verification = verify(&database.url(), Some(&secret()), start()).await.expect("read");
        assert_eq!(failed(&verification), []);
        let more: &[Seeded] = &[
            (
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'licenses_by_plan'::regclass",
                &["integrity"],
                "licenses_by_plan: the index is invalid; run REINDEX on it",
            ),
            (
                "DROP INDEX events_by_position; UPDATE events SET position = 3 WHERE position IS NOT NULL",
                &["positions", "deliveries"],
                "another event has position 3 too",
            ),
        ];
        let tables = "DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' \
            LOOP EXECUTE format('CREATE TABLE IF NOT EXISTS saved.%I AS TABLE public.%I', t, t); END LOOP; END $$";
        connection.execute("CREATE SCHEMA saved").await.expect("a schema");
        connection.execute(tables).await.expect("saved");
        let restore = "DO $$ DECLARE t text; BEGIN SET LOCAL session_replication_role = replica; \
            FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP \
            EXECUTE format('DELETE FROM public.%I', t); \
            EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE TABLE saved.%I', t, t); END LOOP; END $$";
        let drops = |sql: &str| sql.starts_with("DROP") || sql.starts_with("UPDATE pg_index");
        let (last, first): (Vec<&Seeded>, Vec<&Seeded>) =
            FAULTS.iter().chain(more).partition(|fault| drops(fault.0));
        let mut wrong = Vec::new();
        for fault in &first {
            connection.execute(fault.0).await.expect(fault.0);
            let verification = verify(&database.url(), Some(&secret()), start()).await.expect(fault.0);
            wrong.extend(mismatch(&verification, **fault));
            connection.execute(restore).await.expect("restored");
        }
        for fault in &last {
            let Some(database) = filled().await else { return };
            database.connect().await.execute(fault.0).await.expect(fault.0);
            let verification = verify(&database.url(), Some(&secret()), start()).await.expect(fault.0);
            wrong.extend(mismatch(&verification, **fault));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
