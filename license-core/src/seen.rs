//! When what holds a slot was seen, and by how many validations.

use chrono::{DateTime, Utc};

use crate::activation::Activation;
use crate::place::Country;
use crate::usage::Sighting;

/// What validations say of one activation. Those count that were valid and are not older than it: of one that was released
/// and made again nothing of before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivationUsage {
    /// The time of the first one.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// The time of the latest one.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// How many.
    pub validations: u64,
    /// Where the latest one came from of which that is known.
    pub country: Option<Country>,
    /// Every validation recorded before this moment is counted; `None`: every validation is.
    pub as_of: Option<DateTime<Utc>>,
}

impl ActivationUsage {
    /// Adds sightings of an activation that was made at `created_at`. Earlier ones belong to an activation before it.
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

/// An activation with all that its owner is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationDetail {
    /// The activation.
    pub activation: Activation,
    /// What validations say of it.
    pub usage: ActivationUsage,
}

impl ActivationDetail {
    /// When it was last seen; before it was, when it was made.
    #[must_use]
    pub fn seen_at(&self) -> DateTime<Utc> {
        self.usage.last_seen_at.unwrap_or(self.activation.created_at)
    }
}

/// An activation, and when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenActivation {
    /// The activation.
    pub activation: Activation,
    /// As [`ActivationDetail::seen_at`].
    pub seen_at: DateTime<Utc>,
}

/// Which devices of a license a decision looks at: those that were not seen for the longest, in that order; of those seen at the
/// same moment by their fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Only those last seen before this moment; `None`: whenever.
    pub before: Option<DateTime<Utc>>,
    /// At most so many.
    pub most: u32,
}

impl Unseen {
    /// Those among all devices of a license, for stores that go through them.
    #[must_use]
    pub fn among(&self, devices: impl IntoIterator<Item = SeenActivation>) -> Vec<SeenActivation> {
        let devices = devices.into_iter();
        let mut found: Vec<_> =
            devices.filter(|seen| self.before.is_none_or(|before| seen.seen_at < before)).collect();
        found.sort_by(|a, b| {
            (a.seen_at, a.activation.binding.value()).cmp(&(b.seen_at, b.activation.binding.value()))
        });
        found.truncate(self.most as usize);
        found
    }
}

/// Which licenses have devices that may be idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleQuery<'a> {
    /// Of this plan.
    pub plan: &'a str,
    /// With devices last seen before this moment.
    pub before: DateTime<Utc>,
    /// At most so many licenses.
    pub limit: u32,
}
