//! What is told of a license without a command: that its term ends, that a limit was reached. Neither changes what the
//! license is, so its version stays.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Changes, Draft};
use crate::activation::ActivationKind;
use crate::event::EventType;
use crate::license::{ExpiryTold, License, LicenseId, LicenseState, Status};

/// A limit that stays reached is told of again after so long.
pub const LIMIT_PAUSE: TimeDelta = TimeDelta::hours(1);

/// Decides what is to be told of the end of a license's term at `now`: once that it ends before `expiring_until`, and once that
/// it has ended. `None`: nothing, or nothing more.
///
/// A term that has ended before it was told that it would is told of once.
#[must_use]
pub fn tell_expiry(license: License, now: DateTime<Utc>, expiring_until: DateTime<Utc>) -> Option<Changes> {
    let expires_at = license.expires_at?;
    let (told, event_type) = match license.status(now) {
        Status::Expired => (ExpiryTold::Expired, EventType::LicenseExpired),
        Status::Active if expires_at <= expiring_until => (ExpiryTold::Expiring, EventType::LicenseExpiring),
        Status::Active | Status::Suspended | Status::Revoked => return None,
    };
    if license.expiry_told >= told {
        return None;
    }
    let mut draft = Draft::new(license, now);
    draft.license.expiry_told = told;
    draft.emit(event_type, json!({}));
    Some(draft.into_changes())
}

/// A validation was denied for want of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitNotice {
    /// The license.
    pub license_id: LicenseId,
    /// The kind of slot.
    pub kind: ActivationKind,
    /// When.
    pub at: DateTime<Utc>,
}

/// Decides whether a reached limit is to be told of, where it was last told of at `last`: once in [`LIMIT_PAUSE`], and only
/// while no slot is free. `license` is the one of the notice.
#[must_use]
pub fn tell_limit(license: License, notice: &LimitNotice, last: Option<DateTime<Utc>>) -> Option<Changes> {
    let LimitNotice { license_id: _, kind, at } = notice;
    let slots = license.slots(*kind);
    let recent = last.is_some_and(|last| *at < last + LIMIT_PAUSE);
    if recent || slots.has_free() || license.state != LicenseState::Active {
        return None;
    }
    let mut draft = Draft::new(license, *at);
    let data = json!({ "kind": kind.as_str(), "used": slots.used, "limit": slots.limit });
    draft.emit(EventType::LicenseLimitReached, data);
    Some(draft.into_changes())
}
