//! Every route, described.

use axum::http::{Method, StatusCode};
use license_core::activation::ActivationKind;
use license_core::delivery::DeliveryStatus;
use license_core::event::EventType;
use license_core::license::Status;
use license_core::limits;
use license_core::usage::{Interval, UsageGroup};
use license_core::verdict::DenialCode;

use super::operation::Op;
use super::schema::{activation_id, email, id, matching, one_of, open_object, string, text, time};
use crate::problem::Code;

pub(super) const TAGS: [(&str, &str); 8] = [
    ("validation", "What licensed software asks. Anyone may."),
    ("licenses", "Licenses, and what is bound to them."),
    ("customers", "What is kept of a customer, and forgetting who it is."),
    ("events", "What happened."),
    ("webhooks", "Where it is told, and what came back."),
    ("tokens", "Who may call."),
    ("audit", "Who changed what."),
    ("server", "Whether it works, and how it is called."),
];

const POSITION: &str = "^[0-9]{1,18}$";

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

fn get(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Op {
    Op::new(Method::GET, path, tag, id, summary)
}

fn post(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Op {
    Op::new(Method::POST, path, tag, id, summary)
}

fn put(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Op {
    Op::new(Method::PUT, path, tag, id, summary)
}

fn patch(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Op {
    Op::new(Method::PATCH, path, tag, id, summary)
}

fn delete(path: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Op {
    Op::new(Method::DELETE, path, tag, id, summary)
}

fn validate() -> Op {
    post("/api/v1/validate", "validation", "validate", "Ask whether a license is valid here")
        .about(
            "A domain or device that is new takes a free slot. A license that is denied is answered 200 as well: \
             look at `valid`. What can't be read is 400 and never counted.",
        )
        .refuses()
        .reads_or(
            "ValidateRequest",
            // One code for whatever is wrong with a body.
            &[Code::BadRequest, Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType],
        )
        .answers(StatusCode::OK, "Validated", "The verdict.")
        .faults(&[
            Code::LicenseKeyMalformed,
            Code::DomainInvalid,
            Code::FingerprintInvalid,
            Code::ClientInvalid,
            Code::LicenseNotFound,
            Code::RateLimited,
            Code::StoreUnavailable,
        ])
}

fn deactivate() -> Op {
    post("/api/v1/deactivate", "validation", "deactivate", "Free a slot as the customer")
        .about(
            "For customers who leave a machine or a site: the license key is enough, where the plan has \
             `customer_release`. Exactly one of domain and fingerprint says what holds the slot. Where nothing of that \
             name holds one, `error` is `ACTIVATION_NOT_FOUND`, and so when the call is made again.",
        )
        .refuses()
        .reads_or(
            "DeactivateRequest",
            &[Code::BadRequest, Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType],
        )
        .answers(StatusCode::OK, "Deactivated", "Whether the slot was freed.")
        .faults(&[
            Code::LicenseKeyMalformed,
            Code::DomainInvalid,
            Code::FingerprintInvalid,
            Code::LicenseNotFound,
            Code::RateLimited,
            Code::StoreUnavailable,
        ])
}

fn licenses() -> [Op; 5] {
    let unfit = [DenialCode::PlanUnknown, DenialCode::DomainExempt, DenialCode::ExpiryTooFar];
    [
        post("/api/v1/licenses", "licenses", "createLicense", "Issue a license")
            .idempotent()
            .reads("NewLicense")
            .answers(StatusCode::CREATED, "LicenseAnswer", "The license, with its key.")
            .with_header("ETag")
            .with_header("Location")
            .denials(StatusCode::CONFLICT, &[DenialCode::DomainLimitReached])
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &unfit)
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &[DenialCode::LicenseExpired]),
        get("/api/v1/licenses", "licenses", "listLicenses", "List licenses, the newest first")
            .query("status", one_of(Status::ALL.map(Status::as_str)), "Those of this status only.")
            .query(
                "plan",
                text(limits::PLAN_NAME_BYTES).pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$")),
                "Those of this plan only.",
            )
            .query("customer_email", email(limits::EMAIL_BYTES), "Those of this customer only.")
            .pages(id("lic"))
            .answers(StatusCode::OK, "LicensePage", "One page."),
        get("/api/v1/licenses/{id}", "licenses", "getLicense", "Read a license").license(),
        put("/api/v1/licenses/{id}", "licenses", "changeLicense", "Change a license")
            .about("Fields that are left out stay. Another plan brings its limits, unless they are named as well.")
            .versioned()
            .reads("LicenseChange")
            .license()
            .denials(
                StatusCode::CONFLICT,
                &[DenialCode::LicenseRevoked, DenialCode::DomainLimitReached, DenialCode::TooManyDomains],
            )
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &unfit),
        delete("/api/v1/licenses/{id}", "licenses", "revokeLicense", "Revoke a license")
            .about("Final. Again, the answer is the same.")
            .versioned()
            .reads_nothing()
            .license(),
    ]
}

fn commands() -> [Op; 8] {
    let command = |path, id, summary| {
        post(path, "licenses", id, summary)
            .versioned()
            .reads_nothing()
            .license()
            .denials(StatusCode::CONFLICT, &[DenialCode::LicenseRevoked])
    };
    [
        command("/api/v1/licenses/{id}/suspend", "suspendLicense", "Suspend a license"),
        command("/api/v1/licenses/{id}/reinstate", "reinstateLicense", "End the suspension of a license"),
        command("/api/v1/licenses/{id}/renew", "renewLicense", "Add the plan's term to a license")
            .denials(StatusCode::CONFLICT, &[DenialCode::LicensePerpetual, DenialCode::ExpiryTooFar]),
        command("/api/v1/licenses/{id}/rotate-key", "rotateLicenseKey", "Give a license another key")
            .about("The key before it is unknown from now on."),
        get(
            "/api/v1/licenses/{id}/activations",
            "licenses",
            "listActivations",
            "List what is bound to a license",
        )
        .query(
            "kind",
            one_of([ActivationKind::Domain, ActivationKind::Device].map(ActivationKind::as_str)),
            "Those of this kind only.",
        )
        .pages(activation_id())
        .answers(StatusCode::OK, "ActivationPage", "One page."),
        delete(
            "/api/v1/licenses/{id}/activations/{activation_id}",
            "licenses",
            "releaseActivation",
            "Free a slot",
        )
        .versioned()
        .reads_nothing()
        .license()
        .denials(StatusCode::CONFLICT, &[DenialCode::LicenseRevoked]),
        patch(
            "/api/v1/licenses/{id}/activations/{activation_id}",
            "licenses",
            "labelActivation",
            "Call an activation something",
        )
        .about("The label stands in the list of activations, and goes when the customer is made anonymous.")
        .versioned()
        .reads("ActivationLabel")
        .license()
        .denials(StatusCode::CONFLICT, &[DenialCode::LicenseRevoked]),
        usage(
            get("/api/v1/licenses/{id}/usage", "licenses", "getUsage", "Read what a license was used for"),
            "UsageAnswer",
        )
        .or_as("image/svg+xml", "The series as a chart: by day where no interval is named."),
    ]
}

fn usage(op: Op, schema: &str) -> Op {
    op.about(
        "Counts are exact. Days are kept for years, single validations for a month: hours, and parts of days, can be asked for \
         as long as those are kept. Without a start, counts are of all time. As CSV: the breakdown where one is asked for, \
         else the series, by day where no interval is named.",
    )
    .query("from", time(), "Validations from then on.")
    .query("to", time(), "Validations before then.")
    .query("interval", one_of(Interval::ALL.iter().map(|name| name.as_str())), "The intervals of the series, of UTC; at most 1000 of them.")
    .query("group_by", one_of(UsageGroup::ALL.iter().map(|name| name.as_str())), "By what validations are broken down.")
    .pages(matching("^-?[0-9]{1,18}_[0-9]{1,18}$"))
    .answers(StatusCode::OK, schema, "Counts, and one page of validations.")
    .or_as("text/csv", "A table, of what is asked for.")
}

fn customers() -> [Op; 4] {
    [
        usage(
            get("/api/v1/usage", "licenses", "getUsageOverview", "Read what all licenses were used for"),
            "UsageOverview",
        ),
        delete("/api/v1/customers/{email}", "customers", "anonymiseCustomer", "Forget who a customer is")
            .about("Their licenses stay, and stay together; address and metadata go.")
            .reads_nothing()
            .answers(StatusCode::OK, "Anonymised", "What was done."),
        get(
            "/api/v1/customers/{email}/export",
            "customers",
            "exportCustomer",
            "Read all that is kept of a customer",
        )
        .answers(StatusCode::OK, "Export", "All of it. Cut off amid a fault, it is no JSON."),
        get("/api/v1/events", "events", "listEvents", "List what happened, the newest first")
            .query(
                "type",
                one_of(EventType::ALL.iter().map(|kind| kind.as_str())),
                "Those of this type only.",
            )
            .query("license", id("lic"), "Those of this license only.")
            .query("from", time(), "Those from then on.")
            .query("to", time(), "Those before then.")
            .pages(matching(POSITION))
            .answers(StatusCode::OK, "EventPage", "One page.")
            .faults(&[Code::NoEvents]),
    ]
}

fn endpoints() -> Vec<Op> {
    let endpoint = |op: Op| {
        op.answers(StatusCode::OK, "WebhookEndpoint", "The endpoint, as it is now.").faults(&[Code::NoEvents])
    };
    vec![
        post("/api/v1/webhook-endpoints", "webhooks", "createWebhookEndpoint", "Add an endpoint")
            .reads("WebhookEndpointSettings")
            .answers(StatusCode::CREATED, "WebhookEndpoint", "The endpoint, with its secret.")
            .with_header("Location")
            .faults(&[Code::EndpointLimitReached, Code::NoEvents]),
        get("/api/v1/webhook-endpoints", "webhooks", "listWebhookEndpoints", "List all endpoints")
            .answers(StatusCode::OK, "WebhookEndpointPage", "All of them.")
            .faults(&[Code::NoEvents]),
        endpoint(get("/api/v1/webhook-endpoints/{id}", "webhooks", "getWebhookEndpoint", "Read an endpoint")),
        endpoint(
            put(
                "/api/v1/webhook-endpoints/{id}",
                "webhooks",
                "setWebhookEndpoint",
                "Say anew what an endpoint is",
            )
            .reads("WebhookEndpointSettings"),
        ),
        delete("/api/v1/webhook-endpoints/{id}", "webhooks", "deleteWebhookEndpoint", "Remove an endpoint")
            .about("With all that was and was not delivered to it.")
            .reads_nothing()
            .answers(StatusCode::OK, "Deleted", "It is gone.")
            .faults(&[Code::NoEvents]),
    ]
}

fn endpoint_commands() -> Vec<Op> {
    let command =
        |path, id, summary| post(path, "webhooks", id, summary).reads_nothing().faults(&[Code::NoEvents]);
    let ok = StatusCode::OK;
    vec![
        command("/api/v1/webhook-endpoints/{id}/enable", "enableWebhookEndpoint", "Enable an endpoint")
            .answers(ok, "WebhookEndpoint", "The endpoint, as it is now."),
        command("/api/v1/webhook-endpoints/{id}/disable", "disableWebhookEndpoint", "Disable an endpoint")
            .answers(ok, "WebhookEndpoint", "The endpoint, as it is now."),
        command(
            "/api/v1/webhook-endpoints/{id}/rotate-secret",
            "rotateWebhookSecret",
            "Give an endpoint another secret",
        )
        .about("The one before it signs as well for a day.")
        .answers(ok, "WebhookEndpoint", "The endpoint, with its secret."),
        command("/api/v1/webhook-endpoints/{id}/test", "testWebhookEndpoint", "Send a test")
            .about("The way of every event; the answer waits for the first attempt, for 20 seconds.")
            .answers(ok, "Delivery", "What came back.")
            .answers(StatusCode::ACCEPTED, "Delivery", "Nothing yet.")
            .faults(&[Code::EndpointDisabled]),
        post("/api/v1/webhook-endpoints/{id}/replay", "webhooks", "replayEvents", "Deliver events again")
            .reads("ReplayRequest")
            .answers(ok, "Replayed", "How many.")
            .faults(&[Code::NoEvents]),
        get(
            "/api/v1/webhook-endpoints/{id}/deliveries",
            "webhooks",
            "listDeliveries",
            "List deliveries, the newest event first",
        )
        .query(
            "status",
            one_of(DeliveryStatus::ALL.map(DeliveryStatus::as_str)),
            "Those of this status only.",
        )
        .pages(matching(POSITION))
        .answers(ok, "DeliveryPage", "One page.")
        .faults(&[Code::NoEvents]),
        command(
            "/api/v1/webhook-endpoints/{id}/deliveries/{delivery_id}/replay",
            "replayDelivery",
            "Deliver one event again",
        )
        .answers(ok, "Delivery", "The delivery, due now."),
    ]
}

fn access() -> [Op; 5] {
    let tokens = "tokens";
    [
        post("/api/v1/tokens", tokens, "createToken", "Make a token")
            .about("It can have no scope that you lack.")
            .reads("NewToken")
            .answers(StatusCode::CREATED, "Token", "The token, shown once.")
            .with_header("Location"),
        get("/api/v1/tokens", tokens, "listTokens", "List tokens").pages(id("tok")).answers(
            StatusCode::OK,
            "TokenPage",
            "One page.",
        ),
        get("/api/v1/tokens/{token_id}", tokens, "getToken", "Read of a token").answers(
            StatusCode::OK,
            "Token",
            "All but the token itself.",
        ),
        delete("/api/v1/tokens/{token_id}", tokens, "revokeToken", "Revoke a token")
            .about("At once, on every node. You can revoke no token that may do what you may not.")
            .reads_nothing()
            .answers(StatusCode::OK, "Token", "It is revoked."),
        get("/api/v1/audit", "audit", "listAudit", "List who changed what, the newest first")
            .query("license", id("lic"), "What was done to this license.")
            .query("token", id("tok"), "What was done to this token, or by it.")
            .query(
                "action",
                text(limits::ACTION_BYTES).pattern(Some("^[a-z._]+$")),
                "What was done, such as license.revoke.",
            )
            .query("from", time(), "From then on.")
            .query("to", time(), "Before then.")
            .pages(matching(POSITION))
            .answers(StatusCode::OK, "AuditPage", "One page."),
    ]
}

fn server() -> [Op; 6] {
    let ok = StatusCode::OK;
    [
        get("/health", "server", "getHealth", "Ask whether the process lives")
            .about("Never asks the store: a database that is down is no reason to restart this process.")
            .answers(ok, "Health", "It does."),
        get("/ready", "server", "getReadiness", "Ask whether the server can work")
            .answers(ok, "Readiness", "It can.")
            .faults(&[Code::StoreUnavailable]),
        get("/metrics", "server", "getMetrics", "Read figures for Prometheus").answers_with(
            ok,
            "application/openmetrics-text",
            string(),
            "The figures, as OpenMetrics text.",
        ),
        get("/openapi.json", "server", "getContract", "Read this document").answers_with(
            ok,
            "application/json",
            open_object(),
            "It.",
        ),
        get("/docs", "server", "getDocs", "See this document").answers_with(
            ok,
            "text/html",
            string(),
            "A page for people.",
        ),
        get("/docs/style.css", "server", "getDocsStyle", "Read the style sheet of that page").answers_with(
            ok,
            "text/css",
            string(),
            "A style sheet.",
        ),
    ]
}
