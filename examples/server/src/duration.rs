//! Durations of flags, with a unit: `500ms`, `5s`, `10m`, `2h`, `30d`.

use std::time::Duration;

use license_core::license::Reminders;

const DAY: u64 = 24 * 60 * 60;

/// Returns a parser of durations from `min` to `max`, which are durations as users write them.
pub(crate) fn within(
    min: &'static str,
    max: &'static str,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let limits =
            humantime::parse_duration(min).and_then(|min| Ok((min, humantime::parse_duration(max)?)));
        let (least, most) = limits.map_err(|error| error.to_string())?;
        let parsed = humantime::parse_duration(text.trim()).ok();
        parsed.filter(|found| (least..=most).contains(found)).ok_or_else(|| {
            format!("must be a duration from {min} to {max} with a unit, such as 500ms, 5s, 10m, 2h or 30d")
        })
    }
}

/// Returns a parser of durations of whole days, from `min` to `max` days.
pub(crate) fn days(
    min: u32,
    max: u32,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let parsed = whole_days(text).filter(|found| (min..=max).contains(found));
        parsed.ok_or_else(|| format!("must be whole days from {min}d to {max}d, such as 30d"))
    }
}

/// Parses a comma-separated list of durations of whole days, such as `30d,7d,1d`.
pub(crate) fn reminders(text: &str) -> Result<Reminders, String> {
    let days: Option<Vec<_>> = text.split(',').map(|part| Some(whole_days(part)?.to_string())).collect();
    let reminders = days.and_then(|days| days.join(",").parse().ok());
    reminders.ok_or_else(|| {
        use license_core::limits::{REMINDER_DAYS, REMINDERS};
        let (min, max) = (REMINDER_DAYS.start(), REMINDER_DAYS.end());
        format!("must be up to {REMINDERS} durations of whole days from {min}d to {max}d, such as 30d,7d,1d")
    })
}

fn whole_days(text: &str) -> Option<u32> {
    let parsed = humantime::parse_duration(text.trim()).ok()?;
    let is_whole = parsed.subsec_nanos() == 0 && parsed.as_secs().is_multiple_of(DAY);
    is_whole.then(|| u32::try_from(parsed.as_secs() / DAY).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_with_units_within_their_limits() {
        let parse = within("1s", "24h");
        for (text, seconds) in [("1s", 1), (" 10m ", 600), ("2h", 7200), ("1h 30m", 5400), ("1d", 86_400)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1500ms"), Ok(Duration::from_millis(1500)));
        for text in ["", "0s", "999ms", "5", "-1s", "25h", "s", "5 parsecs", "99999999999999999999s"] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with("must be a duration from 1s to 24h with a unit"), "{text}: {error}");
        }
    }

    #[test]
    fn days_are_whole_and_within_their_limits() {
        let parse = days(1, 400);
        assert_eq!((parse("1d"), parse("48h"), parse("400days")), (Ok(1), Ok(2), Ok(400)));
        for text in ["", "30", "0d", "401d", "36h", "1d 1ms", "99999999999999d"] {
            let error = "must be whole days from 1d to 400d, such as 30d".to_owned();
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn reminders_are_days() {
        assert_eq!(reminders("1d, 30d,7d").unwrap(), "30,7,1".parse().unwrap());
        for text in ["", "7", "0d", "366d", "12h", "7d,"] {
            let error = reminders(text).unwrap_err();
            assert!(error.ends_with("from 1d to 365d, such as 30d,7d,1d"), "{text}: {error}");
        }
    }
}
