//! Loads the stored formats of imported keys, and parses keys in any format.

use crate::key::{
    ImportedKeyFormat, ImportedKeyFormatError, ImportedKeyFormats, KeyError, KeyFormat, LicenseKey,
};
use crate::store::{StoreError, TransferStore};

/// Prefix of the settings that hold formats of imported keys; the rest is the name of the format.
pub(super) const IMPORTED_FORMAT_PREFIX: &str = "imported_key_format/";

/// Loads the formats of imported keys.
///
/// # Errors
/// Returns [`StoreError::Corrupt`] if a format cannot be read.
pub(super) async fn imported_key_formats(
    store: &dyn TransferStore,
) -> Result<ImportedKeyFormats, StoreError> {
    let stored = store.settings_with_prefix(IMPORTED_FORMAT_PREFIX).await?;
    let formats = stored.iter().map(|(name, pattern)| {
        let name = name.strip_prefix(IMPORTED_FORMAT_PREFIX).unwrap_or_default();
        let pattern = std::str::from_utf8(pattern).map_err(|_| ImportedKeyFormatError::Length)?;
        ImportedKeyFormat::new(name, pattern)
    });
    let formats = formats.collect::<Result<Vec<_>, _>>().and_then(ImportedKeyFormats::new);
    formats.map_err(|error| StoreError::Corrupt {
        table: "settings",
        column: "value",
        id: IMPORTED_FORMAT_PREFIX.to_owned(),
        source: error.into(),
    })
}

/// Parses a key. Keys of the engine's format may be spelt loosely; imported keys must match exactly. A key of
/// the engine's format with wrong check symbols is an error, even if an imported key has that text.
///
/// # Errors
/// Returns [`KeyError`] if it is neither.
pub(super) fn read_key(
    text: &str,
    own: &KeyFormat,
    imported: impl FnOnce() -> Option<LicenseKey>,
) -> Result<LicenseKey, KeyError> {
    match own.parse(text) {
        Ok(key) => Ok(key),
        Err(mistyped @ KeyError::Check { .. }) => Err(mistyped),
        Err(other) => imported().ok_or(other),
    }
}
