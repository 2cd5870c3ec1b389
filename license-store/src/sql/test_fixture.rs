//! Licenses, faults and databases for the tests of SQL stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use license_core::catalog::{Plan, PlanCatalog};
use license_core::command::{Command, CommandContext, CommandOutcome, LicenseSpec, NewLicense, create};
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{CustomerEmail, Expiry, Fingerprint, LicenseId};
use license_core::store::LicenseStore;
use license_core::trial::TrialKey;
use license_core::validation::Claim;

fn plans() -> PlanCatalog {
    PlanCatalog::new([Plan::new("open")]).expect("plans in bounds")
}

/// Returns a new license that is not stored yet.
#[cfg(feature = "sqlite")]
pub(super) fn new_license(number: u8, now: DateTime<Utc>) -> NewLicense {
    new_license_until(number, now, None)
}

fn new_license_until(number: u8, now: DateTime<Utc>, expires_at: Option<Expiry>) -> NewLicense {
    let id = LicenseId::parse(&format!("lic_{number:03}")).expect("an id");
    let key = (KeyDigest::from_bytes([number; 32]), SealedKey::from_bytes(vec![number]));
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    create(
        id,
        key,
        &LicenseSpec { expires_at, ..spec },
        None,
        &plans(),
        &TrialKey::from_bytes([7; 32]).into(),
        now,
    )
    .expect("in bounds")
}

/// Issues a license that expires at a time.
pub(super) async fn issue_until(
    store: &impl LicenseStore,
    number: u8,
    now: DateTime<Utc>,
    expires_at: Option<Expiry>,
) -> NewLicense {
    let new = new_license_until(number, now, expires_at);
    store.create(&new).await.expect("created");
    new
}

/// Issues a license with a device called `one`.
pub(super) async fn issue(store: &impl LicenseStore, number: u8, now: DateTime<Utc>) -> LicenseId {
    let new = issue_until(store, number, now, None).await;
    let fingerprint = Some(Fingerprint::parse("one").expect("a fingerprint"));
    let claim = Claim { fingerprint, ..Claim::default() };
    let context = CommandContext {
        plans: Arc::new(plans()),
        now,
        expected_version: None,
        expected_key: None,
        by: None,
        idempotency: None,
        reason: None,
        job: None,
        trials: TrialKey::from_bytes([7; 32]).into(),
    };
    let made = store.execute(&new.license.id, &Command::Activate(claim), &context).await;
    assert!(matches!(made, Ok(CommandOutcome::Done(_))), "{made:?}");
    new.license.id
}

/// Lets one statement of a database fail.
#[derive(Debug, Default)]
pub(super) struct StatementFault {
    /// Number of statements until the fault; 0 if there is none.
    distance: AtomicU64,
    /// Whether the failing statement takes effect.
    after: AtomicBool,
}

impl StatementFault {
    pub(super) fn set(&self, distance: u64, after: bool) {
        self.distance.store(distance, Ordering::SeqCst);
        self.after.store(after, Ordering::SeqCst);
    }

    pub(super) async fn around<T>(
        &self,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let count_down = |distance: u64| distance.checked_sub(1);
        let fails = self.distance.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down) == Ok(1);
        let fault = || Err(sqlx::Error::Io(std::io::Error::other("a fault of the test")));
        if fails && !self.after.load(Ordering::SeqCst) {
            return fault();
        }
        let rows = statement.await?;
        if fails { fault() } else { Ok(rows) }
    }
}

#[cfg(feature = "postgres")]
pub(super) async fn connect(database: &test_database::TestDatabase) -> crate::PostgresStore {
    let options = crate::PostgresOptions::default();
    crate::PostgresStore::connect(&database.url(), &options).await.expect("a store")
}

/// Defines a test of each check for each database. A check gets a function that opens a store.
macro_rules! test_each_database {
    ($($(#[$test:meta])+ $name:ident: $check:ident;)+) => {
        #[cfg(feature = "sqlite")]
        mod sqlite {
            $($(#[$test])+
            async fn $name() {
                let folder = tempfile::tempdir().expect("a folder");
                let path = folder.path().join("licenses.db");
                super::$check(async || crate::SqliteStore::open(&path).await.expect("a database")).await;
            })+
        }

        #[cfg(feature = "postgres")]
        mod postgres {
            $($(#[$test])+
            async fn $name() {
                let Some(database) = test_database::TestDatabase::new().await else { return };
                super::$check(async || crate::sql::test_fixture::connect(&database).await).await;
            })+
        }
    };
}
pub(super) use test_each_database;
