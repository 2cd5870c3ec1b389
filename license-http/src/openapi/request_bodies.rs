//! Schemas of request bodies, with the limits that are enforced.

use license_core::access::Scope;
use license_core::bulk::BulkAction;
use license_core::domain::MAX_TYPED_LEN;
use license_core::limits;
use serde_json::{Map, Value, json};

use super::schema::{
    about, array, email, id, nullable, one_of, open_object, selectable_events, string, text, time, whole,
    with,
};
use crate::routes::licenses::{CHANGE_FIELDS, SPEC_FIELDS};

const KEY: &str = "TO-7V3K-M9XQ-2B4D-8HNP";

/// No control characters, and at least one character that is not a space.
const PRINTABLE: &str = r"^\s*[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?\s*$";
/// The same, without spaces around.
const TRIMMED: &str =
    r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";

pub(super) fn schemas() -> Map<String, Value> {
    let Value::Object(mut schemas) = json!({
        "NewLicense": license(&SPEC_FIELDS, &["plan", "customer_email"], json!({
            "plan": "professional", "customer_email": "dev@example.com", "domains": ["example.com"],
            "metadata": { "order": "A-1001" },
        })),
        "LicensePatch": license(&CHANGE_FIELDS, &[], json!({
            "max_domains": 5, "expires_at": "2030-01-31T00:00:00Z",
        })),
        "ValidateRequest": {
            "properties": {
                "key": about(string(),
                    "License key, in any case, with or without hyphens. Quotes, punctuation and a label around it are ignored."),
                "domain": about(printable(MAX_TYPED_LEN), "Domain that the software serves."),
                "fingerprint": about(printable(limits::FINGERPRINT_BYTES),
                    "Unique id of the device. Surrounding spaces are removed."),
                "client": about(nullable(string()),
                    "Client software as `name` or `name/version`. Any text is accepted: white space is cleaned, and text \
                     past 128 bytes is cut off."),
            },
            "required": ["key"],
            "examples": [{ "key": KEY, "domain": "example.com" }],
        },
        "DeactivateRequest": {
            "properties": {
                "key": about(string(), "License key, as for a validation."),
                "domain": about(printable(MAX_TYPED_LEN), "Domain whose slot is released."),
                "fingerprint": about(printable(limits::FINGERPRINT_BYTES), "Device whose slot is released."),
            },
            "required": ["key"],
            "examples": [{ "key": KEY, "fingerprint": "old-laptop" }],
        },
        "NewJob": {
            "properties": {
                "action": about(one_of(BulkAction::NAMES), "Action on each license."),
                "plan": about(nullable(text(limits::PLAN_NAME_BYTES)), "New plan, for `move_plan` only."),
                "ids": about(
                    with(nonempty(array(id("lic"))), "maxItems", limits::BULK_JOB_IDS),
                    "Ids of the licenses. An id that occurs twice gets the action once.",
                ),
                "dry_run": { "type": "boolean", "description": "Whether to show the licenses only; false by default." },
            },
            "required": ["action", "ids"],
            "examples": [{ "action": "suspend", "ids": ["lic_01kdvs0000aaaaaaaaaaaaaaaa"] }],
        },
        "ActivationLabel": {
            "properties": {
                "label": about(printable(limits::LABEL_BYTES),
                    "Label; null removes it. Surrounding spaces are removed."),
            },
            "required": ["label"],
            "examples": [{ "label": "Build server" }],
        },
        "NewToken": {
            "properties": {
                "name": about(pattern(limits::TOKEN_NAME_BYTES, TRIMMED),
                    "What the token is for. No control characters and no surrounding spaces."),
                "scopes": about(nonempty(array(one_of(Scope::ALL.map(Scope::as_str)))),
                    "Scopes of the token, all of which the caller must have."),
                "expires_at": about(nullable(time()), "When the token expires, in the future; null if never."),
            },
            "required": ["name", "scopes"],
            "examples": [{ "name": "checkout", "scopes": ["licenses:write"] }],
        },
        "WebhookEndpointSettings": {
            "properties": {
                "url": about(pattern(limits::ENDPOINT_URL_BYTES, "^https?://"),
                    "URL of the receiver: https on the public internet, unless the server allows others."),
                "events": about(nonempty(selectable_events()),
                    "Event types that the endpoint receives; * for all. At most 64."),
                "description": {
                    "type": ["string", "null"], "maxLength": limits::ENDPOINT_DESCRIPTION_BYTES,
                    "description": "Note for people.",
                },
                "enabled": { "type": "boolean", "description": "Whether events are delivered; true by default." },
            },
            "required": ["url", "events"],
            "examples": [{ "url": "https://hooks.example.com/licenses", "events": ["license.created"] }],
        },
        "ReplayRequest": {
            "properties": { "since": about(time(), "Replays events at or after this time.") },
            "required": ["since"],
            "examples": [{ "since": "2026-01-01T00:00:00Z" }],
        },
        "Nothing": { "examples": [{}] },
    }) else {
        return Map::new();
    };
    for schema in schemas.values_mut() {
        schema["type"] = "object".into();
        schema["additionalProperties"] = false.into();
    }
    schemas
}

fn nonempty(list: Value) -> Value {
    with(list, "minItems", 1)
}

fn pattern(max: usize, pattern: &str) -> Value {
    with(text(max), "pattern", pattern)
}

fn printable(max: usize) -> Value {
    nullable(pattern(max, PRINTABLE))
}

fn license(names: &[&str], required: &[&str], example: Value) -> Value {
    let properties: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), license_field(name))).collect();
    json!({ "properties": properties, "required": required, "examples": [example] })
}

fn license_field(name: &str) -> Value {
    let slots = |of| {
        let description = format!("Maximum number of {of}, instead of the plan's; null if unlimited.");
        about(nullable(whole(0, limits::MAX_SLOTS)), &description)
    };
    match name {
        "plan" => about(
            pattern(limits::PLAN_NAME_BYTES, r"^[^\u0000-\u001f\u007f-\u009f]+$"),
            "Name of a plan, which sets term, limits and features.",
        ),
        "customer_email" => about(email(), "E-mail address of the customer."),
        "max_domains" => slots("domains"),
        "max_devices" => slots("devices"),
        "domains" => about(
            with(array(pattern(MAX_TYPED_LEN, PRINTABLE)), "maxItems", limits::DOMAINS_PER_REQUEST),
            "All registered domains, which replace the current ones: host names, or *.example.com for all subdomains.",
        ),
        "expires_at" => {
            about(nullable(time()), "When the license expires, instead of the plan's term; null if never.")
        }
        "metadata" => about(
            with(open_object(), "maxProperties", limits::METADATA_KEYS),
            "Your own data: at most 8 KiB of JSON, 8 levels deep, without whole numbers of more than 64 bits. A change is \
             merged into the current data (RFC 7396): null removes a member.",
        ),
        "status" => about(one_of(["active", "suspended", "revoked"]), "New status. Revocation is permanent."),
        // A test checks that all names are known.
        _ => json!({}),
    }
}
