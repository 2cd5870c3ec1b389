//! Checks and rotates the secret of a database.

use std::sync::Arc;

use super::ClockAndRng;
use crate::access::{Actor, AuditEntry};
use crate::error::SetupError;
use crate::key::{DataKeys, DataKeysError, Secret};
use crate::store::{SettingChange, TransferStore};

/// The result of [`SecretService::rotate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The data keys are sealed with the new secret.
    Rotated,
    /// The data keys were sealed with the new secret already. Nothing changed.
    Already,
}

/// Checks and rotates the [`Secret`] of a database. Running services keep the data keys, which do not change,
/// and need the new secret at their next start.
#[derive(Clone, Debug)]
pub struct SecretService {
    store: Arc<dyn TransferStore>,
    sources: Arc<ClockAndRng>,
}

impl SecretService {
    /// Creates the service.
    pub fn new(store: Arc<dyn TransferStore>, sources: Arc<ClockAndRng>) -> Self {
        Self { store, sources }
    }

    /// Checks that the secret opens the data keys of the database.
    ///
    /// # Errors
    /// Returns [`SetupError::DataKeys`] if it does not, and [`SetupError::NoDataKeys`] if there are none.
    pub async fn check(&self, secret: &Secret) -> Result<(), SetupError> {
        DataKeys::open(&self.sealed().await?, secret)?;
        Ok(())
    }

    /// Seals the data keys with the secret `new`, in one commit with its audit entry. A call that was
    /// interrupted can be repeated.
    ///
    /// # Errors
    /// Returns [`SetupError::DataKeys`] if neither secret opens the data keys, and [`SetupError::NoDataKeys`]
    /// if there are none. Nothing is changed then.
    pub async fn rotate(&self, current: &Secret, new: &Secret, by: &Actor) -> Result<Rotated, SetupError> {
        loop {
            let from = self.sealed().await?;
            match DataKeys::open(&from, new) {
                Ok(_) => return Ok(Rotated::Already),
                Err(DataKeysError::WrongSecret) => {}
                Err(damaged) => return Err(damaged.into()),
            }
            let keys = DataKeys::open(&from, current)?;
            let to = self.sources.with_rng(|rng| keys.seal(new, rng))?;
            let audit = AuditEntry::of_secret(by, self.sources.now());
            let change = SettingChange { name: DataKeys::SETTING.to_owned(), from, to, audit };
            // If another rotation was first, its secret may be this one.
            if self.store.replace_setting(&change).await? {
                return Ok(Rotated::Rotated);
            }
        }
    }

    async fn sealed(&self) -> Result<Vec<u8>, SetupError> {
        let settings = self.store.settings_with_prefix(DataKeys::SETTING).await?;
        let found = settings.into_iter().find(|(name, _)| name == DataKeys::SETTING);
        found.map(|(_, sealed)| sealed).ok_or(SetupError::NoDataKeys)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::access::Principal;
    use crate::clock::ManualClock;
    use crate::store::MockTransferStore;

    fn secret(byte: &str) -> Secret {
        Secret::from_hex(&byte.repeat(32)).unwrap()
    }

    fn sealed(byte: &str) -> Vec<u8> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        DataKeys::generate(&mut rng).unwrap().seal(&secret(byte), &mut rng).unwrap()
    }

    /// Returns a service on a store with these data keys. `raced` replaces them before the first replacement.
    fn service(
        stored: Option<Vec<u8>>,
        mut raced: Option<Vec<u8>>,
    ) -> (SecretService, Arc<Mutex<Option<Vec<u8>>>>) {
        let row = Arc::new(Mutex::new(stored));
        let mut store = MockTransferStore::new();
        let read = Arc::clone(&row);
        store.expect_settings_with_prefix().returning(move |_| {
            let found = read.lock().unwrap().clone();
            // Another setting has a name that begins like it.
            let other = ("data_keys_other".to_owned(), vec![1]);
            let found = found.map(|value| (DataKeys::SETTING.to_owned(), value));
            Ok(found.into_iter().chain([other]).collect())
        });
        let written = Arc::clone(&row);
        store.expect_replace_setting().returning(move |change| {
            let mut row = written.lock().unwrap();
            if let Some(raced) = raced.take() {
                *row = Some(raced);
            }
            assert_eq!(change.audit.action, "secret.rotate");
            let is_current = row.as_ref() == Some(&change.from);
            if is_current {
                *row = Some(change.to.clone());
            }
            Ok(is_current)
        });
        let clock = ManualClock::at(chrono::DateTime::UNIX_EPOCH);
        let sources = ClockAndRng::new(clock, ChaCha8Rng::seed_from_u64(2));
        (SecretService::new(Arc::new(store), Arc::new(sources)), row)
    }

    fn actor() -> Actor {
        Actor::new(Principal::CommandLine)
    }

    #[tokio::test]
    async fn rotated_database_opens_with_the_new_secret_only() {
        let (service, row) = service(Some(sealed("5a")), None);
        assert!(service.check(&secret("5a")).await.is_ok());
        let rotated = service.rotate(&secret("5a"), &secret("5b"), &actor()).await;
        assert_eq!(rotated.unwrap(), Rotated::Rotated);
        assert!(service.check(&secret("5b")).await.is_ok());
        let error = service.check(&secret("5a")).await.unwrap_err();
        assert!(matches!(error, SetupError::DataKeys(DataKeysError::WrongSecret)), "{error}");
        let before = row.lock().unwrap().clone();
        let repeated = service.rotate(&secret("5a"), &secret("5b"), &actor()).await;
        assert_eq!(repeated.unwrap(), Rotated::Already);
        assert_eq!(*row.lock().unwrap(), before, "a repeated rotation writes nothing");
    }

    #[tokio::test]
    async fn wrong_secret_rotates_nothing() {
        let (wrong, row) = service(Some(sealed("5a")), None);
        let error = wrong.rotate(&secret("5c"), &secret("5b"), &actor()).await.unwrap_err();
        assert!(matches!(error, SetupError::DataKeys(DataKeysError::WrongSecret)), "{error}");
        assert_eq!(*row.lock().unwrap(), Some(sealed("5a")));
        let (empty, _) = service(None, None);
        let error = empty.rotate(&secret("5a"), &secret("5b"), &actor()).await.unwrap_err();
        assert!(matches!(error, SetupError::NoDataKeys), "{error}");
        let (damaged, _) = service(Some(vec![1; 9]), None);
        let error = damaged.rotate(&secret("5a"), &secret("5b"), &actor()).await.unwrap_err();
        assert!(matches!(error, SetupError::DataKeys(DataKeysError::Damaged)), "{error}");
    }

    #[tokio::test]
    async fn racing_rotation_is_not_undone() {
        let (service, row) = service(Some(sealed("5a")), Some(sealed("5c")));
        let error = service.rotate(&secret("5a"), &secret("5b"), &actor()).await.unwrap_err();
        assert!(matches!(error, SetupError::DataKeys(DataKeysError::WrongSecret)), "{error}");
        assert_eq!(*row.lock().unwrap(), Some(sealed("5c")));
    }
}
