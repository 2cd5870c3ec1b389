//! Trial claims: keyed digests of the devices and customers that had a trial.
//!
//! A claim outlives its license, so that no holder gets a second trial of a product. It has neither an address
//! nor a fingerprint, so the erasure of a customer keeps it.

mod claim;
mod keys;

pub use claim::{TrialClaim, TrialDigest, TrialSubject};
pub use keys::{TrialKey, TrialKeys};
