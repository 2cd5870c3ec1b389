//! Schemas of responses: derived from the Rust types, with additions that the types lack.

use license_core::access::Scope;
use license_core::bulk::{BulkAction, BulkJobStatus};
use license_core::catalog::TermStart;
use license_core::license::{ActivationKind, Status};
use license_core::limits;
use license_core::store::HealthWarning;
use license_core::usage::UsageGroup;
use license_core::validation::DenialCode;
use license_core::webhook::DeliveryStatus;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::leases;
use super::plan_terms::plan_terms;
use super::schema::{
    about, activation_id, array, constant, count, email, event_id, event_type, feature_value, id, matching,
    named, nullable, object, one_of, open_object, selectable_events, string, text, time, token, whole, with,
};
use crate::problem::{ProblemJson, Refusal};
use crate::revocation_lists::Revocations;
use crate::routes;
use crate::routes::activations::ActivationJson;
use crate::routes::audit::AuditJson;
use crate::routes::blocks::{BlockJson, BlockList};
use crate::routes::customer_activations::{Listed, NotListed};
use crate::routes::customers::{CustomerEventJson, CustomerJson, ErasedCustomer};
use crate::routes::deactivate::{NotReleased, Released};
use crate::routes::deliveries::DeliveryJson;
use crate::routes::events::EventJson;
use crate::routes::health::{HealthJson, Readiness};
use crate::routes::jobs::{JobJson, RefusedJson};
use crate::routes::leases::{IssuedLease, LeaseJson, NotReturned, ReturnedLease};
use crate::routes::products::{DeletedProduct, ProductJson};
use crate::routes::signing_keys::SigningKeyList;
use crate::routes::tokens::TokenJson;
use crate::routes::usage::json::{OverviewJson, RollupJson};
use crate::routes::validate::{DENIALS, Denied, NotFound, ValidAnswer};
use crate::routes::webhook_endpoints::{Deleted, EndpointJson, ReplayJson};

/// Denials of a release by a customer.
const NOT_RELEASED: [DenialCode; 6] = [
    DenialCode::LicenseRevoked,
    DenialCode::LicenseSuspended,
    DenialCode::ReleaseNotAllowed,
    DenialCode::DomainRegistered,
    DenialCode::ActivationNotFound,
    DenialCode::ActivationHeld,
];

/// Answers to calls that can ask for leniency.
const WITH_IGNORED: [&str; 10] = [
    "Valid",
    "Denied",
    "NotFound",
    "Released",
    "NotReleased",
    "Listed",
    "NotListed",
    "IssuedLease",
    "ReturnedLease",
    "NotReturned",
];

const DATE: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";

/// Denials of a list for a customer.
const NOT_LISTED: [DenialCode; 3] =
    [DenialCode::LicenseRevoked, DenialCode::LicenseSuspended, DenialCode::ReleaseNotAllowed];

/// Returns the schemas of types, and of the types in their fields.
macro_rules! derive {
    ($($type:ty),+ $(,)?) => {{
        let mut schemas = vec![$((<$type>::name().into_owned(), <$type>::schema())),+];
        $(<$type>::schemas(&mut schemas);)+
        schemas
    }};
}

pub(super) fn schemas() -> Map<String, Value> {
    let derived = derive! {
        ProblemJson<'_>, Refusal<'_>, HealthJson, Readiness, ValidAnswer<'_>, Denied<'_>, NotFound, Released,
        NotReleased, ActivationJson<'_>, OverviewJson<'_>, RollupJson<'_>, EventJson<'_>,
        CustomerEventJson<'_>, ErasedCustomer<'_>, CustomerJson<'_>, TokenJson<'_>, AuditJson<'_>, EndpointJson<'_>, Deleted<'_>,
        ReplayJson, DeliveryJson<'_>, BlockJson<'_>, BlockList<'_>, Listed, NotListed, ProductJson<'_>, DeletedProduct<'_>, JobJson<'_>,
        RefusedJson<'_>, IssuedLease<'_>, ReturnedLease, NotReturned, LeaseJson<'_>, Revocations<'_>, SigningKeyList<'_>,
    };
    let mut schemas: Map<_, _> = derived.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    add_shared_fields(&mut schemas);
    for (path, mut rule) in rules().into_iter().chain(leases::rules()) {
        let (name, field) = path.split_once('.').unwrap_or_default();
        let field = &mut schemas[name]["properties"][field];
        if let Some(description) = field.get("description") {
            rule["description"] = description.clone();
        }
        *field = rule;
    }
    for (name, schema) in &mut schemas {
        let names = schema["properties"].as_object().into_iter().flat_map(Map::keys);
        let required = names.filter(|field| {
            !matches!(
                (name.as_str(), field.as_str()),
                (_, "proof" | "key_tokens" | "ignored" | "limited_by")
                    | ("Problem", "field" | "valid" | "suggestion")
                    | ("Refusal", "field" | "suggestion")
                    | ("Slots", "held" | "next_free_at")
                    | ("Denied", "reasons" | "license" | "usage")
                    | ("Token", "token")
                    | ("Valid", "over_limit")
                    | ("ValidLicense" | "DeniedLicense", "updatesUntil")
                    | ("Usage", "as_of")
                    | ("Validation", "license_id")
                    | ("WebhookEndpoint", "secret")
            )
        });
        let mut required: Vec<_> = required.cloned().collect();
        required.sort_by_key(|field| field == AS_OF);
        schema["required"] = required.into();
        schema["additionalProperties"] = false.into();
    }
    schemas.insert("LeaseDenied".to_owned(), leases::denied_lease(&schemas["Denied"]));
    let examples = examples();
    let counted_page = |items| object(page(items).into_iter().chain([(AS_OF, as_of())]), &[]);
    let others = [
        ("License", license()),
        ("LicenseAnswer", answer("License")),
        ("Grant", grant()),
        ("UsageAnswer", answer("Usage")),
        ("Validated", either("The verdict; `valid` tells which one.", ["Valid", "Denied"])),
        ("Deactivated", either("The result; `released` tells which one.", ["Released", "NotReleased"])),
        ("Export", export()),
        ("DryRun", dry_run()),
        ("LicensePage", counted_page("License")),
        ("ActivationPage", counted_page("Activation")),
        ("EventPage", object(page("Event"), &[])),
        ("TokenPage", object(page("Token"), &[])),
        ("AuditPage", object(page("AuditEntry"), &[])),
        ("WebhookEndpointPage", object(page("WebhookEndpoint"), &[])),
        ("DeliveryPage", object(page("Delivery"), &[])),
        ("JobPage", object(page("Job"), &[])),
        ("RefusedPage", object(page("RefusedLicense"), &[])),
        ("FoundLicenses", found_licenses()),
        ("CustomerPage", counted_page("Customer")),
        ("CustomerAnswer", customer_answer()),
        ("ListedActivations", either("The result; `listed` tells which one.", ["Listed", "NotListed"])),
        (
            "LicenseBatch",
            object([("data", about(array(named("License")), "The licenses.")), (AS_OF, as_of())], &[]),
        ),
        ("Plan", plan()),
        ("PlanVersion", plan_version()),
        ("ProductPage", object(page("Product"), &[])),
        ("PlanPage", object(page("Plan"), &[])),
        ("PlanVersionPage", object(page("PlanVersion"), &[])),
        ("JsonWebKeySet", key_set()),
        ("LeaseAnswer", either("The lease, or why there is none.", ["IssuedLease", "LeaseDenied"])),
        (
            "LeaseReleaseAnswer",
            either("The result; `returned` tells which one.", ["ReturnedLease", "NotReturned"]),
        ),
        ("LeasePage", object(page("Lease"), &[])),
    ];
    schemas.extend(others.map(|(name, schema)| (name.to_owned(), schema)));
    for (name, schema) in &mut schemas {
        if let Some(example) = examples.get(name) {
            schema["examples"] = json!([example]);
        }
    }
    schemas
}

/// Adds fields that several answers have, or that their types leave out.
fn add_shared_fields(schemas: &mut Map<String, Value>) {
    for name in WITH_IGNORED {
        let ignored =
            "Unknown fields of the request, if there are any and the caller prefers lenient handling.";
        schemas[name]["properties"]["ignored"] = about(array(string()), ignored);
    }
    for name in ["Valid", "Denied", "NotFound", "Refusal"] {
        let properties = &mut schemas[name]["properties"];
        let proof = "The signed verdict of type `license-verdict+jwt`, if the validation has a nonce.";
        properties["proof"] = about(token(), proof);
        let learned = "Tokens of type `license-keys+jwt`, in the order in which software learns keys. Only with a proof, and \
                       only while a key is retiring.";
        properties["key_tokens"] = about(with(array(token()), "maxItems", limits::KEY_TOKENS), learned);
    }
    for (name, schema) in leases::held_slots() {
        schemas["Slots"]["properties"][name] = schema;
    }
}

/// Returns the schemas of fields whose types do not say enough. Descriptions of the types are kept.
fn rules() -> Vec<(&'static str, Value)> {
    let overloaded = "Sent only if no connection is free, which happens before the path is known.";
    let feature = json!({ "anyOf": [{ "type": "boolean" }, { "type": "integer" }, { "type": "string" }] });
    let kinds = [ActivationKind::Domain, ActivationKind::Device].map(ActivationKind::as_str);
    let country = nullable(matching("^[A-Z]{2}$"));
    let outcome = one_of(["VALID"].into_iter().chain(routes::leases::DENIALS.map(DenialCode::as_str)));
    let counts = json!({
        "type": "object", "propertyNames": outcome, "additionalProperties": whole(0, u32::MAX),
    });
    vec![
        ("Problem.type", one_of(["about:blank"])),
        ("Problem.status", whole(400, 599)),
        ("Problem.valid", about(constant(false), overloaded)),
        ("Refusal.valid", constant(false)),
        ("Health.status", one_of(["ok"])),
        ("Readiness.status", one_of(["ready"])),
        ("Readiness.change_feed", one_of(["listening", "lost"])),
        (
            "Readiness.warnings",
            json!({ "type": "array", "items": one_of(HealthWarning::ALL.map(HealthWarning::as_str)) }),
        ),
        ("Valid.valid", constant(true)),
        ("ValidLicense.features", json!({ "type": "object", "additionalProperties": feature })),
        ("Slots.limit", nullable(whole(0, limits::MAX_SLOTS))),
        ("NotFound.valid", constant(false)),
        ("NotFound.error", one_of(["LICENSE_NOT_FOUND"])),
        ("Denied.valid", constant(false)),
        ("Denied.error", one_of(DENIALS.map(DenialCode::as_str))),
        ("Valid.over_limit", constant(true)),
        ("ValidLicense.updatesUntil", time()),
        ("DeniedLicense.updatesUntil", time()),
        ("Denied.reasons", array(one_of(DENIALS.map(DenialCode::as_str)))),
        ("Denied.license", named("DeniedLicense")),
        ("Denied.usage", named("SlotsUsed")),
        ("DeniedLicense.plan", text(limits::PLAN_NAME_BYTES)),
        ("DeniedLicense.product", text(limits::PLAN_NAME_BYTES)),
        ("Released.released", constant(true)),
        ("NotReleased.released", constant(false)),
        ("NotReleased.error", one_of(NOT_RELEASED.map(DenialCode::as_str))),
        ("Activation.id", activation_id()),
        ("Activation.kind", one_of(kinds)),
        ("Activation.country", country.clone()),
        ("Usage.by_outcome", counts.clone()),
        ("Usage.as_of", as_of()),
        ("UsagePoint.by_outcome", counts),
        ("UsageBreakdown.by", one_of(UsageGroup::ALL.iter().map(|group| group.as_str()))),
        ("UsageOverview.as_of", as_of()),
        ("LicenseUsage.license_id", id("lic")),
        ("Rollup.outcome", outcome.clone()),
        ("Validation.license_id", id("lic")),
        ("Validation.outcome", outcome),
        ("Validation.country", country),
        ("Event.id", event_id()),
        ("Event.type", event_type()),
        ("Event.license_id", nullable(id("lic"))),
        ("Event.data", open_object()),
        ("LicenseEvent.type", event_type()),
        ("LicenseEvent.data", open_object()),
        ("Job.id", id("job")),
        ("Job.action", one_of(BulkAction::NAMES.into_iter().chain(["apply_plan"]))),
        ("Job.plan", nullable(text(limits::PLAN_NAME_BYTES))),
        ("Job.status", one_of(BulkJobStatus::ALL.map(BulkJobStatus::as_str))),
        ("Job.denied", json!({ "type": "object", "additionalProperties": count() })),
        ("Token.id", id("tok")),
        ("Token.name", text(limits::TOKEN_NAME_BYTES)),
        ("Token.scopes", array(one_of(Scope::ALL.map(Scope::as_str)))),
        ("Token.status", one_of(["active", "expired", "revoked"])),
        ("Token.token", matching("^lkt_")),
        ("Token.kind", one_of(["api", "session", "link"])),
        ("Token.parent_id", nullable(id("tok"))),
        ("AuditEntry.license_id", nullable(id("lic"))),
        ("AuditEntry.token_id", nullable(id("tok"))),
        ("AuditEntry.endpoint_id", nullable(id("whe"))),
        ("AuditEntry.changes", open_object()),
        ("Actor.kind", one_of(["token", "customer", "system", "command_line", "named"])),
        ("Actor.token_id", nullable(id("tok"))),
        ("WebhookEndpoint.id", id("whe")),
        ("WebhookEndpoint.events", selectable_events()),
        ("WebhookEndpoint.disabled_reason", nullable(one_of(["admin", "gone", "failing"]))),
        ("WebhookEndpoint.secret", matching("^whsec_")),
        ("Deleted.id", id("whe")),
        ("Deleted.deleted", constant(true)),
        ("Delivery.id", event_id()),
        ("Delivery.type", event_type()),
        ("Delivery.status", one_of(DeliveryStatus::ALL.map(DeliveryStatus::as_str))),
        ("Customer.license_counts", license_counts()),
        ("Customer.customer_email", email()),
        ("Block.id", matching("^blk_[a-z0-9_]{1,68}$")),
        ("Block.kind", one_of(kinds)),
        ("Listed.listed", constant(true)),
        ("NotListed.listed", constant(false)),
        ("NotListed.error", one_of(NOT_LISTED.map(DenialCode::as_str))),
        ("OwnActivation.id", activation_id()),
        ("OwnActivation.kind", one_of(kinds)),
        ("OwnActivation.first_seen_on", nullable(matching(DATE))),
        ("OwnActivation.last_seen_on", nullable(matching(DATE))),
        ("Product.name", text(limits::PLAN_NAME_BYTES)),
        ("DeletedProduct.deleted", constant(true)),
    ]
}

fn examples() -> Value {
    json!({
        "Problem": {
            "type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is no such license.",
            "code": "LICENSE_NOT_FOUND", "error": "LICENSE_NOT_FOUND",
        },
        "Refusal": {
            "valid": false, "error": "LICENSE_KEY_MALFORMED",
            "message": "The license key is mistyped: its check symbols do not match.", "field": "key",
        },
        "Slots": { "used": 2, "limit": 3 },
        "Denied": {
            "valid": false, "error": "DOMAIN_LIMIT_REACHED", "message": "3 of 3 domains are in use.",
            "reasons": ["DOMAIN_LIMIT_REACHED"],
            "license": { "plan": "professional", "product": "default", "expiresAt": "2027-01-01T00:00:00Z" },
            "usage": { "domains": { "used": 3, "limit": 3 }, "devices": { "used": 1, "limit": 5 } },
        },
        "NotReleased": {
            "released": false, "error": "ACTIVATION_NOT_FOUND", "message": "The license has no such activation.",
        },
        "License": {
            "id": "lic_01kdvs0000aaaaaaaaaaaaaaaa", "key": "TO-7V3K-M9XQ-2B4D-8HNP", "status": "active",
            "plan": "professional", "customer_email": "dev@example.com", "max_domains": 3,
            "domains": ["example.com"], "max_devices": 5, "devices": [], "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2027-01-01T00:00:00Z", "last_validated_at": null, "validation_count": 0,
            "metadata": { "order": "A-1001" }, "domains_used": 1, "devices_used": 0, "activated_at": null,
            "version": 1, "product": "default", "customer_name": null, "external_id": null,
            "term": { "starts": "issue", "started_at": "2026-01-01T00:00:00Z" }, "updates_until": null,
            "grants": [], "state_reason": null, "plan_version": 1, "overrides": ["max_devices"],
            "as_of": "2026-01-01T00:00:00Z",
        },
        "Activation": {
            "id": "act_1", "kind": "device", "name": "machine-1", "label": "Build server",
            "created_at": "2026-01-01T00:00:00Z", "first_seen_at": "2026-01-01T00:00:00Z",
            "last_seen_at": "2026-01-31T08:30:00Z", "validations": 61, "country": "DE",
        },
        "ErasedCustomer": { "customer_email": "erased-0a1b@erased.invalid", "licenses": 2 },
        "Job": {
            "id": "job_01kdvs0000aaaaaaaaaaaaaaaa", "action": "suspend", "plan": null, "status": "running",
            "total": 120, "open": 38, "done": 80, "denied": { "LICENSE_REVOKED": 1 }, "not_found": 1, "failed": 0,
            "created_at": "2026-01-01T00:00:00Z", "finished_at": null, "reason": "chargeback", "plan_version": null,
        },
        "Token": {
            "id": "tok_01kdvs0000aaaaaaaaaaaaaaaa", "name": "checkout", "scopes": ["licenses:write"],
            "status": "active", "created_at": "2026-01-01T00:00:00Z", "last_used_at": null,
            "expires_at": null, "revoked_at": null, "kind": "api", "parent_id": null,
        },
    })
}

/// Returns the schema of an answer with two forms.
fn either(description: &str, forms: [&str; 2]) -> Value {
    json!({ "description": description, "oneOf": forms.map(named) })
}

const AS_OF: &str = "as_of";

fn as_of() -> Value {
    about(
        time(),
        "All validations answered before this time are counted. On a quiet system this is the time of the request; under heavy \
         load it is some seconds earlier.",
    )
}

/// Returns the schema of one item as a whole answer. Items of a page have no `as_of`; the page has it.
fn answer(item: &str) -> Value {
    json!({ "allOf": [named(item), { "type": "object", "required": [AS_OF] }] })
}

fn page(items: &str) -> [(&'static str, Value); 2] {
    let cursor = about(nullable(string()), "Cursor of the next page; null on the last page.");
    [("data", about(array(named(items)), "The items of this page.")), ("next_cursor", cursor)]
}

/// Returns the schema of a license, with the fields in the order of the core.
fn license() -> Value {
    let slots = |of: &str| {
        about(nullable(whole(0, limits::MAX_SLOTS)), &format!("Slots for {of}; null if unlimited."))
    };
    let values = |description| about(array(string()), description);
    let number = |description| about(count(), description);
    object(
        [
            ("id", about(id("lic"), "Id of the license.")),
            ("key", about(string(), "License key for the customer.")),
            (
                "status",
                about(one_of(Status::ALL.map(Status::as_str)), "Status now; `expired` depends on the time."),
            ),
            ("plan", about(text(limits::PLAN_NAME_BYTES), "Name of the plan.")),
            (
                "customer_email",
                about(nullable(email()), "E-mail address of the customer; null if there is none yet."),
            ),
            ("max_domains", slots("domains")),
            ("domains", values("Domains that hold slots, oldest first; at most 1000 are listed.")),
            ("max_devices", slots("devices")),
            (
                "devices",
                values("Fingerprints of the devices that hold slots, oldest first; at most 1000 are listed."),
            ),
            ("created_at", about(time(), "When it was issued.")),
            ("expires_at", about(nullable(time()), "When it expires; null if never.")),
            ("last_validated_at", about(nullable(time()), "Last valid answer; null if there is none.")),
            ("validation_count", number("Number of valid answers.")),
            ("metadata", about(open_object(), "Your own data.")),
            ("domains_used", number("Domain slots in use.")),
            ("devices_used", number("Device slots in use.")),
            ("activated_at", about(nullable(time()), "First valid answer; null if there is none.")),
            ("version", number("Grows with every change; same as the ETag.")),
            ("product", about(text(limits::PLAN_NAME_BYTES), "Name of the product of the plan.")),
            ("customer_name", about(nullable(text(limits::CUSTOMER_NAME_BYTES)), "Name of the customer.")),
            (
                "external_id",
                about(nullable(text(limits::EXTERNAL_ID_BYTES)), "Id in another system of yours."),
            ),
            ("term", license_term()),
            (
                "updates_until",
                about(
                    nullable(time()),
                    "End of the updates window; null if the plan has none, or if the term has not started.",
                ),
            ),
            (
                "grants",
                about(
                    with(array(named("Grant")), "maxItems", limits::GRANTS),
                    "Features beyond those of the plan, in the order in which they were added.",
                ),
            ),
            (
                "state_reason",
                about(
                    nullable(text(limits::REASON_BYTES)),
                    "Reason why it is suspended or revoked; null if none was given.",
                ),
            ),
            (
                "plan_version",
                about(whole(1, u32::MAX), "Version of the plan that the license was sold with or moved to."),
            ),
            (
                "overrides",
                about(
                    array(one_of(["max_domains", "max_devices"])),
                    "Limits that were set on the license itself and are not those of its plan version.",
                ),
            ),
            ("outstanding_leases", leases::outstanding_leases()),
            (AS_OF, as_of()),
        ],
        &[AS_OF, "outstanding_leases"],
    )
}

fn found_licenses() -> Value {
    let total = object(
        [
            ("count", about(count(), "Number of licenses that match, at most 10,000.")),
            ("exact", json!({ "type": "boolean", "description": "Whether there are no more." })),
        ],
        &[],
    );
    let total = ("total", about(total, "Number of all licenses that match."));
    object(page("License").into_iter().chain([total, (AS_OF, as_of())]), &[])
}

fn customer_answer() -> Value {
    object(
        customer_fields().into_iter().chain([
            ("licenses", about(array(named("License")), "The newest licenses, at most 100.")),
            (AS_OF, as_of()),
        ]),
        &[],
    )
}

fn customer_fields() -> [(&'static str, Value); 4] {
    [
        ("customer_email", about(email(), "E-mail address.")),
        ("customer_name", about(nullable(string()), "Name on the newest license that has one.")),
        ("license_counts", license_counts()),
        ("last_validated_at", about(nullable(time()), "Last valid answer; null if there is none.")),
    ]
}

fn license_counts() -> Value {
    let counts = Status::ALL.map(|status| (status.as_str(), count()));
    about(object(counts, &[]), "Number of licenses by status.")
}

/// Returns the schema of the start of a term.
fn license_term() -> Value {
    let fields = [
        ("starts", about(one_of(TermStart::ALL.map(TermStart::as_str)), "What starts the term.")),
        (
            "started_at",
            about(nullable(time()), "When it started; null if the license waits for its first use."),
        ),
    ];
    about(object(fields, &[]), "Start of the term, which ends at `expires_at`.")
}

fn grant() -> Value {
    object(
        [
            ("feature", about(text(limits::FEATURE_NAME_BYTES), "Name of the feature.")),
            ("value", feature_value()),
            ("until", about(nullable(time()), "From then on, the grant has no effect; null if never.")),
            ("source", about(nullable(text(limits::GRANT_SOURCE_BYTES)), "Where the grant comes from.")),
        ],
        &[],
    )
}

/// Returns the schema of a plan.
fn plan() -> Value {
    let name = about(text(limits::PLAN_NAME_BYTES), "Name of the plan. It never changes.");
    let version = about(whole(1, u32::MAX), "Number of the current version, which new licenses have.");
    let archived =
        about(nullable(time()), "When it was archived, so that it is no longer sold; null if it is not.");
    let managed = about(
        nullable(string()),
        "Source that manages the plan, such as a file. Only the source can change it. Null for plans of the API.",
    );
    let further = [
        ("archived_at", archived),
        ("managed_by", managed),
        ("created_at", about(time(), "When it was created.")),
        ("updated_at", about(time(), "When it last changed.")),
        ("job", about(id("job"), "Job that moves sold licenses, only in the answer to a change for all.")),
    ];
    let fields = [("name", name), ("version", version)].into_iter().chain(plan_terms()).chain(further);
    object(fields, &["job"])
}

fn plan_version() -> Value {
    let name = about(text(limits::PLAN_NAME_BYTES), "Name of the plan.");
    let version = about(whole(1, u32::MAX), "Number of the version.");
    let created = [("created_at", about(time(), "When it was created."))];
    object([("name", name), ("version", version)].into_iter().chain(plan_terms()).chain(created), &[])
}

/// The public signing keys, as in RFC 7517 and RFC 8037.
fn key_set() -> Value {
    let base64 = || matching("^[0-9A-Za-z_-]{43}$");
    let key = object(
        [
            ("kty", one_of(["OKP"])),
            ("crv", one_of(["Ed25519"])),
            ("x", about(base64(), "The public key.")),
            ("kid", about(base64(), "Id of the key: its thumbprint (RFC 7638).")),
            ("use", one_of(["sig"])),
        ],
        &[],
    );
    object([("keys", array(key))], &[])
}

fn dry_run() -> Value {
    let licenses = about(array(named("License")), "The first of these licenses, at most 10.");
    let denied = json!({
        "type": "object",
        "description": "Licenses that would deny the action, by error code.",
        "additionalProperties": count(),
    });
    object(
        [
            ("matched", about(count(), "Number of licenses that exist.")),
            ("sample", licenses),
            (
                "decided",
                about(
                    count(),
                    "Licenses on which the action was decided: the newest, at most 5,000. The other numbers are of these.",
                ),
            ),
            ("changed", about(count(), "Licenses that the action would change.")),
            ("unchanged", about(count(), "Licenses that are as the action would leave them.")),
            ("denied", denied),
        ],
        &[],
    )
}

fn export() -> Value {
    let lists = [
        ("activations", "Activation"),
        ("events", "LicenseEvent"),
        ("validations", "Validation"),
        ("usage", "Rollup"),
    ];
    let lists = lists.map(|(name, item)| (name, array(named(item))));
    let license = object([("license", named("License"))].into_iter().chain(lists), &[]);
    let export = object([("customer_email", string()), ("licenses", array(license))], &[]);
    about(export, "All data of a customer.")
}
