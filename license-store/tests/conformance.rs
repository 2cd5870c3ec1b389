//! The suite on every store of this crate.

use std::num::NonZero;
use std::sync::Arc;

use async_trait::async_trait;
use license_core::outbox::Outbox;
use license_core::store::LicenseStore;
use license_store::cache::{Cache, CacheOptions};
use license_store::conformance::{Harness, OutboxHarness};
use license_store::group_commit::{GroupCommit, GroupCommitOptions};
use license_store::memory::MemoryStore;
use rand::rngs::SysRng;

#[derive(Default)]
struct Memory(MemoryStore);

#[async_trait]
impl Harness for Memory {
    async fn open(&self) -> Arc<dyn LicenseStore> {
        Arc::new(self.0.clone())
    }

    fn hears_other_handles(&self) -> bool {
        true
    }
}

#[async_trait]
impl OutboxHarness for Memory {
    async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>) {
        (Arc::new(self.0.clone()), Arc::new(self.0.clone()))
    }
}

mod memory {
    use super::Memory;
    license_store::conformance_tests!(Memory::default());
    license_store::outbox_conformance_tests!(Memory::default());
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

    fn hears_other_handles(&self) -> bool {
        true
    }
}

#[async_trait]
impl OutboxHarness for Shared {
    async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>) {
        let outbox: Arc<dyn Outbox> = Arc::new(self.0.clone());
        (self.open().await, Arc::new(Box::new(outbox)))
    }
}

mod shared {
    use super::Shared;
    license_store::conformance_tests!(Shared::default());
    license_store::outbox_conformance_tests!(Shared::default());
}

/// In front of a store, as a server has it but with two commits under way: with more than one, none may be lost between them.
fn grouped<S: LicenseStore>(store: S) -> GroupCommit<S> {
    let options =
        GroupCommitOptions { commits: NonZero::new(2).expect("two"), ..GroupCommitOptions::default() };
    GroupCommit::new(store, options, &mut SysRng).expect("randomness")
}

/// Both in front, as a server has it.
fn stacked(store: impl LicenseStore) -> Arc<dyn LicenseStore> {
    Arc::new(Cache::new(grouped(store), CacheOptions::default()))
}

mod cached {
    use super::*;

    #[derive(Default)]
    struct CachedMemory(MemoryStore);

    #[async_trait]
    impl Harness for CachedMemory {
        async fn open(&self) -> Arc<dyn LicenseStore> {
            Arc::new(Cache::new(self.0.clone(), CacheOptions::default()))
        }

        fn hears_other_handles(&self) -> bool {
            true
        }
    }

    #[async_trait]
    impl OutboxHarness for CachedMemory {
        async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>) {
            (self.open().await, Arc::new(self.0.clone()))
        }
    }

    license_store::conformance_tests!(CachedMemory::default());
    license_store::outbox_conformance_tests!(CachedMemory::default());
}

mod group_commit {
    use super::*;

    #[derive(Default)]
    struct Grouped(MemoryStore);

    #[async_trait]
    impl Harness for Grouped {
        async fn open(&self) -> Arc<dyn LicenseStore> {
            Arc::new(grouped(self.0.clone()))
        }

        fn hears_other_handles(&self) -> bool {
            true
        }
    }

    license_store::conformance_tests!(Grouped::default());
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::sync::Arc;

    use async_trait::async_trait;
    use license_core::outbox::Outbox;
    use license_core::store::LicenseStore;
    use license_store::conformance::{Harness, OutboxHarness};
    use license_store::sql::sqlite::SqliteStore;
    use tempfile::TempDir;

    /// A database file, opened anew for every handle, as another process would.
    struct File(TempDir);

    impl File {
        fn new() -> Self {
            Self(TempDir::new().expect("a folder"))
        }

        async fn store(&self) -> SqliteStore {
            SqliteStore::open(self.0.path().join("licenses.db")).await.expect("a database")
        }
    }

    #[async_trait]
    impl OutboxHarness for File {
        async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>) {
            let store = Arc::new(self.store().await);
            (Arc::clone(&store) as _, store)
        }
    }

    #[async_trait]
    impl Harness for File {
        async fn open(&self) -> Arc<dyn LicenseStore> {
            Arc::new(self.store().await)
        }

        fn hears_other_handles(&self) -> bool {
            false
        }
    }

    license_store::conformance_tests!(File::new());
    license_store::outbox_conformance_tests!(File::new());

    mod stacked {
        use super::*;

        struct Stacked(File);

        #[async_trait]
        impl Harness for Stacked {
            async fn open(&self) -> Arc<dyn LicenseStore> {
                crate::stacked(self.0.open().await)
            }

            fn hears_other_handles(&self) -> bool {
                false
            }
        }

        #[async_trait]
        impl OutboxHarness for Stacked {
            async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>) {
                let store = Arc::new(self.0.store().await);
                (crate::stacked(Arc::clone(&store)), store)
            }
        }

        license_store::conformance_tests!(Stacked(File::new()));
        license_store::outbox_conformance_tests!(Stacked(File::new()));
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use license_core::outbox::Outbox;
    use license_core::store::LicenseStore;
    use license_store::conformance::{Harness, OutboxHarness};
    use license_store::sql::postgres::{PostgresOptions, PostgresStore};
    use test_database::TestDatabase;

    /// A database whose sessions begin with some isolation.
    struct Database {
        server: TestDatabase,
        url: String,
        transaction_pooler: bool,
        opened: AtomicUsize,
    }

    impl Database {
        async fn new(isolation: &str) -> Option<Self> {
            let server = TestDatabase::with_settings(&[("default_transaction_isolation", isolation)]).await?;
            let url = server.url();
            Some(Self { server, url, transaction_pooler: false, opened: AtomicUsize::default() })
        }

        async fn through_pgbouncer() -> Option<Self> {
            let direct = Self::new("repeatable read").await?;
            let url = direct.server.pgbouncer_url()?;
            Some(Self { url, transaction_pooler: true, ..direct })
        }

        async fn store(&self) -> PostgresStore {
            let options = PostgresOptions {
                max_connections: 4,
                transaction_pooler: self.transaction_pooler,
                listen_url: Some(self.server.url()),
                ..PostgresOptions::default()
            };
            PostgresStore::connect(&self.url, &options).await.expect("a database")
        }
    }

    #[async_trait]
    impl Harness for Database {
        /// Plain and shared in turn: the races and all that reads through another handle run on both at once.
        async fn open(&self) -> Arc<dyn LicenseStore> {
            let store = self.store().await;
            if self.opened.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                Arc::new(store)
            } else {
                let shared: Arc<dyn LicenseStore> = Arc::new(store);
                Arc::new(Box::new(shared))
            }
        }

        fn hears_other_handles(&self) -> bool {
            true
        }
    }

    #[async_trait]
    impl OutboxHarness for Database {
        async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>) {
            let store = Arc::new(self.store().await);
            (Arc::clone(&store) as _, store)
        }
    }

    /// The suite on that database, if there is a server.
    macro_rules! on {
        ($database:expr) => {
            license_store::conformance_tests!({
                let Some(database) = $database.await else { return };
                database
            });
            license_store::outbox_conformance_tests!({
                let Some(database) = $database.await else { return };
                database
            });
        };
    }

    mod read_committed {
        use super::Database;
        on!(Database::new("read committed"));
    }

    mod stacked {
        use super::*;

        struct Stacked(Database);

        impl Stacked {
            async fn new() -> Option<Self> {
                Database::new("read committed").await.map(Self)
            }
        }

        #[async_trait]
        impl Harness for Stacked {
            async fn open(&self) -> Arc<dyn LicenseStore> {
                crate::stacked(self.0.open().await)
            }

            fn hears_other_handles(&self) -> bool {
                true
            }
        }

        #[async_trait]
        impl OutboxHarness for Stacked {
            async fn open_outbox(&self) -> (Arc<dyn LicenseStore>, Arc<dyn Outbox>) {
                let store = Arc::new(self.0.store().await);
                (crate::stacked(Arc::clone(&store)), store)
            }
        }

        on!(Stacked::new());
    }

    mod repeatable_read {
        use super::Database;
        on!(Database::new("repeatable read"));
    }

    mod serializable {
        use super::Database;
        on!(Database::new("serializable"));
    }

    mod pgbouncer {
        use super::Database;
        on!(Database::through_pgbouncer());
    }
}

/// Tokens and the audit.
mod access {
    use std::sync::Arc;

    use async_trait::async_trait;
    use license_core::audit::AccessStore;
    use license_core::store::LicenseStore;
    use license_store::cache::{CacheOptions, TokenCache};
    use license_store::conformance::access::AccessHarness;
    use license_store::memory::MemoryStore;

    type Opened = (Arc<dyn LicenseStore>, Arc<dyn AccessStore>);

    fn both<S: LicenseStore + AccessStore>(store: S) -> Opened {
        let store = Arc::new(store);
        (Arc::clone(&store) as _, store)
    }

    mod memory {
        use super::*;

        #[derive(Default)]
        struct Memory(MemoryStore);

        #[async_trait]
        impl AccessHarness for Memory {
            async fn open(&self) -> Opened {
                both(self.0.clone())
            }

            fn hears_other_handles(&self) -> bool {
                true
            }
        }

        license_store::access_conformance_tests!(Memory::default());
    }

    mod cached {
        use super::*;

        /// One cache: what another one remembers it forgets when it hears of it, which is later.
        struct Cached(Opened);

        impl Cached {
            fn new() -> Self {
                let (licenses, access) = both(MemoryStore::new());
                let options = CacheOptions::default();
                let cached = TokenCache::new(access, Arc::clone(&licenses), options);
                Self((licenses, Arc::new(cached)))
            }
        }

        #[async_trait]
        impl AccessHarness for Cached {
            async fn open(&self) -> Opened {
                self.0.clone()
            }

            fn hears_other_handles(&self) -> bool {
                true
            }
        }

        license_store::access_conformance_tests!(Cached::new());
    }

    #[cfg(feature = "sqlite")]
    mod sqlite {
        use license_store::sql::sqlite::SqliteStore;
        use tempfile::TempDir;

        use super::*;

        struct File(TempDir);

        #[async_trait]
        impl AccessHarness for File {
            async fn open(&self) -> Opened {
                both(SqliteStore::open(self.0.path().join("licenses.db")).await.expect("a database"))
            }

            fn hears_other_handles(&self) -> bool {
                false
            }
        }

        license_store::access_conformance_tests!(File(TempDir::new().expect("a folder")));
    }

    #[cfg(feature = "postgres")]
    mod postgres {
        use license_store::sql::postgres::{PostgresOptions, PostgresStore};
        use test_database::TestDatabase;

        use super::*;

        struct Database(TestDatabase);

        #[async_trait]
        impl AccessHarness for Database {
            async fn open(&self) -> Opened {
                let options = PostgresOptions { max_connections: 4, ..PostgresOptions::default() };
                both(PostgresStore::connect(&self.0.url(), &options).await.expect("a database"))
            }

            fn hears_other_handles(&self) -> bool {
                true
            }
        }

        license_store::access_conformance_tests!({
            let Some(database) = TestDatabase::new().await else { return };
            Database(database)
        });
    }
}

/// Exports and imports.
mod transfer {
    use std::sync::Arc;

    use async_trait::async_trait;
    use license_core::audit::AccessStore;
    use license_core::store::LicenseStore;
    use license_core::transfer::TransferStore;
    use license_store::conformance::{Harness, TransferHarness};
    use license_store::memory::MemoryStore;

    type Opened = (Arc<dyn TransferStore>, Arc<dyn AccessStore>);

    fn both<S: TransferStore + AccessStore>(store: S) -> Opened {
        let store = Arc::new(store);
        (Arc::clone(&store) as _, store)
    }

    /// A harness whose other handles hear of changes or not.
    macro_rules! harness {
        ($name:ident, $hears:literal, |$data:ident| $store:expr) => {
            #[async_trait]
            impl Harness for $name {
                async fn open(&self) -> Arc<dyn LicenseStore> {
                    let $data = self;
                    Arc::new($store)
                }

                fn hears_other_handles(&self) -> bool {
                    $hears
                }
            }

            #[async_trait]
            impl TransferHarness for $name {
                async fn open_transfer(&self) -> Opened {
                    let $data = self;
                    both($store)
                }
            }
        };
    }

    mod memory {
        use super::*;

        #[derive(Default)]
        struct Memory(MemoryStore);

        harness!(Memory, true, |memory| memory.0.clone());
        license_store::transfer_conformance_tests!(Memory::default());
    }

    #[cfg(feature = "sqlite")]
    mod sqlite {
        use license_store::sql::sqlite::SqliteStore;
        use tempfile::TempDir;

        use super::*;

        struct File(TempDir);

        harness!(File, false, |file| SqliteStore::open(file.0.path().join("l.db"))
            .await
            .expect("a database"));
        license_store::transfer_conformance_tests!(File(TempDir::new().expect("a folder")));
    }

    #[cfg(feature = "postgres")]
    mod postgres {
        use license_store::sql::postgres::{PostgresOptions, PostgresStore};
        use test_database::TestDatabase;

        use super::*;

        struct Database(TestDatabase, bool);

        impl Database {
            async fn store(&self) -> PostgresStore {
                let direct = self.0.url();
                let pooler = if self.1 { self.0.pgbouncer_url() } else { None };
                let url = pooler.unwrap_or_else(|| direct.clone());
                let options = PostgresOptions {
                    max_connections: 4,
                    transaction_pooler: self.1,
                    listen_url: Some(direct),
                    ..PostgresOptions::default()
                };
                PostgresStore::connect(&url, &options).await.expect("a database")
            }
        }

        harness!(Database, true, |database| database.store().await);

        /// On a server whose transactions begin so, unless they say otherwise.
        macro_rules! on {
            ($name:ident, $isolation:literal, $pooler:literal) => {
                mod $name {
                    use super::*;
                    license_store::transfer_conformance_tests!({
                        let settings = [("default_transaction_isolation", $isolation)];
                        let Some(database) = TestDatabase::with_settings(&settings).await else { return };
                        if $pooler && database.pgbouncer_url().is_none() {
                            return;
                        }
                        Database(database, $pooler)
                    });
                }
            };
        }

        on!(read_committed, "read committed", false);
        on!(serializable, "serializable", false);
        on!(pgbouncer, "read committed", true);
    }
}
