//! The start, the end and the renewal of a term and of an updates window.

use chrono::{DateTime, Datelike, Utc};

use crate::catalog::{Period, Plan, anchor_day};
use crate::license::License;
use crate::limits;
use crate::validation::Denial;

/// Returns the time if RFC 3339 can represent it.
pub(super) fn supported_time(time: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, Denial> {
    time.filter(|time| (0..=limits::LAST_YEAR).contains(&time.year())).ok_or(Denial::TooFar)
}

/// Starts the term of the plan, and its updates window, at `at`.
pub(crate) fn start_term(license: &mut License, plan: &Plan, at: DateTime<Utc>) -> Result<(), Denial> {
    license.term.started_at = Some(at);
    (license.expires_at, license.anchor_day) = (None, None);
    if let Some(term) = plan.term {
        let (end, anchor_day) = next_end(term.period, at, None)?;
        (license.expires_at, license.anchor_day) = (Some(end), Some(anchor_day));
    }
    start_updates(license, plan, at)
}

/// Starts the updates window of the plan at `at`.
pub(crate) fn start_updates(license: &mut License, plan: &Plan, at: DateTime<Utc>) -> Result<(), Denial> {
    license.updates_until = None;
    if let Some(updates) = plan.updates {
        let (end, anchor_day) = next_end(updates.period, at, None)?;
        license.updates_until = Some(end);
        license.anchor_day = license.anchor_day.or(Some(anchor_day));
    }
    Ok(())
}

/// Sets an expiry that a caller gave.
pub(super) fn set_expiry(license: &mut License, expires_at: Option<DateTime<Utc>>) {
    if license.expires_at != expires_at {
        license.expires_at = expires_at;
        license.anchor_day = expires_at.or(license.updates_until).map(|end| anchor_day(end, None));
        license.expiry_notice = None;
    }
}

/// Applies the updates window of a plan to which the license has moved. A window that the license has stays.
pub(super) fn move_updates(license: &mut License, plan: &Plan, now: DateTime<Utc>) -> Result<(), Denial> {
    let is_missing = license.updates_until.is_none() && !license.awaits_first_use();
    if plan.updates.is_none() || is_missing { start_updates(license, plan, now) } else { Ok(()) }
}

/// Adds the periods of the plan to the later of `now` and their ends. A license that never expires is renewed
/// if it has an updates window.
pub(super) fn extend(license: &mut License, plan: &Plan, now: DateTime<Utc>) -> Result<(), Denial> {
    if license.awaits_first_use() {
        return Err(Denial::TermNotStarted);
    }
    if license.expires_at.is_none() && plan.updates.is_none() {
        return Err(Denial::Perpetual);
    }
    let anchor = |end| license.anchor_day.filter(|_| end >= now);
    let mut renewed_day = None;
    if let Some(updates) = plan.updates {
        let until = license.updates_until.unwrap_or(now);
        let (end, day) = next_end(updates.period, until.max(now), anchor(until))?;
        (license.updates_until, renewed_day) = (Some(end), Some(day));
    }
    if let Some(expires_at) = license.expires_at {
        let term = plan.term.map(|term| next_end(term.period, expires_at.max(now), anchor(expires_at)));
        let (end, day) = term.transpose()?.unzip();
        (license.expires_at, renewed_day) = (end, day.or(renewed_day));
        if end != Some(expires_at) {
            license.expiry_notice = None;
        }
    }
    license.anchor_day = renewed_day;
    Ok(())
}

/// Returns the end of a period that begins at `from`, and the anchor day of the next one.
fn next_end(period: Period, from: DateTime<Utc>, anchor: Option<u8>) -> Result<(DateTime<Utc>, u8), Denial> {
    let end = supported_time(period.after(from, anchor))?;
    Ok((end, period.next_anchor_day(from, anchor, end)))
}
