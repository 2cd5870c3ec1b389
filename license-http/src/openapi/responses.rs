//! Schemas of responses: derived from the Rust types, completed with what the types do not say.

use license_core::access::Scope;
use license_core::event::EventType;
use license_core::license::ActivationKind;
use license_core::license::Status;
use license_core::limits;
use license_core::usage::UsageGroup;
use license_core::validation::DenialCode;
use license_core::webhook::DeliveryStatus;
use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, AllOfBuilder, AnyOfBuilder};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};

use super::derived::{DerivedSchema, NamedSchema};
use super::schema::{
    activation_id, array, boolean, constant, count, email, event_id, id, matching, named, nullable, object,
    one_of, open_object, selectable_events, string, text, time, whole,
};
use crate::problem::{ProblemJson, Refusal};
use crate::routes::activations::ActivationJson;
use crate::routes::audit::{ActorJson, AuditJson};
use crate::routes::customers::{Anonymised, CustomerEventJson};
use crate::routes::deactivate::{NotReleased, Released};
use crate::routes::deliveries::{AttemptJson, DeliveryJson};
use crate::routes::events::EventJson;
use crate::routes::health::{HealthJson, Readiness};
use crate::routes::tokens::TokenJson;
use crate::routes::usage::json::{
    BreakdownJson, LicenseUsageJson, OverviewJson, PlanUsageJson, PointJson, RollupJson, ShareJson,
    UsageJson, ValidationJson,
};
use crate::routes::validate::{
    DENIALS, Denied, NotFound, SlotsJson, SlotsUsed, ValidAnswer, ValidLicenseJson,
};
use crate::routes::webhook_endpoints::{Deleted, EndpointJson, ReplayJson};

/// Denials of a release by a customer.
const NOT_RELEASED: [DenialCode; 5] = [
    DenialCode::LicenseRevoked,
    DenialCode::LicenseSuspended,
    DenialCode::ReleaseNotAllowed,
    DenialCode::DomainRegistered,
    DenialCode::ActivationNotFound,
];

/// Returns all schemas by name.
pub(super) fn schemas() -> Vec<NamedSchema> {
    let mut schemas = vec![
        ("License".to_owned(), license().into()),
        ("LicenseAnswer".to_owned(), answer("License")),
        ("UsageAnswer".to_owned(), answer("Usage")),
        ("Validated".to_owned(), either("The verdict; `valid` tells which one.", ["Valid", "Denied"])),
        (
            "Deactivated".to_owned(),
            either("The result; `released` tells which one.", ["Released", "NotReleased"]),
        ),
        ("Export".to_owned(), export().into()),
    ];
    let derived =
        server().into_iter().chain(validation()).chain(licenses()).chain(access()).chain(webhooks());
    schemas.extend(derived.map(DerivedSchema::build));
    for (name, items) in [("LicensePage", "License"), ("ActivationPage", "Activation")] {
        schemas.push((name.to_owned(), page(items).property(AS_OF, as_of()).required(AS_OF).into()));
    }
    for (name, items) in [
        ("EventPage", "Event"),
        ("TokenPage", "Token"),
        ("AuditPage", "AuditEntry"),
        ("WebhookEndpointPage", "WebhookEndpoint"),
        ("DeliveryPage", "Delivery"),
    ] {
        schemas.push((name.to_owned(), page(items).into()));
    }
    schemas
}

/// Returns schemas of errors, health and readiness.
fn server() -> Vec<DerivedSchema> {
    vec![
        DerivedSchema::of::<ProblemJson<'_>>()
            .optional("field")
            .rule("type", one_of(["about:blank"]))
            .rule("status", whole(400, 599))
            .extra(
                "valid",
                constant(false).description(Some("Sent only if no connection is free, which happens before the path is known.")),
            )
            .example(json!({
                "type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is no such license.",
                "code": "LICENSE_NOT_FOUND", "error": "LICENSE_NOT_FOUND"
            })),
        DerivedSchema::of::<Refusal<'_>>()
            .optional("suggestion")
            .optional("field")
            .rule("valid", constant(false))
            .example(json!({
                "valid": false, "error": "LICENSE_KEY_MALFORMED",
                "message": "The license key is mistyped: its check symbols do not fit.", "field": "key"
            })),
        DerivedSchema::of::<HealthJson>().rule("status", one_of(["ok"])),
        DerivedSchema::of::<Readiness>()
            .rule("status", one_of(["ready"]))
            .rule("change_feed", one_of(["listening", "lost"])),
    ]
}

/// Returns schemas of validations and deactivations.
fn validation() -> Vec<DerivedSchema> {
    vec![
        DerivedSchema::of::<ValidAnswer<'_>>().rule("valid", constant(true)),
        DerivedSchema::of::<ValidLicenseJson<'_>>().rule("features", features()),
        DerivedSchema::of::<SlotsUsed>(),
        DerivedSchema::of::<SlotsJson>()
            .rule("limit", nullable(whole(0, limits::MAX_SLOTS)))
            .example(json!({ "used": 2, "limit": 3 })),
        DerivedSchema::of::<Released>().rule("released", constant(true)),
        DerivedSchema::of::<NotReleased>()
            .rule("released", constant(false))
            .rule("error", one_of(NOT_RELEASED.map(DenialCode::as_str)))
            .example(json!({
                "released": false, "error": "ACTIVATION_NOT_FOUND", "message": "The license has no such activation."
            })),
        DerivedSchema::of::<NotFound>()
            .rule("valid", constant(false))
            .rule("error", one_of(["LICENSE_NOT_FOUND"])),
        DerivedSchema::of::<Denied>()
            .rule("valid", constant(false))
            .rule("error", one_of(DENIALS.map(DenialCode::as_str)))
            .example(json!({
                "valid": false, "error": "DOMAIN_LIMIT_REACHED", "message": "3 of 3 domains are in use."
            })),
    ]
}

/// Returns schemas of activations, usage and events.
fn licenses() -> Vec<DerivedSchema> {
    vec![
        DerivedSchema::of::<ActivationJson<'_>>()
            .rule("id", activation_id())
            .rule(
                "kind",
                one_of([ActivationKind::Domain, ActivationKind::Device].map(ActivationKind::as_str)),
            )
            .example(json!({
                "id": "act_1", "kind": "device", "name": "machine-1", "label": "Build server",
                "created_at": "2026-01-01T00:00:00Z", "first_seen_at": "2026-01-01T00:00:00Z",
                "last_seen_at": "2026-01-31T08:30:00Z", "validations": 61, "country": "DE"
            }))
            .rule("country", nullable(matching("^[A-Z]{2}$"))),
        DerivedSchema::of::<UsageJson<'_>>().rule("by_outcome", by_outcome()).extra(AS_OF, as_of()),
        DerivedSchema::of::<PointJson>().rule("by_outcome", by_outcome()),
        DerivedSchema::of::<BreakdownJson<'_>>()
            .rule("by", one_of(UsageGroup::ALL.iter().map(|group| group.as_str()))),
        DerivedSchema::of::<ShareJson<'_>>(),
        DerivedSchema::of::<RollupJson<'_>>().rule("outcome", outcome()),
        DerivedSchema::of::<OverviewJson<'_>>().extra(AS_OF, as_of()).required(AS_OF),
        DerivedSchema::of::<LicenseUsageJson<'_>>().rule("license_id", id("lic")),
        DerivedSchema::of::<PlanUsageJson<'_>>(),
        DerivedSchema::of::<ValidationJson<'_>>()
            .optional("license_id")
            .rule("license_id", id("lic"))
            .rule("outcome", outcome())
            .rule("country", nullable(matching("^[A-Z]{2}$"))),
        DerivedSchema::of::<EventJson<'_>>()
            .rule("id", event_id())
            .rule("type", types())
            .rule("license_id", nullable(id("lic")))
            .rule("data", open_object()),
        DerivedSchema::of::<CustomerEventJson<'_>>().rule("type", types()).rule("data", open_object()),
        DerivedSchema::of::<Anonymised<'_>>()
            .example(json!({ "customer_email": "anonymous-0a1b@customer.invalid", "licenses": 2 })),
    ]
}

/// Returns schemas of tokens and the audit.
fn access() -> Vec<DerivedSchema> {
    vec![
        DerivedSchema::of::<TokenJson<'_>>()
            .optional("token")
            .rule("id", id("tok"))
            .rule("name", text(limits::TOKEN_NAME_BYTES))
            .rule("scopes", array(one_of(Scope::ALL.map(Scope::as_str))))
            .rule("status", one_of(["active", "expired", "revoked"]))
            .rule("token", matching("^lkt_"))
            .example(json!({
                "id": "tok_01kdvs0000aaaaaaaaaaaaaaaa", "name": "checkout", "scopes": ["licenses:write"],
                "status": "active", "created_at": "2026-01-01T00:00:00Z", "last_used_at": null,
                "expires_at": null, "revoked_at": null
            })),
        DerivedSchema::of::<AuditJson<'_>>()
            .rule("license_id", nullable(id("lic")))
            .rule("token_id", nullable(id("tok")))
            .rule("changes", open_object()),
        DerivedSchema::of::<ActorJson<'_>>()
            .rule("kind", one_of(["token", "customer", "system", "command_line", "named"]))
            .rule("token_id", nullable(id("tok"))),
    ]
}

/// Returns schemas of endpoints and deliveries.
fn webhooks() -> Vec<DerivedSchema> {
    vec![
        DerivedSchema::of::<EndpointJson<'_>>()
            .optional("secret")
            .rule("id", id("whe"))
            .rule("events", selectable_events())
            .rule("disabled_reason", nullable(one_of(["admin", "gone", "failing"])))
            .rule("secret", matching("^whsec_")),
        DerivedSchema::of::<Deleted<'_>>().rule("id", id("whe")).rule("deleted", constant(true)),
        DerivedSchema::of::<ReplayJson>(),
        DerivedSchema::of::<DeliveryJson<'_>>()
            .rule("id", event_id())
            .rule("type", types())
            .rule("status", one_of(DeliveryStatus::ALL.map(DeliveryStatus::as_str))),
        DerivedSchema::of::<AttemptJson<'_>>(),
    ]
}

fn by_outcome() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(outcome()))
        .additional_properties(Some(whole(0, u32::MAX)))
}

fn outcome() -> ObjectBuilder {
    one_of(["VALID"].into_iter().chain(DENIALS.map(DenialCode::as_str)))
}

fn types() -> ObjectBuilder {
    one_of(EventType::ALL.iter().map(|kind| kind.as_str()))
}

fn features() -> ObjectBuilder {
    let value = AnyOfBuilder::new()
        .item(boolean())
        .item(ObjectBuilder::new().schema_type(Type::Integer))
        .item(string())
        .build();
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::AnyOf(value)))))
}

/// Returns the schema of an answer with two forms.
fn either(description: &str, [first, second]: [&str; 2]) -> RefOr<Schema> {
    OneOfBuilder::new().description(Some(description)).item(named(first)).item(named(second)).into()
}

/// Field of an answer with counters.
const AS_OF: &str = "as_of";

fn as_of() -> ObjectBuilder {
    time().description(Some(
        "All validations answered before this time are counted. On a quiet system this is the time of the request; under heavy \
         load it is some seconds earlier.",
    ))
}

/// Returns the schema of one item as a whole answer. Only there it has `as_of`.
fn answer(item: &str) -> RefOr<Schema> {
    AllOfBuilder::new().item(named(item)).item(ObjectBuilder::new().required(AS_OF)).into()
}

fn page(items: &str) -> ObjectBuilder {
    let data = array(named(items)).description(Some("The items of this page."));
    let cursor = nullable(string()).description(Some("Cursor of the next page; null on the last page."));
    object::<RefOr<Schema>>([("data", data.into()), ("next_cursor", cursor.into())], &[])
}

/// Returns the schema of a license, with the fields in the order of the core.
fn license() -> ObjectBuilder {
    let about =
        |schema: ObjectBuilder, about: &str| -> RefOr<Schema> { schema.description(Some(about)).into() };
    let slots = |of: &str| {
        about(nullable(whole(0, limits::MAX_SLOTS)), &format!("Slots for {of}; null if unlimited."))
    };
    let values = |about: &str| -> RefOr<Schema> { array(string()).description(Some(about)).into() };
    let number = |of: &str| about(count(), of);
    object(
        [
            ("id", about(id("lic"), "Id of the license.")),
            ("key", about(string(), "License key for the customer.")),
            ("status", about(one_of(Status::ALL.map(Status::as_str)), "Status now; `expired` depends on the time.")),
            ("plan", about(text(limits::PLAN_NAME_BYTES), "Name of the plan.")),
            ("customer_email", about(email(limits::EMAIL_BYTES), "E-mail address of the customer.")),
            ("max_domains", slots("domains")),
            ("domains", values("Domains that hold slots, oldest first; at most 1000 are listed.")),
            ("max_devices", slots("devices")),
            ("devices", values("Fingerprints of the devices that hold slots, oldest first; at most 1000 are listed.")),
            ("created_at", about(time(), "When it was issued.")),
            ("expires_at", about(nullable(time()), "When it expires; null if never.")),
            ("last_validated_at", about(nullable(time()), "Last valid answer; null if there is none.")),
            ("validation_count", number("Number of valid answers.")),
            ("metadata", about(open_object(), "Your own data.")),
            ("domains_used", number("Domain slots in use.")),
            ("devices_used", number("Device slots in use.")),
            ("activated_at", about(nullable(time()), "First valid answer; null if there is none.")),
            ("version", number("Grows with every change; same as the ETag.")),
            (AS_OF, as_of().into()),
        ],
        &[AS_OF],
    )
    .examples([json!({
        "id": "lic_01kdvs0000aaaaaaaaaaaaaaaa", "key": "TO-7V3K-M9XQ-2B4D-8HNP", "status": "active",
        "plan": "professional", "customer_email": "dev@example.com", "max_domains": 3,
        "domains": ["example.com"], "max_devices": 5, "devices": [], "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2027-01-01T00:00:00Z", "last_validated_at": null, "validation_count": 0,
        "metadata": { "order": "A-1001" }, "domains_used": 1, "devices_used": 0, "activated_at": null, "version": 1,
        "as_of": "2026-01-01T00:00:00Z"
    })])
}

fn export() -> ObjectBuilder {
    let license = object::<RefOr<Schema>>(
        [
            ("license", named("License")),
            ("activations", array(named("Activation")).into()),
            ("events", array(named("LicenseEvent")).into()),
            ("validations", array(named("Validation")).into()),
            ("usage", array(named("Rollup")).into()),
        ],
        &[],
    );
    object::<RefOr<Schema>>([("customer_email", string().into()), ("licenses", array(license).into())], &[])
        .description(Some("All data of a customer."))
}
