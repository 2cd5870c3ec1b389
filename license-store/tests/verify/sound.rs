//! Databases without a fault, after everything that the conformance suite does to them.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::clock::{Clock, SystemClock};
use license_store::conformance::{self, Case, Handle, Harness, StreamScope};
use license_store::sql::verify::{Check, Verification};
use tempfile::TempDir;

/// All cases that change data.
fn cases() -> Vec<(&'static str, Case)> {
    [
        conformance::licenses::CASES,
        conformance::activations::CASES,
        conformance::usage::CASES,
        conformance::events::CASES,
        conformance::webhooks::CASES,
        conformance::tokens::CASES,
        conformance::audit::CASES,
        conformance::transfer::CASES,
        conformance::catalog::CASES,
        conformance::search::CASES,
        conformance::bulk_jobs::CASES,
        conformance::signing_keys::CASES,
        conformance::leases::CASES,
    ]
    .concat()
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// Returns the faults of a database, without those that the suite makes on purpose: its plans are in no catalog.
fn faults(verification: &Verification) -> Vec<&Check> {
    verification.failed().filter(|check| check.name != "plans").collect()
}

mod sqlite {
    use license_store::sql::sqlite::{SqliteStore, verify};

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

    fn path(folder: &TempDir) -> std::path::PathBuf {
        Path::new(folder.path()).join("licenses.db")
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
