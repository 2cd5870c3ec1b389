//! Rows of products, plans and plan versions.

use std::sync::Arc;

use license_core::catalog::{Plan, PlanEntry, PlanVersion, Product};
use serde_json::Value as Json;

use super::reader::{Reader, int, micros};
use crate::Result;
use crate::sql::dialect::{SqlRow, Value};

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn product(&self) -> Result<Product> {
        Ok(Product {
            name: self.text("name")?,
            display_name: self.text("display_name")?,
            created_at: self.time("created_at")?,
            updated_at: self.time("updated_at")?,
        })
    }

    /// Reads a plan without its versions.
    pub(crate) fn plan(&self) -> Result<PlanEntry> {
        Ok(PlanEntry {
            name: self.text("name")?,
            product: self.text("product")?,
            versions: Vec::new(),
            archived_at: self.maybe_time("archived_at")?,
            managed_by: self.maybe_text("managed_by")?,
            revision: self.count("revision")?,
            created_at: self.time("created_at")?,
            updated_at: self.time("updated_at")?,
        })
    }

    /// Reads a plan version, and the name of its plan.
    pub(crate) fn plan_version(&self) -> Result<(String, PlanVersion)> {
        let name = self.text("plan")?;
        let plan = Arc::new(self.parse("terms", self.json("terms")?, |terms| Plan::from_json(&name, terms))?);
        let version = self.parse("version", self.int("version")?, u32::try_from)?;
        Ok((name, PlanVersion { plan, version, created_at: self.time("created_at")? }))
    }
}

pub(crate) fn product_values(product: &Product) -> [Value<'_>; 4] {
    let Product { name, display_name, created_at, updated_at } = product;
    [
        name.as_str().into(),
        display_name.as_str().into(),
        created_at.timestamp_micros().into(),
        updated_at.timestamp_micros().into(),
    ]
}

pub(crate) fn plan_values(plan: &PlanEntry) -> [Value<'_>; 7] {
    let PlanEntry { name, product, versions: _, archived_at, managed_by, revision, created_at, updated_at } =
        plan;
    [
        name.as_str().into(),
        product.as_str().into(),
        micros(*archived_at).into(),
        managed_by.as_deref().into(),
        int(*revision).into(),
        created_at.timestamp_micros().into(),
        updated_at.timestamp_micros().into(),
    ]
}

pub(crate) fn plan_version_values(PlanVersion { plan, version, created_at }: &PlanVersion) -> [Value<'_>; 4] {
    [
        plan.name.as_str().into(),
        i64::from(*version).into(),
        created_at.timestamp_micros().into(),
        Json::Object(plan.to_json()).to_string().into(),
    ]
}
