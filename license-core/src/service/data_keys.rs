//! The data keys of a store, at the start of a service.

use super::clock_and_rng::ClockAndRng;
use crate::error::SetupError;
use crate::key::{DataKeys, Secret};
use crate::store::LicenseStore;

/// Loads the data keys of a store, or creates them at the first start. Concurrent first starts all get the
/// same keys.
///
/// # Errors
/// Returns [`SetupError::DataKeys`] if the secret does not open them. Existing data keys are never changed.
pub(super) async fn load_data_keys(
    store: &dyn LicenseStore,
    secret: &Secret,
    sources: &ClockAndRng,
) -> Result<DataKeys, SetupError> {
    let sealed = sources.with_rng(|rng| DataKeys::generate(rng)?.seal(secret, rng))?;
    let stored = store.put_if_absent(DataKeys::SETTING, &sealed).await?;
    Ok(DataKeys::open(&stored, secret)?)
}
