//! Lines of exports and imports.
//!
//! An export is lines of JSON: each license in the order of ids, followed by its activations, and then the
//! rollups of all licenses, by day. An import reads such lines, or table rows with [`Columns`], validates
//! them, and stores new licenses and rollups. See [`TransferService`](crate::service::TransferService).

mod batch;
mod error;
pub(crate) mod line;
mod table;
pub(crate) mod validate_row;

pub use batch::{Holder, ImportBatch, Imported, ImportedLicense, ImportedRollup};
pub use error::ImportLineError;
pub use line::LicenseLine;
pub use table::{Columns, ColumnsError};
