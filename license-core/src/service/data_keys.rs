//! The data keys of a store, at the start of a service.

use rand::TryCryptoRng;

use crate::clock::ErasedRng;
use crate::error::SetupError;
use crate::key::{DataKeys, Secret};
use crate::store::LicenseStore;

/// Loads the data keys of a store, or creates them at the first start. Starts that race on a new store all get the keys of
/// one.
///
/// # Errors
///
/// Returns [`SetupError::DataKeys`] if the secret does not open them, and [`SetupError::Rng`] or [`SetupError::Store`] if
/// generator or store fail. Data keys that exist are never changed.
pub async fn load_data_keys<R: TryCryptoRng + Send + ?Sized>(
    store: &dyn LicenseStore,
    secret: &Secret,
    rng: &mut R,
) -> Result<DataKeys, SetupError> {
    let rng = &mut ErasedRng(rng);
    let sealed = DataKeys::generate(rng)?.seal(secret, rng)?;
    let stored = store.keep_first(DataKeys::SETTING, &sealed).await?;
    Ok(DataKeys::open(&stored, secret)?)
}
