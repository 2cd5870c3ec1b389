//! Replaces the pattern without the feature `imported-keys`. It cannot be created, so no format can either.

use super::ImportedKeyFormatError;

#[derive(Clone)]
pub(super) enum Pattern {}

impl Pattern {
    pub(super) fn new(_: &str) -> Result<Self, ImportedKeyFormatError> {
        Err(ImportedKeyFormatError::NotEnabled)
    }

    pub(super) fn matches(&self, _: &[u8]) -> bool {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::key::{ImportedKeyFormat, ImportedKeyFormatError};

    #[test]
    fn format_is_rejected_without_the_feature() {
        assert_eq!(ImportedKeyFormat::declared("old", "[0-9]+"), Err(ImportedKeyFormatError::NotEnabled));
    }
}
