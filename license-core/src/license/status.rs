//! The state of a license, its status at a moment, and its expiry.

use chrono::{DateTime, Utc};

use crate::clock::whole_micros;
use crate::text_enum::text_enum;

text_enum! {
    /// The stored state of a license. [`Status`] adds expiry.
    LicenseState {
        /// In force.
        Active = "active",
        /// Put on hold by an admin; can be reinstated.
        Suspended = "suspended",
        /// Ended by an admin; final.
        Revoked = "revoked",
    }
}

text_enum! {
    /// The status at a moment: the state, or `expired` for an active license past `expires_at`.
    Status {
        /// In force.
        Active = "active",
        /// Put on hold.
        Suspended = "suspended",
        /// Past `expires_at`. Validations stay valid during the grace period.
        Expired = "expired",
        /// Ended; final.
        Revoked = "revoked",
    }
}

/// An expiry set by a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// Perpetual; JSON `null`.
    Never,
    /// Expired from this moment on.
    At(DateTime<Utc>),
}

impl Expiry {
    /// Returns the moment in whole microseconds.
    pub(crate) fn moment(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Never => None,
            Self::At(time) => Some(whole_micros(time)),
        }
    }
}

impl From<DateTime<Utc>> for Expiry {
    fn from(time: DateTime<Utc>) -> Self {
        Self::At(time)
    }
}
