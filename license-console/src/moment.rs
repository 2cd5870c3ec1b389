//! Times as people read them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::zone;

/// A time, relative to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// For the attribute `datetime`.
    pub(crate) iso: String,
    /// The exact time, in the zone of the person.
    pub(crate) exact: String,
    /// The day, in the zone of the person.
    pub(crate) day: String,
    /// Such as "2 hours ago" or "in 3 days".
    pub(crate) relative: String,
}

impl Moment {
    pub(crate) fn new(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let local = at.with_timezone(&zone::current());
        Self {
            iso: at.to_rfc3339_opts(SecondsFormat::Secs, true),
            exact: local.format("%-d %B %Y, %H:%M:%S %Z").to_string(),
            day: local.format("%-d %B %Y").to_string(),
            relative: relative(at - now),
        }
    }
}

fn relative(delta: TimeDelta) -> String {
    let seconds = delta.num_seconds().unsigned_abs();
    let (count, unit) = match seconds {
        0..60 => return if delta > TimeDelta::zero() { "in a moment" } else { "just now" }.to_owned(),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        86_400..5_184_000 => (seconds / 86_400, "day"),
        5_184_000..63_072_000 => (seconds / 2_592_000, "month"),
        _ => (seconds / 31_536_000, "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if delta < TimeDelta::zero() {
        format!("{count} {unit}{plural} ago")
    } else {
        format!("in {count} {unit}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative() {
        for (seconds, expected) in [
            (0, "just now"),
            (-59, "just now"),
            (59, "in a moment"),
            (-60, "1 minute ago"),
            (3_599, "in 59 minutes"),
            (3_600, "in 1 hour"),
            (-86_400, "1 day ago"),
            (59 * 86_400, "in 59 days"),
            (60 * 86_400, "in 2 months"),
            (-729 * 86_400, "24 months ago"),
            (730 * 86_400, "in 2 years"),
        ] {
            assert_eq!(relative(TimeDelta::seconds(seconds)), expected, "{seconds}");
        }
        let now = "2026-03-06T14:02:03Z".parse().unwrap();
        let moment = Moment::new(now, now);
        assert_eq!(
            (moment.iso.as_str(), moment.exact.as_str()),
            ("2026-03-06T14:02:03Z", "6 March 2026, 14:02:03 UTC")
        );
    }
}
