//! The data keys of a database, from its first start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use license_core::clock::ManualClock;
use license_core::command::LicenseSpec;
use license_core::error::SetupError;
use license_core::key::{DataKeys, DataKeysError, Secret};
use license_core::license::CustomerEmail;
use license_core::service::{ServiceOptions, Services, ValidateRequest};
use license_core::store::FullStore;
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::Barrier;

async fn build(store: Arc<dyn FullStore>, secret_byte: &str, seed: u64) -> Result<Services, SetupError> {
    let clock = ManualClock::at("2026-06-01T12:00:00Z".parse().expect("a time"));
    let secret = Secret::from_hex(&secret_byte.repeat(32)).expect("a secret");
    let rng = ChaCha20Rng::seed_from_u64(seed);
    Services::open(store, ServiceOptions::new(&secret, clock, rng)).await
}

/// Starts services on all handles at once. A license of one is valid on all.
async fn racing_starts_agree(handles: Vec<Arc<dyn FullStore>>) {
    let barrier = Arc::new(Barrier::new(handles.len()));
    let starts = (0..).zip(handles).map(|(seed, store)| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            barrier.wait().await;
            build(store, "5a", seed).await.expect("a service")
        })
    });
    let mut services = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        services.push(start.await.expect("no panic"));
    }
    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").expect("an address"));
    for service in &services {
        let license = service.licenses.issue(&spec, None).await.expect("a license");
        for other in &services {
            let request = ValidateRequest { key: license.key.reveal(), ..ValidateRequest::default() };
            assert!(other.validation.validate(&request).await.expect("a verdict").is_valid());
            let shown = other.licenses.get(&license.detail.license.id).await.expect("the license");
            assert_eq!(shown.key, license.key);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_first_starts_agree_in_memory() {
    for _ in 0..20 {
        let store = MemoryStore::new();
        racing_starts_agree((0..8).map(|_| Arc::new(store.clone()) as _).collect()).await;
    }
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_first_starts_agree_on_postgres() {
    use license_store::sql::postgres::{PostgresOptions, PostgresStore};

    let Some(database) = test_database::TestDatabase::new().await else { return };
    let options = PostgresOptions { max_connections: 3, ..PostgresOptions::default() };
    let mut handles: Vec<Arc<dyn FullStore>> = Vec::new();
    for _ in 0..4 {
        handles.push(Arc::new(PostgresStore::connect(&database.url(), &options).await.expect("a database")));
    }
    racing_starts_agree(handles).await;
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::collections::BTreeMap;

    use license_core::store::LicenseStore;
    use license_store::sql::sqlite::SqliteStore;

    use super::*;

    async fn open(path: &Path) -> Arc<SqliteStore> {
        Arc::new(SqliteStore::open(path).await.expect("a database"))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn racing_first_starts_agree_on_sqlite() {
        for _ in 0..3 {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("licenses.db");
            let mut handles: Vec<Arc<dyn FullStore>> = Vec::new();
            for _ in 0..4 {
                handles.push(open(&path).await);
            }
            racing_starts_agree(handles).await;
        }
    }

    /// Returns the files of a folder, except the log index, which readers write.
    fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
        let paths = paths.filter(|path| path.extension().is_none_or(|extension| extension != "db-shm"));
        paths.map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
    }

    #[tokio::test]
    async fn wrong_secret_is_rejected_and_writes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(&folder.path().join("licenses.db")).await;
        build(Arc::clone(&store) as _, "5a", 1).await.expect("a service");
        let before = files(folder.path());
        let error = build(Arc::clone(&store) as _, "5b", 2).await.expect_err("a wrong secret");
        assert!(matches!(error, SetupError::DataKeys(DataKeysError::WrongSecret)), "{error:?}");
        assert!(error.to_string().starts_with("the secret does not fit this database: "), "{error}");
        assert!(files(folder.path()) == before);
        build(store as _, "5a", 3).await.expect("the first secret still fits");
    }

    #[tokio::test]
    async fn damaged_data_keys_are_rejected() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(&folder.path().join("licenses.db")).await;
        store.put_if_absent(DataKeys::SETTING, b"damaged").await.expect("a setting");
        let before = files(folder.path());
        let error = build(store as _, "5a", 1).await.expect_err("damaged data keys");
        assert!(matches!(error, SetupError::DataKeys(DataKeysError::Damaged)), "{error:?}");
        assert!(error.to_string().contains("\"data_keys\" of this database is damaged: restore"), "{error}");
        assert!(files(folder.path()) == before);
    }
}
