//! Times in claims: whole Unix seconds from 1970 to 9999.

use serde::de::{Deserialize, Deserializer, Error};

use crate::limits;

/// Difference between two clocks that is never an error, in seconds.
pub const TOLERANCE: i64 = 5 * 60;
/// Seconds by which the clock of a machine can be behind. Machines with two systems are hours off.
pub const MAX_BEHIND: i64 = 24 * 60 * 60;

/// Reads a time.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let seconds = i64::deserialize(deserializer)?;
    if (0..=limits::LAST_SECOND).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(D::Error::custom("the time is out of range"))
    }
}

/// Reads a time or null. Without this function, serde would accept a claim that is absent.
pub(crate) fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(serde::Deserialize)]
    struct Seconds(#[serde(deserialize_with = "seconds")] i64);
    Ok(Option::<Seconds>::deserialize(deserializer)?.map(|Seconds(seconds)| seconds))
}

/// Parses a time of the API, such as `2027-01-31T00:00:00Z`, without its fraction of a second.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    let (whole, fraction) = text.strip_suffix('Z')?.split_at_checked(19)?;
    if !fraction.is_empty() {
        let digits = fraction.strip_prefix('.')?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let shape = whole.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !shape {
        return None;
    }
    let number = |from: usize, to: usize| whole.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap_day = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let lengths = [31, 28 + leap_day, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = lengths.get(..usize::try_from(month.checked_sub(1)?).ok()?)?;
    let length = lengths.get(before.len())?;
    if !(1..=*length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days of the years before, of the months before, and of this month.
    let years = year - 1;
    let days = if year == 0 { -366 } else { years * 365 + years / 4 - years / 100 + years / 400 };
    let days = days + before.iter().sum::<i64>() + day - 1 - 719_162;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    (seconds >= 0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::parse_rfc3339;
    use crate::limits;

    #[test]
    fn times_of_the_api_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2024-12-31T23:59:59Z", 1_735_689_599),
            ("2027-01-31T00:00:00.123456Z", 1_801_353_600),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", limits::LAST_SECOND),
        ] {
            assert_eq!(parse_rfc3339(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "Z",
            "2027-01-31",
            "2027-01-31T00:00:00",
            "2027-01-31T00:00:00+01:00",
            "2027-01-31 00:00:00Z",
            "2027-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-00-01T00:00:00Z",
            "2027-01-00T00:00:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31T00:60:00Z",
            "2027-01-31T00:00:60Z",
            "2027-01-31T00:00:00.Z",
            "2027-01-31T00:00:00.1xZ",
            "+027-01-31T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2027-01-31T00:00:0\u{e9}Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
