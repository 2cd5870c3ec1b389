//! The form of a plan: a control for every field.

mod controls;
mod read;
mod shape;
mod texts;

pub(super) use controls::PlanControls;
pub(super) use read::{FieldError, json, patch};
pub(super) use texts::texts;

#[cfg(test)]
mod tests {
    use license_core::catalog::{
        AfterExpiry, DevicePolicy, DomainPolicy, OverLimit, Period, Plan, PlanPatch, RequiredClaim, Term,
        Trial, TrialHolder, Updates,
    };

    use serde_json::json as value;

    use super::shape::FIELDS;
    use super::*;
    use crate::form::Form;

    fn full() -> Plan {
        let hosts = ["*.staging.example.net", "preview.example.net"];
        let hosts = hosts.map(|host| license_core::domain::DomainName::parse_registered(host).unwrap());
        Plan::new("team")
            .max_domains(2)
            .max_devices(3)
            .term(Term::days(30))
            .grace_days(4)
            .domain_policy(DomainPolicy::RegisteredOnly)
            .exempt_hosts(hosts.to_vec())
            .device_policy(DevicePolicy::EvictOldest)
            .idle_days(90)
            .customer_release(true)
            .over_limit(OverLimit { devices: 1, domains: 2 })
            .max_countries_per_day(5)
            .max_devices_per_day(6)
            .feature("tier", "gold")
            .feature("seats", 25)
            .feature("sso", true)
            .feature("beta", false)
            .updates(Updates { period: Period::Years(1), after_expiry: AfterExpiry::OldVersions })
            .require([RequiredClaim::Domain])
            .trial(Trial { once_per: [TrialHolder::Customer].into() })
            .offline_days(7)
            .offline_slots(1)
            .trust_release(true)
    }

    #[test]
    fn form_has_every_field_but_the_product() {
        let mut names: Vec<_> = FIELDS.iter().map(|(name, ..)| *name).chain(["product"]).collect();
        let mut fields = Plan::fields();
        names.sort_unstable();
        fields.sort_unstable();
        assert_eq!(names, fields);
    }

    #[test]
    fn shown_plan_is_sent_unchanged() {
        for plan in [Plan::new("team"), full(), full().exempt_hosts(false), full().require([])] {
            let shown = Form::of_pairs(PlanControls::sent(&texts(&plan)));
            let mut sent = json(&shown).unwrap();
            sent.insert("product".to_owned(), value!("default"));
            assert_eq!(Plan::from_json("team", sent), Ok(plan.clone()));
            assert_eq!(patch(&shown, &plan), Ok(PlanPatch::default()));
        }
        let empty = Form::of_pairs(PlanControls::sent(&texts(&Plan::new("team"))));
        let patched = full().patched(&patch(&empty, &full()).unwrap()).unwrap();
        assert_eq!(patched, Plan::new("team"), "also without features");
    }

    /// A browser sends every newline as CR LF.
    #[test]
    fn text_of_a_feature_keeps_spaces_and_newlines() {
        let plan = Plan::new("team").feature("lines", "\n a\nb ").feature("windows", "a\r\nb");
        let sent = |plan: &Plan| {
            let pairs = PlanControls::sent(&texts(plan)).into_iter();
            let typed = |text: String| text.replace("\r\n", "\n").replace('\n', "\r\n");
            Form::of_pairs(pairs.map(|(name, text)| (name, typed(text))))
        };
        assert_eq!(patch(&sent(&plan), &plan), Ok(PlanPatch::default()));
        let html = askama::Template::render(&PlanControls::new(&texts(&plan), None)).unwrap();
        // HTML drops the first newline of a textarea.
        assert!(html.contains("spellcheck=\"false\">\n\n a\nb </textarea>"), "{html}");
    }

    #[test]
    fn every_row_of_the_form_is_read() {
        let most = license_core::limits::PLAN_FEATURES;
        let plan = (0..most).fold(Plan::new("team"), |plan, one| plan.feature(format!("f{one:03}"), true));
        let last = format!("features.{}", most + 2);
        let shown = PlanControls::sent(&texts(&plan));
        assert!(shown.iter().any(|(name, _)| *name == format!("{last}.name")), "the form has the row");
        let form = Form::of_pairs(shown);
        let form = form.with(&format!("{last}.name"), "one-more").with(&format!("{last}.kind"), "on");
        let rows = |form: &Form| {
            PlanControls::sent(form).iter().filter(|(name, _)| name.starts_with("features.")).count() / 3
        };
        assert_eq!(rows(&form), most + 3, "no row is shown that is not read");
        let patch = patch(&form, &plan).unwrap();
        assert_eq!(plan.patched(&patch).unwrap_err().field(), "features");
    }

    #[test]
    fn incomplete_or_wrong_form_names_the_field() {
        let with = |name: &str, value: Option<&str>| {
            let pairs = PlanControls::sent(&texts(&full())).into_iter();
            let pairs = pairs.filter_map(|(other, text)| match value {
                Some(value) if other == name => Some((other, value.to_owned())),
                None if other == name => None,
                _ => Some((other, text)),
            });
            json(&Form::of_pairs(pairs)).map_err(|error| (error.field, error.reason))
        };
        for (name, value, field, reason) in [
            ("max_devices", None, "max_devices", "the form has no field max_devices"),
            ("max_devices", Some("many"), "max_devices", "\"many\" is no whole number"),
            ("grace_days", Some("-1"), "grace_days", "\"-1\" is no whole number"),
            ("term.unit", Some("weeks"), "term", "\"weeks\" is none of days, months, years"),
            ("domain_policy", Some("any"), "domain_policy", "\"any\" is none of free_claim, registered_only"),
            ("exempt_hosts.development", Some("false"), "exempt_hosts", "listed hosts need"),
            ("features.0.name", Some("sso"), "features", "sso is there twice"),
            ("features.1.value", Some("x"), "features", "seats: \"x\" is no whole number"),
            ("features.1.kind", Some("on"), "features", "seats: clear the value \"25\""),
            ("features.1.name", Some(""), "features", "the value \"25\" has no name"),
            ("require.default", Some("true"), "require", "the default needs \"no\" for each of them"),
        ] {
            let (found, why) = with(name, value).unwrap_err();
            assert_eq!(found, field);
            assert!(why.contains(reason), "{name}: {why}");
        }
    }
}
