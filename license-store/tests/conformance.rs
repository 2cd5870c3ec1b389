//! The suite on every store of this crate.

use std::sync::Arc;

use async_trait::async_trait;
use license_core::store::LicenseStore;
use license_store::conformance::Harness;
use license_store::memory::MemoryStore;

#[derive(Default)]
struct Memory(MemoryStore);

#[async_trait]
impl Harness for Memory {
    async fn open(&self) -> Arc<dyn LicenseStore> {
        Arc::new(self.0.clone())
    }
}

mod memory {
    use super::Memory;
    license_store::conformance_tests!(Memory::default());
}

/// The forwarding implementations are stores as well.
#[derive(Default)]
struct Shared(MemoryStore);

#[async_trait]
impl Harness for Shared {
    async fn open(&self) -> Arc<dyn LicenseStore> {
        let shared: Arc<dyn LicenseStore> = Arc::new(self.0.clone());
        Arc::new(Box::new(shared))
    }
}

mod shared {
    use super::Shared;
    license_store::conformance_tests!(Shared::default());
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::sync::Arc;

    use async_trait::async_trait;
    use license_core::store::LicenseStore;
    use license_store::conformance::Harness;
    use license_store::sql::sqlite::SqliteStore;
    use tempfile::TempDir;

    /// A database file, opened anew for every handle, as another process would.
    struct File(TempDir);

    impl File {
        fn new() -> Self {
            Self(TempDir::new().expect("a folder"))
        }
    }

    #[async_trait]
    impl Harness for File {
        async fn open(&self) -> Arc<dyn LicenseStore> {
            Arc::new(SqliteStore::open(self.0.path().join("licenses.db")).await.expect("a database"))
        }
    }

    license_store::conformance_tests!(File::new());
}
