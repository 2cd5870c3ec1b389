//! Remarks on imported licenses.

use chrono::{DateTime, Utc};

use super::line::Time;
use crate::domain::DomainName;
use crate::license::Binding;

/// How a value of an imported license was understood, where it could surprise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportNote {
    /// `expires_at` was a date, or a time without time zone.
    #[error("expires_at {text:?} is read as {}", Time(*.at).to_text())]
    ExpiresAt {
        /// The text of the cell.
        text: String,
        /// The moment of expiry.
        at: DateTime<Utc>,
    },
    /// The state is `expired`, but `expires_at` is missing or in the future.
    #[error("the state is expired, so expires_at becomes {}, the time of the import", Time(*.at).to_text())]
    Expired {
        /// The time of the import.
        at: DateTime<Utc>,
    },
    /// A domain needs no slot under the plan.
    #[error("the domain {domain} is left out: the plan always allows it, and it takes no slot")]
    ExemptDomain {
        /// The domain.
        domain: DomainName,
    },
    /// The line names one activation twice, perhaps in two spellings.
    #[error("the {} {:?} is listed twice and takes one slot", .binding.kind(), .binding.value())]
    Duplicate {
        /// The domain or device.
        binding: Binding,
    },
}
