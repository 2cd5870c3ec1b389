//! Cells of a table as values of a JSON line.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde_json::Value;

use super::ImportNote;
use super::error::ImportLineError;
use super::line::Time;
use super::zone::Zone;
use crate::limits;

/// Forms of a local time.
const LOCAL_TIMES: [&str; 4] =
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];

/// Converts a cell that is not empty. Adds a note if the value could surprise.
pub(super) fn value(
    field: &str,
    cell: &str,
    zone: &Zone,
    notes: &mut Vec<ImportNote>,
) -> Result<Value, ImportLineError> {
    let list = |between: &dyn Fn(char) -> bool| {
        cell.split(between).map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
    };
    let wrong = |why: &str| ImportLineError::value(field, &cell.into(), why);
    match field {
        "max_domains" | "max_devices" => limit(cell).ok_or_else(|| {
            let most = limits::MAX_SLOTS;
            wrong(&format!("write a whole number from 0 to {most} in digits only, or unlimited"))
        }),
        "validation_count" => whole(cell, i64::MAX.unsigned_abs())
            .map(Value::from)
            .ok_or_else(|| wrong(&format!("write a whole number from 0 to {} in digits only", i64::MAX))),
        "domains" => Ok(list(&|c| c.is_whitespace() || matches!(c, ',' | ';'))),
        "devices" => Ok(list(&|c| matches!(c, ';' | '\n' | '\r'))),
        "state" => Ok(cell.to_ascii_lowercase().into()),
        "expires_at" | "updates_until" if cell.eq_ignore_ascii_case("never") => Ok(Value::Null),
        "expires_at" | "updates_until" => {
            let form = "write a date (2027-12-31), a time (2027-12-31T18:00:00Z, 2027-12-31T18:00:00+02:00 or \
                        2027-12-31 18:00), or never";
            let (at, is_local) = time(cell, zone, end_of_day).ok_or_else(|| wrong(form))?;
            if is_local && field == "expires_at" {
                notes.push(ImportNote::ExpiresAt { text: cell.to_owned(), at: at.0 });
            }
            Ok(at.to_text().into())
        }
        "created_at" | "activated_at" | "last_validated_at" => {
            let form = "write a date (2027-12-31) or a time (2027-12-31T18:00:00Z, 2027-12-31T18:00:00+02:00 or \
                        2027-12-31 18:00)";
            let (at, _) = time(cell, zone, start_of_day).ok_or_else(|| wrong(form))?;
            Ok(at.to_text().into())
        }
        _ => Ok(cell.into()),
    }
}

/// Parses a limit: a number, or `null` for unlimited.
fn limit(cell: &str) -> Option<Value> {
    if cell.eq_ignore_ascii_case("unlimited") {
        return Some(Value::Null);
    }
    whole(cell, limits::MAX_SLOTS.into()).map(Value::from)
}

fn whole(cell: &str, most: u64) -> Option<u64> {
    // `parse` alone would let `+3` pass.
    let digits = cell.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| cell.parse().ok()).flatten().filter(|number| *number <= most)
}

/// Parses a time with its offset, a local time, or a date, and returns whether the zone decided.
fn time(
    cell: &str,
    zone: &Zone,
    of_date: impl FnOnce(NaiveDate, &Zone) -> Option<DateTime<Utc>>,
) -> Option<(Time, bool)> {
    // Of fewer digits, chrono would read `27-12-31` as the year 27.
    let year = cell.split_once('-').map(|(year, _)| year)?;
    if year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(cell) {
        return Some((Time::supported(time.to_utc())?, false));
    }
    let local =
        |text: &str| LOCAL_TIMES.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    if let Some(utc) = cell.strip_suffix("UTC").or_else(|| cell.strip_suffix('Z')) {
        return Some((Time::supported(local(utc.trim_end())?.and_utc())?, false));
    }
    let at = match local(cell) {
        // Of a time that clocks show twice, the later moment, so that no license ends early.
        Some(local) => zone.last(local),
        None => of_date(NaiveDate::parse_from_str(cell, "%Y-%m-%d").ok()?, zone),
    };
    Some((Time::supported(at?)?, true))
}

fn start_of_day(date: NaiveDate, zone: &Zone) -> Option<DateTime<Utc>> {
    zone.first(date.and_time(NaiveTime::MIN))
}

/// Returns the last microsecond of a day, so that the license works on all of the day and the date stays.
fn end_of_day(date: NaiveDate, zone: &Zone) -> Option<DateTime<Utc>> {
    let next = date.checked_add_days(Days::new(1))?;
    start_of_day(next, zone)?.checked_sub_signed(TimeDelta::microseconds(1))
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    fn read(field: &str, cell: &str) -> Result<Value, String> {
        value(field, cell, &Zone::new(Utc), &mut Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn date_of_expiry_is_the_end_of_that_day() {
        let west = Zone::new(FixedOffset::west_opt(5 * 3600).unwrap());
        let expires = |cell: &str, zone: &Zone| {
            let mut notes = Vec::new();
            (value("expires_at", cell, zone, &mut notes).unwrap(), notes.len())
        };
        for (cell, in_utc, in_west, noted) in [
            ("2027-12-31", "2027-12-31T23:59:59.999999Z", "2028-01-01T04:59:59.999999Z", 1),
            ("2028-02-29", "2028-02-29T23:59:59.999999Z", "2028-03-01T04:59:59.999999Z", 1),
            ("2027-12-31 18:00", "2027-12-31T18:00:00Z", "2027-12-31T23:00:00Z", 1),
            ("2027-12-31T18:00:01.5", "2027-12-31T18:00:01.500Z", "2027-12-31T23:00:01.500Z", 1),
            ("2027-12-31 00:00:00", "2027-12-31T00:00:00Z", "2027-12-31T05:00:00Z", 1),
            ("2027-12-31T18:00:00Z", "2027-12-31T18:00:00Z", "2027-12-31T18:00:00Z", 0),
            ("2027-12-31T18:00:00+02:00", "2027-12-31T16:00:00Z", "2027-12-31T16:00:00Z", 0),
            ("2027-12-31 18:00:00 UTC", "2027-12-31T18:00:00Z", "2027-12-31T18:00:00Z", 0),
        ] {
            assert_eq!(expires(cell, &Zone::new(Utc)), (in_utc.into(), noted), "{cell}");
            assert_eq!(expires(cell, &west), (in_west.into(), noted), "{cell}");
        }
        assert_eq!(read("created_at", "2027-12-31").unwrap(), "2027-12-31T00:00:00Z");
        assert_eq!(read("expires_at", "Never").unwrap(), Value::Null);
    }

    #[test]
    fn invalid_date_names_every_accepted_form() {
        for cell in [
            "31.12.2027",
            "12/31/2027",
            "27-12-31",
            "2027-13-01",
            "2027-02-29",
            "tomorrow",
            "46387",
            "-0001-01-01",
            "+2027-01-01",
            "12027-01-01",
            "2027-12-31 25:00",
        ] {
            assert_eq!(
                read("expires_at", cell).unwrap_err(),
                format!(
                    "expires_at {cell:?}: write a date (2027-12-31), a time (2027-12-31T18:00:00Z, \
                     2027-12-31T18:00:00+02:00 or 2027-12-31 18:00), or never"
                )
            );
        }
        assert!(read("created_at", "never").unwrap_err().ends_with("2027-12-31 18:00)"));
    }

    #[test]
    fn limit_is_digits_or_unlimited() {
        assert_eq!(read("max_domains", "0").unwrap(), 0);
        assert_eq!(read("max_devices", "10000000").unwrap(), 10_000_000);
        assert_eq!(read("max_domains", "Unlimited").unwrap(), Value::Null);
        for cell in ["-1", "3.0", "1,000", "10000001", "+3", "many", "１"] {
            assert_eq!(
                read("max_domains", cell).unwrap_err(),
                format!(
                    "max_domains {cell:?}: write a whole number from 0 to 10000000 in digits only, or unlimited"
                )
            );
        }
        assert_eq!(
            read("validation_count", "9223372036854775808").unwrap_err(),
            "validation_count \"9223372036854775808\": write a whole number from 0 to 9223372036854775807 in \
             digits only"
        );
    }

    #[test]
    fn lists_are_split() {
        assert_eq!(
            read("domains", "a.com, b.com;c.com\nd.com\u{a0}e.com,").unwrap().as_array().unwrap().len(),
            5
        );
        assert_eq!(read("devices", "my pc; b\r\nc").unwrap(), serde_json::json!(["my pc", "b", "c"]));
    }
}
