//! Usage: the validations of a license, recorded and reported.

mod fold;
mod query;
mod report;
mod rollup;

use std::fmt;

use chrono::{DateTime, Utc};
use rand::TryCryptoRng;

use crate::client::Client;
use crate::domain::DomainName;
use crate::license::LicenseId;
use crate::place::Place;
use crate::verdict::{Claim, DenialCode};

pub use fold::{Fold, Sighting, fold};
pub use query::{Interval, UsageError, UsageGroup, UsageKept, UsageQuery, UsageRetention, UsageSources};
pub use report::{
    Breakdown, LicenseUsage, PlanUsage, UsageFigure, UsageOverview, UsagePoint, UsageReport, UsageShare,
    UsageTally,
};
pub use rollup::{Day, Rollup, RollupFilter, RollupKey, UsageSum, roll_up};

/// How a validation of a known license ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValidationOutcome {
    /// Valid: it counts.
    Valid,
    /// Denied: it stands in the history, and does not count.
    Denied(DenialCode),
}

impl ValidationOutcome {
    /// `VALID`, or the code of the denial.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Denied(code) => code.as_str(),
        }
    }

    /// Reads the form of databases; `None` for any other text.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        if text == Self::Valid.as_str() {
            return Some(Self::Valid);
        }
        DenialCode::ALL.iter().copied().find(|code| code.as_str() == text).map(Self::Denied)
    }
}

impl fmt::Display for ValidationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One validation of a known license: one record of its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// The license.
    pub license_id: LicenseId,
    /// When it was asked.
    pub at: DateTime<Utc>,
    /// How it ended.
    pub outcome: ValidationOutcome,
    /// The domain and the device that it was for.
    pub claim: Claim,
    /// The registered wildcard that covered the domain of a valid one, where no activation has that very name.
    pub covered_by: Option<DomainName>,
    /// From where; `None`: unknown.
    pub place: Option<Place>,
    /// Which software asked; `None`: it did not tell.
    pub client: Option<Client>,
}

impl Validation {
    /// One of which no more is known.
    #[must_use]
    pub fn new(license_id: LicenseId, at: DateTime<Utc>, outcome: ValidationOutcome, claim: Claim) -> Self {
        Self { license_id, at, outcome, claim, covered_by: None, place: None, client: None }
    }
}

/// Who records: one stream of batches, of one process. Random, so that no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecorderId([u8; 16]);

impl RecorderId {
    /// A new one.
    ///
    /// # Errors
    /// That of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = [0; 16];
        rng.try_fill_bytes(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads the form of databases.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The form of databases.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Names a batch of validations, so that it is recorded once, however often it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchId {
    /// Who records.
    pub recorder: RecorderId,
    /// Its number. A recorder sends its batches one after the other, each with a higher number than the one before, until it
    /// knows of each that it is recorded: a number not above the last one recorded is of a batch that was recorded before.
    pub number: u64,
}

/// The place of a validation in a license's history: newest first, by time, then by the order of recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValidationCursor {
    /// When it was asked.
    pub at: DateTime<Utc>,
    /// Its number, given by the store.
    pub sequence: u64,
}
