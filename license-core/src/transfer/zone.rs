//! The time zone of dates and local times in a table.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};

/// Converts local times.
#[derive(Clone)]
pub(super) struct Zone(Arc<dyn Fn(NaiveDateTime) -> Option<Moments> + Send + Sync>);

/// The first and the last moment at which clocks show a time. They differ if clocks are set back over it.
type Moments = (DateTime<Utc>, DateTime<Utc>);

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Zone")
    }
}

impl Zone {
    pub(super) fn new<Z: TimeZone + Send + Sync + 'static>(zone: Z) -> Self {
        Self(Arc::new(move |local| moments(&zone, local)))
    }

    /// Returns the first moment of a local time, or `None` if it is outside the range of times.
    pub(super) fn first(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.0(local).map(|(first, _)| first)
    }

    /// Returns the last moment of a local time, or `None` if it is outside the range of times.
    pub(super) fn last(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.0(local).map(|(_, last)| last)
    }
}

fn moments<Z: TimeZone>(zone: &Z, local: NaiveDateTime) -> Option<Moments> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(time) => Some((time.to_utc(), time.to_utc())),
        MappedLocalTime::Ambiguous(first, last) => Some((first.to_utc(), last.to_utc())),
        // Clocks skip this time. The offset before the change applies, and a day earlier is before it.
        MappedLocalTime::None => {
            let before = zone.offset_from_utc_datetime(&local.checked_sub_signed(TimeDelta::days(1))?).fix();
            let time = before.from_local_datetime(&local).single()?.to_utc();
            Some((time, time))
        }
    }
}
