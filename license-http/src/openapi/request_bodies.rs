//! Schemas of request bodies, with the limits that are enforced.

use license_core::access::Scope;
use license_core::domain::MAX_TYPED_LEN;
use license_core::limits;
use serde_json::{Value, json};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema};

use super::derived::NamedSchema;
use super::schema::{
    array, boolean, email, nullable, object, one_of, open_object, selectable_events, string, text, time,
    whole,
};
use crate::extract::license_body;

/// No control characters, and at least one character that is not a space.
const PRINTABLE: &str = r"^\s*[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?\s*$";
/// The same, without spaces around.
const TRIMMED: &str =
    r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";
/// Syntax of a [`Client`](license_core::usage::Client).
const CLIENT: &str = r"^\s*[!-.0-~]([ -.0-~]*)(/ *[!-.0-~]([ -.0-~]*))?\s*$";

type Field = (&'static str, RefOr<Schema>);

pub(super) fn schemas() -> Vec<NamedSchema> {
    let license = |names: &'static [&'static str], required: &[&str]| {
        let optional: Vec<_> = names.iter().copied().filter(|name| !required.contains(name)).collect();
        object(names.iter().map(|name| (*name, license_field(name))), &optional)
    };
    let key = "TO-7V3K-M9XQ-2B4D-8HNP";
    let named = |name: &str, schema: ObjectBuilder, example: Value| {
        (name.to_owned(), schema.examples([example]).into())
    };
    vec![
        named(
            "NewLicense",
            license(&license_body::SPEC_FIELDS, &["plan", "customer_email"]),
            json!({
                "plan": "professional", "customer_email": "dev@example.com", "domains": ["example.com"],
                "metadata": { "order": "A-1001" }
            }),
        ),
        named(
            "LicensePatch",
            license(&license_body::CHANGE_FIELDS, &[]),
            json!({ "max_domains": 5, "expires_at": "2030-01-31T00:00:00Z" }),
        ),
        named("ValidateRequest", validate(), json!({ "key": key, "domain": "example.com" })),
        named("DeactivateRequest", deactivate(), json!({ "key": key, "fingerprint": "old-laptop" })),
        named("ActivationLabel", object([label()], &[]), json!({ "label": "Build server" })),
        named("NewToken", token(), json!({ "name": "checkout", "scopes": ["licenses:write"] })),
        named(
            "WebhookEndpointSettings",
            endpoint(),
            json!({ "url": "https://hooks.example.com/licenses", "events": ["license.created"] }),
        ),
        named(
            "ReplayRequest",
            object([field("since", time(), "Replays events at or after this time.")], &[]),
            json!({ "since": "2026-01-01T00:00:00Z" }),
        ),
        named("Nothing", object::<RefOr<Schema>>([], &[]), json!({})),
    ]
}

fn field(name: &'static str, schema: ObjectBuilder, description: &str) -> Field {
    (name, schema.description(Some(description)).into())
}

/// A list with at least one item.
fn nonempty(name: &'static str, list: ArrayBuilder, description: &str) -> Field {
    (name, list.min_items(Some(1)).description(Some(description)).into())
}

fn printable(max: usize) -> ObjectBuilder {
    nullable(text(max).pattern(Some(PRINTABLE)))
}

fn validate() -> ObjectBuilder {
    let client = nullable(text(limits::CLIENT_BYTES).pattern(Some(CLIENT)));
    object(
        [
            field("key", string(), "License key, in any case, with or without hyphens."),
            field("domain", printable(MAX_TYPED_LEN), "Domain that the software serves."),
            field(
                "fingerprint",
                printable(limits::FINGERPRINT_BYTES),
                "Unique id of the device. Surrounding spaces are removed.",
            ),
            field("client", client, "Client software as `name` or `name/version`."),
        ],
        &["domain", "fingerprint", "client"],
    )
}

fn deactivate() -> ObjectBuilder {
    object(
        [
            field("key", string(), "License key, as for a validation."),
            field("domain", printable(MAX_TYPED_LEN), "Domain whose slot is released."),
            field("fingerprint", printable(limits::FINGERPRINT_BYTES), "Device whose slot is released."),
        ],
        &["domain", "fingerprint"],
    )
}

fn label() -> Field {
    field("label", printable(limits::LABEL_BYTES), "Label; null removes it. Surrounding spaces are removed.")
}

fn token() -> ObjectBuilder {
    let name = text(limits::TOKEN_NAME_BYTES).pattern(Some(TRIMMED));
    let scopes = array(one_of(Scope::ALL.map(Scope::as_str)));
    object(
        [
            field("name", name, "What the token is for. No control characters and no surrounding spaces."),
            nonempty("scopes", scopes, "Scopes of the token, all of which the caller must have."),
            field("expires_at", nullable(time()), "When the token expires, in the future; null if never."),
        ],
        &["expires_at"],
    )
}

fn endpoint() -> ObjectBuilder {
    let url = text(limits::ENDPOINT_URL_BYTES).pattern(Some("^https?://"));
    let description = nullable(string().max_length(Some(limits::ENDPOINT_DESCRIPTION_BYTES)));
    object(
        [
            field(
                "url",
                url,
                "URL of the receiver: https on the public internet, unless the server allows others.",
            ),
            nonempty(
                "events",
                selectable_events(),
                "Event types that the endpoint receives; * for all. At most 64.",
            ),
            field("description", description, "Note for people."),
            field("enabled", boolean(), "Whether events are delivered; true by default."),
        ],
        &["description", "enabled"],
    )
}

fn license_field(name: &str) -> RefOr<Schema> {
    let about =
        |schema: ObjectBuilder, about: &str| -> RefOr<Schema> { schema.description(Some(about)).into() };
    let slots = |of: &str| {
        let description = format!("Maximum number of {of}, instead of the plan's; null if unlimited.");
        about(nullable(whole(0, limits::MAX_SLOTS)), &description)
    };
    match name {
        "plan" => about(
            text(limits::PLAN_NAME_BYTES).pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$")),
            "Name of a plan, which sets term, limits and features.",
        ),
        "customer_email" => about(email(limits::EMAIL_BYTES), "E-mail address of the customer."),
        "max_domains" => slots("domains"),
        "max_devices" => slots("devices"),
        "domains" => array(text(MAX_TYPED_LEN).pattern(Some(PRINTABLE)))
            .max_items(Some(limits::DOMAINS_PER_REQUEST))
            .description(Some(
                "All registered domains, which replace the current ones: host names, or *.example.com for all subdomains.",
            ))
            .into(),
        "expires_at" => about(nullable(time()), "When the license expires, instead of the plan's term; null if never."),
        "metadata" => about(
            open_object().max_properties(Some(limits::METADATA_KEYS)),
            "Your own data: at most 8 KiB of JSON, 8 levels deep.",
        ),
        "status" => about(one_of(["active", "suspended", "revoked"]), "New status. Revocation is permanent."),
        // A test checks that all names are known.
        _ => RefOr::T(Schema::default()),
    }
}
