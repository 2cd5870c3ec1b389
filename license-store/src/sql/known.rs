//! Which licenses are there, as far as somebody has looked: none is ever removed.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use license_core::license::LicenseId;

/// Licenses that are remembered: some 16 MB. Where there are more, all are forgotten, and looked for again.
const MOST: usize = 1_000_000;

/// Spares whoever records the look at each license. Hashes of 64 bits under a random key: should two ever be alike, a validation of
/// a license that is not there is recorded for nobody, and nothing else is wrong.
#[derive(Default)]
pub(super) struct KnownLicenses {
    hasher: RandomState,
    known: Mutex<Hashes>,
}

type Hashes = HashSet<u64>;

impl KnownLicenses {
    fn known(&self) -> MutexGuard<'_, Hashes> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of these, those that are to be looked for.
    pub(super) fn unknown<'a>(&self, ids: impl Iterator<Item = &'a LicenseId>) -> Vec<&'a LicenseId> {
        // All hashes first: so the processor looks for the next in memory while it waits for one.
        let ids: Vec<_> = ids.map(|id| (self.hasher.hash_one(id), id)).collect();
        let known = self.known();
        ids.into_iter().filter(|(hash, _)| !known.contains(hash)).map(|(_, id)| id).collect()
    }

    /// These are there.
    pub(super) fn add(&self, ids: &[&LicenseId]) {
        let mut known = self.known();
        if known.len() + ids.len() > MOST {
            known.clear();
        }
        known.extend(ids.iter().map(|id| self.hasher.hash_one(id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_known_until_there_is_no_room() {
        let known = KnownLicenses::default();
        let ids: Vec<_> = (0..=MOST).map(|n| LicenseId::parse(&format!("lic_{n}")).expect("an id")).collect();
        let (last, before) = ids.split_last().expect("some");
        known.add(&before.iter().collect::<Vec<_>>());
        assert_eq!(known.unknown(ids.iter()), [last]);
        known.add(&[last]);
        assert_eq!(known.unknown([&ids[0], last].into_iter()), [&ids[0]]);
    }
}
