//! Descriptions of all routes.

use axum::http::StatusCode;
use license_core::license::{ActivationKind, Status};
use license_core::limits;
use license_core::store::SearchSort;
use license_core::usage::{Interval, UsageGroup};
use license_core::validation::DenialCode;
use license_core::webhook::DeliveryStatus;

use super::leases;
use super::operation::{Op, delete, get, patch, post, put};
use super::request_bodies::{TRIMMED, pattern};
use super::schema::{
    activation_id, email, event_type, id, matching, one_of, open_object, string, text, time, with,
};
use crate::problem::Code;

pub(super) const TAGS: [(&str, &str); 12] = [
    ("validation", "Public endpoints called by licensed software."),
    ("licenses", "Licenses, activations and usage."),
    ("jobs", "One action on many licenses."),
    ("customers", "Customers, and export and erasure of their data."),
    ("events", "The event log."),
    ("webhooks", "Webhook endpoints and deliveries."),
    ("tokens", "API tokens."),
    ("audit", "The log of changes."),
    ("server", "Health, metrics and this document."),
    ("catalog", "Products and plans."),
    ("leases", "License leases: running without a network."),
    ("signing keys", "The keys that sign leases and verdicts."),
];

const OPENMETRICS: &str = "application/openmetrics-text";
/// A day in UTC.
const DATE: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
const POSITION: &str = "^[0-9]{1,18}$";

/// Errors of `/validate` and `/deactivate`. `BadRequest` is also their code for a malformed body.
const KEY_ERRORS: [Code; 10] = [
    Code::BadRequest,
    Code::RequestTimeout,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
    Code::LicenseKeyMalformed,
    Code::DomainInvalid,
    Code::FingerprintInvalid,
    Code::LicenseNotFound,
    Code::RateLimited,
    Code::StoreUnavailable,
];

pub(super) fn operations() -> Vec<Op> {
    let mut operations = Vec::from(validation());
    operations.extend(licenses());
    operations.extend(commands());
    operations.extend(grants());
    operations.extend(handling());
    operations.extend(jobs());
    operations.extend(customers());
    operations.extend(endpoints());
    operations.extend(endpoint_commands());
    operations.extend(access());
    operations.extend(server());
    operations.extend(finding());
    operations.extend(products());
    operations.extend(plans());
    operations.extend(leases::operations(&KEY_ERRORS));
    operations
}

fn validation() -> [Op; 3] {
    [post("/validate", "validate", "Validate a license")
        .about(
            "A new domain or device takes a free slot. A denied license is answered 200 too: check `valid`. A malformed \
             request is answered 400 and not counted. A known key gets its verdict although other calls of its \
             address failed, unless it is an imported key that can be guessed. A request with a `nonce` gets a signed verdict \
             in `proof`, also if the key is unknown or malformed.",
        )
        .lenient()
        .refuses()
        .reads_or("ValidateRequest", &KEY_ERRORS)
        .errors(&[Code::SigningUnavailable])
        .answers("Validated", "The verdict."),
    post("/deactivate", "deactivate", "Release a slot as the customer")
        .about(
            "For a customer who moves to another machine or site. The license key suffices if the plan has \
             `customer_release`. Send exactly one of domain, fingerprint and activation_id. If it holds no slot, for example \
             on a repeated call, `error` is `ACTIVATION_NOT_FOUND`.",
        )
        .lenient()
        .refuses()
        .reads_or("DeactivateRequest", &KEY_ERRORS)
        .errors(&[Code::ActivationIdInvalid])
        .answers("Deactivated", "Whether the slot was released."),
    post("/activations/list", "listOwnActivations", "List activations as the customer")
        .about(
            "For a customer who looks for a slot to release. The license key suffices if the plan has `customer_release`. \
             Names of devices are masked, except that of the request.",
        )
        .lenient()
        .refuses()
        .reads_or("ListRequest", &KEY_ERRORS)
        .answers("ListedActivations", "The activations, or why there are none.")]
}

fn licenses() -> [Op; 5] {
    let invalid = [
        DenialCode::PlanUnknown,
        DenialCode::PlanArchived,
        DenialCode::DomainExempt,
        DenialCode::ExpiryTooFar,
    ];
    let plan = with(text(limits::PLAN_NAME_BYTES), "pattern", r"^[^\u0000-\u001f\u007f-\u009f]+$");
    [
        post("/licenses", "createLicense", "Issue a license")
            .reads("NewLicense")
            .answers_status(StatusCode::CREATED, "LicenseAnswer", "The license, with its key.")
            .idempotent()
            .with_header("ETag")
            .with_header("Location")
            .conflicts(&[DenialCode::DomainLimitReached, DenialCode::ExternalIdTaken, DenialCode::TrialUsed])
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &invalid)
            .denials(
                StatusCode::UNPROCESSABLE_ENTITY,
                &[DenialCode::LicenseExpired, DenialCode::GrantEnded, DenialCode::CustomerRequired],
            ),
        get("/licenses", "listLicenses", "List licenses, newest first")
            .query("status", one_of(Status::ALL.map(Status::as_str)), "Only licenses of this status.")
            .query("plan", plan, "Only licenses of this plan, which must exist.")
            .query("customer_email", email(), "Only licenses of this customer.")
            .query("product", text(limits::PLAN_NAME_BYTES), "Only licenses of this product.")
            .query("external_id", text(limits::EXTERNAL_ID_BYTES), "Only the license with this external id.")
            .query("expires_before", time(), "Only licenses that expire before this time.")
            .query("expires_after", time(), "Only licenses that expire at or after this time.")
            .query("never_activated", one_of(["true", "false"]), "Whether the license never had a valid answer.")
            .query("last_validated_before", matching(DATE), "Only licenses with their last valid answer before this day.")
            .query("last_validated_after", matching(DATE), "Only licenses with their last valid answer on this day or later.")
            .query("at_limit", one_of(["true", "false"]), "Whether slots of a kind are in use and none is free.")
            .query("sort", one_of(SearchSort::ALL.map(SearchSort::as_str)), "The order; newest first by default.")
            .lists("LicensePage", string())
            .with_header("X-Next-Cursor")
            .or_as("text/csv", "The page as a table. `X-Next-Cursor` has the cursor of the next page.")
            .errors(&[Code::SortNotSupported])
            .about(
                "Orders other than newest first need filters by product, plan, status and the sorted time only. A cursor is \
                 valid for the same filters and order only. POST /licenses/search has further filters.",
            ),
        get("/licenses/{id}", "getLicense", "Get a license").license(),
        put("/licenses/{id}", "changeLicense", "Change a license")
            .about(
                "Omitted fields keep their values. `metadata` is merged (RFC 7396), and every other field replaces its value. \
                 `plan` moves the license to the current version of a plan of its product, also if it has the plan already: then its limits are those of the \
                 plan, unless the request sets them too. A new `customer_email` removes `customer_name`, unless the \
                 request sets it. A revoked license accepts `metadata` and `external_id` only.",
            )
            .versioned()
            .reads("LicensePatch")
            .license()
            .conflicts(&[
                DenialCode::LicenseRevoked,
                DenialCode::DomainLimitReached,
                DenialCode::TooManyDomains,
                DenialCode::ExternalIdTaken,
                DenialCode::TrialUsed,
            ])
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &invalid)
            .denials(
                StatusCode::UNPROCESSABLE_ENTITY,
                &[
                    DenialCode::MetadataInvalid,
                    DenialCode::DomainBlocked,
                    DenialCode::ProductDiffers,
                    DenialCode::CustomerRequired,
                ],
            ),
        delete("/licenses/{id}", "revokeLicense", "Revoke a license")
            .about(
                "Revocation is permanent. After the answer, this node never answers \"valid\" for the license. Other nodes follow \
                 within about 100 ms on PostgreSQL, and always within the time to live of their cache. A repeated call gets the same answer.",
            )
            .versioned()
            .reason()
            .license(),
    ]
}

fn commands() -> [Op; 8] {
    let changes = |op: Op| op.versioned().license().conflicts(&[DenialCode::LicenseRevoked]);
    let command = |path, id, summary| changes(post(path, id, summary));
    let kinds = [ActivationKind::Domain, ActivationKind::Device].map(ActivationKind::as_str);
    let activation = "/licenses/{id}/activations/{activation_id}";
    [
        command("/licenses/{id}/suspend", "suspendLicense", "Suspend a license").reason(),
        command("/licenses/{id}/reinstate", "reinstateLicense", "End the suspension of a license"),
        command("/licenses/{id}/renew", "renewLicense", "Extend a license by the term of its plan")
            .idempotent()
            .conflicts(&[DenialCode::LicensePerpetual, DenialCode::ExpiryTooFar, DenialCode::TermNotStarted]),
        command("/licenses/{id}/rotate-key", "rotateLicenseKey", "Replace the key of a license")
            .about(
                "The old key is unknown from then on. With `release`, the slots that holders of the old key took are free, and \
                 all leases are revoked: `outstanding_leases` lists those that software accepts until their end.",
            )
            .accepts("SlotsReleased")
            .idempotent(),
        get("/licenses/{id}/activations", "listActivations", "List the activations of a license")
            .query("kind", one_of(kinds), "Only activations of this kind.")
            .lists("ActivationPage", activation_id()),
        changes(delete(activation, "releaseActivation", "Release an activation")).reason(),
        changes(patch(activation, "labelActivation", "Label an activation").reads("ActivationLabel")).about(
            "The label is shown in the list of activations. It is removed when the customer is erased.",
        ),
        usage(get("/licenses/{id}/usage", "getUsage", "Get the usage of a license"), "UsageAnswer")
            .or_as("image/svg+xml", "Chart of the series, by day without `interval`."),
    ]
}

fn grants() -> [Op; 2] {
    let path = "/licenses/{id}/grants";
    let changes = |op: Op| op.versioned().license().conflicts(&[DenialCode::LicenseRevoked]);
    [
        changes(post(path, "addGrant", "Grant a feature").reads("NewGrant"))
            .about(
                "Replaces the grant with the same feature and source. If several grants of a feature are in force, the last one \
                 that was added wins. Grants that have ended are removed.",
            )
            .conflicts(&[DenialCode::GrantLimitReached])
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &[DenialCode::GrantEnded]),
        changes(delete(path, "removeGrant", "Remove a grant"))
            .required_query("feature", pattern(limits::FEATURE_NAME_BYTES, TRIMMED), "Feature of the grant.")
            .query(
                "source",
                pattern(limits::GRANT_SOURCE_BYTES, TRIMMED),
                "Source of the grant; without it, the grant without a source is removed.",
            )
            .denials(StatusCode::NOT_FOUND, &[DenialCode::GrantNotFound]),
    ]
}

fn handling() -> [Op; 5] {
    let changes = |op: Op| op.versioned().license().conflicts(&[DenialCode::LicenseRevoked]);
    let invalid = [
        DenialCode::PlanUnknown,
        DenialCode::PlanArchived,
        DenialCode::DomainExempt,
        DenialCode::ExpiryTooFar,
        DenialCode::LicenseExpired,
    ];
    [
        post("/licenses/batch", "createLicenses", "Issue many licenses")
            .about("Issues 1 to 1000 licenses with the same fields: all of them, or none.")
            .reads("NewLicenses")
            .answers_status(StatusCode::CREATED, "LicenseBatch", "The licenses, with their keys.")
            .idempotent()
            .conflicts(&[DenialCode::DomainLimitReached, DenialCode::TrialUsed])
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &invalid)
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &[DenialCode::GrantEnded, DenialCode::CustomerRequired]),
        changes(post(
            "/licenses/{id}/activations/{activation_id}/block",
            "blockActivation",
            "Release an activation and block its name",
        ))
        .about(
            "Its next check is denied `DOMAIN_BLOCKED` or `DEVICE_BLOCKED`: on this node at once, on other nodes as after a \
             revocation. Other domains and devices are not affected.",
        )
        .reason()
        .conflicts(&[DenialCode::TooManyBlocks]),
        get("/licenses/{id}/blocked", "listBlocked", "List blocked domains and devices")
            .answers("BlockList", "All blocks of the license."),
        changes(post("/licenses/{id}/blocked", "blockName", "Block a domain or a device"))
            .about(
                "Send exactly one of domain and fingerprint. It does not need to hold a slot. If it does, the slot is released. \
                 A blocked name stays as it is.",
            )
            .reads("NewBlock")
            .conflicts(&[DenialCode::TooManyBlocks]),
        changes(delete("/licenses/{id}/blocked/{block_id}", "unblock", "Remove a block"))
            .errors(&[Code::BlockNotFound]),
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
    .errors(&[Code::QueryTooBroad])
}

fn jobs() -> [Op; 5] {
    [
        post("/licenses/bulk", "createJob", "Change many licenses")
            .about(
                "Starts a job that runs the action on each license in the background, once, also if the server is stopped and \
                 started. Its events name the job. The licenses are fixed when the job is created: those with the \
                 `ids`, or those that the `search` finds, at most 100,000. A search must find as many as you `expect`, or nothing is \
                 created. A dry run changes nothing. A renewal needs an Idempotency-Key.",
            )
            .reads("NewJob")
            .errors(&[Code::IdempotencyKeyRequired, Code::CountDiffers, Code::QueryTooBroad])
            .errors_as(StatusCode::UNPROCESSABLE_ENTITY, &[Code::LicenseKeyMalformed])
            .answers("DryRun", "The licenses that the job would change.")
            .answers_status(StatusCode::ACCEPTED, "Job", "The job, which runs now.")
            .idempotent()
            .with_header("Location")
            .denials(StatusCode::UNPROCESSABLE_ENTITY, &[DenialCode::PlanUnknown, DenialCode::PlanArchived]),
        get("/jobs/{job_id}", "getJob", "Get a job")
            .about("Finished jobs are kept for 30 days.")
            .answers("Job", "The job and its progress.")
            .errors(&[Code::QueryTooBroad]),
        post("/jobs/{job_id}/cancel", "cancelJob", "Cancel a job")
            .about("Licenses that have got the action keep its effect. A finished job stays as it is.")
            .answers("Job", "The job."),
        get("/jobs", "listJobs", "List jobs, newest first")
            .about("Finished jobs are kept for 30 days.")
            .lists("JobPage", id("job")),
        get("/jobs/{job_id}/refused", "listRefusedLicenses", "List the licenses that a job did not change")
            .about("Licenses that denied the action, that do not exist, or whose rows are damaged, by id.")
            .lists("RefusedPage", id("lic")),
    ]
}

fn customers() -> [Op; 5] {
    [
        get("/metrics", "getBusinessMetrics", "Get metrics of server and business for Prometheus")
            .about("As `/metrics`, and licenses by plan and status, and webhook deliveries that wait.")
            .answers_as(OPENMETRICS, string(), "Metrics as OpenMetrics text."),
        usage(get("/usage", "getUsageOverview", "Get the usage of all licenses"), "UsageOverview"),
        delete("/customers/{email}", "eraseCustomer", "Erase a customer")
            .about(
                "Replaces the e-mail address in all licenses and removes the name and the metadata, also in events and in the audit, and \
                 in those of licenses that belonged to the customer before. The licenses keep working, stay grouped and keep their `external_id`.",
            )
            .answers("ErasedCustomer", "The replacement address.")
            .errors(&[Code::QueryTooBroad]),
        get("/customers/{email}/export", "exportCustomer", "Export the data of a customer")
            .answers("Export", "All data. If the export fails midway, the response is not valid JSON.")
            .errors(&[Code::QueryTooBroad]),
        get("/events", "listEvents", "List events, newest first")
            .query("type", event_type(), "Only events of this type.")
            .query("license", id("lic"), "Only events of this license.")
            .query("from", time(), "Events at or after this time.")
            .query("to", time(), "Events before this time.")
            .lists("EventPage", matching(POSITION)),
    ]
}

fn endpoints() -> [Op; 5] {
    let (all, one) = ("/webhook-endpoints", "/webhook-endpoints/{id}");
    [
        post(all, "createWebhookEndpoint", "Create an endpoint")
            .reads("WebhookEndpointSettings")
            .answers_status(StatusCode::CREATED, "WebhookEndpoint", "The endpoint, with its secret.")
            .shows_secret()
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
            .answers("Deleted", "The endpoint was deleted."),
    ]
}

fn endpoint_commands() -> [Op; 7] {
    let statuses = one_of(DeliveryStatus::ALL.map(DeliveryStatus::as_str));
    [
        post("/webhook-endpoints/{id}/enable", "enableWebhookEndpoint", "Enable an endpoint")
            .answers("WebhookEndpoint", "The endpoint."),
        post("/webhook-endpoints/{id}/disable", "disableWebhookEndpoint", "Disable an endpoint")
            .answers("WebhookEndpoint", "The endpoint."),
        post(
            "/webhook-endpoints/{id}/rotate-secret",
            "rotateWebhookSecret",
            "Replace the secret of an endpoint",
        )
        .about("The old secret signs too for one day.")
        .answers("WebhookEndpoint", "The endpoint, with its secret.")
        .shows_secret(),
        post("/webhook-endpoints/{id}/test", "testWebhookEndpoint", "Send a test event")
            .about("Delivers it like any other event, and waits up to 20 seconds for the first attempt.")
            .answers("Delivery", "The delivery with its first attempt.")
            .idempotent()
            .answers_status(StatusCode::ACCEPTED, "Delivery", "No attempt was made in time.")
            .with_header("Idempotent-Replayed")
            .errors(&[Code::EndpointDisabled]),
        post("/webhook-endpoints/{id}/replay", "replayEvents", "Deliver events again")
            .about("A repeated call makes the same deliveries due again. Receivers recognise them by their webhook-id.")
            .reads("ReplayRequest")
            .answers("Replayed", "Number of events."),
        get("/webhook-endpoints/{id}/deliveries", "listDeliveries", "List deliveries, newest event first")
            .query("status", statuses, "Only deliveries of this status.")
            .lists("DeliveryPage", matching(POSITION)),
        post(
            "/webhook-endpoints/{id}/deliveries/{delivery_id}/replay",
            "replayDelivery",
            "Deliver one event again",
        )
        .answers("Delivery", "The delivery, due now."),
    ]
}

fn access() -> [Op; 5] {
    let action = with(text(limits::ACTION_BYTES), "pattern", "^[a-z._]+$");
    [
        post("/tokens", "createToken", "Create a token")
            .about("The token can only have scopes that the caller has.")
            .reads("NewToken")
            .answers_status(StatusCode::CREATED, "Token", "The token. Only this response has the secret.")
            .shows_secret()
            .with_header("Location"),
        get("/tokens", "listTokens", "List tokens").lists("TokenPage", id("tok")),
        get("/tokens/{token_id}", "getToken", "Get a token")
            .answers("Token", "The token, without its secret."),
        delete("/tokens/{token_id}", "revokeToken", "Revoke a token")
            .about(
                "Takes effect at once on this node, within about 100 ms on other nodes of a PostgreSQL database, and within a second \
                 on other processes of a SQLite file. The caller must have all scopes of the \
                 token.",
            )
            .answers("Token", "The revoked token."),
        get("/audit", "listAudit", "List changes, newest first")
            .query("license", id("lic"), "Changes of this license.")
            .query("token", id("tok"), "Changes of this token, or by it.")
            .query("endpoint", id("whe"), "Changes of this webhook endpoint.")
            .query("action", action, "Changes with this action, such as license.revoke.")
            .query("from", time(), "Changes at or after this time.")
            .query("to", time(), "Changes before this time.")
            .lists("AuditPage", matching(POSITION)),
    ]
}

fn finding() -> [Op; 3] {
    [
        post("/licenses/search", "searchLicenses", "Search licenses")
            .about(
                "Every given filter must match. Newest first; other orders need filters by product, plan, status and the sorted \
                 time only. The total is exact up to 10,000. A cursor is valid for the same filters and order only.",
            )
            .reads("LicenseSearch")
            .answers("FoundLicenses", "One page, and the number of all licenses that match.")
            .errors(&[Code::QueryTooBroad, Code::SortNotSupported])
            .errors_as(StatusCode::UNPROCESSABLE_ENTITY, &[Code::LicenseKeyMalformed]),
        get("/customers", "listCustomers", "List customers, by e-mail address")
            .query("email_prefix", text(limits::EMAIL_BYTES), "Only addresses that begin with this text.")
            .lists("CustomerPage", email()),
        get("/customers/{email}", "getCustomer", "Get a customer")
            .answers("CustomerAnswer", "The customer, with its newest licenses, at most 100.")
            .errors(&[Code::CustomerNotFound, Code::QueryTooBroad]),
    ]
}

fn server() -> [Op; 8] {
    let file = |path, id, summary, content_type, about| {
        get(path, id, summary).answers_as(content_type, string(), about)
    };
    let docs = "text/html";
    [
        get("/health", "getHealth", "Check that the process is alive")
            .about("Does not ask the store: a failed database is no reason to restart the process.")
            .answers("Health", "The process is alive."),
        get("/ready", "getReadiness", "Check that the server can work")
            .answers("Readiness", "The store answers.")
            .errors(&[Code::StoreUnavailable]),
        file(
            "/metrics",
            "getMetrics",
            "Get metrics for Prometheus",
            OPENMETRICS,
            "Metrics as OpenMetrics text.",
        ),
        get("/jwks.json", "getSigningKeys", "Get the public signing keys")
            .about(
                "For JWT libraries that verify tokens of this server. It can be cached for a minute. Licensed \
                 software must not learn new keys from here, because the answer is not signed.",
            )
            .answers("JsonWebKeySet", "The keys that sign tokens, or signed tokens that are still in use."),
        get("/.well-known/jwks.json", "getWellKnownSigningKeys", "Get the public signing keys")
            .about("The answer of `/api/v1/jwks.json`, at the root of the host. Programs that embed the API can leave it out.")
            .answers("JsonWebKeySet", "The keys that sign tokens, or signed tokens that are still in use."),
        get("/openapi.json", "getContract", "Get this document").answers_as(
            "application/json",
            open_object(),
            "This document.",
        ),
        file("/docs", "getDocs", "Show this document", docs, "An HTML page."),
        file(
            "/docs/style.css",
            "getDocsStyle",
            "Get the style sheet of the page",
            "text/css",
            "A style sheet.",
        ),
    ]
}

fn products() -> [Op; 5] {
    let (all, one) = ("/products", "/products/{name}");
    [
        post(all, "createProduct", "Create a product")
            .reads("NewProduct")
            .answers_status(StatusCode::CREATED, "Product", "The product.")
            .with_header("Location")
            .repeatable()
            .errors(&[Code::ProductExists, Code::CatalogLimitReached]),
        get(all, "listProducts", "List all products").answers("ProductPage", "All products."),
        get(one, "getProduct", "Get a product").answers("Product", "The product."),
        put(one, "changeProduct", "Change the display name of a product")
            .reads("ProductPatch")
            .answers("Product", "The product."),
        delete(one, "deleteProduct", "Delete a product that has no plans")
            .answers("DeletedProduct", "The product was deleted.")
            .errors(&[Code::ProductInUse]),
    ]
}

fn plans() -> [Op; 7] {
    let (all, one) = ("/plans", "/plans/{name}");
    let changes = |op: Op| {
        op.if_match("plan")
            .answers("Plan", "The plan.")
            .with_header("ETag")
            .errors(&[Code::PlanManaged, Code::PlanStale])
    };
    [
        post(all, "createPlan", "Create a plan")
            .reads("NewPlan")
            .answers_status(StatusCode::CREATED, "Plan", "The plan, at version 1.")
            .with_header("ETag")
            .with_header("Location")
            .repeatable()
            .errors(&[Code::PlanExists, Code::ProductUnknown, Code::CatalogLimitReached]),
        get(all, "listPlans", "List all plans").answers("PlanPage", "All plans, archived ones included."),
        get(one, "getPlan", "Get a plan").answers("Plan", "The plan.").with_header("ETag"),
        get("/plans/{name}/versions", "listPlanVersions", "List the versions of a plan, newest first")
            .answers("PlanVersionPage", "All versions."),
        changes(put(one, "changePlan", "Change a plan").reads("PlanPatch"))
            .about(
                "Omitted fields keep their values. `features` is merged (RFC 7396), and every other field replaces its value. If the terms \
                 differ then, the plan gets a new version, which new licenses have. Sold licenses keep their version until a \
                 change of the license names the plan, or until a change of the plan has `apply_to: \"all\"`. That starts a job that \
                 moves all licenses of the plan; limits that were set on a license and its `expires_at` stay. It also needs the \
                 scope `licenses:write`.",
            )
            .errors(&[Code::CatalogLimitReached]),
        changes(post("/plans/{name}/archive", "archivePlan", "Archive a plan"))
            .about("No license can be sold with an archived plan or moved to it. Sold licenses go on."),
        changes(post("/plans/{name}/unarchive", "unarchivePlan", "Make an archived plan available again")),
    ]
}
