//! Databases without a fault, after everything that the conformance suite does to them.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::clock::{Clock, SystemClock};
use license_store::conformance::{self, Case, Handle, Harness, StreamScope};
use license_store::sql::verify::{Check, Verification};

/// The cases that change licenses, usage, events, webhooks, tokens and leases, random sequences included.
fn cases() -> Vec<(&'static str, Case)> {
    [
        conformance::licenses::CASES,
        conformance::usage::CASES,
        conformance::events::CASES,
        conformance::webhooks::CASES,
        conformance::tokens::CASES,
        conformance::transfer::CASES,
        conformance::bulk_jobs::CASES,
        conformance::leases::CASES,
    ]
    .concat()
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// Returns the faults of a database, without those that the suite makes on purpose: its plans are in no
/// catalog.
fn faults(verification: &Verification) -> Vec<&Check> {
    verification.failed().filter(|check| check.name != "plans").collect()
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::PathBuf;

    use license_store::sql::sqlite::{SqliteStore, verify};
    use tempfile::TempDir;

    use super::*;

    struct File(TempDir);

    #[async_trait]
    impl Harness for File {
        async fn open(&self) -> Handle {
            Handle::from(Arc::new(SqliteStore::open(path(&self.0)).await.expect("a database")))
        }

        fn stream_scope(&self) -> StreamScope {
            StreamScope::OwnHandle
        }
    }

    fn path(folder: &TempDir) -> PathBuf {
        folder.path().join("licenses.db")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn database_is_sound_after_every_conformance_case() {
        let mut found = Vec::new();
        for (name, case) in cases() {
            let file = File(TempDir::new().expect("a folder"));
            case(&file).await;
            let verification = verify(&path(&file.0), None, now()).await.expect("it can be read");
            let faults = faults(&verification);
            if !faults.is_empty() {
                found.push(format!("{name}: {faults:?}"));
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use license_store::sql::postgres::{PostgresOptions, PostgresStore, verify};
    use test_database::TestDatabase;

    use super::*;

    struct Database(TestDatabase);

    #[async_trait]
    impl Harness for Database {
        async fn open(&self) -> Handle {
            let store = PostgresStore::connect(&self.0.url(), &PostgresOptions::default()).await;
            Handle::from(Arc::new(store.expect("a database")))
        }

        fn stream_scope(&self) -> StreamScope {
            StreamScope::AllHandles
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn database_is_sound_after_random_commands() {
        let mut found = Vec::new();
        let picked = |name: &str| {
            ["licenses::sequences", "leases::", "transfer::", "usage::rollups", "events::positions"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        for (name, case) in cases().into_iter().filter(|(name, _)| picked(name)) {
            let Some(server) = TestDatabase::new().await else { return };
            let database = Database(server);
            case(&database).await;
            let verification = verify(&database.0.url(), None, now()).await.expect("it can be read");
            let faults = faults(&verification);
            if !faults.is_empty() {
                found.push(format!("{name}: {faults:?}"));
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
