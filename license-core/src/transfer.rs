//! Lines of exports and imports.
//!
//! An export is lines of JSON: products and plan versions, each license in the order of ids, followed by its
//! activations and leases, and then the rollups of all licenses, by day, and the trial claims with their
//! keys. An import reads such lines, or table rows with [`Columns`], validates them, and stores new licenses
//! and rollups. See [`TransferService`](crate::service::TransferService).

mod batch;
mod cell;
mod error;
pub(crate) mod key_shape;
pub(crate) mod line;
mod note;
mod row_leases;
mod row_slots;
mod row_term;
mod table;
pub(crate) mod trial_claims;
pub(crate) mod validate_row;
mod zone;

pub use batch::{Holder, ImportBatch, Imported, ImportedLicense, ImportedRollup, RollupBatch};
pub use error::ImportLineError;
pub use line::LicenseLine;
pub use note::ImportNote;
pub use table::{Columns, ColumnsError};
pub use trial_claims::TrialClaimBatch;
