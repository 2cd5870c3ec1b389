//! Validations per day as a chart, with the numbers for a table.

use chrono::{DateTime, TimeDelta, Utc};
use license_core::usage::{Interval, UsagePoint, UsageQuery};

use crate::filters::start_of_day;
use crate::numbers::grouped;

const WIDTH: u32 = 720;
const HEIGHT: u32 = 90;

/// The bars of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) days: Vec<ChartDay>,
    /// The largest day.
    pub(crate) highest: String,
    pub(crate) valid: String,
    pub(crate) denied: String,
}

/// One day.
#[derive(Clone, Debug)]
pub(crate) struct ChartDay {
    pub(crate) day: String,
    pub(crate) valid: String,
    pub(crate) denied: String,
    pub(crate) x: u32,
    pub(crate) width: u32,
    pub(crate) valid_y: u32,
    pub(crate) valid_height: u32,
    pub(crate) denied_y: u32,
    pub(crate) denied_height: u32,
}

impl Chart {
    /// Returns the query for a chart of the last days, today included. It begins with a whole day, because
    /// counts by day are kept longer than single validations.
    pub(crate) fn query(days: i64, now: DateTime<Utc>) -> UsageQuery {
        UsageQuery {
            from: Some(start_of_day(now) - TimeDelta::days(days - 1)),
            interval: Some(Interval::Day),
            ..UsageQuery::default()
        }
    }

    /// Draws the days of a series.
    pub(crate) fn new(series: &[UsagePoint]) -> Self {
        let sum = |point: &UsagePoint| point.total() + point.denied();
        let highest = series.iter().map(sum).max().unwrap_or(0);
        let count = u32::try_from(series.len()).unwrap_or(WIDTH).clamp(1, WIDTH);
        let slot = WIDTH / count;
        let days = series.iter().zip(0..).map(|(point, index)| {
            let (valid, denied) = (scaled(point.total(), highest), scaled(point.denied(), highest));
            ChartDay {
                day: day(point.start),
                valid: grouped(point.total()),
                denied: grouped(point.denied()),
                x: index * WIDTH / count,
                width: slot.saturating_sub(slot / 4).max(1),
                valid_y: HEIGHT - valid,
                valid_height: valid,
                denied_y: (HEIGHT - valid).saturating_sub(denied),
                denied_height: denied,
            }
        });
        Self {
            days: days.collect(),
            highest: grouped(highest),
            valid: grouped(series.iter().map(UsagePoint::total).sum()),
            denied: grouped(series.iter().map(UsagePoint::denied).sum()),
        }
    }
}

fn scaled(count: u64, highest: u64) -> u32 {
    let height = u128::from(count) * u128::from(HEIGHT);
    height.checked_div(highest.into()).and_then(|height| height.try_into().ok()).unwrap_or(0)
}

fn day(start: DateTime<Utc>) -> String {
    start.format("%-d %b").to_string()
}

#[cfg(test)]
mod tests {
    use license_core::usage::ValidationOutcome;

    use super::*;

    #[test]
    fn bars_fit_the_highest_day() {
        let start = "2026-03-01T00:00:00Z".parse().unwrap();
        let point = |valid| UsagePoint { start, by_outcome: [(ValidationOutcome::Valid, valid)].into() };
        let chart = Chart::new(&[point(0), point(50), point(100)]);
        let heights: Vec<_> = chart.days.iter().map(|day| (day.valid_height, day.valid_y, day.x)).collect();
        assert_eq!(heights, [(0, 90, 0), (45, 45, 240), (90, 0, 480)]);
        assert_eq!(
            (chart.highest.as_str(), chart.valid.as_str(), chart.denied.as_str()),
            ("100", "150", "0")
        );
        let bars: Vec<_> =
            Chart::new(&vec![point(1); 365]).days.iter().map(|day| (day.x, day.width)).collect();
        assert_eq!((bars[0], bars[100], bars[364]), ((0, 1), (197, 1), (718, 1)));
        assert!(Chart::new(&[]).days.is_empty());
        assert_eq!(Chart::new(&[point(0)]).days[0].valid_height, 0);
        assert_eq!(Chart::new(&[point(u64::MAX / 2)]).days[0].valid_height, 90);
    }
}
