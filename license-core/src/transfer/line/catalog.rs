//! Lines of products and plan versions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::read;
use super::texts::Time;
use super::written;
use crate::catalog::{Plan, PlanEntry, PlanVersion, Product};
use crate::catalog_command::ImportedPlan;
use crate::transfer::ImportLineError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductFields {
    name: String,
    display_name: String,
    created_at: Time,
    updated_at: Time,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFields {
    name: String,
    version: u32,
    created_at: Time,
    archived_at: Option<Time>,
    terms: Map<String, Value>,
}

pub(super) fn read_product(fields: &Map<String, Value>) -> Result<Product, ImportLineError> {
    let ProductFields { name, display_name, created_at, updated_at } = read(fields)?;
    Ok(Product { name, display_name, created_at: created_at.0, updated_at: updated_at.0 })
}

pub(super) fn read_plan(fields: &Map<String, Value>) -> Result<ImportedPlan, ImportLineError> {
    let PlanFields { name, version, created_at, archived_at, terms } = read(fields)?;
    let plan = Plan::from_json(&name, terms).map_err(|error| ImportLineError::field("terms", error))?;
    let archived_at = archived_at.map(|time| time.0);
    Ok(ImportedPlan { plan, version, created_at: created_at.0, archived_at })
}

pub(crate) fn product_line(product: &Product) -> String {
    let Product { name, display_name, created_at, updated_at } = product.clone();
    let (created_at, updated_at) = (Time(created_at), Time(updated_at));
    written("product", &ProductFields { name, display_name, created_at, updated_at })
}

/// Returns a line for each version of the plan, in order.
pub(crate) fn plan_lines(entry: &PlanEntry) -> impl Iterator<Item = String> {
    entry.versions.iter().map(|PlanVersion { plan, version, created_at }| {
        written(
            "plan",
            &PlanFields {
                name: entry.name.clone(),
                version: *version,
                created_at: Time(*created_at),
                archived_at: entry.archived_at.map(Time),
                terms: plan.to_json(),
            },
        )
    })
}
