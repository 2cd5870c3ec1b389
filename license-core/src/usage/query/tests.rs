use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn query(from: &str, to: &str, interval: Option<Interval>) -> UsageQuery {
    let time = |text: &str| (!text.is_empty()).then(|| at(text));
    UsageQuery { from: time(from), to: time(to), interval, ..UsageQuery::default() }
}

const DAY: Option<Interval> = Some(Interval::Day);
const HOUR: Option<Interval> = Some(Interval::Hour);
const MONTH: Option<Interval> = Some(Interval::Month);

/// Each moment of a range belongs to exactly one source.
#[test]
fn sources_cover_a_range_once() {
    for (from, to) in [
        ("2026-01-02T03:00:00Z", "2026-01-05T06:00:00Z"),
        ("2026-01-02T00:00:00Z", "2026-01-05T00:00:00Z"),
        ("2026-01-02T03:00:00Z", "2026-01-02T06:00:00Z"),
        ("2026-01-02T03:00:00Z", "2026-01-03T00:00:00Z"),
        ("2026-01-02T03:00:00Z", "2026-01-03T06:00:00Z"),
        ("2026-01-02T00:00:00Z", "2026-01-02T06:00:00Z"),
        ("2026-01-02T03:00:00Z", "2026-01-02T03:00:00Z"),
        ("2026-01-05T03:00:00Z", "2026-01-02T03:00:00Z"),
        ("", "2026-01-03T06:00:00Z"),
        ("2026-01-02T03:00:00Z", ""),
        ("", ""),
        ("1969-12-30T03:00:00Z", "1969-12-31T06:00:00Z"),
    ] {
        for interval in [None, HOUR, DAY, MONTH] {
            let query = query(from, to, interval);
            let sources = query.sources();
            let base = if from.starts_with("1969") {
                at("1969-12-29T00:00:00Z")
            } else {
                at("2026-01-01T00:00:00Z")
            };
            for half_hour in 0..300 {
                let at = base + TimeDelta::minutes(30 * half_hour);
                let within = query.from.is_none_or(|from| at >= from) && query.to.is_none_or(|to| at < to);
                let in_range = |(start, end): (i64, i64), value: i64| start <= value && value < end;
                let times = usize::from(in_range(sources.days, Day::of(at).number()))
                    + sources.records.iter().filter(|range| in_range(**range, at.timestamp_micros())).count();
                assert_eq!(times, usize::from(within), "{at} in {from} to {to} by {interval:?}: {sources:?}");
                assert_eq!(in_range(sources.range, at.timestamp_micros()), within, "{at} in {from} to {to}");
            }
        }
    }
}

#[test]
fn removed_usage_is_an_error() {
    let kept = UsageRetention::default().at(at("2026-06-15T10:00:00Z"));
    let (records, rollups) = (at("2026-05-16T00:00:00Z"), at("2024-06-15T00:00:00Z"));
    assert_eq!(kept, RetainedUsage { records_from: Some(records), rollups_from: Some(Day::of(rollups)) });
    let single = |parameter| Err(UsageError::WholeDaysOnly { parameter, since: records });
    let gone = |parameter| Err(UsageError::Gone { parameter, since: rollups });
    for (from, to, interval, expected) in [
        ("", "", None, Ok(())),
        ("", "", DAY, Ok(())),
        ("", "", HOUR, single("from")),
        ("2026-05-16T00:00:00Z", "", HOUR, Ok(())),
        ("2026-05-15T23:59:59.999999Z", "", HOUR, single("from")),
        ("2026-05-15T23:59:59.999999Z", "", DAY, single("from")),
        ("2026-05-15T00:00:00Z", "", DAY, Ok(())),
        ("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z", DAY, Ok(())),
        ("2026-05-01T00:00:00Z", "2026-05-02T00:00:01Z", DAY, single("to")),
        ("2026-05-01T00:00:00Z", "2026-05-01T00:00:01Z", None, single("from")),
        ("2026-05-01T00:00:00Z", "2026-06-02T00:00:01Z", MONTH, Ok(())),
        ("2024-06-15T00:00:00Z", "", MONTH, Ok(())),
        ("2024-06-14T00:00:00Z", "", MONTH, gone("from")),
        ("", "2024-06-14T00:00:00Z", MONTH, gone("to")),
        ("", "2024-06-15T00:00:00Z", MONTH, Ok(())),
        ("2026-05-01T03:00:00Z", "2026-05-01T03:00:00Z", None, Ok(())),
    ] {
        assert_eq!(query(from, to, interval).check(&kept), expected, "{from} to {to} by {interval:?}");
        assert_eq!(query(from, to, interval).check(&RetainedUsage::default()), Ok(()), "all is kept");
    }
}

#[test]
fn intervals_are_aligned_to_utc_and_complete() {
    let now = at("2026-03-02T10:00:00Z");
    let starts = |from, to, interval: Option<Interval>, first: Option<&str>| {
        let starts = query(from, to, interval).intervals(first.map(at), None, now).expect("not too many");
        starts
            .iter()
            .map(|start| start.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
            .collect::<Vec<_>>()
    };
    let hours = starts("2026-02-28T22:30:00Z", "2026-03-01T01:00:00Z", HOUR, None);
    assert_eq!(hours, ["2026-02-28T22:00:00Z", "2026-02-28T23:00:00Z", "2026-03-01T00:00:00Z"]);
    let days = starts("2026-02-28T22:30:00Z", "", DAY, None);
    assert_eq!(days, ["2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"]);
    let months = starts("", "", MONTH, Some("2025-12-31T23:59:59Z"));
    let expected =
        ["2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"];
    assert_eq!(months, expected);
    let none: [&str; 0] = [];
    assert_eq!(starts("", "", DAY, None), none, "nothing is known");
    assert_eq!(starts("2027-01-01T00:00:00Z", "", DAY, None), none, "not yet");
    assert_eq!(starts("2026-01-01T03:00:00Z", "2026-01-01T03:00:00Z", DAY, None), none, "an empty range");
    assert_eq!(starts("2026-01-01T03:00:00Z", "", None, None), none, "no series");
}

#[test]
fn open_end_is_closed_after_tomorrow() {
    let now = at("2026-03-02T23:59:59Z");
    for (to, end) in [("", "2026-03-04T00:00:00Z"), ("2031-01-01T00:00:00Z", "2031-01-01T00:00:00Z")] {
        let bounded = query("2026-03-01T00:00:00Z", to, DAY).bounded(now);
        assert_eq!((bounded.from, bounded.to), (Some(at("2026-03-01T00:00:00Z")), Some(at(end))));
        assert_eq!(
            bounded.sources().records,
            [(at("2026-03-01T00:00:00Z"), at("2026-03-01T00:00:00Z")), (at(end), at(end))]
                .map(|(from, to)| (from.timestamp_micros(), to.timestamp_micros()))
        );
    }
}

#[test]
fn series_length_is_limited() {
    let from = at("2026-01-01T00:00:00Z");
    let max = i64::try_from(limits::USAGE_INTERVALS).expect("small");
    for (days, expected) in [(max, Ok(limits::USAGE_INTERVALS)), (max + 1, Err(UsageError::TooManyIntervals))]
    {
        let to = Some(from + TimeDelta::days(days));
        let query = UsageQuery { from: Some(from), to, interval: DAY, ..UsageQuery::default() };
        assert_eq!(query.intervals(None, None, from).map(|starts| starts.len()), expected, "{days} days");
    }
}
