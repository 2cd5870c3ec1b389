//! A day as people type it.

use license_core::usage::Day;

/// Parses a date such as 2027-01-31, of the years 0001 to 9999. With other years, the day after or the time
/// in a zone can be out of range.
pub(crate) fn parse(text: &str) -> Result<Day, &'static str> {
    let has_four_digits = text.find('-') == Some(4) && !text.starts_with("0000");
    let starts_with_digit = text.starts_with(|first: char| first.is_ascii_digit());
    let day = Day::parse(text).filter(|_| has_four_digits && starts_with_digit);
    day.ok_or("must be a date such as 2027-01-31")
}
