//! Last-seen data of activations.

use chrono::{DateTime, Utc};

use crate::license::Activation;
use crate::usage::{Country, Sighting};

/// The valid answers for one activation since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastSeen {
    /// Time of the first valid answer.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// Time of the latest valid answer.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Number of valid answers.
    pub validations: u64,
    /// Country of the latest valid answer with a known country.
    pub country: Option<Country>,
    /// All validations recorded before this time are counted; `None` means all are.
    pub as_of: Option<DateTime<Utc>>,
}

impl LastSeen {
    /// Adds sightings to an activation created at `created_at`. Earlier sightings are ignored, because
    /// they belong to an earlier activation of the same binding.
    pub fn add(&mut self, created_at: DateTime<Utc>, sightings: &[Sighting]) {
        for Sighting { at, country } in sightings.iter().filter(|sighting| sighting.at >= created_at) {
            if self.last_seen_at.is_none_or(|last| last <= *at) || self.country.is_none() {
                self.country = country.or(self.country);
            }
            self.first_seen_at = Some(self.first_seen_at.map_or(*at, |first| first.min(*at)));
            self.last_seen_at = self.last_seen_at.max(Some(*at));
            self.validations += 1;
        }
    }
}

/// An activation with its last-seen data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationDetail {
    /// The activation.
    pub activation: Activation,
    /// Last-seen data.
    pub last_seen: LastSeen,
}

impl ActivationDetail {
    /// Returns the time when the activation was last seen, or when it was created if it was never seen.
    #[must_use]
    pub fn seen_at(&self) -> DateTime<Utc> {
        self.last_seen.last_seen_at.unwrap_or(self.activation.created_at)
    }
}

/// An activation that can be released, and when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictionCandidate {
    /// The activation.
    pub activation: Activation,
    /// Last seen, as in [`ActivationDetail::seen_at`].
    pub seen_at: DateTime<Utc>,
}

/// A query for the least recently seen devices of a license, in that order, then by fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeastRecentlySeen {
    /// Only devices last seen before this time, if given.
    pub before: Option<DateTime<Utc>>,
    /// Maximum number of devices.
    pub limit: u32,
    /// The time of the command. Devices whose slots leases hold are not found.
    pub now: DateTime<Utc>,
}

impl LeastRecentlySeen {
    /// Applies the query to all devices of a license, for stores without an index.
    #[must_use]
    pub fn select(&self, devices: impl IntoIterator<Item = EvictionCandidate>) -> Vec<EvictionCandidate> {
        let devices = devices.into_iter();
        let mut found: Vec<_> = devices
            .filter(|seen| !seen.activation.is_held(self.now))
            .filter(|seen| self.before.is_none_or(|before| seen.seen_at < before))
            .collect();
        found.sort_by(|a, b| {
            (a.seen_at, a.activation.binding.value()).cmp(&(b.seen_at, b.activation.binding.value()))
        });
        found.truncate(self.limit as usize);
        found
    }
}

/// A query for licenses that may have idle devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleQuery<'a> {
    /// The plan of the licenses.
    pub plan: &'a str,
    /// The version of the plan.
    pub version: u32,
    /// Devices must be last seen before this time.
    pub before: DateTime<Utc>,
    /// Leases must not hold the slots of the devices at this time.
    pub now: DateTime<Utc>,
    /// Maximum number of licenses.
    pub limit: u32,
}
