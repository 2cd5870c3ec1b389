//! Schemas of request bodies, with the limits that are enforced.

use license_core::access::Scope;
use license_core::bulk::BulkAction;
use license_core::domain::MAX_TYPED_LEN;
use license_core::license::Status;
use license_core::limits;
use license_core::store::SearchSort;
use serde_json::{Map, Value, json};

use super::leases;
use super::plan_terms::plan_inputs;
use super::schema::{
    about, activation_id, array, email, feature_value, id, matching, named, nullable, one_of, open_object,
    selectable_events, string, text, time, whole, with,
};
use crate::routes::licenses::{CHANGE_FIELDS, SPEC_FIELDS};
use crate::routes::plans::APPLY_TO;
use crate::routes::search::{FILTERS, SEARCH_FIELDS};

const KEY: &str = "TO-7V3K-M9XQ-2B4D-8HNP";

/// Base64url of 16 to 64 bytes, without padding: whole groups of four symbols, then none, two or three more,
/// whose unused bits are zero.
const NONCE: &str = "^(([0-9A-Za-z_-]{4}){6,21}|([0-9A-Za-z_-]{4}){5,21}[0-9A-Za-z_-][AQgw]\
    |([0-9A-Za-z_-]{4}){5,20}[0-9A-Za-z_-]{2}[AEIMQUYcgkosw048])$";

/// No control characters, and at least one character that is not a space.
const PRINTABLE: &str = r"^\s*[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?\s*$";
/// The same, without spaces around.
pub(super) const TRIMMED: &str =
    r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";

pub(super) fn schemas() -> Map<String, Value> {
    let Value::Object(mut schemas) = json!({
        "NewLicense": license(&SPEC_FIELDS, &["plan"], json!({
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
                "released_at": about(nullable(time()),
                    "When the version of the software was released. A version that was released after the updates window of the \
                     license is denied."),
                "product": about(nullable(pattern(limits::PLAN_NAME_BYTES, "^[a-z0-9_-]+$")),
                    "Product that the software is. The key of another product is denied."),
                "features": about(
                    with(nullable(array(pattern(limits::FEATURE_NAME_BYTES, TRIMMED))), "maxItems", limits::FEATURES_PER_REQUEST),
                    "Features that the software needs. A feature that is absent, false or 0 is missing."),
                "activate": about(json!({ "type": ["boolean", "null"] }),
                    "Whether the call may take slots and activate the license; true by default."),
                "nonce": about(nullable(matching(NONCE)),
                    "16 to 64 random bytes as base64url without padding, fresh for each request. The answer then has a `proof`."),
            },
            "required": ["key"],
            "examples": [{ "key": KEY, "domain": "example.com" }],
        },
        "DeactivateRequest": {
            "properties": {
                "key": about(string(), "License key, as for a validation."),
                "domain": about(printable(MAX_TYPED_LEN), "Domain whose slot is released."),
                "fingerprint": about(printable(limits::FINGERPRINT_BYTES), "Device whose slot is released."),
                "activation_id": about(nullable(activation_id()), "Activation whose slot is released."),
            },
            "required": ["key"],
            "examples": [{ "key": KEY, "fingerprint": "old-laptop" }],
        },
        "NewJob": new_job(),
        "ActivationLabel": {
            "properties": {
                "label": about(printable(limits::LABEL_BYTES),
                    "Label; null removes it. Surrounding spaces are removed."),
            },
            "required": ["label"],
            "examples": [{ "label": "Build server" }],
        },
        "NewGrant": grant(),
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
                "skip_job_events": {
                    "type": "boolean", "description": "Whether events of bulk jobs are left out; false by default.",
                },
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
    schemas.extend(handling());
    schemas.extend(catalog());
    schemas.extend(leases::bodies(&schemas["ValidateRequest"]));
    for schema in schemas.values_mut() {
        schema["type"] = "object".into();
        schema["additionalProperties"] = false.into();
    }
    schemas
}

/// Bodies of reasons, blocks, batches and the list of a customer.
fn handling() -> Map<String, Value> {
    let Value::Object(schemas) = json!({
        "ReasonGiven": { "properties": { "reason": reason() }, "examples": [{ "reason": "chargeback" }] },
        "NewBlock": {
            "properties": {
                "domain": about(pattern(MAX_TYPED_LEN, PRINTABLE),
                    "Domain to block; *.example.com blocks all subdomains."),
                "fingerprint": about(pattern(limits::FINGERPRINT_BYTES, PRINTABLE), "Device to block."),
                "reason": reason(),
            },
            "examples": [{ "fingerprint": "stolen-laptop", "reason": "stolen" }],
        },
        "NewLicenses": batch(),
        "LicenseSearch": search(),
        "ListRequest": {
            "properties": {
                "key": about(string(), "License key, as for a validation."),
                "domain": about(printable(MAX_TYPED_LEN), "Domain that the software serves, to mark its activation."),
                "fingerprint": about(printable(limits::FINGERPRINT_BYTES),
                    "Device on which the software runs, to mark its activation and to see its name."),
            },
            "required": ["key"],
            "examples": [{ "key": KEY, "fingerprint": "new-laptop" }],
        },
    }) else {
        return Map::new();
    };
    schemas
}

/// The bodies of calls on products and plans.
fn catalog() -> [(String, Value); 4] {
    let product = json!({
        "properties": {
            "name": name("Name of the product. It never changes."),
            "display_name": display_name(),
        },
        "required": ["name", "display_name"],
        "examples": [{ "name": "editor", "display_name": "Editor" }],
    });
    let product_patch = json!({
        "properties": { "display_name": display_name() },
        "required": ["display_name"],
        "examples": [{ "display_name": "Editor" }],
    });
    let new_plan = plan(
        [("name", name("Name of the plan. It never changes."))],
        &["name", "max_domains", "max_devices", "term"],
        json!({
            "name": "pro", "max_domains": 2, "max_devices": 3, "term": { "days": 365 },
            "features": { "export": true, "seats": 25 },
        }),
    );
    let apply_to = about(
        one_of(APPLY_TO),
        "`new`, the default: sold licenses keep their version. `all`: a job moves them to the current version.",
    );
    let plan_patch =
        plan([("apply_to", apply_to)], &[], json!({ "max_devices": 5, "features": { "export": null } }));
    [
        ("NewProduct", product),
        ("ProductPatch", product_patch),
        ("NewPlan", new_plan),
        ("PlanPatch", plan_patch),
    ]
    .map(|(name, body)| (name.to_owned(), body))
}

fn name(description: &str) -> Value {
    about(pattern(limits::PLAN_NAME_BYTES, "^[a-z0-9_-]+$"), description)
}

fn display_name() -> Value {
    let shown = pattern(limits::PRODUCT_DISPLAY_NAME_BYTES, r"^[^\u0000-\u001f\u007f-\u009f]+$");
    about(shown, "Name for people.")
}

/// The terms of a plan and further fields.
fn plan<const N: usize>(further: [(&'static str, Value); N], required: &[&str], example: Value) -> Value {
    let mut properties: Map<_, _> =
        further.into_iter().chain(plan_inputs()).map(|(name, schema)| (name.to_owned(), schema)).collect();
    // `null` removes a feature.
    if !required.contains(&"name") {
        properties["features"]["additionalProperties"]["type"] =
            json!(["boolean", "integer", "string", "null"]);
    }
    json!({ "properties": properties, "required": required, "examples": [example] })
}

fn nonempty(list: Value) -> Value {
    with(list, "minItems", 1)
}

pub(super) fn pattern(max: usize, pattern: &str) -> Value {
    with(text(max), "pattern", pattern)
}

fn printable(max: usize) -> Value {
    nullable(pattern(max, PRINTABLE))
}

fn reason() -> Value {
    about(
        printable(limits::REASON_BYTES),
        "Your reason, for the license, the events and the audit. Erasing the customer removes it.",
    )
}

fn new_job() -> Value {
    let filters = SEARCH_FIELDS[..FILTERS].iter().map(|name| ((*name).to_owned(), search_field(name)));
    let filters: Map<_, _> = filters.collect();
    json!({
        "properties": {
            "action": about(one_of(BulkAction::NAMES), "Action on each license."),
            "plan": about(text(limits::PLAN_NAME_BYTES), "New plan, for `move_plan` only."),
            "ids": about(
                with(nonempty(array(id("lic"))), "maxItems", limits::BULK_JOB_IDS),
                "Ids of the licenses. An id that occurs twice gets the action once.",
            ),
            "dry_run": { "type": "boolean", "description": "Whether to show the licenses only; false by default." },
            "search": {
                "type": "object", "additionalProperties": false, "minProperties": 1, "properties": filters,
                "description": "Filters of `/licenses/search`, at least one: the licenses that match when the job is created. The \
                    search itself is not stored.",
            },
            "expect": about(
                whole(1, limits::BULK_JOB_LICENSES),
                "Number of licenses that the search finds, as its dry run told. Required with `search`, except for a dry run.",
            ),
            "reason": reason(),
        },
        "required": ["action"],
        "oneOf": [{ "required": ["ids"] }, { "required": ["search"] }],
        "dependentRequired": { "expect": ["search"] },
        "examples": [
            { "action": "suspend", "ids": ["lic_01kdvs0000aaaaaaaaaaaaaaaa"] },
            { "action": "suspend", "search": { "metadata": { "order": "A-17" } }, "expect": 3, "reason": "chargeback" },
        ],
    })
}

fn batch() -> Value {
    let example = json!({ "plan": "professional", "customer_email": "dev@example.com", "count": 5 });
    let mut batch = license(&SPEC_FIELDS, &["plan", "count"], example);
    if let Some(properties) = batch["properties"].as_object_mut() {
        properties.remove("external_id");
    }
    batch["properties"]["count"] = about(whole(1, limits::BATCH_LICENSES), "Number of licenses.");
    batch
}

fn license(names: &[&str], required: &[&str], example: Value) -> Value {
    let properties: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), license_field(name))).collect();
    json!({ "properties": properties, "required": required, "examples": [example] })
}

fn search() -> Value {
    let properties: Map<_, _> =
        SEARCH_FIELDS.iter().map(|name| ((*name).to_owned(), search_field(name))).collect();
    json!({ "properties": properties, "examples": [{ "email_domain": "example.com", "status": "active" }] })
}

fn search_field(name: &str) -> Value {
    let name_of = |what: &str| {
        about(
            pattern(limits::PLAN_NAME_BYTES, r"^[^\u0000-\u001f\u007f-\u009f]+$"),
            &format!("Name of the {what}."),
        )
    };
    let date = || pattern(10, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$");
    let flag = || json!({ "type": "boolean" });
    match name {
        "key" => about(string(), "License key, in any spelling that `/validate` accepts. Not an old key."),
        "customer_email" => about(email(), "E-mail address of the customer."),
        "email_prefix" => about(
            pattern(limits::EMAIL_BYTES, PRINTABLE),
            "Beginning of the customer's address, in any case.",
        ),
        "email_domain" => {
            about(pattern(MAX_TYPED_LEN, PRINTABLE), "Host of the customer's address, without subdomains.")
        }
        "domain" => about(
            pattern(MAX_TYPED_LEN, PRINTABLE),
            "Domain that holds a slot, or that a registered wildcard covers. *.example.com finds the wildcard itself.",
        ),
        "fingerprint" => about(pattern(limits::FINGERPRINT_BYTES, PRINTABLE), "Device that holds a slot."),
        "external_id" => about(pattern(limits::EXTERNAL_ID_BYTES, PRINTABLE), "The external id."),
        "metadata" => json!({
            "type": "object", "maxProperties": limits::SEARCHED_METADATA,
            "additionalProperties": text(limits::INDEXED_METADATA_BYTES),
            "description": "Members of the metadata that are strings, at most 128 bytes long.",
        }),
        "product" => name_of("product"),
        "plan" => name_of("plan"),
        "status" => about(one_of(Status::ALL.map(Status::as_str)), "Status now."),
        "expires_before" => about(time(), "Licenses that expire before this time."),
        "expires_after" => {
            about(time(), "Licenses that expire at or after this time. A perpetual license never does.")
        }
        "never_activated" => about(flag(), "Whether the license never had a valid answer."),
        "last_validated_before" => {
            about(date(), "Licenses with their last valid answer before this day (UTC).")
        }
        "last_validated_after" => {
            about(date(), "Licenses with their last valid answer on this day (UTC) or later.")
        }
        "at_limit" => about(flag(), "Whether slots of a kind are in use and none is free."),
        "sort" => {
            about(one_of(SearchSort::ALL.map(SearchSort::as_str)), "The order; newest first by default.")
        }
        "limit" => with(
            about(whole(1, limits::PAGE_ITEMS), "Maximum number of items."),
            "default",
            limits::PAGE_ITEMS_DEFAULT,
        ),
        "cursor" => about(nullable(string()), "The `next_cursor` of the previous page."),
        // A test checks that all names are known.
        _ => json!({}),
    }
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
        "customer_email" => about(
            nullable(email()),
            "E-mail address of the customer; null or absent for a key that is made before there is one.",
        ),
        "customer_name" => about(
            printable(limits::CUSTOMER_NAME_BYTES),
            "Name of the customer; null removes it. It is removed when the customer is erased.",
        ),
        "external_id" => about(
            printable(limits::EXTERNAL_ID_BYTES),
            "Id of the license in another system of yours, such as a subscription; null removes it. No two licenses have \
             the same one. It stays when the customer is erased, so it must not be personal data.",
        ),
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
        "grants" => about(
            with(array(named("NewGrant")), "maxItems", limits::GRANTS),
            "Features beyond those of the plan. Of two with the same feature and source, the last one counts.",
        ),
        "status" => about(one_of(["active", "suspended", "revoked"]), "New status. Revocation is permanent."),
        "reason" => reason(),
        // A test checks that all names are known.
        _ => json!({}),
    }
}

fn grant() -> Value {
    let source = "Where the grant comes from, such as an add-on. A license has one grant of each feature and source. Must not \
                  name a person: the erasure of a customer keeps it.";
    json!({
        "properties": {
            "feature": about(pattern(limits::FEATURE_NAME_BYTES, TRIMMED), "Name of the feature."),
            "value": feature_value(),
            "until": about(nullable(time()), "End of the grant, in the future; null if never."),
            "source": about(nullable(pattern(limits::GRANT_SOURCE_BYTES, TRIMMED)), source),
        },
        "required": ["feature", "value"],
        "examples": [{ "feature": "seats", "value": 25, "until": "2030-01-31T00:00:00Z", "source": "sub_17" }],
    })
}
