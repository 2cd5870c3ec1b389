//! The term of a license.

use chrono::{DateTime, Utc};

use super::License;
use crate::catalog::TermStart;

/// How and when the term of a license started. Its end is [`License::expires_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LicenseTerm {
    /// With the issue or with the first use.
    pub starts: TermStart,
    /// When it started; `None` if the license waits for its first use.
    pub started_at: Option<DateTime<Utc>>,
}

impl License {
    /// Returns whether the first use starts the term. Such a license has no `expires_at`, but is not perpetual.
    #[must_use]
    pub fn awaits_first_use(&self) -> bool {
        self.term.started_at.is_none()
    }
}
