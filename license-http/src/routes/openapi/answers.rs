//! The schemas of what is answered: derived from what is written, with what Rust's types don't say.

use license_core::activation::ActivationKind;
use license_core::delivery::DeliveryStatus;
use license_core::event::EventType;
use license_core::license::Status;
use license_core::limits;
use license_core::token::Scope;
use license_core::usage::UsageGroup;
use license_core::verdict::DenialCode;
use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, AllOfBuilder, AnyOfBuilder};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::super::activations::ActivationJson;
use super::super::audit::{ActorJson, AuditJson};
use super::super::customers::{Anonymised, EventJson as LicenseEventJson};
use super::super::deactivate::{NotReleased, Released};
use super::super::deliveries::{AttemptJson, DeliveryJson};
use super::super::events::EventJson;
use super::super::health::{Health, Readiness};
use super::super::tokens::TokenJson;
use super::super::usage::json::{
    BreakdownJson, LicenseUsageJson, OverviewJson, PlanUsageJson, PointJson, RollupJson, ShareJson,
    UsageJson, ValidationJson,
};
use super::super::validate::{Denied, NotFound, SlotsJson, SlotsUsed, ValidAnswer, ValidLicense};
use super::super::webhook_endpoints::{Deleted, EndpointJson, ReplayJson};
use super::schema::{
    activation_id, array, boolean, closed, email, event_id, id, matching, named, nullable, object, one_of,
    open_object, string, text, time, whole,
};
use crate::problem::{ProblemJson, Refusal};

/// What a license may be denied a validation for.
pub(super) const VERDICTS: [DenialCode; 6] = [
    DenialCode::LicenseRevoked,
    DenialCode::LicenseSuspended,
    DenialCode::LicenseExpired,
    DenialCode::DomainLimitReached,
    DenialCode::DomainNotAllowed,
    DenialCode::DeviceLimitReached,
];

/// Why a slot may stay as it is that a customer wants to free.
const NOT_RELEASED: [DenialCode; 5] = [
    DenialCode::LicenseRevoked,
    DenialCode::LicenseSuspended,
    DenialCode::ReleaseNotAllowed,
    DenialCode::DomainRegistered,
    DenialCode::ActivationNotFound,
];

/// Every schema of an answer, by name.
pub(super) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![
        ("License".to_owned(), license().into()),
        ("LicenseAnswer".to_owned(), answer("License")),
        ("UsageAnswer".to_owned(), answer("Usage")),
        ("Validated".to_owned(), validated()),
        ("Deactivated".to_owned(), deactivated()),
        ("Export".to_owned(), export().into()),
        Shape::of::<ProblemJson<'_>>()
            .optional("field")
            .rule("type", one_of(["about:blank"]))
            .rule("status", whole(400, 599))
            .extra("valid", said(false, "Only where no connection is free: then the answer is the same for every call."))
            .example(json!({
                "type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is no such license.",
                "code": "LICENSE_NOT_FOUND", "error": "LICENSE_NOT_FOUND"
            }))
            .build(),
        Shape::of::<Refusal<'_>>()
            .optional("suggestion")
            .optional("field")
            .rule("valid", said(false, ""))
            .example(json!({
                "valid": false, "error": "LICENSE_KEY_MALFORMED",
                "message": "The license key has a typing error.", "field": "key"
            }))
            .build(),
        Shape::of::<Health>().rule("status", one_of(["ok"])).build(),
        Shape::of::<Readiness>()
            .rule("status", one_of(["ready"]))
            .rule("change_feed", one_of(["listening", "lost"]))
            .build(),
        Shape::of::<ValidAnswer<'_>>().rule("valid", said(true, "")).build(),
        Shape::of::<ValidLicense<'_>>().rule("features", features()).build(),
        Shape::of::<SlotsUsed>().build(),
        Shape::of::<SlotsJson>()
            .rule("limit", nullable(whole(0, limits::MAX_SLOTS)))
            .example(json!({ "used": 2, "limit": 3 }))
            .build(),
        Shape::of::<Released>().rule("released", said(true, "")).build(),
        Shape::of::<NotReleased>()
            .rule("released", said(false, ""))
            .rule("error", one_of(NOT_RELEASED.map(DenialCode::as_str)))
            .example(json!({
                "released": false, "error": "ACTIVATION_NOT_FOUND", "message": "The license has no such activation."
            }))
            .build(),
        Shape::of::<NotFound>()
            .rule("valid", said(false, ""))
            .rule("error", one_of(["LICENSE_NOT_FOUND"]))
            .build(),
        Shape::of::<Denied>()
            .rule("valid", said(false, ""))
            .rule("error", one_of(VERDICTS.map(DenialCode::as_str)))
            .example(json!({
                "valid": false, "error": "DOMAIN_LIMIT_REACHED", "message": "3 of 3 domains are in use."
            }))
            .build(),
    ];
    schemas.extend(licenses());
    schemas.extend(access());
    schemas.extend(webhooks());
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

/// What licenses are used for, and what happened to them.
fn licenses() -> Vec<(String, RefOr<Schema>)> {
    vec![
        Shape::of::<ActivationJson<'_>>()
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
            .rule("country", nullable(matching("^[A-Z]{2}$")))
            .build(),
        Shape::of::<UsageJson<'_>>().rule("by_outcome", by_outcome()).extra(AS_OF, as_of()).build(),
        Shape::of::<PointJson>().rule("by_outcome", by_outcome()).build(),
        Shape::of::<BreakdownJson<'_>>()
            .rule("by", one_of(UsageGroup::ALL.iter().map(|group| group.as_str())))
            .build(),
        Shape::of::<ShareJson<'_>>().build(),
        Shape::of::<RollupJson<'_>>().rule("outcome", outcome()).build(),
        Shape::of::<OverviewJson<'_>>().extra(AS_OF, as_of()).required(AS_OF).build(),
        Shape::of::<LicenseUsageJson<'_>>().rule("license_id", id("lic")).build(),
        Shape::of::<PlanUsageJson<'_>>().build(),
        Shape::of::<ValidationJson<'_>>()
            .optional("license_id")
            .rule("license_id", id("lic"))
            .rule("outcome", outcome())
            .rule("country", nullable(matching("^[A-Z]{2}$")))
            .build(),
        Shape::of::<EventJson<'_>>()
            .rule("id", event_id())
            .rule("type", types())
            .rule("license_id", nullable(id("lic")))
            .rule("data", open_object())
            .build(),
        Shape::of::<LicenseEventJson<'_>>().rule("type", types()).rule("data", open_object()).build(),
        Shape::of::<Anonymised<'_>>()
            .example(json!({ "customer_email": "anonymous-0a1b@customer.invalid", "licenses": 2 }))
            .build(),
    ]
}

/// Tokens, and what was done by them.
fn access() -> Vec<(String, RefOr<Schema>)> {
    vec![
        Shape::of::<TokenJson<'_>>()
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
            }))
            .build(),
        Shape::of::<AuditJson<'_>>()
            .rule("license_id", nullable(id("lic")))
            .rule("token_id", nullable(id("tok")))
            .rule("changes", open_object())
            .build(),
        Shape::of::<ActorJson<'_>>()
            .rule("kind", one_of(["token", "customer", "system", "command_line", "named"]))
            .rule("token_id", nullable(id("tok")))
            .build(),
    ]
}

/// Endpoints, and what was sent to them.
fn webhooks() -> Vec<(String, RefOr<Schema>)> {
    vec![
        Shape::of::<EndpointJson<'_>>()
            .optional("secret")
            .rule("id", id("whe"))
            .rule("events", array(one_of(["*"].into_iter().chain(selectable()))))
            .rule("disabled_reason", nullable(one_of(["admin", "gone", "failing"])))
            .rule("secret", matching("^whsec_"))
            .build(),
        Shape::of::<Deleted<'_>>().rule("id", id("whe")).rule("deleted", said(true, "")).build(),
        Shape::of::<ReplayJson>().build(),
        Shape::of::<DeliveryJson<'_>>()
            .rule("id", event_id())
            .rule("type", types())
            .rule("status", one_of(DeliveryStatus::ALL.map(DeliveryStatus::as_str)))
            .build(),
        Shape::of::<AttemptJson<'_>>().build(),
    ]
}

fn by_outcome() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(outcome()))
        .additional_properties(Some(whole(0, u32::MAX)))
}

fn outcome() -> ObjectBuilder {
    one_of(["VALID"].into_iter().chain(VERDICTS.map(DenialCode::as_str)))
}

fn types() -> ObjectBuilder {
    one_of(EventType::ALL.iter().map(|kind| kind.as_str()))
}

/// The types of events that an endpoint may choose.
pub(super) fn selectable() -> impl Iterator<Item = &'static str> {
    // A test goes to its endpoint whatever it has chosen.
    EventType::ALL.iter().filter(|kind| **kind != EventType::EndpointTest).map(|kind| kind.as_str())
}

/// A derived schema, being completed.
struct Shape {
    name: String,
    object: ObjectBuilder,
}

impl Shape {
    /// Every field is always there, and there are no others.
    fn of<T: ToSchema + PartialSchema>() -> Self {
        let mut object = match T::schema() {
            RefOr::T(Schema::Object(object)) => object,
            // No struct with named fields.
            _ => ObjectBuilder::new().build(),
        };
        object.required = object.properties.keys().cloned().collect();
        Self { name: T::name().into_owned(), object: closed(object.into()) }
    }

    fn optional(self, name: &str) -> Self {
        let mut object = self.object.build();
        object.required.retain(|required| required != name);
        Self { object: object.into(), ..self }
    }

    fn required(self, name: &str) -> Self {
        Self { object: self.object.required(name), ..self }
    }

    /// What one field may be, beside its type.
    fn rule(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        let mut object = self.object.build();
        if let Some(field) = object.properties.get_mut(name) {
            let described = description(field);
            *field = schema.into();
            describe(field, described);
        }
        Self { object: object.into(), ..self }
    }

    /// A field that only other writers of the same shape have.
    fn extra(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        Self { object: self.object.property(name, schema), ..self }
    }

    fn example(self, example: Value) -> Self {
        Self { object: self.object.examples([example]), ..self }
    }

    fn build(self) -> (String, RefOr<Schema>) {
        (self.name, self.object.into())
    }
}

fn description(schema: &RefOr<Schema>) -> Option<String> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.description.clone(),
        RefOr::T(Schema::Array(array)) => array.description.clone(),
        _ => None,
    }
}

fn describe(schema: &mut RefOr<Schema>, description: Option<String>) {
    match schema {
        RefOr::T(Schema::Object(object)) if object.description.is_none() => object.description = description,
        RefOr::T(Schema::Array(array)) if array.description.is_none() => array.description = description,
        _ => {}
    }
}

/// A boolean that is always the same.
fn said(value: bool, description: &str) -> ObjectBuilder {
    let described = (!description.is_empty()).then_some(description);
    boolean().enum_values(Some([value])).description(described)
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

/// Either answer of 200.
fn validated() -> RefOr<Schema> {
    OneOfBuilder::new()
        .description(Some("The verdict: `valid` tells which of the two."))
        .item(named("Valid"))
        .item(named("Denied"))
        .into()
}

fn deactivated() -> RefOr<Schema> {
    OneOfBuilder::new()
        .description(Some("What became of it: `released` tells which of the two."))
        .item(named("Released"))
        .item(named("NotReleased"))
        .into()
}

/// The field of an answer with counters.
const AS_OF: &str = "as_of";

fn as_of() -> ObjectBuilder {
    time().description(Some(
        "Every validation answered before this moment is counted. On a quiet system that is the time of the request; under \
         heavy load it lags by seconds.",
    ))
}

/// The answer that is one such item. As an item of another answer it has no `as_of`.
fn answer(item: &str) -> RefOr<Schema> {
    AllOfBuilder::new().item(named(item)).item(ObjectBuilder::new().required(AS_OF)).into()
}

fn page(items: &str) -> ObjectBuilder {
    let data = array(named(items)).description(Some("The items of this page."));
    let cursor = nullable(string()).description(Some("The `cursor` of the next page; null on the last one."));
    object::<RefOr<Schema>>([("data", data.into()), ("next_cursor", cursor.into())], &[])
}

/// As the core writes it, in this order.
fn license() -> ObjectBuilder {
    let about =
        |schema: ObjectBuilder, about: &str| -> RefOr<Schema> { schema.description(Some(about)).into() };
    let slots =
        |of: &str| about(nullable(whole(0, limits::MAX_SLOTS)), &format!("Slots for {of}; null: no limit."));
    let values = |about: &str| -> RefOr<Schema> { array(string()).description(Some(about)).into() };
    let count = |of: &str| about(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)), of);
    object(
        [
            ("id", about(id("lic"), "Of this license.")),
            ("key", about(string(), "The license key, to give to the customer.")),
            ("status", about(one_of(Status::ALL.map(Status::as_str)), "How it stands now; `expired` by the clock.")),
            ("plan", about(text(limits::PLAN_NAME_BYTES), "The plan's name.")),
            ("customer_email", about(email(limits::EMAIL_BYTES), "Whose it is.")),
            ("max_domains", slots("domains")),
            ("domains", values("The domains that hold slots, the oldest first; at most 1000 of them are listed.")),
            ("max_devices", slots("devices")),
            ("devices", values("The devices that hold slots, by their fingerprints; likewise.")),
            ("created_at", about(time(), "When it was issued.")),
            ("expires_at", about(nullable(time()), "When its term ends; null: never.")),
            ("last_validated_at", about(nullable(time()), "When it was last answered valid.")),
            ("validation_count", count("How often it was answered valid.")),
            ("metadata", about(open_object(), "What you noted with it.")),
            ("domains_used", count("Slots that domains hold.")),
            ("devices_used", count("Slots that devices hold.")),
            ("activated_at", about(nullable(time()), "When it was first answered valid.")),
            ("version", count("Grows with every change; the ETag.")),
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
        .description(Some("All that is kept of a customer."))
}
