//! Compaction: folds validations from the journal into histories, rollups, counters and activations.
//!
//! One compactor at a time works on a database. It reads many rows of the journal, sorts their validations by
//! license, so that neighbours share pages, and writes their [`fold`](license_core::usage::fold). PostgreSQL
//! does so in one transaction. SQLite writes slices, each a short transaction that also moves a marker: after
//! a crash the same rows are read again, and validations before the marker are skipped. Readers
//! never read entries of the journal; they wait for a pass with [`Compaction::catch_up`].

mod fold_rows;
mod journal_rows;
mod slices;
mod step;
mod task;
#[cfg(all(test, any(feature = "sqlite", feature = "postgres")))]
mod tests;
mod write_fold;

pub(super) use task::Compaction;
