//! Rows of trial claims.

use license_core::trial::{TrialClaim, TrialDigest};
use serde_json::{Value as Json, json};

use super::reader::{Reader, hex};
use crate::Result;
use crate::sql::dialect::SqlRow;

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn trial_claim(&self) -> Result<TrialClaim> {
        let digest = TrialDigest::from_bytes(self.digest("digest")?);
        Ok(TrialClaim { digest, license: self.license_id("license_id")? })
    }
}

/// A claim as a JSON row.
pub(crate) fn trial_claim_row(TrialClaim { digest, license }: &TrialClaim) -> Json {
    json!([hex(digest.as_bytes()), license.as_str()])
}
