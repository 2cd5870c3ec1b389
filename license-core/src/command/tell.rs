//! What is told of a license without a command: that its term ends, that a limit was reached, that its use is unusual. None of
//! these changes what the license is, so its version stays.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Changes, Draft};
use crate::activation::ActivationKind;
use crate::event::EventType;
use crate::license::{ExpiryTold, License, LicenseId, LicenseState, Status};
use crate::plan::Plan;
use crate::usage::Day;

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

/// Where and on what a license was answered valid in one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayFigures {
    /// The day.
    pub day: Day,
    /// In how many countries, as far as they are known.
    pub countries: u32,
    /// On how many devices.
    pub devices: u32,
}

/// Of what there is more in a day than a plan takes for usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnusualKind {
    /// Countries.
    Countries,
    /// Devices.
    Devices,
}

impl UnusualKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Countries, Self::Devices];

    /// `countries` or `devices`: the form of databases and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Countries => "countries",
            Self::Devices => "devices",
        }
    }
}

impl UnusualKind {
    /// Above how many a plan takes the usage of a day for unusual; `None`: never.
    fn limit(self, plan: &Plan) -> Option<u32> {
        match self {
            Self::Countries => plan.max_countries_per_day,
            Self::Devices => plan.max_devices_per_day,
        }
    }

    /// Whether usage of a day could be told of, where the last day told of is `last`: of a plan that limits it, of no day told of
    /// before, and of none before yesterday, since what is compacted or imported long after its day is no news. Before anything is
    /// counted.
    #[must_use]
    pub fn may_be_told(self, plan: &Plan, day: Day, last: Option<Day>, now: DateTime<Utc>) -> bool {
        let is_news = day.number() + 1 >= Day::of(now).number() && last.is_none_or(|last| last < day);
        is_news && self.limit(plan).is_some()
    }
}

/// Decides whether an unusual use of a license is to be told of, where that was last told of the day `last`: as
/// [`UnusualKind::may_be_told`] has it. `None`: nothing.
#[must_use]
pub fn tell_unusual(
    license: License,
    plan: &Plan,
    kind: UnusualKind,
    figures: &DayFigures,
    last: Option<Day>,
    now: DateTime<Utc>,
) -> Option<Changes> {
    if !kind.may_be_told(plan, figures.day, last, now) {
        return None;
    }
    let count = match kind {
        UnusualKind::Countries => figures.countries,
        UnusualKind::Devices => figures.devices,
    };
    let limit = kind.limit(plan).filter(|limit| count > *limit)?;
    let mut draft = Draft::new(license, now);
    let day = figures.day.start().format("%Y-%m-%d").to_string();
    let data = json!({ "kind": kind.as_str(), "day": day, "count": count, "limit": limit });
    draft.emit(EventType::LicenseUnusualUsage, data);
    Some(draft.into_changes())
}
