//! Parses grants.

use license_core::catalog::FeatureValue;
use license_core::license::{Expiry, Grant, GrantError, GrantSource};
use license_core::limits;
use serde_json::Value;

use super::fields::Fields;
use super::value;
use crate::problem::Problem;

/// The fields of a grant.
pub(crate) const GRANT_FIELDS: [&str; 4] = ["feature", "value", "until", "source"];

/// Reads a grant from its fields.
pub(crate) fn grant(fields: Fields) -> Result<Grant, Problem> {
    let mut fields = fields.only(&GRANT_FIELDS)?;
    let feature = fields.require("feature", value::text)?;
    let value = fields.require("value", feature_value)?;
    let until = fields.take("until", value::expiry)?;
    let source = fields.take("source", value::text_or_null)?.flatten();
    let grant = Grant::new(&feature, value).map_err(|error| {
        let field = if matches!(error, GrantError::Value(_)) { "value" } else { "feature" };
        value::invalid(field, &error)
    })?;
    let grant = match until {
        Some(Expiry::At(end)) => grant.until(end).map_err(|error| value::invalid("until", &error))?,
        Some(Expiry::Never) | None => grant,
    };
    match source.map(|text| GrantSource::parse(&text)).transpose() {
        Ok(Some(source)) => Ok(grant.source(source)),
        Ok(None) => Ok(grant),
        Err(error) => Err(value::invalid("source", &error)),
    }
}

/// Reads the grants of a new license.
pub(crate) fn grants(field: &'static str, value: Value) -> Result<Vec<Grant>, Problem> {
    value::items(field, value, (limits::GRANTS, "grants"), |field, item| {
        Fields::of_object(field, item).and_then(grant).map_err(|problem| problem.within(field))
    })
}

fn feature_value(field: &'static str, value: Value) -> Result<FeatureValue, Problem> {
    match value {
        Value::Bool(value) => Ok(value.into()),
        Value::String(text) => Ok(text.as_str().into()),
        Value::Number(number) => value::whole_number(&number)
            .map(FeatureValue::from)
            .ok_or_else(|| Problem::invalid_field(field, "A number must be whole, and fit into 64 bits.")),
        other => Err(value::wrong_type(field, "true, false, a whole number or a string", &other)),
    }
}
