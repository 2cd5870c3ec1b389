//! Usage: recorded validations of licenses, and reports on them.

mod client;
mod fold;
mod last_seen;
mod location;
mod query;
mod report;
mod rollup;

use chrono::{DateTime, Utc};

use crate::domain::DomainName;
use crate::id::random_id;
use crate::license::LicenseId;
use crate::text_enum::display_as_str;
use crate::validation::{Claim, DenialCode};

pub use client::Client;
pub use fold::{Fold, Sighting, fold};
pub use last_seen::{ActivationDetail, EvictionCandidate, IdleQuery, LastSeen, LeastRecentlySeen};
pub use location::{Country, Location, Region};
pub use query::{Interval, RetainedUsage, UsageError, UsageGroup, UsageQuery, UsageRetention, UsageSources};
pub use report::{
    Breakdown, LicenseUsage, PlanUsage, UsageCell, UsageOverview, UsagePoint, UsageReport, UsageShare,
    UsageTally,
};
pub use rollup::{Day, Rollup, RollupFilter, RollupKey, UsageSum, roll_up};

/// The outcome of a validation of a known license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValidationOutcome {
    /// Valid, and counted.
    Valid,
    /// Denied: listed in the history, but not counted.
    Denied(DenialCode),
}

impl ValidationOutcome {
    /// Returns `VALID`, or the code of the denial.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Denied(code) => code.as_str(),
        }
    }

    /// Parses the stored form.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        if text == Self::Valid.as_str() {
            return Some(Self::Valid);
        }
        DenialCode::parse(text).map(Self::Denied)
    }
}

display_as_str!(ValidationOutcome);

/// A recorded validation of a known license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// The license.
    pub license_id: LicenseId,
    /// The time of the request.
    pub at: DateTime<Utc>,
    /// The outcome.
    pub outcome: ValidationOutcome,
    /// The domain and device of the request.
    pub claim: Claim,
    /// The registered wildcard that covered the domain, if the domain itself is not registered.
    pub covered_by: Option<DomainName>,
    /// The location of the caller, if known.
    pub location: Option<Location>,
    /// The software that asked, if it sent its name.
    pub client: Option<Client>,
}

impl Validation {
    /// Creates a validation without optional fields.
    #[must_use]
    pub fn new(license_id: LicenseId, at: DateTime<Utc>, outcome: ValidationOutcome, claim: Claim) -> Self {
        Self { license_id, at, outcome, claim, covered_by: None, location: None, client: None }
    }
}

random_id! {
    /// Identifies a writer, which sends one stream of batches. Random, so that ids are unique.
    WriterId
}

/// Identifies a batch of validations, so that it is recorded once even if it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchId {
    /// The writer.
    pub writer: WriterId,
    /// The number of the batch. A writer sends its batches one at a time with ascending numbers, so a
    /// batch is already recorded if its number is at most the last recorded one.
    pub number: u64,
}

/// The position of a validation in a history sorted by time, then by order of recording, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValidationCursor {
    /// The time of the request.
    pub at: DateTime<Utc>,
    /// A number given by the store.
    pub sequence: u64,
}
