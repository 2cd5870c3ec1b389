//! A catalog as a TOML file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DEFAULT_PRODUCT, Plan, PlanCatalog, PlanCatalogError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    #[serde(default)]
    products: BTreeMap<String, ProductFields>,
    plans: BTreeMap<String, Plan>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductFields {
    display_name: String,
}

/// The words that stand for `null`, which TOML does not have. Other fields that are `null` are left out.
const WORDS: [(&str, &str); 3] =
    [("max_domains", "unlimited"), ("max_devices", "unlimited"), ("term_days", "perpetual")];

impl PlanCatalog {
    /// Parses a catalog from TOML. Every limit and term must be given, so that none is unlimited by mistake.
    ///
    /// Requires the feature `plan-files`.
    ///
    /// ```
    /// use license_core::catalog::{Limit, PlanCatalog};
    /// let plans = PlanCatalog::from_toml(r#"
    ///     [products.editor]          # optional
    ///     display_name = "Editor"
    ///
    ///     [plans.professional]
    ///     max_domains = 3
    ///     max_devices = "unlimited"
    ///     term_days = 365            # or "perpetual"
    ///     product = "default"        # default
    ///     grace_days = 7             # default: 0
    ///     domain_policy = "free_claim"    # default; or "registered_only"
    ///     exempt_hosts = true        # default
    ///     device_policy = "deny"     # default; or "evict_oldest"
    ///     idle_days = 90             # default: never
    ///     customer_release = true    # default: false
    ///     max_countries_per_day = 3  # default: no event
    ///     max_devices_per_day = 20   # default: no event
    ///     features = { api = true, seats = 25, support = "email" }
    /// "#)?;
    /// assert_eq!(plans.get("professional").unwrap().max_domains, Limit::AtMost(3));
    /// # Ok::<(), license_core::catalog::PlanCatalogError>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`PlanCatalogError`]. A syntax error or an unknown name is reported with its line.
    pub fn from_toml(text: &str) -> Result<Self, PlanCatalogError> {
        let PlanFile { products, plans } =
            toml::from_str(text).map_err(|error| PlanCatalogError::Toml(Box::new(error)))?;
        let catalog = Self::new(plans.into_iter().map(|(name, plan)| Plan { name, ..plan }))?;
        products.into_iter().try_fold(catalog, |catalog, (name, ProductFields { display_name })| {
            catalog.with_product(&name, &display_name)
        })
    }
    /// Writes the products and the current versions of the plans that are not archived as TOML, which
    /// [`from_toml`](Self::from_toml) parses.
    ///
    /// Requires the feature `plan-files`.
    ///
    /// # Errors
    /// Returns [`PlanCatalogError::WriteToml`] if a value has no form in TOML.
    pub fn to_toml(&self) -> Result<String, PlanCatalogError> {
        let failed = |error| PlanCatalogError::WriteToml(Box::new(error));
        let products = self.products().filter(|product| product.name != DEFAULT_PRODUCT);
        let products = products.map(|product| {
            let fields = ProductFields { display_name: product.display_name.clone() };
            toml::to_string(&BTreeMap::from([("products", BTreeMap::from([(&product.name, fields)]))]))
        });
        let plans = self.entries().filter(|entry| entry.is_available()).map(|entry| {
            let fields = fields(&entry.current().plan);
            toml::to_string(&BTreeMap::from([("plans", BTreeMap::from([(&entry.name, fields)]))]))
        });
        let parts: Vec<_> = products.chain(plans).collect::<Result<_, _>>().map_err(failed)?;
        Ok(parts.join("\n"))
    }
}

/// Returns the fields of a plan without `null`.
fn fields(plan: &Plan) -> Map<String, Value> {
    let word = |name: &str| WORDS.iter().find(|(field, _)| *field == name).map(|(_, word)| (*word).into());
    let fields = plan.to_json().into_iter();
    fields
        .filter_map(|(name, value)| {
            let value = if value.is_null() { word(&name)? } else { value };
            Some((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{DevicePolicy, DomainPolicy, Limit};
    use crate::limits;

    fn entry(lines: &str) -> String {
        format!("[plans.p]\nmax_domains = 1\nmax_devices = 1\nterm_days = 30\n{lines}")
    }

    #[test]
    fn toml_sets_every_field() {
        let text = entry(
            "product = \"editor\"\ngrace_days = 3\ndomain_policy = \"registered_only\"\nexempt_hosts = false\n\
             device_policy = \"evict_oldest\"\nidle_days = 36525\ncustomer_release = true\n\
             max_countries_per_day = 2\nmax_devices_per_day = 10000000\nfeatures = {a = true, b = 7, c = \"x\"}",
        );
        let plans = PlanCatalog::from_toml(&text).unwrap();
        let expected = Plan::new("p")
            .max_domains(Limit::AtMost(1))
            .max_devices(Limit::AtMost(1))
            .term_days(Some(30))
            .product("editor")
            .grace_days(3)
            .domain_policy(DomainPolicy::RegisteredOnly)
            .exempt_hosts(false)
            .device_policy(DevicePolicy::EvictOldest)
            .idle_days(Some(limits::PLAN_DAYS))
            .customer_release(true)
            .max_countries_per_day(Some(2))
            .max_devices_per_day(Some(limits::MAX_SLOTS))
            .feature("a", true)
            .feature("b", 7)
            .feature("c", "x");
        assert_eq!(**plans.get("p").unwrap(), expected);
    }

    #[test]
    fn unlimited_and_perpetual_are_accepted() {
        let text =
            "[plans.p]\nmax_domains = \"unlimited\"\nmax_devices = \"unlimited\"\nterm_days = \"perpetual\"";
        assert_eq!(**PlanCatalog::from_toml(text).unwrap().get("p").unwrap(), Plan::new("p"));
    }

    #[test]
    fn example_file_is_a_catalog() {
        let plans = PlanCatalog::from_toml(include_str!("../../../examples/plans.toml")).unwrap();
        let names: Vec<_> = plans.iter().map(|plan| plan.name.as_str()).collect();
        assert_eq!(names, ["agency", "intranet", "solo"]);
    }

    #[test]
    fn written_catalog_is_read_back() {
        let standard = PlanCatalog::standard();
        let full = entry(
            "product = \"editor\"\ngrace_days = 3\ndomain_policy = \"registered_only\"\nexempt_hosts = false\n\
             device_policy = \"evict_oldest\"\nidle_days = 9\ncustomer_release = true\n\
             max_countries_per_day = 2\nfeatures = {\"a b\" = true, b = -7, c = \"x\\\"y\"}\n\
             [products.editor]\ndisplay_name = \"An \\\"Editor\\\"\"\n[products.viewer]\ndisplay_name = \"V\"",
        );
        for catalog in [standard, PlanCatalog::from_toml(&full).unwrap()] {
            let text = catalog.to_toml().unwrap();
            assert_eq!(PlanCatalog::from_toml(&text).expect(&text), catalog, "{text}");
        }
    }

    #[test]
    fn invalid_files_are_rejected() {
        let plan = |domains: &str, term: &str| {
            format!("[plans.p]\nmax_domains = {domains}\nmax_devices = 1\nterm_days = {term}")
        };
        let named = |name: &str| plan("1", "1").replace("plans.p", &format!("plans.{name}"));
        let long = "x".repeat(limits::PLAN_NAME_BYTES + 1);
        for (text, part) in [
            ("", "missing field `plans`"),
            ("[plans]", "at least one plan"),
            (&(plan("1", "1") + "\n[products.x]"), "missing field `display_name`"),
            (
                &(plan("1", "1") + "\n[products.x]\ndisplay_name = \"\""),
                "product \"x\": display_name must have",
            ),
            (
                &(plan("1", "1") + "\n[products.X]\ndisplay_name = \"X\""),
                "product \"X\": the name of a product",
            ),
            ("plans = 3", "invalid type"),
            ("[plans.p]\nmax_domains = 1\nmax_devices = 1", "missing field `term_days`"),
            (&plan("-1", "1"), "expected a whole number"),
            (&plan("\"perpetual\"", "1"), "expected a whole number"),
            (&plan("10000001", "1"), "max_domains must be at most"),
            (&plan("1", "0"), "term_days must be 1 to"),
            (&named("P"), "must be 1 to"),
            (&named(&long), "must be 1 to"),
            (&entry("product = \"An Editor\""), "the name of a product must be 1 to"),
            (&entry("gracedays = 3"), "unknown field `gracedays`"),
            (&entry("grace_days = 36526"), "grace_days must be at most"),
            (&entry("domain_policy = \"any\""), "unknown variant"),
            (
                &entry("device_policy = \"evict\""),
                "unknown variant `evict`, expected `deny` or `evict_oldest`",
            ),
            (&entry("idle_days = 0"), "idle_days must be 1 to"),
            (&entry("idle_days = 36526"), "idle_days must be 1 to"),
            (&entry("customer_release = 1"), "invalid type"),
            (&entry("max_countries_per_day = 0"), "max_countries_per_day must be 1 to"),
            (&entry("max_devices_per_day = 10000001"), "max_devices_per_day must be 1 to"),
            (&entry("features = {a = 1.5}"), "did not match"),
        ] {
            let error = PlanCatalog::from_toml(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
