//! Moving licenses: out of one database into another, and in from other systems.

mod export;
mod import;

use std::sync::Arc;

use super::context::ServiceContext;
use super::key_formats::{IMPORTED_FORMAT_PREFIX, imported_key_formats};
use crate::clock::RngError;
use crate::key::{ImportedKeyFormat, ImportedKeyFormatError};
use crate::license::LicenseId;
use crate::store::{LicenseStore, StoreError, TransferStore};
use crate::transfer::{ImportBatch, Imported};

pub use export::{ExportKeys, Exporter};
pub use import::{ImportOptions, ImportReport, Importer};

/// Exports and imports licenses.
#[derive(Clone, Debug)]
pub struct TransferService {
    store: Arc<dyn TransferStore>,
    licenses: Arc<dyn LicenseStore>,
    context: Arc<ServiceContext>,
}

impl TransferService {
    /// Creates the service.
    pub fn new(
        store: Arc<dyn TransferStore>,
        licenses: Arc<dyn LicenseStore>,
        context: Arc<ServiceContext>,
    ) -> Self {
        Self { store, licenses, context }
    }

    /// Starts an export of everything that exists now.
    pub async fn export(&self, keys: ExportKeys) -> Result<Exporter<'_>, TransferError> {
        let formats = imported_key_formats(&*self.store).await?;
        Ok(Exporter::new(self, keys, &formats, self.store.snapshot().await?))
    }

    /// Starts an import. Key formats that the options declare are stored, unless it is a dry run.
    ///
    /// # Errors
    /// Returns [`TransferError::KeyFormat`] if a format conflicts with one that the store has.
    pub async fn import(&self, options: ImportOptions) -> Result<Importer<'_>, TransferError> {
        let mut importer = Importer::new(self, imported_key_formats(&*self.store).await?, options);
        importer.declare_given().await?;
        Ok(importer)
    }

    /// Imports a batch. The license cache knows of it before this returns.
    async fn store_batch(&self, batch: &ImportBatch) -> Result<Vec<Imported>, StoreError> {
        let imported = self.store.import(batch).await?;
        self.licenses.invalidate(&batch.notices(&imported));
        Ok(imported)
    }

    /// Stores a format of imported keys. If two calls race with one name, one of them fails.
    async fn declare(&self, format: &ImportedKeyFormat) -> Result<(), TransferError> {
        let name = format!("{IMPORTED_FORMAT_PREFIX}{}", format.name());
        let stored = self.licenses.put_if_absent(&name, format.pattern().as_bytes()).await?;
        if stored != format.pattern().as_bytes() {
            return Err(ImportedKeyFormatError::Taken { name: format.name().to_owned() }.into());
        }
        self.context.reload_key_formats(&*self.store).await?;
        Ok(())
    }
}

/// An export or import failed. What an import has stored stays; start it again to complete it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The random number generator failed.
    #[error(transparent)]
    Rng(#[from] RngError),
    /// A sealed key cannot be opened, because its row was altered.
    #[error("the sealed key of {id} can't be opened")]
    SealedKey {
        /// The license.
        id: LicenseId,
    },
    /// The first sealed key of an import cannot be opened, so none can.
    #[error(
        "line {line}: its key was sealed with another secret: import with the secret of the database that it comes from, \
         or export with the keys in clear"
    )]
    OtherSecret {
        /// The line.
        line: u64,
    },
    /// A key format conflicts with an existing one.
    #[error(transparent)]
    KeyFormat(#[from] ImportedKeyFormatError),
}
