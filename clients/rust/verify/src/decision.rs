//! Decisions.

use crate::error::Error;
use crate::feature::Features;

/// Whether the software may run, and when it asks again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the software may run.
    pub outcome: Outcome,
    /// The features of the license; empty if the software may not run.
    pub features: Features,
    /// Seconds until the software asks the server again; 0 means at once. Add some jitter.
    pub check_in: u64,
    /// Whether the lease in use is due for renewal.
    pub renew_lease: bool,
}

/// Whether the software may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It may run.
    Allowed,
    /// It may run until this time, in Unix seconds, although the server has not answered a check that was due.
    AllowedInGrace {
        /// The end of the grace period.
        until: i64,
    },
    /// It may not run: the server denied it.
    Denied {
        /// The code of the denial, such as `LICENSE_REVOKED`.
        code: String,
    },
    /// It may not run until the server answers, or a license file is loaded.
    MustCheckOnline {
        /// The reason, with its own code.
        reason: Error,
    },
}

impl Outcome {
    /// Returns whether the software may run.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed | Self::AllowedInGrace { .. })
    }

    /// Returns the code of the reason if the software may not run.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Allowed | Self::AllowedInGrace { .. } => None,
            Self::Denied { code } => Some(code),
            Self::MustCheckOnline { reason } => Some(reason.code()),
        }
    }
}
