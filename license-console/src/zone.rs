//! The time zone in which a person reads times.
//!
//! It belongs to the task of a request, so that no page can forget it.

use std::future::Future;

use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use license_core::usage::Day;

use crate::{day, session_cookie};

const COOKIE: &str = "license_console_zone";

tokio::task_local! {
    static ZONE: Tz;
}

/// Runs a request in a zone.
pub(crate) async fn within<F: Future>(zone: Tz, request: F) -> F::Output {
    ZONE.scope(zone, request).await
}

/// Returns the zone of the request; UTC outside one.
pub(crate) fn current() -> Tz {
    ZONE.try_with(|zone| *zone).unwrap_or(Tz::UTC)
}

/// Returns the zone that a browser has chosen.
pub(crate) fn of(headers: &HeaderMap) -> Tz {
    session_cookie::value(headers, COOKIE).and_then(parse).unwrap_or(Tz::UTC)
}

/// Returns the zone with this name, in any case.
pub(crate) fn parse(name: &str) -> Option<Tz> {
    TZ_VARIANTS.into_iter().find(|zone| zone.name().eq_ignore_ascii_case(name))
}

/// Returns the names of all zones.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TZ_VARIANTS.iter().map(|zone| zone.name())
}

pub(crate) fn cookie(zone: Tz, prefix: &str, https: bool) -> Option<HeaderValue> {
    session_cookie::of(COOKIE, zone.name(), "; Max-Age=31536000", prefix, https)
}

/// Parses a day, and returns its start in the zone of the request.
pub(crate) fn start_of_day(text: &str) -> Result<DateTime<Utc>, &'static str> {
    start_in(current(), day::parse(text)?)
}

fn start_in(zone: Tz, day: Day) -> Result<DateTime<Utc>, &'static str> {
    let midnight = day.start().naive_utc();
    // If the clocks skip midnight, the day starts with the first time that exists.
    let mut minutes = (0..24 * 60).step_by(15).map(|minutes| midnight + TimeDelta::minutes(minutes));
    let start = minutes.find_map(|time| zone.from_local_datetime(&time).earliest());
    start.map(|start| start.to_utc()).ok_or("is a day that this time zone does not have")
}

/// Returns the day of a time in the zone of the request, as a form has it.
pub(crate) fn day(at: DateTime<Utc>) -> String {
    at.with_timezone(&current()).format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_starts_when_the_zone_says() {
        for (zone, day, start) in [
            ("UTC", "2026-07-01", "2026-07-01T00:00:00Z"),
            ("Europe/Berlin", "2026-07-01", "2026-06-30T22:00:00Z"),
            ("Europe/Berlin", "2026-12-01", "2026-11-30T23:00:00Z"),
            ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
            ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"),
            ("Asia/Kathmandu", "2026-07-01", "2026-06-30T18:15:00Z"),
            // Midnight did not exist on this day.
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),
            // Midnight was there twice: the first one.
            ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"),
        ] {
            let zone = parse(zone).unwrap();
            let start: DateTime<Utc> = start.parse().unwrap();
            assert_eq!(start_in(zone, Day::parse(day).unwrap()), Ok(start), "{zone} {day}");
        }
        let apia = parse("Pacific/Apia").unwrap();
        assert!(start_in(apia, Day::parse("2011-12-30").unwrap()).is_err(), "Samoa skipped this day");
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(parse("europe/berlin"), Some(Tz::Europe__Berlin));
        assert_eq!(parse("Mars/Olympus"), None);
        assert!(names().all(|name| parse(name).is_some()));
        assert_eq!(current(), Tz::UTC);
    }
}
