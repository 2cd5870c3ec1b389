//! The settings of the software.

use crate::digest::Digest;
use crate::key_set::KeySet;

/// What the software knows about itself, and how long it runs without an answer.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) product: String,
    pub(crate) device: Digest,
    pub(crate) keys: KeySet,
    pub(crate) domain: Option<String>,
    pub(crate) released_at: Option<i64>,
    pub(crate) grace: i64,
    pub(crate) check_interval: i64,
}

impl Policy {
    /// Creates the settings of a product on a device, without keys, with a grace of seven days and a check every day.
    ///
    /// `fingerprint` is the text that the software sends as `fingerprint`.
    #[must_use]
    pub fn new(product: &str, fingerprint: &str) -> Self {
        const DAY: i64 = 24 * 60 * 60;
        Self {
            product: product.to_owned(),
            device: Digest::of_device(product, fingerprint),
            keys: KeySet::default(),
            domain: None,
            released_at: None,
            grace: 7 * DAY,
            check_interval: DAY,
        }
    }

    /// Sets the public keys that the software was built with. With keys, only answers with a proof count. Without
    /// keys, TLS is believed, and leases are refused.
    #[must_use]
    pub fn keys(mut self, keys: KeySet) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the domain that leases must be for.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        self
    }

    /// Sets the time at which this version of the software was released, in Unix seconds.
    #[must_use]
    pub fn released_at(mut self, time: i64) -> Self {
        self.released_at = Some(time);
        self
    }

    /// Sets how many seconds the software runs on after the first check that was due and got no answer. With 0, it
    /// stops at once.
    #[must_use]
    pub fn grace(mut self, seconds: u32) -> Self {
        self.grace = i64::from(seconds);
        self
    }

    /// Sets after how many seconds a verdict without a proof is checked again. A proof says it itself.
    #[must_use]
    pub fn check_interval(mut self, seconds: u32) -> Self {
        self.check_interval = i64::from(seconds);
        self
    }
}
