//! Schemas of the terms of a plan.

use license_core::catalog::Plan;
use license_core::limits;
use serde_json::{Value, json};

use super::schema::{about, nullable, one_of, text, whole};

/// Returns the schema of each field that a request can have, in the order of the core.
pub(super) fn plan_inputs() -> impl Iterator<Item = (&'static str, Value)> {
    Plan::fields().iter().map(|name| (*name, plan_field(name)))
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
        "term_days" => about(
            nullable(days(1)),
            "Days until a new license expires, and days that a renewal adds; null if it never expires.",
        ),
        "grace_days" => about(days(0), "Days after expires_at during which licenses stay valid."),
        "domain_policy" => about(
            one_of(["free_claim", "registered_only"]),
            "Whether a new domain takes a free slot, or only domains that you registered are allowed.",
        ),
        "exempt_hosts" => {
            about(boolean(), "Whether development hosts such as localhost are allowed and take no slot.")
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
        // A test checks that all names are known.
        _ => json!({}),
    }
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
