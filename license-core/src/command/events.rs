//! Events without a command: end of a term, reached limit, unusual usage. They do not change the version.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Changes, Draft};
use crate::catalog::Plan;
use crate::event::EventType;
use crate::license::{ActivationKind, ExpiryNotice, License, LicenseId, LicenseState, Reminders, Status};
use crate::text_enum::text_enum;
use crate::usage::Day;

/// Minimum time between two events about the same limit.
pub const LIMIT_EVENT_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// Decides which event about the end of a term is due at `now`: `license.expiring` if one of the reminders is
/// due, or `license.expired` if the term has ended. Each is due once per term. If several are due, only the
/// latest is reported.
///
/// A notice that is [later](ExpiryNotice::latest) than a correct clock could have written it does not count.
#[must_use]
pub fn expiry_events(license: License, now: DateTime<Utc>, reminders: &Reminders) -> Option<Changes> {
    let expires_at = license.expires_at?;
    let days = match license.status(now) {
        Status::Expired => 0,
        Status::Active => reminders.due(expires_at - now)?,
        Status::Suspended | Status::Revoked => return None,
    };
    let notice = license.expiry_notice.filter(|notice| notice.at <= ExpiryNotice::latest(now));
    if notice.is_some_and(|notice| notice.days <= days) {
        return None;
    }
    let mut draft = Draft::new(license, now);
    draft.license.expiry_notice = Some(ExpiryNotice { days, at: now });
    if days == 0 {
        draft.emit(EventType::LicenseExpired, json!({}));
    } else {
        draft.emit(EventType::LicenseExpiring, json!({ "reminder_days": days }));
    }
    Some(draft.into_changes())
}

/// A validation was denied because no slot was free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// The license.
    pub license_id: LicenseId,
    /// The kind of slot.
    pub kind: ActivationKind,
    /// The time of the denial.
    pub at: DateTime<Utc>,
}

/// Decides whether an event about a reached limit is due: at most one per [`LIMIT_EVENT_INTERVAL`] since
/// `last`, and only while no slot is free. A `last` further in the future was written by a wrong clock and
/// does not count. `license` must be that of the notice.
#[must_use]
pub fn limit_event(license: License, notice: &LimitReached, last: Option<DateTime<Utc>>) -> Option<Changes> {
    let LimitReached { license_id: _, kind, at } = notice;
    let slots = license.slots(*kind);
    let recent = last.is_some_and(|last| (*at - last).abs() < LIMIT_EVENT_INTERVAL);
    if recent || slots.has_free() || license.state != LicenseState::Active {
        return None;
    }
    let mut draft = Draft::new(license, *at);
    let data = json!({ "kind": kind.as_str(), "used": slots.used, "limit": slots.limit });
    draft.emit(EventType::LicenseLimitReached, data);
    Some(draft.into_changes())
}

/// Usage of a license in one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyCounts {
    /// The day.
    pub day: Day,
    /// Known countries of valid answers.
    pub countries: u32,
    /// Devices of valid answers.
    pub devices: u32,
}

text_enum! {
    /// A count that can be unusual.
    AnomalyKind {
        /// Countries.
        Countries = "countries",
        /// Devices.
        Devices = "devices",
    }
}

impl AnomalyKind {
    /// Returns the count above which the plan calls a day unusual.
    fn limit(self, plan: &Plan) -> Option<u32> {
        match self {
            Self::Countries => plan.max_countries_per_day,
            Self::Devices => plan.max_devices_per_day,
        }
    }

    /// Returns whether sufficiently high counts of `day` cause an event. `last` is the last reported day.
    ///
    /// The plan must define unusual usage, and the day must be later than `last`. The day must also be
    /// yesterday, today or tomorrow: events about older data, compacted or imported late, are useless, and
    /// later days are those of a wrong clock. Such a `last` does not count.
    #[must_use]
    pub fn may_be_reported(self, plan: &Plan, day: Day, last: Option<Day>, now: DateTime<Utc>) -> bool {
        let today = Day::of(now).number();
        let last = last.filter(|last| last.number() <= today + 1);
        let is_news = (today - 1..=today + 1).contains(&day.number()) && last.is_none_or(|last| last < day);
        is_news && self.limit(plan).is_some()
    }
}

/// Decides whether the counts of a day cause an event. `last` is the last reported day.
#[must_use]
pub fn anomaly_events(
    license: License,
    plan: &Plan,
    kind: AnomalyKind,
    counts: &DailyCounts,
    last: Option<Day>,
    now: DateTime<Utc>,
) -> Option<Changes> {
    if !kind.may_be_reported(plan, counts.day, last, now) {
        return None;
    }
    let count = match kind {
        AnomalyKind::Countries => counts.countries,
        AnomalyKind::Devices => counts.devices,
    };
    let limit = kind.limit(plan).filter(|limit| count > *limit)?;
    let mut draft = Draft::new(license, now);
    let day = counts.day.to_string();
    let data = json!({ "kind": kind.as_str(), "day": day, "count": count, "limit": limit });
    draft.emit(EventType::LicenseUnusualUsage, data);
    Some(draft.into_changes())
}
