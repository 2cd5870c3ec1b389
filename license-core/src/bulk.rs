//! Bulk jobs: one action on many licenses, as one command per license.
//!
//! The licenses are fixed when a job is created. A job that is interrupted continues after the next start,
//! and each license gets the action once: each command has an idempotency key of the job and the license.

mod action;
mod job;
mod refused;

pub use action::{BulkAction, LicenseOutcome};
pub use job::{BulkJob, BulkJobStatus, BulkJobStep, BulkProgress, CreatedJob, NewBulkJob};

pub use refused::RefusedLicense;

pub use crate::id::BulkJobId;
