//! Options and counts of an import.

use std::sync::Arc;

use crate::access::Actor;
use crate::key::ImportedKeyFormat;

/// Options of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Reports the same errors, but writes nothing.
    pub dry_run: bool,
    /// Emits `license.imported` for each license. Off by default, so that webhook receivers are not flooded.
    pub events: bool,
    /// Imports licenses that hold more slots than their limit; otherwise they are rejected.
    pub over_limit: bool,
    /// Formats of imported keys, in addition to those in the database or the lines.
    pub key_formats: Vec<ImportedKeyFormat>,
    /// The actor for the audit.
    pub by: Option<Arc<Actor>>,
}

/// Counts of an import. Those of a dry run are what an import would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// New licenses.
    pub imported: u64,
    /// Activations of new licenses.
    pub activations: u64,
    /// New rollups.
    pub rollups: u64,
    /// Existing licenses, left unchanged.
    pub existing: u64,
    /// Rejected licenses and lines.
    pub refused: u64,
    /// Rejected licenses whose key is in no known format; part of `refused`.
    pub unreadable_keys: u64,
    /// New trial claims of lines.
    pub trial_claims: u64,
}
