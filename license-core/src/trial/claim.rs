//! Claims, and the digests that stores find them by.

use std::fmt;

use crate::id::stored_bytes;
use crate::license::{CustomerEmail, Fingerprint, LicenseId};

/// The keyed digest of a product and a device or a customer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialDigest([u8; 32]);

stored_bytes!(TrialDigest, 32);

impl fmt::Debug for TrialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrialDigest(…)")
    }
}

/// A trial that was used. At most one license has the claim of a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrialClaim {
    /// The digest.
    pub digest: TrialDigest,
    /// The license of the trial, which may be gone.
    pub license: LicenseId,
}

/// A device or a customer that has a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialSubject<'a> {
    /// A device.
    Device(&'a Fingerprint),
    /// A customer.
    Customer(&'a CustomerEmail),
}

impl<'a> TrialSubject<'a> {
    /// Returns the kind and the name that are digested. A changed text loses every stored claim.
    pub(super) fn parts(self) -> [&'a str; 2] {
        match self {
            Self::Device(fingerprint) => ["device", fingerprint.as_str()],
            Self::Customer(email) => ["customer", email.as_str()],
        }
    }
}
