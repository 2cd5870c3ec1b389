//! Without the feature `imported-keys` there is no pattern, so no format either.

use super::ForeignFormatError;

#[derive(Clone)]
pub(super) enum Pattern {}

impl Pattern {
    pub(super) fn new(_: &str) -> Result<Self, ForeignFormatError> {
        Err(ForeignFormatError::NotEnabled)
    }

    pub(super) fn matches(&self, _: &[u8]) -> bool {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::key::{ForeignFormat, ForeignFormatError};

    #[test]
    fn format_is_refused_without_the_feature() {
        assert_eq!(ForeignFormat::declared("old", "[0-9]+"), Err(ForeignFormatError::NotEnabled));
    }
}
