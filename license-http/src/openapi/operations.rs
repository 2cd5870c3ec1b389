//! Descriptions of all routes.

use axum::http::StatusCode;
use license_core::event::EventType;
use license_core::license::{ActivationKind, Status};
use license_core::limits;
use license_core::usage::{Interval, UsageGroup};
use license_core::validation::DenialCode;
use license_core::webhook::DeliveryStatus;

use super::operation::{Op, delete, get, patch, post, put};
use super::schema::{activation_id, email, id, matching, one_of, open_object, string, text, time};
use crate::problem::Code;

pub(super) const TAGS: [(&str, &str); 8] = [
    ("validation", "Public endpoints called by licensed software."),
    ("licenses", "Licenses, activations and usage."),
    ("customers", "Export and anonymisation of personal data."),
    ("events", "The event log."),
    ("webhooks", "Webhook endpoints and deliveries."),
    ("tokens", "API tokens."),
    ("audit", "The log of changes."),
    ("server", "Health, metrics and this document."),
];

const POSITION: &str = "^[0-9]{1,18}$";

/// Errors of the body in `/validate` and `/deactivate`, which have one code for all invalid fields.
const KEY_BODY: [Code; 4] =
    [Code::BadRequest, Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType];
const KEY_ERRORS: [Code; 6] = [
    Code::LicenseKeyMalformed,
    Code::DomainInvalid,
    Code::FingerprintInvalid,
    Code::LicenseNotFound,
    Code::RateLimited,
    Code::StoreUnavailable,
];

pub(super) fn operations() -> Vec<Op> {
    let mut operations = vec![validate(), deactivate()];
    operations.extend(licenses());
    operations.extend(commands());
    operations.extend(customers());
    operations.extend(endpoints());
    operations.extend(endpoint_commands());
    operations.extend(access());
    operations.extend(server());
    operations
}

fn validate() -> Op {
    post("/api/v1/validate", "validate", "Validate a license")
        .about(
            "A new domain or device takes a free slot. A denied license is answered 200 too: check `valid`. A malformed \
             request is answered 400 and not counted.",
        )
        .refuses()
        .reads_or("ValidateRequest", &KEY_BODY)
        .answers("Validated", "The verdict.")
        .errors(&KEY_ERRORS)
        .errors(&[Code::ClientInvalid])
}

fn deactivate() -> Op {
    post("/api/v1/deactivate", "deactivate", "Release a slot as the customer")
        .about(
            "For a customer who moves to another machine or site. The license key suffices if the plan has \
             `customer_release`. Send exactly one of domain and fingerprint. If it holds no slot, for example on a repeated \
             call, `error` is `ACTIVATION_NOT_FOUND`.",
        )
        .refuses()
        .reads_or("DeactivateRequest", &KEY_BODY)
        .answers("Deactivated", "Whether the slot was released.")
        .errors(&KEY_ERRORS)
}

fn licenses() -> [Op; 5] {
    let invalid = [DenialCode::PlanUnknown, DenialCode::DomainExempt, DenialCode::ExpiryTooFar];
    let plan = text(limits::PLAN_NAME_BYTES).pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$"));
    [
        post("/api/v1/licenses", "createLicense", "Issue a license")
            .idempotent()
            .reads("NewLicense")
            .answers_status(StatusCode::CREATED, "LicenseAnswer", "The license, with its key.")
            .with_header("ETag")
            .with_header("Location")
            .conflicts(&[DenialCode::DomainLimitReached])
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &invalid)
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &[DenialCode::LicenseExpired]),
        get("/api/v1/licenses", "listLicenses", "List licenses, newest first")
            .query("status", one_of(Status::ALL.map(Status::as_str)), "Only licenses of this status.")
            .query("plan", plan, "Only licenses of this plan.")
            .query("customer_email", email(limits::EMAIL_BYTES), "Only licenses of this customer.")
            .lists("LicensePage", id("lic")),
        get("/api/v1/licenses/{id}", "getLicense", "Get a license").license(),
        put("/api/v1/licenses/{id}", "changeLicense", "Change a license")
            .about(
                "Omitted fields keep their values. A new plan sets its limits, unless the request sets them too.",
            )
            .versioned()
            .reads("LicensePatch")
            .license()
            .conflicts(&[
                DenialCode::LicenseRevoked,
                DenialCode::DomainLimitReached,
                DenialCode::TooManyDomains,
            ])
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &invalid),
        delete("/api/v1/licenses/{id}", "revokeLicense", "Revoke a license")
            .about("Revocation is permanent. A repeated call gets the same answer.")
            .versioned()
            .reads_nothing()
            .license(),
    ]
}

fn commands() -> [Op; 8] {
    let changes = |op: Op| op.versioned().license().conflicts(&[DenialCode::LicenseRevoked]);
    let command = |path, id, summary| changes(post(path, id, summary).reads_nothing());
    let kinds = [ActivationKind::Domain, ActivationKind::Device].map(ActivationKind::as_str);
    let activation = "/api/v1/licenses/{id}/activations/{activation_id}";
    [
        command("/api/v1/licenses/{id}/suspend", "suspendLicense", "Suspend a license"),
        command("/api/v1/licenses/{id}/reinstate", "reinstateLicense", "End the suspension of a license"),
        command("/api/v1/licenses/{id}/renew", "renewLicense", "Extend a license by the term of its plan")
            .conflicts(&[DenialCode::LicensePerpetual, DenialCode::ExpiryTooFar]),
        command("/api/v1/licenses/{id}/rotate-key", "rotateLicenseKey", "Replace the key of a license")
            .about("The old key is unknown from then on."),
        get("/api/v1/licenses/{id}/activations", "listActivations", "List the activations of a license")
            .query("kind", one_of(kinds), "Only activations of this kind.")
            .lists("ActivationPage", activation_id()),
        changes(delete(activation, "releaseActivation", "Release an activation").reads_nothing()),
        changes(patch(activation, "labelActivation", "Label an activation").reads("ActivationLabel")).about(
            "The label is shown in the list of activations. It is removed when the customer is anonymised.",
        ),
        usage(get("/api/v1/licenses/{id}/usage", "getUsage", "Get the usage of a license"), "UsageAnswer")
            .or_as("image/svg+xml", "Chart of the series, by day without `interval`."),
    ]
}

fn usage(op: Op, schema: &str) -> Op {
    let intervals = one_of(Interval::ALL.iter().map(|name| name.as_str()));
    let groups = one_of(UsageGroup::ALL.iter().map(|name| name.as_str()));
    op.about(
        "Counts are exact. Days are kept for years, single validations for a month. Hours and parts of days need single \
         validations. Without `from`, counts are of all time. CSV has the breakdown if the request has `group_by`, otherwise \
         the series, by day without `interval`.",
    )
    .query("from", time(), "Validations at or after this time.")
    .query("to", time(), "Validations before this time.")
    .query("interval", intervals, "Interval of the series, in UTC; at most 1000 intervals.")
    .query("group_by", groups, "Dimension of the breakdown.")
    .pages(matching("^-?[0-9]{1,18}_[0-9]{1,18}$"))
    .answers(schema, "Counts, and one page of validations.")
    .or_as("text/csv", "The breakdown or the series as a table.")
}

fn customers() -> [Op; 4] {
    let types = one_of(EventType::ALL.iter().map(|kind| kind.as_str()));
    [
        usage(get("/api/v1/usage", "getUsageOverview", "Get the usage of all licenses"), "UsageOverview"),
        delete("/api/v1/customers/{email}", "anonymiseCustomer", "Anonymise a customer")
            .about(
                "Replaces the e-mail address in all licenses and removes the metadata. The licenses keep working and stay \
                 grouped.",
            )
            .reads_nothing()
            .answers("Anonymised", "The replacement address."),
        get("/api/v1/customers/{email}/export", "exportCustomer", "Export the data of a customer")
            .answers("Export", "All data. If the export fails midway, the response is not valid JSON."),
        get("/api/v1/events", "listEvents", "List events, newest first")
            .query("type", types, "Only events of this type.")
            .query("license", id("lic"), "Only events of this license.")
            .query("from", time(), "Events at or after this time.")
            .query("to", time(), "Events before this time.")
            .lists("EventPage", matching(POSITION)),
    ]
}

fn endpoints() -> [Op; 5] {
    let (all, one) = ("/api/v1/webhook-endpoints", "/api/v1/webhook-endpoints/{id}");
    [
        post(all, "createWebhookEndpoint", "Create an endpoint")
            .reads("WebhookEndpointSettings")
            .answers_status(StatusCode::CREATED, "WebhookEndpoint", "The endpoint, with its secret.")
            .with_header("Location")
            .errors(&[Code::EndpointLimitReached]),
        get(all, "listWebhookEndpoints", "List all endpoints")
            .answers("WebhookEndpointPage", "All endpoints."),
        get(one, "getWebhookEndpoint", "Get an endpoint").answers("WebhookEndpoint", "The endpoint."),
        put(one, "setWebhookEndpoint", "Replace the settings of an endpoint")
            .reads("WebhookEndpointSettings")
            .answers("WebhookEndpoint", "The endpoint."),
        delete(one, "deleteWebhookEndpoint", "Delete an endpoint")
            .about("Deletes its deliveries too.")
            .reads_nothing()
            .answers("Deleted", "The endpoint was deleted."),
    ]
}

fn endpoint_commands() -> [Op; 7] {
    let command = |path, id, summary| post(path, id, summary).reads_nothing();
    let statuses = one_of(DeliveryStatus::ALL.map(DeliveryStatus::as_str));
    [
        command("/api/v1/webhook-endpoints/{id}/enable", "enableWebhookEndpoint", "Enable an endpoint")
            .answers("WebhookEndpoint", "The endpoint."),
        command("/api/v1/webhook-endpoints/{id}/disable", "disableWebhookEndpoint", "Disable an endpoint")
            .answers("WebhookEndpoint", "The endpoint."),
        command(
            "/api/v1/webhook-endpoints/{id}/rotate-secret",
            "rotateWebhookSecret",
            "Replace the secret of an endpoint",
        )
        .about("The old secret signs too for one day.")
        .answers("WebhookEndpoint", "The endpoint, with its secret."),
        command("/api/v1/webhook-endpoints/{id}/test", "testWebhookEndpoint", "Send a test event")
            .about("Delivers it like any other event, and waits up to 20 seconds for the first attempt.")
            .answers("Delivery", "The delivery with its first attempt.")
            .answers_status(StatusCode::ACCEPTED, "Delivery", "No attempt was made in time.")
            .errors(&[Code::EndpointDisabled]),
        post("/api/v1/webhook-endpoints/{id}/replay", "replayEvents", "Deliver events again")
            .reads("ReplayRequest")
            .answers("Replayed", "Number of events."),
        get(
            "/api/v1/webhook-endpoints/{id}/deliveries",
            "listDeliveries",
            "List deliveries, newest event first",
        )
        .query("status", statuses, "Only deliveries of this status.")
        .lists("DeliveryPage", matching(POSITION)),
        command(
            "/api/v1/webhook-endpoints/{id}/deliveries/{delivery_id}/replay",
            "replayDelivery",
            "Deliver one event again",
        )
        .answers("Delivery", "The delivery, due now."),
    ]
}

fn access() -> [Op; 5] {
    let action = text(limits::ACTION_BYTES).pattern(Some("^[a-z._]+$"));
    [
        post("/api/v1/tokens", "createToken", "Create a token")
            .about("The token can only have scopes that the caller has.")
            .reads("NewToken")
            .answers_status(StatusCode::CREATED, "Token", "The token. Only this response has the secret.")
            .with_header("Location"),
        get("/api/v1/tokens", "listTokens", "List tokens").lists("TokenPage", id("tok")),
        get("/api/v1/tokens/{token_id}", "getToken", "Get a token")
            .answers("Token", "The token, without its secret."),
        delete("/api/v1/tokens/{token_id}", "revokeToken", "Revoke a token")
            .about("Takes effect at once, on every node. The caller must have all scopes of the token.")
            .reads_nothing()
            .answers("Token", "The revoked token."),
        get("/api/v1/audit", "listAudit", "List changes, newest first")
            .query("license", id("lic"), "Changes of this license.")
            .query("token", id("tok"), "Changes of this token, or by it.")
            .query("action", action, "Changes with this action, such as license.revoke.")
            .query("from", time(), "Changes at or after this time.")
            .query("to", time(), "Changes before this time.")
            .lists("AuditPage", matching(POSITION)),
    ]
}

fn server() -> [Op; 6] {
    [
        get("/health", "getHealth", "Check that the process is alive")
            .about("Does not ask the store: a failed database is no reason to restart the process.")
            .answers("Health", "The process is alive."),
        get("/ready", "getReadiness", "Check that the server can work")
            .answers("Readiness", "The store answers.")
            .errors(&[Code::StoreUnavailable]),
        get("/metrics", "getMetrics", "Get metrics for Prometheus").answers_as(
            "application/openmetrics-text",
            string(),
            "Metrics as OpenMetrics text.",
        ),
        get("/openapi.json", "getContract", "Get this document").answers_as(
            "application/json",
            open_object(),
            "This document.",
        ),
        get("/docs", "getDocs", "Show this document").answers_as("text/html", string(), "An HTML page."),
        get("/docs/style.css", "getDocsStyle", "Get the style sheet of the page").answers_as(
            "text/css",
            string(),
            "A style sheet.",
        ),
    ]
}
