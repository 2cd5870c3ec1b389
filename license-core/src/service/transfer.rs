//! Moving licenses: out of one database into another, and in from other systems.

mod export;
mod import;

use std::sync::Arc;

use super::context::ServiceContext;
use super::key_formats::{IMPORTED_FORMAT_PREFIX, imported_key_formats};
use crate::access::{Actor, AuditEntry};
use crate::error::ServiceError;
use crate::key::{ImportedKeyFormat, ImportedKeyFormatError};
use crate::store::{AuditStore, CatalogStore, LicenseStore, StoreError, TransferStore};
use crate::transfer::{ImportBatch, Imported};

pub use export::{ExportKeys, Exporter};
pub use import::{ImportOptions, ImportReport, Importer};

/// Exports and imports licenses. If an import fails, the licenses stored so far stay; a repeated import adds
/// the rest.
#[derive(Clone, Debug)]
pub struct TransferService {
    pub(super) store: Arc<dyn TransferStore>,
    pub(super) audit: Arc<dyn AuditStore>,
    pub(super) licenses: Arc<dyn LicenseStore>,
    pub(super) catalog: Arc<dyn CatalogStore>,
    pub(super) context: Arc<ServiceContext>,
}

impl TransferService {
    /// Starts an export of all licenses and rollups as of now. The audit log names `by`.
    pub async fn export(&self, keys: ExportKeys, by: &Actor) -> Result<Exporter<'_>, ServiceError> {
        let entry = AuditEntry::of_export(keys.as_str(), by, self.context.now());
        self.audit.add_audit(&entry).await?;
        let formats = imported_key_formats(&*self.store).await?;
        let snapshot = self.store.snapshot().await?;
        // Read after the snapshot began, so that it has every version that a license of the snapshot has.
        self.context.catalog.reload().await?;
        Ok(Exporter::new(self, keys, &formats, &self.context.plans(), snapshot))
    }

    /// Starts an import. Key formats that the options declare are stored, unless it is a dry run.
    ///
    /// # Errors
    /// Returns [`ServiceError::ImportedKeyFormat`] if a format conflicts with one that the store has.
    pub async fn import(&self, options: ImportOptions) -> Result<Importer<'_>, ServiceError> {
        self.context.catalog.reload().await?;
        let formats = imported_key_formats(&*self.store).await?;
        let mut importer = Importer::new(self, formats, self.context.plans(), options);
        importer.declare_given().await?;
        Ok(importer)
    }

    /// Imports a batch and tells the license cache about it, or returns what an import would return.
    async fn settle(&self, batch: &ImportBatch, dry_run: bool) -> Result<Vec<Imported>, StoreError> {
        if dry_run {
            return self.store.dry_run(batch).await;
        }
        let imported = self.store.import(batch).await?;
        self.licenses.invalidate(&batch.notices(&imported));
        Ok(imported)
    }

    /// Stores a format of imported keys. If two calls race with one name, one of them fails.
    async fn declare(&self, format: &ImportedKeyFormat, by: Option<&Actor>) -> Result<(), ServiceError> {
        let name = format!("{IMPORTED_FORMAT_PREFIX}{}", format.name());
        let audit = by.map(|by| AuditEntry::of_key_format(format, by, self.context.now()));
        let stored = self.store.declare_setting(&name, format.pattern().as_bytes(), audit).await?;
        if stored != format.pattern().as_bytes() {
            return Err(ImportedKeyFormatError::Taken { name: format.name().to_owned() }.into());
        }
        self.context.reload_key_formats(&*self.store).await?;
        Ok(())
    }
}
