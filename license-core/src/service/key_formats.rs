//! Loads the stored formats of imported keys, and parses keys in any format.

use std::ops::Deref;

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

/// Parses a key. Keys of the engine's format may be spelt loosely; imported keys must match exactly, except
/// for surrounding white space. A key of the engine's format with wrong check symbols is an error, even if
/// an imported key has that text.
///
/// # Errors
/// Returns [`KeyError`] if it is neither.
pub(super) fn read_key<I: Deref<Target = ImportedKeyFormats>>(
    text: &str,
    own: &KeyFormat,
    imported: impl FnOnce() -> I,
) -> Result<LicenseKey, KeyError> {
    let error = match own.parse(text) {
        Ok(key) => return Ok(key),
        Err(mistyped @ KeyError::Check { .. }) => return Err(mistyped),
        Err(error) => error,
    };
    let imported = imported();
    match imported.read(text) {
        Some(key) => Ok(key),
        // Imported keys do not have the prefix that the error would name.
        None if !imported.is_empty() && !own.begins(text) => Err(KeyError::Unknown),
        None => Err(error),
    }
}

#[cfg(test)]
#[cfg(feature = "imported-keys")]
mod tests {
    use super::*;

    const OWN: &str = "TO-7K3F-M2QA-ZZ81-94FY";

    #[test]
    fn message_speaks_of_the_prefix_only_if_the_key_has_it() {
        let imported = ImportedKeyFormat::new("old", "[0-9]{4}-[A-Z]{4}").unwrap();
        let imported = ImportedKeyFormats::new([imported]).unwrap();
        let none = ImportedKeyFormats::default();
        let own = KeyFormat::default();
        for (text, without, with) in [
            (OWN, Ok(()), Ok(())),
            (" 1234-ABCD\r\n", Err(KeyError::Prefix), Ok(())),
            ("\u{feff}1234-ABCD ", Err(KeyError::Prefix), Ok(())),
            ("1234_ABCD", Err(KeyError::Prefix), Err(KeyError::Unknown)),
            ("?234-ABCD", Err(KeyError::Symbol { position: 1 }), Err(KeyError::Unknown)),
            ("1234-ABC", Err(KeyError::Prefix), Err(KeyError::Unknown)),
            ("", Err(KeyError::Length { expected: 18, found: 0 }), Err(KeyError::Unknown)),
            // With the prefix, the error is that of our own keys.
            ("TO-7K_F", Err(KeyError::Symbol { position: 6 }), Err(KeyError::Symbol { position: 6 })),
            (
                "to 7K3F",
                Err(KeyError::Length { expected: 18, found: 6 }),
                Err(KeyError::Length { expected: 18, found: 6 }),
            ),
        ] {
            assert_eq!(read_key(text, &own, || &none).map(drop), without, "{text:?}");
            assert_eq!(read_key(text, &own, || &imported).map(drop), with, "{text:?}");
        }
        assert!(!KeyError::Unknown.to_string().contains("prefix"));
    }
}
