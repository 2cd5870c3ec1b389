//! Parsers of single JSON values. Their errors name the field and never repeat the value, which may be a key.

use std::fmt::Display;
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use license_core::license::Expiry;
use license_core::limits;
use serde_json::{Number, Value};

use crate::problem::{Problem, sentence};
use crate::wire::parse_time;

pub(crate) fn text(field: &str, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(field, "a string", &other)),
    }
}

pub(crate) fn bool_or_null(field: &str, value: Value) -> Result<Option<bool>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value)),
        other => Err(wrong_type(field, "true or false", &other)),
    }
}

pub(crate) fn text_or_null(field: &str, value: Value) -> Result<Option<String>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        other => Err(wrong_type(field, "a string, or null", &other)),
    }
}

pub(crate) fn boolean(field: &'static str, value: Value) -> Result<bool, Problem> {
    match value {
        Value::Bool(value) => Ok(value),
        other => Err(wrong_type(field, "true or false", &other)),
    }
}

/// Returns a reader of a string that a domain type parses.
pub(crate) fn parsed<T, E: Display>(
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> impl FnOnce(&'static str, Value) -> Result<T, Problem> {
    |field, value| parse(&text(field, value)?).map_err(|error| invalid(field, &error))
}

/// Reads a list of at most `max` strings. `parse` gets the name of each item, such as `domains[2]`.
pub(crate) fn list<T>(
    field: &str,
    value: Value,
    (max, items): (usize, &str),
    mut parse: impl FnMut(&str, String) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    self::items(field, value, (max, items), |field, value| parse(field, text(field, value)?))
}

/// Reads a list of at most `max` values. `parse` gets the name of each item, such as `grants[2]`.
pub(crate) fn items<T>(
    field: &str,
    value: Value,
    (max, items): (usize, &str),
    mut parse: impl FnMut(&str, Value) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let values = match value {
        Value::Array(values) => values,
        other => return Err(wrong_type(field, &format!("a list of {items}"), &other)),
    };
    if values.len() > max {
        let detail = format!("This list must have at most {max} {items}.");
        return Err(Problem::invalid_field(field.to_owned(), detail));
    }
    let item = |(index, value)| parse(&format!("{field}[{index}]"), value);
    values.into_iter().enumerate().map(item).collect()
}

/// Largest whole number up to which every whole number is a 64-bit float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Returns a whole number. JSON has one type of number: 3.0 is 3.
pub(crate) fn whole_number(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT);
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within its bounds")]
    number.as_i64().or_else(|| float.map(|float| float as i64))
}

/// Writes each whole number in a value without a fraction, for types that accept integers only.
pub(crate) fn without_fractions(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole_number(number) {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_fractions),
        Value::Object(members) => members.values_mut().for_each(without_fractions),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Reads a whole number. JSON has one type of number: 3.0 is 3.
pub(crate) fn whole(field: &'static str, value: Value, range: RangeInclusive<u32>) -> Result<u32, Problem> {
    let number = match value {
        Value::Number(number) => number.as_f64().filter(|number| number.fract() == 0.0),
        other => return Err(wrong_type(field, "a whole number", &other)),
    };
    let (least, most) = (*range.start(), *range.end());
    let within = number.filter(|number| (f64::from(least)..=f64::from(most)).contains(number));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and within its bounds"
    )]
    within.map(|number| number as u32).ok_or_else(|| {
        Problem::invalid_field(field, format!("This must be a whole number from {least} to {most}."))
    })
}

/// Reads a time, or null for never.
pub(crate) fn expiry(field: &'static str, value: Value) -> Result<Expiry, Problem> {
    const EXPECTED: &str = "an RFC 3339 time such as 2027-01-31T00:00:00Z, or null for never";
    match value {
        Value::Null => Ok(Expiry::Never),
        Value::String(text) => parse_time(&text)
            .map(Expiry::At)
            .ok_or_else(|| Problem::invalid_field(field, format!("This must be {EXPECTED}."))),
        other => Err(wrong_type(field, EXPECTED, &other)),
    }
}

/// Reads the name of a plan or a product, which need not exist.
pub(crate) fn name(field: &'static str, value: Value) -> Result<String, Problem> {
    let name = text(field, value)?;
    if is_plan_name(&name) {
        return Ok(name);
    }
    let detail = format!("This must have 1 to {} bytes and no control characters.", limits::PLAN_NAME_BYTES);
    Err(Problem::invalid_field(field, detail))
}

/// Returns a reader of a string that a domain type parses, or of null.
pub(crate) fn parsed_or_null<T, E: Display>(
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> impl FnOnce(&'static str, Value) -> Result<Option<T>, Problem> {
    |field, value| {
        let text = text_or_null(field, value)?;
        text.map(|text| parse(&text).map_err(|error| invalid(field, &error))).transpose()
    }
}

/// Reads a time, or null if it is not known.
pub(crate) fn time_or_null(field: &str, value: Value) -> Result<Option<DateTime<Utc>>, Problem> {
    const EXPECTED: &str = "an RFC 3339 time such as 2027-01-31T00:00:00Z, or null";
    match value {
        Value::Null => Ok(None),
        Value::String(text) => parse_time(&text)
            .map(Some)
            .ok_or_else(|| Problem::invalid_field(field.to_owned(), format!("This must be {EXPECTED}."))),
        other => Err(wrong_type(field, EXPECTED, &other)),
    }
}

pub(crate) fn is_plan_name(text: &str) -> bool {
    (1..=limits::PLAN_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Turns the error of a domain type into a problem.
pub(crate) fn invalid(field: &str, error: &impl Display) -> Problem {
    Problem::invalid_field(field.to_owned(), sentence(error))
}

pub(crate) fn wrong_type(field: &str, expected: &str, found: &Value) -> Problem {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Problem::invalid_field(field.to_owned(), format!("This must be {expected}, not {found}."))
}
