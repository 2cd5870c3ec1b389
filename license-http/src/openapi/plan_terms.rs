//! Schemas of the terms of a plan.

use license_core::catalog::Plan;
use license_core::domain::MAX_TYPED_LEN;
use license_core::limits;
use serde_json::{Value, json};

use super::schema::{about, nullable, one_of, text, whole};

/// Returns the schema of each field that a request can have, in the order of the core, without the short form of
/// the term, which is for files.
pub(super) fn plan_inputs() -> impl Iterator<Item = (&'static str, Value)> {
    Plan::fields().into_iter().map(|name| (name, plan_field(name)))
}

/// Returns the schema of each field of an answer. An answer has no short forms.
pub(super) fn plan_terms() -> impl Iterator<Item = (&'static str, Value)> {
    let shown = Plan::new("").to_json();
    plan_inputs().filter(move |(name, _)| shown.contains_key(*name))
}

fn plan_field(name: &str) -> Value {
    let slots = |of: &str| {
        let limit = nullable(whole(0, limits::MAX_SLOTS));
        about(limit, &format!("Maximum number of {of} of a license; null if unlimited."))
    };
    let per_day = |of: &str| {
        let text =
            format!("Number of {of} per day beyond which license.unusual_usage is emitted; null if never.");
        about(nullable(whole(1, limits::MAX_SLOTS)), &text)
    };
    let days = |least| whole(least, limits::PLAN_DAYS);
    let boolean = || json!({ "type": "boolean" });
    match name {
        "product" => about(
            text(limits::PLAN_NAME_BYTES),
            "Name of the product that the plan sells; default if omitted. It never changes.",
        ),
        "max_domains" => slots("domains"),
        "max_devices" => slots("devices"),
        "term" => about(
            period("starts", &["issue", "first_use"]),
            "How long a new license is valid, and how long a renewal adds: one of days, months and years. It starts with \
             the issue, or with the first valid answer. Null if licenses never expire.",
        ),
        "grace_days" => about(days(0), "Days after expires_at during which licenses stay valid."),
        "domain_policy" => about(
            one_of(["free_claim", "registered_only"]),
            "Whether a new domain takes a free slot, or only domains that you registered are allowed.",
        ),
        "exempt_hosts" => {
            let listed = json!({
                "type": "array", "items": text(MAX_TYPED_LEN), "maxItems": limits::EXEMPT_HOSTS,
            });
            let hosts = json!({ "anyOf": [boolean(), listed] });
            about(
                hosts,
                "Whether development hosts such as localhost are allowed and take no slot, or a list of hosts and \
                 wildcards that are free beside them.",
            )
        }
        "device_policy" => about(
            one_of(["deny", "evict_oldest"]),
            "Whether a device beyond the limit is denied, or takes the slot of the least recently seen one.",
        ),
        "idle_days" => {
            about(nullable(days(1)), "Days after which an unseen device loses its slot; null if never.")
        }
        "customer_release" => about(boolean(), "Whether customers can free slots with their key."),
        "max_countries_per_day" => per_day("countries"),
        "max_devices_per_day" => per_day("devices"),
        "features" => {
            let value = json!({ "type": ["boolean", "integer", "string"] });
            let features = json!({
                "type": "object", "additionalProperties": value, "maxProperties": limits::PLAN_FEATURES,
            });
            about(features, "Features for the licensed software.")
        }
        "updates" => about(
            period("after_expiry", &["deny", "old_versions"]),
            "How long versions that are released after the issue are covered: one of days, months and years. After \
             the end of the license, old versions can stay valid on slots that are held. Null if all versions are \
             covered.",
        ),
        "over_limit" => {
            let slots = || whole(0, limits::MAX_SLOTS);
            let over = json!({
                "type": "object", "properties": { "domains": slots(), "devices": slots() },
                "additionalProperties": false,
            });
            about(over, "Slots that validations can take beyond the limits.")
        }
        "require" => {
            let claims = json!({
                "type": ["array", "null"], "items": one_of(["product", "domain", "device"]),
            });
            about(
                claims,
                "Fields that every validation must have. If null, plans of every product but default require the \
                 product.",
            )
        }
        "trial" => {
            let holders = json!({
                "type": "array", "items": one_of(["device", "customer"]), "minItems": 1,
            });
            let trial = json!({
                "type": "object", "properties": { "once_per": holders }, "required": ["once_per"],
                "additionalProperties": false,
            });
            about(
                json!({ "anyOf": [{ "type": "null" }, trial] }),
                "Makes the plan a trial: each device, each customer, or each of both can have one trial of the product. Null \
                 if it is no trial.",
            )
        }
        _ => offline_field(name),
    }
}

/// Returns the schema of a field about leases.
fn offline_field(name: &str) -> Value {
    match name {
        "offline_days" => about(
            nullable(whole(1, limits::PLAN_DAYS)),
            "Longest time of a lease, with which software runs without a network, in days; null if there are no leases.",
        ),
        "offline_slots" => about(
            nullable(whole(1, limits::MAX_SLOTS)),
            "Devices that can hold leases at the same time, and new leases of a day; null for all devices but one.",
        ),
        "trust_release" => about(
            json!({ "type": "boolean" }),
            "Whether a lease that is handed back frees its slot at once. Otherwise the slot is free when the lease ends.",
        ),
        // A test checks that all names are known.
        _ => json!({}),
    }
}

/// Returns the schema of null or a period, which has one of three units, and a further field.
fn period(name: &str, values: &[&'static str]) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": {
            "days": whole(1, limits::PLAN_DAYS),
            "months": whole(1, limits::PLAN_MONTHS),
            "years": whole(1, limits::PLAN_YEARS),
        },
        "minProperties": 1,
        "additionalProperties": false,
    });
    schema["properties"][name] = one_of(values.iter().copied());
    json!({ "anyOf": [{ "type": "null" }, schema] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_plan_is_described() {
        for (name, schema) in plan_inputs() {
            assert!(schema["description"].is_string(), "{name} has no schema");
        }
    }
}
