//! The conformance suite on every store and layer of this crate.

use std::num::NonZero;
use std::sync::Arc;

use async_trait::async_trait;
use license_core::clock::SystemClock;
use license_core::store::LicenseStore;
use license_store::cache::{Cache, CacheOptions, TokenCache};
use license_store::conformance::{Handle, Harness, StreamScope};
use license_store::faults::FaultStore;
use license_store::group_commit::{GroupCommit, GroupCommitOptions};
use license_store::memory::MemoryStore;
use rand::rngs::SysRng;

/// Defines a harness whose handles come from an expression.
macro_rules! harness {
    ($name:ident, $scope:ident, |$this:ident| $handle:expr) => {
        #[async_trait]
        impl Harness for $name {
            async fn open(&self) -> Handle {
                let $this = self;
                $handle
            }

            fn stream_scope(&self) -> StreamScope {
                StreamScope::$scope
            }
        }
    };
}

/// A cache in front of a store.
fn cached(store: Arc<dyn LicenseStore>) -> Arc<dyn LicenseStore> {
    Arc::new(Cache::new(store, Arc::new(SystemClock), CacheOptions::default()))
}

/// A group commit in front of a store. Two commits at once could lose validations between them.
fn grouped(store: Arc<dyn LicenseStore>) -> Arc<dyn LicenseStore> {
    let options = GroupCommitOptions { commits: NonZero::new(2), ..GroupCommitOptions::default() };
    Arc::new(GroupCommit::new(store, options, &mut SysRng).expect("randomness"))
}

/// The layers of a server in front of a store.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn stacked(handle: Handle) -> Handle {
    let licenses = cached(grouped(Arc::clone(&handle.licenses)));
    handle.with_licenses(licenses)
}

mod memory {
    use super::*;

    #[derive(Default)]
    struct Memory(MemoryStore);

    harness!(Memory, AllHandles, |memory| Handle::from(Arc::new(memory.0.clone())));
    license_store::full_store_tests!(Memory::default());
}

/// A store without faults forwards every call.
mod forwarded {
    use super::*;

    #[derive(Default)]
    struct Forwarded(MemoryStore);

    harness!(Forwarded, AllHandles, |memory| Handle::from(Arc::new(FaultStore::new(memory.0.clone()))));
    license_store::full_store_tests!(Forwarded::default());
}

mod cache {
    use super::*;

    #[derive(Default)]
    struct Cached(MemoryStore);

    harness!(Cached, AllHandles, |memory| {
        let store = Arc::new(memory.0.clone());
        Handle::from(Arc::clone(&store)).with_licenses(cached(store))
    });
    license_store::full_store_tests!(Cached::default());
}

mod group_commit {
    use super::*;

    #[derive(Default)]
    struct Grouped(MemoryStore);

    harness!(Grouped, AllHandles, |memory| {
        let store = Arc::new(memory.0.clone());
        Handle::from(Arc::clone(&store)).with_licenses(grouped(store))
    });
    license_store::license_store_tests!(Grouped::default());
    license_store::activation_store_tests!(Grouped::default());
    license_store::usage_store_tests!(Grouped::default());
}

mod token_cache {
    use super::*;

    /// All handles share a cache. Another cache would learn of a revocation a moment later.
    struct Cached(Handle);

    impl Cached {
        fn new() -> Self {
            let store = Arc::new(MemoryStore::new());
            let (tokens, feed) = (Arc::clone(&store) as _, Arc::clone(&store) as _);
            let cache = TokenCache::new(tokens, feed, Arc::new(SystemClock), CacheOptions::default());
            Self(Handle::from(store).with_tokens(Arc::new(cache)))
        }
    }

    harness!(Cached, AllHandles, |cached| cached.0.clone());
    license_store::token_store_tests!(Cached::new());
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use license_store::sql::sqlite::SqliteStore;
    use tempfile::TempDir;

    use super::*;

    /// A database file that each handle opens, as another process would.
    struct File(TempDir);

    impl File {
        fn new() -> Self {
            Self(TempDir::new().expect("a folder"))
        }
    }

    harness!(File, OwnHandle, |file| {
        let store = SqliteStore::open(file.0.path().join("licenses.db")).await;
        Handle::from(Arc::new(store.expect("a database")))
    });
    license_store::full_store_tests!(File::new());

    mod stacked {
        use super::*;

        struct Stacked(File);

        harness!(Stacked, OwnHandle, |stack| stacked(stack.0.open().await));
        license_store::full_store_tests!(Stacked(File::new()));
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use license_store::sql::postgres::{PostgresOptions, PostgresStore};
    use test_database::TestDatabase;

    use super::*;

    /// A database whose sessions start with an isolation level.
    struct Database {
        server: TestDatabase,
        url: String,
        transaction_pooler: bool,
    }

    impl Database {
        async fn new(isolation: &str) -> Option<Self> {
            let server = TestDatabase::with_settings(&[("default_transaction_isolation", isolation)]).await?;
            let url = server.url();
            Some(Self { server, url, transaction_pooler: false })
        }

        async fn through_pgbouncer() -> Option<Self> {
            let direct = Self::new("repeatable read").await?;
            let url = direct.server.pgbouncer_url()?;
            Some(Self { url, transaction_pooler: true, ..direct })
        }
    }

    harness!(Database, AllHandles, |database| {
        let options = PostgresOptions {
            max_connections: 4,
            transaction_pooler: database.transaction_pooler,
            listen_url: Some(database.server.url()),
            ..PostgresOptions::default()
        };
        let store = PostgresStore::connect(&database.url, &options).await;
        Handle::from(Arc::new(store.expect("a database")))
    });

    /// Runs the suite on a database if there is a server.
    macro_rules! on {
        ($database:expr) => {
            license_store::full_store_tests!({
                let Some(database) = $database.await else { return };
                database
            });
        };
    }

    mod read_committed {
        use super::Database;
        on!(Database::new("read committed"));
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

    mod stacked {
        use super::*;

        struct Stacked(Database);

        impl Stacked {
            async fn new() -> Option<Self> {
                Database::new("read committed").await.map(Self)
            }
        }

        harness!(Stacked, AllHandles, |stack| stacked(stack.0.open().await));
        on!(Stacked::new());
    }
}
