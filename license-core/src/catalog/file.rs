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
    [("max_domains", "unlimited"), ("max_devices", "unlimited"), ("term", "perpetual")];

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
    ///     term = { years = 1 }       # or days, months; starts = "first_use"; short form: term_days = 365 or "perpetual"
    ///     product = "default"        # default
    ///     grace_days = 7             # default: 0
    ///     domain_policy = "free_claim"    # default; or "registered_only"
    ///     exempt_hosts = ["*.staging.example.net"]    # default: true
    ///     device_policy = "deny"     # default; or "evict_oldest"
    ///     idle_days = 90             # default: never
    ///     customer_release = true    # default: false
    ///     max_countries_per_day = 3  # default: no event
    ///     max_devices_per_day = 20   # default: no event
    ///     require = ["device"]       # default: [], or ["product"] if the product is not "default"
    ///     features = { api = true, seats = 25, support = "email" }
    ///     updates = { months = 12, after_expiry = "old_versions" }    # default: all versions
    ///     over_limit = { devices = 1, domains = 0 }    # default
    ///     trial = { once_per = ["device", "customer"] }    # default: no trial
    /// "#)?;
    /// assert_eq!(plans.get("professional").unwrap().max_domains, Limit::AtMost(3));
    /// # Ok::<(), license_core::catalog::PlanCatalogError>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`PlanCatalogError`]. A syntax error or an unknown name is reported with its line.
    pub fn from_toml(text: &str) -> Result<Self, PlanCatalogError> {
        let invalid = |error| PlanCatalogError::Toml(Box::new(error));
        refuse_two_terms(&toml::from_str(text).map_err(invalid)?)?;
        let PlanFile { products, plans } = toml::from_str(text).map_err(invalid)?;
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

/// Refuses plans with a term and its short form, of which one would be ignored.
fn refuse_two_terms(file: &toml::Table) -> Result<(), PlanCatalogError> {
    let plans = file.get("plans").and_then(toml::Value::as_table);
    let both = |plan: &toml::Value| plan.get("term").is_some() && plan.get("term_days").is_some();
    match plans.into_iter().flatten().find(|(_, plan)| both(plan)) {
        None => Ok(()),
        Some((name, _)) => {
            let reason = "term_days is the short form of term; give only one of the two".to_owned();
            Err(PlanCatalogError::Plan { plan: name.clone(), reason })
        }
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
    use crate::catalog::{
        AfterExpiry, DevicePolicy, DomainPolicy, ExemptHosts, Limit, OverLimit, Period, RequiredClaim, Term,
        TermStart, Trial, TrialHolder, Updates,
    };
    use crate::limits;

    fn entry(lines: &str) -> String {
        format!("[plans.p]\nmax_domains = 1\nmax_devices = 1\nterm_days = 30\n{lines}")
    }

    #[test]
    fn toml_sets_every_field() {
        let text = entry(
            "updates = {years = 1, after_expiry = \"old_versions\"}\nover_limit = {devices = 1}\n\
             product = \"editor\"\ngrace_days = 3\ndomain_policy = \"registered_only\"\nexempt_hosts = false\n\
             device_policy = \"evict_oldest\"\nidle_days = 36525\ncustomer_release = true\n\
             max_countries_per_day = 2\nmax_devices_per_day = 10000000\nrequire = [\"domain\", \"device\"]\nfeatures = {a = true, b = 7, c = \"x\"}\n\
             trial = {once_per = [\"customer\", \"device\"]}",
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
            .require([RequiredClaim::Device, RequiredClaim::Domain])
            .feature("a", true)
            .feature("b", 7)
            .feature("c", "x")
            .updates(Updates::new(Period::Years(1)).after_expiry(AfterExpiry::OldVersions))
            .over_limit(OverLimit { devices: 1, domains: 0 })
            .trial(Trial::once_per([TrialHolder::Device, TrialHolder::Customer]));
        assert_eq!(**plans.get("p").unwrap(), expected);
    }

    /// Periods are accepted up to their limit.
    #[test]
    fn toml_terms_and_short_forms_are_accepted() {
        for (line, term) in [
            ("term_days = 365", Some(Term::days(365))),
            ("term_days = \"perpetual\"", None),
            ("term = \"perpetual\"", None),
            ("term = { days = 36525 }", Some(Term::days(limits::PLAN_DAYS))),
            ("term = { months = 1200 }", Some(Term::months(limits::PLAN_MONTHS))),
            ("term = { years = 100 }", Some(Term::years(limits::PLAN_YEARS))),
            (
                "term = { years = 1, starts = \"first_use\" }",
                Some(Term::years(1).starts(TermStart::FirstUse)),
            ),
        ] {
            let text = format!("[plans.p]\nmax_domains = 1\nmax_devices = 1\n{line}");
            assert_eq!(PlanCatalog::from_toml(&text).unwrap().get("p").unwrap().term, term, "{line}");
        }
    }

    #[test]
    fn toml_lists_exempt_hosts() {
        let plan = |hosts: usize| {
            let hosts: Vec<_> = (0..hosts).map(|n| format!("\"h{n}.example.net\"")).collect();
            PlanCatalog::from_toml(&entry(&format!("exempt_hosts = [{}]", hosts.join(", "))))
        };
        let plans = plan(limits::EXEMPT_HOSTS).unwrap();
        assert_eq!(plans.get("p").unwrap().exempt_hosts.listed().len(), limits::EXEMPT_HOSTS);
        let error = plan(limits::EXEMPT_HOSTS + 1).unwrap_err().to_string();
        assert!(error.contains("exempt_hosts can list at most 100 hosts"), "{error}");
        let plans = PlanCatalog::from_toml(&entry("exempt_hosts = true")).unwrap();
        assert_eq!(plans.get("p").unwrap().exempt_hosts, ExemptHosts::Development);
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
        assert_eq!(names, ["agency", "intranet", "solo", "trial"]);
    }

    #[test]
    fn written_catalog_is_read_back() {
        let standard = PlanCatalog::standard();
        let full = entry(
            "product = \"editor\"\ngrace_days = 3\ndomain_policy = \"registered_only\"\nexempt_hosts = false\n\
             device_policy = \"evict_oldest\"\nidle_days = 9\ncustomer_release = true\n\
             max_countries_per_day = 2\ntrial = {once_per = [\"device\"]}\nfeatures = {\"a b\" = true, b = -7, c = \"x\\\"y\"}\n\
             [products.editor]\ndisplay_name = \"An \\\"Editor\\\"\"\n[products.viewer]\ndisplay_name = \"V\"",
        );
        let perpetual = PlanCatalog::new([Plan::new("forever")]).unwrap();
        for catalog in [standard, perpetual, PlanCatalog::from_toml(&full).unwrap()] {
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
        let long_feature = format!("features = {{a = \"{}\"}}", "x".repeat(limits::FEATURE_TEXT_BYTES + 1));
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
            ("[plans.p]\nmax_domains = 1\nmax_devices = 1", "missing field `term`"),
            (&plan("-1", "1"), "expected a whole number"),
            (&plan("\"perpetual\"", "1"), "expected a whole number"),
            (&plan("10000001", "1"), "max_domains must be at most"),
            (&plan("1", "0"), "term must be 1 to 36525 days"),
            (&plan("1", "-1"), "term must be 1 to 36525 days"),
            (&plan("1", "36526"), "term must be 1 to 36525 days"),
            (&plan("1", "4294967296"), "term must be 1 to 36525 days"),
            (&plan("1", "{ months = 1201 }"), "1 to 1200 months"),
            (&plan("1", "{ years = 101 }"), "1 to 100 years"),
            (&plan("1", "{ years = 0 }"), "1 to 100 years"),
            (&plan("1", "{}"), "give exactly one of days, months and years"),
            (&plan("1", "\"forever\""), "or the word \"perpetual\""),
            (&plan("1", "1.5"), "or the word \"perpetual\""),
            (&entry("term = { years = 1 }"), "give only one of the two"),
            (&entry("updates = { months = 1201 }"), "updates must be 1 to"),
            (&entry("updates = { after_expiry = \"deny\" }"), "give exactly one of days, months and years"),
            (&entry("over_limit = { devices = 10000001 }"), "over_limit.devices must be at most"),
            (&entry("over_limit = { domains = 10000001 }"), "over_limit.domains must be at most"),
            (&entry("over_limit = { device = 1 }"), "unknown field `device`"),
            (&entry("exempt_hosts = [\"*.co.uk\"]"), "wildcard of a public suffix"),
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
            (&entry("features = {\"\" = 1}"), "feature \"\": the name of a feature must be 1 to"),
            (&entry(&long_feature), "the text of a feature can have at most"),
            (&entry("require = [\"user\"]"), "unknown variant `user`"),
            (&entry("require = \"product\""), "invalid type"),
            (&entry("trial = { once_per = [] }"), "trial.once_per must name device, customer or both"),
            (&entry("trial = { once_per = [\"user\"] }"), "unknown variant `user`"),
            (&entry("trial = {}"), "missing field `once_per`"),
            (&entry("trial = true"), "invalid type"),
        ] {
            let error = PlanCatalog::from_toml(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
