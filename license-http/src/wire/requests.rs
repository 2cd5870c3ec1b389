//! What callers send about a license, as the core understands it.

#[cfg(feature = "webhooks")]
pub(crate) mod endpoint;

use chrono::{DateTime, Utc};
use license_core::command::{LicenseChange, LicenseSpec, TargetState};
use license_core::customer::CustomerEmail;
use license_core::domain::DomainName;
use license_core::license::{Expiry, Status};
use license_core::limits;
use license_core::metadata::Metadata;
use license_core::plan::Limit;
use serde_json::Value;

use super::parse_time;
use crate::extract::Fields;
use crate::problem::{Problem, sentence};

pub(crate) const SPEC_FIELDS: [&str; 7] =
    ["plan", "customer_email", "max_domains", "max_devices", "domains", "expires_at", "metadata"];
pub(crate) const CHANGE_FIELDS: [&str; 8] =
    ["plan", "customer_email", "max_domains", "max_devices", "domains", "expires_at", "metadata", "status"];

/// Reads the request for a new license.
pub(crate) fn spec(fields: Fields) -> Result<LicenseSpec, Problem> {
    let mut fields = fields.only(&SPEC_FIELDS)?;
    Ok(LicenseSpec {
        plan: fields.require("plan", plan)?,
        customer_email: fields.require("customer_email", email)?,
        max_domains: fields.take("max_domains", limit)?,
        max_devices: fields.take("max_devices", limit)?,
        domains: fields.take("domains", domains)?.unwrap_or_default(),
        expires_at: fields.take("expires_at", expiry)?,
        metadata: fields.take("metadata", metadata)?.unwrap_or_default(),
    })
}

/// Reads the request for a change.
pub(crate) fn change(fields: Fields) -> Result<LicenseChange, Problem> {
    let mut fields = fields.only(&CHANGE_FIELDS)?;
    Ok(LicenseChange {
        plan: fields.take("plan", plan)?,
        customer_email: fields.take("customer_email", email)?,
        max_domains: fields.take("max_domains", limit)?,
        max_devices: fields.take("max_devices", limit)?,
        domains: fields.take("domains", domains)?,
        expires_at: fields.take("expires_at", expiry)?,
        metadata: fields.take("metadata", metadata)?,
        state: fields.take("status", state)?,
    })
}

/// Reads a text, be it what it may.
pub(crate) fn text(field: &str, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(field, "a string", &other)),
    }
}

/// A name that a plan could have: one that can't stand in a catalog is no question for the store either.
pub(crate) fn is_plan_name(text: &str) -> bool {
    (1..=limits::PLAN_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn plan(field: &'static str, value: Value) -> Result<String, Problem> {
    let text = text(field, value)?;
    if is_plan_name(&text) {
        return Ok(text);
    }
    let detail = format!("A plan's name has 1 to {} bytes.", limits::PLAN_NAME_BYTES);
    Err(Problem::invalid_field(field, detail))
}

fn email(field: &'static str, value: Value) -> Result<CustomerEmail, Problem> {
    CustomerEmail::parse(&text(field, value)?).map_err(|error| invalid(field, &error))
}

fn limit(field: &'static str, value: Value) -> Result<Limit, Problem> {
    let number = match value {
        Value::Null => return Ok(Limit::Unlimited),
        // JSON has one kind of numbers: 3.0 is 3.
        Value::Number(number) => number.as_f64().filter(|number| number.fract() == 0.0),
        other => return Err(wrong_type(field, "a whole number, or null for unlimited", &other)),
    };
    let within = number.filter(|number| (0.0..=f64::from(limits::MAX_SLOTS)).contains(number));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and within its bounds"
    )]
    within.map(|number| Limit::AtMost(number as u32)).ok_or_else(|| {
        let detail =
            format!("This must be a whole number from 0 to {}, or null for unlimited.", limits::MAX_SLOTS);
        Problem::invalid_field(field, detail)
    })
}

fn domains(field: &'static str, value: Value) -> Result<Vec<DomainName>, Problem> {
    let items = match value {
        Value::Array(items) => items,
        other => return Err(wrong_type(field, "a list of domains", &other)),
    };
    if items.len() > limits::DOMAINS_PER_REQUEST {
        let detail = format!("A list has at most {} domains.", limits::DOMAINS_PER_REQUEST);
        return Err(Problem::invalid_field(field, detail));
    }
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            let field = format!("{field}[{index}]");
            let typed = text(&field, item)?;
            DomainName::parse_registered(&typed).map_err(|error| invalid(&field, &error))
        })
        .collect()
}

pub(crate) fn expiry(field: &'static str, value: Value) -> Result<Expiry, Problem> {
    const WANTED: &str = "a time of RFC 3339 such as 2027-01-31T00:00:00Z, or null for never";
    match value {
        Value::Null => Ok(Expiry::Never),
        Value::String(text) => parse_time(&text)
            .map(Expiry::At)
            .ok_or_else(|| Problem::invalid_field(field, format!("This must be {WANTED}."))),
        other => Err(wrong_type(field, WANTED, &other)),
    }
}

/// The moment of an expiry.
pub(crate) fn moment(expiry: Expiry) -> Option<DateTime<Utc>> {
    match expiry {
        Expiry::Never => None,
        Expiry::At(time) => Some(time),
    }
}

fn metadata(field: &'static str, value: Value) -> Result<Metadata, Problem> {
    match value {
        value @ Value::Object(_) => Metadata::from_json(value).map_err(|error| invalid(field, &error)),
        other => Err(wrong_type(field, "an object", &other)),
    }
}

fn state(field: &'static str, value: Value) -> Result<TargetState, Problem> {
    let typed = text(field, value)?;
    match Status::ALL.into_iter().find(|status| status.as_str() == typed) {
        Some(Status::Active) => Ok(TargetState::Active),
        Some(Status::Suspended) => Ok(TargetState::Suspended),
        Some(Status::Revoked) => Ok(TargetState::Revoked),
        Some(Status::Expired) => Err(Problem::invalid_field(
            field,
            "A license is expired by its expires_at and the clock; set expires_at instead.",
        )),
        None => Err(Problem::invalid_field(field, "This must be active, suspended or revoked.")),
    }
}

fn invalid(field: &str, error: &impl std::fmt::Display) -> Problem {
    Problem::invalid_field(field.to_owned(), sentence(error))
}

fn wrong_type(field: &str, wanted: &str, found: &Value) -> Problem {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Problem::invalid_field(field.to_owned(), format!("This must be {wanted}, not {found}."))
}
