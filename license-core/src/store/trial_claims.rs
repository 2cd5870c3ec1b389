//! Trial claims, for stores without tables.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::NewLicense;
use crate::license::LicenseId;
use crate::trial::{TrialClaim, TrialDigest};

/// Trials that were used, in memory.
#[derive(Clone, Debug, Default)]
pub struct TrialClaims(BTreeMap<TrialDigest, LicenseId>);

impl TrialClaims {
    /// Returns the claims of these digests.
    #[must_use]
    pub fn find(&self, digests: &[TrialDigest]) -> Vec<TrialClaim> {
        let found = digests.iter().filter_map(|digest| self.0.get_key_value(digest));
        found.map(|(digest, license)| TrialClaim { digest: *digest, license: license.clone() }).collect()
    }

    /// Returns whether a digest of new licenses is claimed, also by another one of them.
    #[must_use]
    pub fn has_any_of(&self, new: &[NewLicense]) -> bool {
        let (mut seen, claims) = (BTreeSet::new(), new.iter().flat_map(|one| &one.trial_claims));
        claims.map(|claim| claim.digest).any(|digest| self.0.contains_key(&digest) || !seen.insert(digest))
    }

    /// Adds claims. The first claim of a digest stays. Returns the number added.
    pub fn add<'a>(&mut self, claims: impl IntoIterator<Item = &'a TrialClaim>) -> u64 {
        let before = self.0.len();
        for TrialClaim { digest, license } in claims {
            self.0.entry(*digest).or_insert_with(|| license.clone());
        }
        (self.0.len() - before) as u64
    }

    /// Returns all claims, in the order of their digests.
    pub fn iter(&self) -> impl Iterator<Item = TrialClaim> {
        self.0.iter().map(|(digest, license)| TrialClaim { digest: *digest, license: license.clone() })
    }
}
