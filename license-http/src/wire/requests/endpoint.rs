//! What callers send about an endpoint of webhooks.

use chrono::{DateTime, Utc};
use license_core::endpoint::{EndpointSettings, EventSelection};
use license_core::limits;
use serde_json::Value;

use super::{text, wrong_type};
use crate::extract::Fields;
use crate::problem::Problem;
use crate::wire::parse_time;

const FIELDS: [&str; 4] = ["url", "events", "description", "enabled"];

/// What an endpoint is to be.
#[derive(Debug)]
pub(crate) struct EndpointRequest {
    pub(crate) settings: EndpointSettings,
    pub(crate) enabled: Option<bool>,
}

/// Reads the request for a new endpoint, or for what one is to become: it says all of it.
pub(crate) fn request(fields: Fields) -> Result<EndpointRequest, Problem> {
    let mut fields = fields.only(&FIELDS)?;
    let settings = EndpointSettings {
        url: fields.require("url", text_of)?,
        events: fields.require("events", events)?,
        description: fields.take("description", description)?.flatten(),
    };
    Ok(EndpointRequest { settings, enabled: fields.take("enabled", boolean)? })
}

/// Reads the request for a replay.
pub(crate) fn since(fields: Fields) -> Result<DateTime<Utc>, Problem> {
    fields.only(&["since"])?.require("since", |field, value| {
        parse_time(&text(field, value)?).ok_or_else(|| {
            Problem::invalid_field(field, "This must be a time of RFC 3339 such as 2027-01-31T00:00:00Z.")
        })
    })
}

fn text_of(field: &'static str, value: Value) -> Result<String, Problem> {
    text(field, value)
}

fn events(field: &'static str, value: Value) -> Result<EventSelection, Problem> {
    let items = match value {
        Value::Array(items) => items,
        other => return Err(wrong_type(field, "a list of types of events", &other)),
    };
    if items.len() > limits::EVENTS_PER_ENDPOINT {
        let detail = format!("A list has at most {} types of events.", limits::EVENTS_PER_ENDPOINT);
        return Err(Problem::invalid_field(field, detail));
    }
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let place = format!("{field}[{index}]");
        let typed = text(&place, item)?;
        if EventSelection::parse([typed.as_str()]).is_err() {
            let detail = "This must be a type of event such as license.created, or * for all.";
            return Err(Problem::invalid_field(place, detail));
        }
        texts.push(typed);
    }
    EventSelection::parse(texts.iter().map(String::as_str))
        .map_err(|_| Problem::invalid_field(field, "A list names at least one type of event, or * for all."))
}

fn description(field: &'static str, value: Value) -> Result<Option<String>, Problem> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        other => Err(wrong_type(field, "a string, or null", &other)),
    }
}

fn boolean(field: &'static str, value: Value) -> Result<bool, Problem> {
    match value {
        Value::Bool(value) => Ok(value),
        other => Err(wrong_type(field, "true or false", &other)),
    }
}
