//! The time zone of dates and local times in a table.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};

/// Converts local times.
#[derive(Clone)]
pub(super) struct Zone(Arc<dyn Fn(NaiveDateTime) -> Option<DateTime<Utc>> + Send + Sync>);

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Zone")
    }
}

impl Zone {
    pub(super) fn new<Z: TimeZone + Send + Sync + 'static>(zone: Z) -> Self {
        Self(Arc::new(move |local| instant(&zone, local)))
    }

    /// Returns the moment of a local time, or `None` if it is outside the range of times.
    ///
    /// Of a time that clocks show twice, the later moment counts, so that no license ends early. A time that
    /// clocks skip is read with the offset before the change.
    pub(super) fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.0(local)
    }
}

fn instant<Z: TimeZone>(zone: &Z, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(_, time) => Some(time.to_utc()),
        MappedLocalTime::None => {
            // A day earlier is before the change in every zone.
            let before = zone.offset_from_utc_datetime(&local.checked_sub_signed(TimeDelta::days(1))?).fix();
            Some(before.from_local_datetime(&local).single()?.to_utc())
        }
    }
}
