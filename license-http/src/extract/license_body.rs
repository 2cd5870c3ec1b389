//! Parses request bodies that describe a license or its changes.

use license_core::catalog::Limit;
use license_core::command::{LicensePatch, LicenseSpec, TargetState};
use license_core::domain::DomainName;
use license_core::license::{CustomerEmail, Metadata, Status};
use license_core::limits;
use serde_json::Value;

use super::fields::Fields;
use super::value::{expiry, invalid, is_plan_name, list, text, wrong_type};
use crate::problem::Problem;

pub(crate) const SPEC_FIELDS: [&str; 7] =
    ["plan", "customer_email", "max_domains", "max_devices", "domains", "expires_at", "metadata"];
pub(crate) const CHANGE_FIELDS: [&str; 8] =
    ["plan", "customer_email", "max_domains", "max_devices", "domains", "expires_at", "metadata", "status"];

/// Parses the body of a request to issue a license.
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

/// Parses the body of a request to change a license.
pub(crate) fn change(fields: Fields) -> Result<LicensePatch, Problem> {
    let mut fields = fields.only(&CHANGE_FIELDS)?;
    Ok(LicensePatch {
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

fn plan(field: &'static str, value: Value) -> Result<String, Problem> {
    let text = text(field, value)?;
    if is_plan_name(&text) {
        return Ok(text);
    }
    let detail = format!("This must have 1 to {} bytes and no control characters.", limits::PLAN_NAME_BYTES);
    Err(Problem::invalid_field(field, detail))
}

fn email(field: &'static str, value: Value) -> Result<CustomerEmail, Problem> {
    CustomerEmail::parse(&text(field, value)?).map_err(|error| invalid(field, &error))
}

fn limit(field: &'static str, value: Value) -> Result<Limit, Problem> {
    let number = match value {
        Value::Null => return Ok(Limit::Unlimited),
        // JSON has one type of number: 3.0 is 3.
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
    list(field, value, (limits::DOMAINS_PER_REQUEST, "domains"), |field, text| {
        DomainName::parse_registered(&text).map_err(|error| invalid(field, &error))
    })
}

fn metadata(field: &'static str, value: Value) -> Result<Metadata, Problem> {
    match value {
        value @ Value::Object(_) => Metadata::from_json(value).map_err(|error| invalid(field, &error)),
        other => Err(wrong_type(field, "an object", &other)),
    }
}

fn state(field: &'static str, value: Value) -> Result<TargetState, Problem> {
    let text = text(field, value)?;
    match Status::ALL.into_iter().find(|status| status.as_str() == text) {
        Some(Status::Active) => Ok(TargetState::Active),
        Some(Status::Suspended) => Ok(TargetState::Suspended),
        Some(Status::Revoked) => Ok(TargetState::Revoked),
        Some(Status::Expired) => {
            Err(Problem::invalid_field(field, "A license expires at its expires_at; set that field instead."))
        }
        None => Err(Problem::invalid_field(field, "This must be active, suspended or revoked.")),
    }
}
