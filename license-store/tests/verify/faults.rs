//! Faults that are written into a database by hand. Each is found by its check, and by no other than those
//! named.

use std::sync::Arc;

use license_core::key::Secret;
use license_store::sql::verify::{CheckResult, Verification};

use crate::filled::{fill, secret, start};
use crate::seeded::{FAULTS, Seeded};

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

    /// The files stay as they are: without a log, with one of an open store, and with one of a killed
    /// process.
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
