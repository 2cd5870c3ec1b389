//! Tests of the values that a license gets when it is created or changed.

use super::*;

#[test]
fn changed_metadata_is_merged() {
    let mut tested = TestLicense::new("small", &[]);
    let mut change = |metadata| {
        let metadata = Some(MetadataPatch::from_json(metadata).unwrap());
        let events = tested.change(LicensePatch { metadata, ..Default::default() });
        (events, serde_json::to_value(&tested.license.metadata).unwrap())
    };
    let updated = || Ok(vec!["license.updated"]);
    assert_eq!(change(json!({"order": 7, "note": "x"})), (updated(), json!({"order": 7, "note": "x"})));
    assert_eq!(change(json!({"note": null, "seats": 3})), (updated(), json!({"order": 7, "seats": 3})));
    assert_eq!(change(json!({"seats": 3, "none": null})), (Ok(vec![]), json!({"order": 7, "seats": 3})));
    let many: serde_json::Map<_, _> =
        (0..limits::METADATA_KEYS).map(|n| (format!("k{n}"), json!(n))).collect();
    assert_eq!(change(many.into()), (Err(DenialCode::MetadataInvalid), json!({"order": 7, "seats": 3})));
}

#[test]
fn more_domains_than_the_limit_are_named_in_the_denial() {
    let created = |limit, names: &[&str]| {
        let spec = LicenseSpec {
            max_domains: Some(Limit::AtMost(limit)),
            domains: names.iter().copied().map(domain).collect(),
            ..LicenseSpec::new("small", email())
        };
        TestLicense::of(&spec).map(drop).map_err(|denial| denial.to_string())
    };
    let named = |text: &str| Err(format!("{text}."));
    assert_eq!(created(2, &["a.com", "b.com", "www.a.com"]), Ok(()), "the same domain is one");
    assert_eq!(created(1, &["a.com", "b.com", "www.a.com"]), named("2 domains are named, the limit is 1"));
    assert_eq!(created(0, &["a.com"]), named("1 domain is named, the limit is 0"));
}

#[test]
fn unknown_plan_is_answered_with_all_plans() {
    let denial = TestLicense::of(&LicenseSpec::new("gold", email())).map(drop).unwrap_err();
    let message = denial.to_string();
    assert!(message.starts_with("There is no plan \"gold\". The plans are: bound, "), "{message}");
    assert_eq!(message.matches(", ").count() + 1, plans().iter().count(), "{message}");
}
