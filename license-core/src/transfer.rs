//! Moving licenses: out of one database into another, and in from other systems.
//!
//! An export is lines of JSON: each license in the order of ids, followed by its activations, and behind them the rollups of
//! all, in the order of days. An import reads such lines, or
//! rows of a table by way of [`Columns`], holds each to the rules, and keeps what is new, many in one commit. What is there
//! already is left as it is, so that an import that was cut short is begun again.

mod admit;
mod export;
mod fault;
mod import;
mod line;
mod store;
mod table;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::TryCryptoRng;

use crate::clock::{Clock, ErasedRng, RngError};
use crate::error::SetupError;
use crate::key::{
    ExportSeal, ForeignFormat, ForeignFormatError, ForeignFormats, KeyError, KeyFormat, KeyVault, LicenseKey,
    Secret,
};
use crate::license::LicenseId;
use crate::plan::PlanCatalog;
use crate::service::load_data_keys;
use crate::store::StoreError;

pub use export::{ExportKeys, Exporter};
pub use fault::ImportFault;
pub use import::{ImportOptions, ImportReport, Importer};
pub use line::LicenseLine;
pub use store::{Holder, ImportBatch, Imported, ImportedLicense, ImportedRollup, Snapshot, TransferStore};
pub use table::{Columns, ColumnsError};

/// Where a store keeps the forms of keys of other systems: each under this and its name.
const FOREIGN: &str = "foreign_key/";

/// Exports and imports over a store.
pub struct TransferService {
    store: Arc<dyn TransferStore>,
    vault: KeyVault,
    export_seal: ExportSeal,
    key_format: KeyFormat,
    plans: PlanCatalog,
    clock: Box<dyn Clock>,
    rng: Mutex<Box<dyn TryCryptoRng<Error = RngError> + Send>>,
}

impl fmt::Debug for TransferService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferService").field("store", &self.store).finish_non_exhaustive()
    }
}

impl TransferService {
    /// Over `store`, with the secret that seals its data keys, the form of its keys, its plans, and the sources of time and
    /// randomness: those that the [`LicenseService`](crate::service::LicenseService) has which works on the same data.
    ///
    /// # Errors
    /// As [`load_data_keys`].
    pub async fn new(
        store: Arc<dyn TransferStore>,
        secret: &Secret,
        key_format: KeyFormat,
        plans: PlanCatalog,
        clock: impl Clock,
        rng: impl TryCryptoRng + Send + 'static,
    ) -> Result<Self, SetupError> {
        let mut rng: Box<dyn TryCryptoRng<Error = RngError> + Send> = Box::new(ErasedRng(rng));
        let vault = KeyVault::new(&load_data_keys(&*store, secret, &mut *rng).await?);
        let (export_seal, rng) = (ExportSeal::new(secret), Mutex::new(rng));
        Ok(Self { store, vault, export_seal, key_format, plans, clock: Box::new(clock), rng })
    }

    /// Begins an export of all that is there now.
    ///
    /// # Errors
    /// [`TransferError`]
    pub async fn export(&self, keys: ExportKeys) -> Result<Exporter<'_>, TransferError> {
        let formats = key_formats(&*self.store).await?;
        Ok(Exporter::new(self, keys, &formats, self.store.snapshot().await?))
    }

    /// Begins an import. The forms that its options declare are kept, unless it is a dry run.
    ///
    /// # Errors
    /// [`TransferError::KeyFormat`] where a form can't be declared beside those that the store has, or a fault of the store.
    pub async fn import(&self, options: ImportOptions) -> Result<Importer<'_>, TransferError> {
        let mut importer = Importer::new(self, key_formats(&*self.store).await?, options);
        importer.declare_given().await?;
        Ok(importer)
    }

    /// Keeps a form of keys; of two that race with one name, one is kept.
    async fn declare(&self, format: &ForeignFormat) -> Result<(), TransferError> {
        let name = format!("{FOREIGN}{}", format.name());
        let kept = self.store.keep_first(&name, format.pattern().as_bytes()).await?;
        if kept == format.pattern().as_bytes() {
            Ok(())
        } else {
            Err(ForeignFormatError::Taken { name: format.name().to_owned() }.into())
        }
    }

    fn with_rng<T>(
        &self,
        draw: impl FnOnce(&mut dyn TryCryptoRng<Error = RngError>) -> Result<T, RngError>,
    ) -> Result<T, RngError> {
        // A panic in a generator leaves no half state that matters: the next draw is as random.
        draw(&mut **self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The forms of keys of other systems that a store has keys of.
///
/// # Errors
/// A fault of the store; [`StoreError::Corrupt`] where one can't be read.
pub async fn key_formats(store: &dyn TransferStore) -> Result<ForeignFormats, StoreError> {
    let kept = store.kept_under(FOREIGN).await?;
    let formats = kept.iter().map(|(name, pattern)| {
        let name = name.strip_prefix(FOREIGN).unwrap_or_default();
        let pattern = std::str::from_utf8(pattern).map_err(|_| ForeignFormatError::Length)?;
        ForeignFormat::declared(name, pattern)
    });
    let formats = formats.collect::<Result<Vec<_>, _>>().and_then(ForeignFormats::new);
    formats.map_err(|error| StoreError::Corrupt {
        table: "kept",
        column: "value",
        id: FOREIGN.to_owned(),
        source: error.into(),
    })
}

/// Reads a key as a caller sends it: one of this server's own, in any spelling, or one of another system, exactly.
///
/// What reads as one of its own but for its check symbols is mistyped, and never one of another system.
///
/// # Errors
/// [`KeyError`], where it is neither.
pub(crate) fn read_key(
    text: &str,
    own: &KeyFormat,
    foreign: impl FnOnce() -> Option<LicenseKey>,
) -> Result<LicenseKey, KeyError> {
    match own.parse(text) {
        Ok(key) => Ok(key),
        Err(mistyped @ KeyError::Check { .. }) => Err(mistyped),
        Err(other) => foreign().ok_or(other),
    }
}

/// An export or an import can't go on. What an import has kept until then stays; begin it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness for an id, a key or a seal.
    #[error(transparent)]
    Rng(#[from] RngError),
    /// A kept key does not open: its row was altered.
    #[error("the sealed key of {id} can't be opened")]
    SealedKey {
        /// The license.
        id: LicenseId,
    },
    /// The first sealed key of an import does not open: none will.
    #[error(
        "line {line}: its key was sealed with another secret: import with the secret of the database that it comes from, \
         or export with the keys in clear"
    )]
    OtherSecret {
        /// The line.
        line: u64,
    },
    /// A form of keys can't be declared.
    #[error(transparent)]
    KeyFormat(#[from] ForeignFormatError),
}
