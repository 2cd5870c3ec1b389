//! The time zone of dates in a table.

use chrono::FixedOffset;
use chrono_tz::Tz;
use license_core::transfer::Columns;

/// A time zone from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeZone {
    /// A zone of the IANA database.
    Named(Tz),
    /// An offset from UTC.
    Fixed(FixedOffset),
}

impl TimeZone {
    /// Parses a name such as `Europe/Berlin`, or an offset such as `+02:00`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(offset) = text.parse() {
            return Ok(Self::Fixed(offset));
        }
        text.parse().map(Self::Named).map_err(|_| {
            "it must be a name of the IANA database, such as Europe/Berlin, or an offset such as +02:00"
                .to_owned()
        })
    }

    /// Reads the dates of a table in this zone.
    pub(super) fn apply(self, columns: Columns) -> Columns {
        match self {
            Self::Named(zone) => columns.time_zone(zone),
            Self::Fixed(offset) => columns.time_zone(offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_is_a_name_or_an_offset() {
        for text in ["Europe/Berlin", "UTC", "+02:00", "-0330"] {
            assert!(TimeZone::parse(text).is_ok(), "{text}");
        }
        for text in ["", "Berlin", "europe/berlin", "+25:00", "2", "CEST"] {
            assert!(TimeZone::parse(text).is_err(), "{text}");
        }
    }

    /// Days with 23, 24 and 25 hours, midnights that clocks skip or show twice, and a day that a zone left
    /// out.
    #[test]
    fn expiry_is_the_end_of_the_local_day() {
        for (zone, date, expected) in [
            ("Europe/Berlin", "2027-12-31", "2027-12-31T22:59:59.999999Z"),
            ("Europe/Berlin", "2027-06-30", "2027-06-30T21:59:59.999999Z"),
            ("Europe/Berlin", "2027-03-28", "2027-03-28T21:59:59.999999Z"),
            ("Europe/Berlin", "2027-10-31", "2027-10-31T22:59:59.999999Z"),
            ("Europe/Berlin", "2027-03-28 02:30", "2027-03-28T01:30:00Z"),
            ("Europe/Berlin", "2027-10-31 02:30", "2027-10-31T01:30:00Z"),
            ("America/Santiago", "2023-09-02", "2023-09-03T03:59:59.999999Z"),
            ("America/Havana", "2023-11-04", "2023-11-05T03:59:59.999999Z"),
            ("Pacific/Apia", "2011-12-29", "2011-12-30T09:59:59.999999Z"),
            ("Pacific/Apia", "2011-12-30", "2011-12-30T09:59:59.999999Z"),
            ("Asia/Kathmandu", "2027-12-31", "2027-12-31T18:14:59.999999Z"),
            ("-12:00", "2027-12-31", "2028-01-01T11:59:59.999999Z"),
        ] {
            let columns = Columns::new(&["plan", "customer_email", "expires_at"], &[], &[]).unwrap();
            let columns = TimeZone::parse(zone).unwrap().apply(columns);
            let line = columns.license(&["starter", "dev@example.com", date]).unwrap();
            let json = serde_json::to_value(&line).unwrap();
            assert_eq!(json["expires_at"], expected, "{date} in {zone}");
        }
    }
}
