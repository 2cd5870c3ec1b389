//! Request bodies of webhook endpoints.

use chrono::{DateTime, Utc};
use license_core::limits;
use license_core::webhook::{EndpointSettings, EventSelection};
use serde_json::Value;

use super::fields::Fields;
use super::value::{list, text, text_or_null, wrong_type};
use crate::problem::Problem;
use crate::wire::parse_time;

const FIELDS: [&str; 4] = ["url", "events", "description", "enabled"];

/// Settings of an endpoint, and whether it is enabled.
#[derive(Debug)]
pub(crate) struct EndpointBody {
    pub(crate) settings: EndpointSettings,
    pub(crate) enabled: Option<bool>,
}

/// Reads the body that creates or replaces an endpoint.
pub(crate) fn endpoint(fields: Fields) -> Result<EndpointBody, Problem> {
    let mut fields = fields.only(&FIELDS)?;
    let settings = EndpointSettings {
        url: fields.require("url", text)?,
        events: fields.require("events", events)?,
        description: fields.take("description", text_or_null)?.flatten(),
    };
    Ok(EndpointBody { settings, enabled: fields.take("enabled", boolean)? })
}

/// Reads the body of a replay.
pub(crate) fn since(fields: Fields) -> Result<DateTime<Utc>, Problem> {
    fields.only(&["since"])?.require("since", |field, value| {
        let detail = "This must be an RFC 3339 time such as 2027-01-31T00:00:00Z.";
        parse_time(&text(field, value)?).ok_or_else(|| Problem::invalid_field(field, detail))
    })
}

fn events(field: &'static str, value: Value) -> Result<EventSelection, Problem> {
    let texts = list(field, value, (limits::EVENTS_PER_ENDPOINT, "event types"), |field, text| {
        let detail = "This must be an event type such as license.created, or * for all.";
        match EventSelection::parse([text.as_str()]) {
            Ok(_) => Ok(text),
            Err(_) => Err(Problem::invalid_field(field.to_owned(), detail)),
        }
    })?;
    EventSelection::parse(texts.iter().map(String::as_str)).map_err(|_| {
        Problem::invalid_field(field, "This list must have at least one event type, or * for all.")
    })
}

fn boolean(field: &'static str, value: Value) -> Result<bool, Problem> {
    match value {
        Value::Bool(value) => Ok(value),
        other => Err(wrong_type(field, "true or false", &other)),
    }
}
