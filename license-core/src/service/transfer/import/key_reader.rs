//! Reads the keys of imported licenses.

use super::LineFault;
use crate::error::ServiceError;
use crate::key::{ImportedKeyFormats, KeyError, LicenseKey};
use crate::service::context::ServiceContext;
use crate::service::key_formats::read_key;
use crate::transfer::key_shape::KeyShape;
use crate::transfer::{ImportLineError, LicenseLine};

/// Reads keys in known formats, and remembers the shape of others.
#[derive(Debug)]
pub(super) struct KeyReader {
    pub(super) formats: ImportedKeyFormats,
    pub(super) unreadable: KeyShape,
    has_opened_a_key: bool,
}

impl KeyReader {
    pub(super) fn new(formats: ImportedKeyFormats) -> Self {
        Self { formats, unreadable: KeyShape::default(), has_opened_a_key: false }
    }

    /// Returns the key given in the line with this number.
    pub(super) fn key(
        &mut self,
        number: u64,
        line: &LicenseLine,
        context: &ServiceContext,
    ) -> Result<Option<LicenseKey>, LineFault> {
        let why =
            "it was altered, or sealed for another license or with another secret; export the license again";
        let unopened = || LineFault::from(ImportLineError::field("sealed_key", why));
        let (sealed, id) = match (&line.key, &line.sealed_key, &line.id) {
            (Some(key), ..) => return Ok(Some(self.read(key.as_str(), context)?)),
            (None, None, _) => return Ok(None),
            (None, Some(sealed), id) => (sealed, id.as_ref().ok_or_else(unopened)?),
        };
        let opened = match context.export_seal.open(sealed, id.as_str()) {
            Ok(opened) => opened,
            Err(_) if self.has_opened_a_key => return Err(unopened()),
            Err(_) => return Err(ServiceError::OtherSecret { line: number }.into()),
        };
        self.has_opened_a_key = true;
        // A key with another prefix was issued by the exporting database. Here it is an imported key.
        Ok(Some(self.read(opened.reveal(), context)?))
    }

    fn read(&mut self, text: &str, context: &ServiceContext) -> Result<LicenseKey, LineFault> {
        let key = read_key(text, &context.key_format, || &self.formats);
        key.map_err(|error| {
            if matches!(error, KeyError::Check { .. }) {
                return ImportLineError::field("key", error).into();
            }
            self.unreadable.add(text);
            LineFault::UnreadableKey
        })
    }
}
