//! Events: what happened to a license, kept in the same commit as the change.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::license::LicenseId;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// `license.created`
    LicenseCreated,
    /// `license.activated`: the first valid answer.
    LicenseActivated,
    /// `license.updated`; the data names the `fields`.
    LicenseUpdated,
    /// `license.suspended`
    LicenseSuspended,
    /// `license.reinstated`
    LicenseReinstated,
    /// `license.renewed`; the data has the new `expires_at`.
    LicenseRenewed,
    /// `license.key_rotated`
    LicenseKeyRotated,
    /// `license.revoked`
    LicenseRevoked,
    /// `license.anonymised`: its customer is no longer known.
    LicenseAnonymised,
    /// `activation.created`; the data has `id`, `kind` and `value`.
    ActivationCreated,
    /// `activation.released`; the data has `id`, `kind` and `value`.
    ActivationReleased,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 11] = [
        Self::LicenseCreated,
        Self::LicenseActivated,
        Self::LicenseUpdated,
        Self::LicenseSuspended,
        Self::LicenseReinstated,
        Self::LicenseRenewed,
        Self::LicenseKeyRotated,
        Self::LicenseRevoked,
        Self::LicenseAnonymised,
        Self::ActivationCreated,
        Self::ActivationReleased,
    ];

    /// `noun.verb`: the form of databases and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LicenseCreated => "license.created",
            Self::LicenseActivated => "license.activated",
            Self::LicenseUpdated => "license.updated",
            Self::LicenseSuspended => "license.suspended",
            Self::LicenseReinstated => "license.reinstated",
            Self::LicenseRenewed => "license.renewed",
            Self::LicenseKeyRotated => "license.key_rotated",
            Self::LicenseRevoked => "license.revoked",
            Self::LicenseAnonymised => "license.anonymised",
            Self::ActivationCreated => "activation.created",
            Self::ActivationReleased => "activation.released",
        }
    }

    /// Reads the form of databases; `None` for any other text.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Something that happened to a license.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The license it happened to.
    pub license_id: LicenseId,
    /// 1, 2, 3 … within the license, without gaps, in the order of the commits.
    pub sequence: u64,
    /// What happened.
    pub event_type: EventType,
    /// When.
    pub at: DateTime<Utc>,
    /// What more there is to say; a JSON object. Never a key.
    pub data: Value,
}
