//! The schemas of what callers send, with the limits that are checked.

use license_core::domain::MAX_TYPED_LEN;
use license_core::limits;
use license_core::token::Scope;
use serde_json::{Value, json};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema};

use super::answers::selectable;
use super::schema::{
    array, boolean, email, nullable, object, one_of, open_object, string, text, time, whole,
};
use crate::wire::requests;

/// No control characters, and more than spaces.
const PRINTED: &str = r"^\s*[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?\s*$";

pub(super) fn schemas() -> Vec<(&'static str, RefOr<Schema>)> {
    let license = |names: &'static [&'static str], required: &[&str], example: Value| -> RefOr<Schema> {
        let optional: Vec<_> = names.iter().copied().filter(|name| !required.contains(name)).collect();
        object(names.iter().map(|name| (*name, license_field(name))), &optional).examples([example]).into()
    };
    vec![
        (
            "NewLicense",
            license(
                &requests::SPEC_FIELDS,
                &["plan", "customer_email"],
                json!({
                    "plan": "professional", "customer_email": "dev@example.com", "domains": ["example.com"],
                    "metadata": { "order": "A-1001" }
                }),
            ),
        ),
        (
            "LicenseChange",
            license(
                &requests::CHANGE_FIELDS,
                &[],
                json!({ "max_domains": 5, "expires_at": "2030-01-31T00:00:00Z" }),
            ),
        ),
        (
            "ValidateRequest",
            validate().examples([json!({ "key": "TO-7V3K-M9XQ-2B4D-8HNP", "domain": "example.com" })]).into(),
        ),
        (
            "DeactivateRequest",
            deactivate()
                .examples([json!({ "key": "TO-7V3K-M9XQ-2B4D-8HNP", "fingerprint": "old-laptop" })])
                .into(),
        ),
        (
            "ActivationLabel",
            object(
                [(
                    "label",
                    nullable(text(limits::LABEL_BYTES).pattern(Some(PRINTED)))
                        .description(Some("What to call it, without the spaces around it; null: nothing.")),
                )],
                &[],
            )
            .examples([json!({ "label": "Build server" })])
            .into(),
        ),
        ("NewToken", token().examples([json!({ "name": "checkout", "scopes": ["licenses:write"] })]).into()),
        (
            "WebhookEndpointSettings",
            endpoint()
                .examples([
                    json!({ "url": "https://hooks.example.com/licenses", "events": ["license.created"] }),
                ])
                .into(),
        ),
        (
            "ReplayRequest",
            object([("since", time().description(Some("The events from then on.")))], &[])
                .examples([json!({ "since": "2026-01-01T00:00:00Z" })])
                .into(),
        ),
        ("Nothing", object::<RefOr<Schema>>([], &[]).examples([json!({})]).into()),
    ]
}

/// As [`Client`](license_core::client::Client) reads it.
const CLIENT: &str = r"^\s*[!-.0-~]([ -.0-~]*)(/ *[!-.0-~]([ -.0-~]*))?\s*$";

fn validate() -> ObjectBuilder {
    object::<RefOr<Schema>>(
        [
            (
                "key",
                string().description(Some("The license key, in any case, with or without hyphens.")).into(),
            ),
            (
                "domain",
                nullable(text(MAX_TYPED_LEN).pattern(Some(PRINTED)))
                    .description(Some("The domain that the software serves."))
                    .into(),
            ),
            (
                "fingerprint",
                nullable(text(limits::FINGERPRINT_BYTES).pattern(Some(PRINTED)))
                    .description(Some("What tells this device from others, without the spaces around it."))
                    .into(),
            ),
            (
                "client",
                nullable(text(limits::CLIENT_BYTES).pattern(Some(CLIENT)))
                    .description(Some("The software that asks: a name, or a name, a slash and a version."))
                    .into(),
            ),
        ],
        &["domain", "fingerprint", "client"],
    )
}

fn deactivate() -> ObjectBuilder {
    let said = |most, of: &str| nullable(text(most).pattern(Some(PRINTED))).description(Some(of));
    object::<RefOr<Schema>>(
        [
            ("key", string().description(Some("The license key, as for a validation.")).into()),
            ("domain", said(MAX_TYPED_LEN, "The domain that gives its slot up.").into()),
            ("fingerprint", said(limits::FINGERPRINT_BYTES, "The device that gives its slot up.").into()),
        ],
        &["domain", "fingerprint"],
    )
}

fn token() -> ObjectBuilder {
    object::<RefOr<Schema>>(
        [
            (
                "name",
                text(limits::TOKEN_NAME_BYTES)
                    .pattern(Some(r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"))
                    .description(Some("What it is for. No control characters, and no spaces around it."))
                    .into(),
            ),
            ("scopes", filled(array(one_of(Scope::ALL.map(Scope::as_str))), "What it may do: at most what you may.")),
            ("expires_at", nullable(time()).description(Some("When it ends; null: never. Not in the past.")).into()),
        ],
        &["expires_at"],
    )
}

fn endpoint() -> ObjectBuilder {
    object::<RefOr<Schema>>(
        [
            (
                "url",
                text(limits::ENDPOINT_URL_BYTES)
.pattern(Some("^https?://"))
                    .description(Some("Where webhooks go: https, and of the public internet unless the server allows others."))
                    .into(),
            ),
            (
                "events",
                filled(
                    array(one_of(["*"].into_iter().chain(selectable()))),
                    "The types of events it gets; * for all. At most 64.",
                ),
            ),
            (
                "description",
                nullable(string().max_length(Some(limits::ENDPOINT_DESCRIPTION_BYTES)))
                    .description(Some("A note for people."))
                    .into(),
            ),
            ("enabled", boolean().description(Some("Whether anything is delivered to it; true where it is left out.")).into()),
        ],
        &["description", "enabled"],
    )
}

/// A list with at least one item.
fn filled(list: ArrayBuilder, description: &str) -> RefOr<Schema> {
    list.min_items(Some(1)).description(Some(description)).into()
}

fn license_field(name: &str) -> RefOr<Schema> {
    let about =
        |schema: ObjectBuilder, about: &str| -> RefOr<Schema> { schema.description(Some(about)).into() };
    match name {
        "plan" => about(
            text(limits::PLAN_NAME_BYTES).pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$")),
            "The name of a plan of the catalog: it gives term, limits and features.",
        ),
        "customer_email" => about(email(limits::EMAIL_BYTES), "Whose it is."),
        "max_domains" => about(nullable(whole(0, limits::MAX_SLOTS)), "Slots for domains instead of the plan's; null: no limit."),
        "max_devices" => about(nullable(whole(0, limits::MAX_SLOTS)), "Slots for devices instead of the plan's; null: no limit."),
        "domains" => array(text(MAX_TYPED_LEN).pattern(Some(PRINTED)))
            .max_items(Some(limits::DOMAINS_PER_REQUEST))
            .description(Some(
                "The domains that are registered, and no others: host names, in any notation; *.example.com for all below it.",
            ))
            .into(),
        "expires_at" => about(nullable(time()), "When its term ends instead of the plan's; null: never."),
        "metadata" => about(
            open_object().max_properties(Some(limits::METADATA_KEYS)),
            "Whatever you want to note: at most 8 KiB of JSON, 8 levels deep.",
        ),
        "status" => about(one_of(["active", "suspended", "revoked"]), "What it is to be. Revoked is final."),
        // A test sees to it that there is none.
        _ => RefOr::T(Schema::default()),
    }
}
