//! Small schemas.

use license_core::event::EventType;
use license_core::limits;
use serde_json::{Value, json};

pub(super) fn string() -> Value {
    json!({ "type": "string" })
}

/// A string of 1 to `max` characters. If the limit is in bytes, a shorter non-ASCII string can exceed it.
pub(super) fn text(max: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": max })
}

pub(super) fn matching(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// An id with this prefix.
pub(super) fn id(prefix: &str) -> Value {
    matching(&format!("^{prefix}_[0-9a-z]{{1,40}}$"))
}

pub(super) fn activation_id() -> Value {
    matching("^act_[0-9a-z_]{1,68}$")
}

pub(super) fn event_id() -> Value {
    matching("^evt_(whe_)?[0-9a-z]{1,40}_[0-9]{10,19}$")
}

pub(super) fn event_type() -> Value {
    one_of(EventType::ALL.iter().map(|kind| kind.as_str()))
}

/// The event types that an endpoint may select.
pub(super) fn selectable_events() -> Value {
    // A test event is delivered without being selected.
    let types = EventType::ALL.iter().filter(|kind| **kind != EventType::EndpointTest);
    array(one_of(["*"].into_iter().chain(types.map(|kind| kind.as_str()))))
}

/// The value of a feature.
pub(super) fn feature_value() -> Value {
    let value = json!({ "type": ["boolean", "integer", "string"], "maxLength": limits::FEATURE_TEXT_BYTES });
    about(value, "Value of the feature. A feature that is false or 0 is off.")
}

/// A JWS in compact form.
pub(super) fn token() -> Value {
    matching(r"^[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]{86}$")
}

pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

pub(super) fn email() -> Value {
    with(text(limits::EMAIL_BYTES), "format", "email")
}

pub(super) fn whole(min: u32, max: u32) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

/// A whole number of at least 0.
pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// A boolean that always has this value.
pub(super) fn constant(value: bool) -> Value {
    json!({ "type": "boolean", "enum": [value] })
}

pub(super) fn one_of(values: impl IntoIterator<Item = &'static str>) -> Value {
    json!({ "type": "string", "enum": values.into_iter().collect::<Vec<_>>() })
}

pub(super) fn array(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

pub(super) fn nullable(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    schema
}

/// An object with exactly these fields. Those that are not optional are required.
pub(super) fn object(fields: impl IntoIterator<Item = (&'static str, Value)>, optional: &[&str]) -> Value {
    let fields: Vec<_> = fields.into_iter().collect();
    let required: Vec<_> =
        fields.iter().map(|(name, _)| *name).filter(|name| !optional.contains(name)).collect();
    let mut object = json!({ "type": "object", "additionalProperties": false, "required": required });
    for (name, schema) in fields {
        object["properties"][name] = schema;
    }
    object
}

pub(super) fn open_object() -> Value {
    json!({ "type": "object", "additionalProperties": true })
}

pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Adds a keyword to a schema.
pub(super) fn with(mut schema: Value, keyword: &str, value: impl Into<Value>) -> Value {
    schema[keyword] = value.into();
    schema
}

pub(super) fn about(schema: Value, description: &str) -> Value {
    with(schema, "description", description)
}
