//! Tests of the rules for product, required claims, features and claims that may not activate.

use super::*;
use crate::catalog::{FeatureName, FeatureValue};
use crate::validation::DeniedLicense;

fn of_product(product: &str, claim: Claim) -> Claim {
    Claim { product: Some(product.to_owned()), ..claim }
}

fn without_activation(claim: Claim) -> Claim {
    Claim { activate: false, ..claim }
}

fn asking(features: &[&str]) -> Claim {
    let features = features.iter().map(|name| FeatureName::parse(name).unwrap()).collect();
    Claim { features, ..Claim::default() }
}

fn evaluation(tested: &TestLicense, claim: &Claim) -> Evaluation {
    let bindings = tested.activations.iter().map(|activation| activation.binding.clone());
    let snapshot = LicenseSnapshot::new(Arc::new(tested.license.clone()), bindings);
    evaluate(&snapshot, claim, &plans(), tested.now).unwrap()
}

/// Returns the denial of a claim, on which the evaluation and the command must agree.
fn denied(tested: &TestLicense, claim: &Claim) -> Option<DeniedLicense> {
    match (evaluation(tested, claim), tested.decide(&Command::Activate(claim.clone())).outcome) {
        (Evaluation::Decided(Verdict::Denied(evaluated)), CommandOutcome::NotActivated(decided)) => {
            assert_eq!(evaluated, decided);
            Some(decided)
        }
        (Evaluation::Decided(Verdict::Valid(_)) | Evaluation::NeedsActivation, CommandOutcome::Done(_)) => {
            None
        }
        (evaluated, decided) => panic!("{evaluated:?} but {decided:?}"),
    }
}

fn reasons(tested: &TestLicense, claim: &Claim) -> Vec<&'static str> {
    let denied = denied(tested, claim);
    denied.iter().flat_map(DeniedLicense::reasons).map(|denial| denial.code().as_str()).collect()
}

/// The product is checked first, also for licenses that nothing else would allow.
#[test]
fn other_product_is_denied_before_everything_else() {
    let mut tested = TestLicense::new("editor", &[]);
    let full = claim(Some("a.com"), Some("d"));
    let check = |tested: &TestLicense| {
        for (claim, expected) in [
            (of_product("viewer", full.clone()), "PRODUCT_MISMATCH"),
            (of_product("default", full.clone()), "PRODUCT_MISMATCH"),
            (full.clone(), "PRODUCT_REQUIRED"),
        ] {
            let denied = denied(tested, &claim).unwrap();
            assert_eq!((denied.code().as_str(), denied.reasons().len()), (expected, 1));
            assert_eq!(denied.license(), None, "no fact about the license");
            assert!(!denied.reason().to_string().contains("editor"), "{}", denied.reason());
        }
    };
    check(&tested);
    tested.now = now() + TimeDelta::days(99);
    check(&tested);
    tested.done(&Command::Suspend);
    check(&tested);
    tested.done(&Command::Revoke);
    check(&tested);
    assert_eq!(reasons(&tested, &of_product("editor", full)), ["LICENSE_REVOKED"]);
}

#[test]
fn key_of_default_product_is_denied_for_another() {
    let tested = TestLicense::new("small", &[]);
    assert_eq!(reasons(&tested, &of_product("editor", Claim::default())), ["PRODUCT_MISMATCH"]);
    assert_eq!(reasons(&tested, &of_product("default", Claim::default())), Vec::<&str>::new());
}

#[test]
fn plan_can_leave_the_product_open() {
    let tested = TestLicense::new("free_editor", &[]);
    assert_eq!(denied(&tested, &Claim::default()), None);
    assert_eq!(reasons(&tested, &of_product("viewer", Claim::default())), ["PRODUCT_MISMATCH"]);
}

#[test]
fn required_domain_and_device_are_named() {
    let tested = TestLicense::new("bound", &[]);
    for (domain, device, expected) in [
        (None, None, vec!["DOMAIN_REQUIRED", "DEVICE_REQUIRED"]),
        (Some("a.com"), None, vec!["DEVICE_REQUIRED"]),
        (None, Some("d"), vec!["DOMAIN_REQUIRED"]),
        (Some("localhost"), Some("d"), vec![]),
        (Some("a.com"), Some("d"), vec![]),
    ] {
        assert_eq!(reasons(&tested, &claim(domain, device)), expected, "{domain:?} {device:?}");
    }
}

/// Every rule that fails is a reason, in the order of the rules. The first decides.
#[test]
fn every_failing_rule_is_a_reason_in_order() {
    let mut tested = TestLicense::new("editor", &["a.com"]);
    tested.done(&Command::Activate(of_product("editor", claim(None, Some("d")))));
    let full = of_product(
        "editor",
        Claim { features: asking(&["pdf"]).features, ..claim(Some("b.com"), Some("e")) },
    );
    let limits = ["FEATURE_MISSING", "DOMAIN_LIMIT_REACHED", "DEVICE_LIMIT_REACHED"];
    assert_eq!(reasons(&tested, &full), limits);
    tested.now = now() + TimeDelta::days(30);
    assert_eq!(reasons(&tested, &full), [&["LICENSE_EXPIRED"], &limits[..]].concat());
    tested.done(&Command::Suspend);
    assert_eq!(reasons(&tested, &full), [&["LICENSE_SUSPENDED", "LICENSE_EXPIRED"], &limits[..]].concat());
    tested.done(&Command::Revoke);
    assert_eq!(reasons(&tested, &full), ["LICENSE_REVOKED"], "nothing brings it back");
}

/// The denial has the license as it was read, without its key.
#[test]
fn denial_has_the_license() {
    let mut tested = TestLicense::new("editor", &["a.com"]);
    tested.done(&Command::Suspend);
    let denied = denied(&tested, &of_product("editor", claim(Some("b.com"), None))).unwrap();
    let license = denied.license().unwrap();
    assert_eq!(*license, License { sealed_key: SealedKey::default(), ..tested.license.clone() });
    assert_eq!((license.plan.as_str(), license.slots(ActivationKind::Domain).used), ("editor", 1));
}

/// Suspended and revoked licenses are denied even if the catalog lacks their plan.
#[test]
fn license_of_missing_plan_is_denied_by_its_state() {
    let mut tested = TestLicense::new("small", &[]);
    tested.license.plan = "gone".to_owned();
    for (state, expected) in
        [(LicenseState::Suspended, "LICENSE_SUSPENDED"), (LicenseState::Revoked, "LICENSE_REVOKED")]
    {
        tested.license.state = state;
        assert_eq!(reasons(&tested, &claim(Some("a.com"), None)), [expected]);
        assert_eq!(reasons(&tested, &of_product("editor", Claim::default())), ["PRODUCT_MISMATCH"]);
    }
    tested.license.state = LicenseState::Active;
    let decided = tested.decide(&Command::Activate(Claim::default())).outcome;
    assert!(matches!(decided, CommandOutcome::Denied(Denial::PlanUnknown { .. })), "{decided:?}");
}

#[test]
fn absent_and_disabled_features_are_missing() {
    let mut tested = TestLicense::new("small", &[]);
    for (name, value) in [("off", FeatureValue::from(false)), ("none", 0.into()), ("text", "".into())] {
        tested.done(&Command::AddGrant(Grant::new(name, value).unwrap()));
    }
    for (asked, missing) in [
        (&[][..], None),
        (&["api"], None),
        (&["api", "text"], None),
        (&["export"], Some("The license does not include export.")),
        (&["API"], Some("The license does not include API.")),
        (&["api", "off", "none", "off"], Some("The license does not include off, none.")),
    ] {
        let message = denied(&tested, &asking(asked)).map(|denied| denied.reason().to_string());
        assert_eq!(message.as_deref(), missing, "{asked:?}");
    }
}

/// A claim that may not activate is valid only on slots that it holds. It never takes one.
#[test]
fn claim_that_may_not_activate_needs_its_slots() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    let check = |domain, device| without_activation(claim(domain, device));
    for (domain, device, expected) in [
        (None, None, vec![]),
        (Some("a.com"), None, vec![]),
        (Some("localhost"), None, vec![]),
        (Some("b.com"), None, vec!["DOMAIN_NOT_ACTIVATED"]),
        (Some("b.com"), Some("d"), vec!["DOMAIN_NOT_ACTIVATED", "DEVICE_NOT_ACTIVATED"]),
        (Some("a.com"), Some("d"), vec!["DEVICE_NOT_ACTIVATED"]),
    ] {
        let claim = check(domain, device);
        assert_eq!(reasons(&tested, &claim), expected, "{domain:?} {device:?}");
        if expected.is_empty() {
            assert!(matches!(evaluation(&tested, &claim), Evaluation::Decided(Verdict::Valid(_))));
            assert_eq!(tested.run(&Command::Activate(claim)), Ok(vec![]), "the license is not activated");
        }
    }
    assert_eq!(tested.license.activated_at, None);
    tested.done(&Command::Activate(claim(None, Some("d"))));
    assert_eq!(reasons(&tested, &check(Some("a.com"), Some("d"))), Vec::<&str>::new());
    tested.done(&Command::Suspend);
    assert_eq!(reasons(&tested, &check(Some("a.com"), Some("d"))), ["LICENSE_SUSPENDED"]);
}

/// The policy and the limits are for new slots, which such a claim does not ask for.
#[test]
fn claim_that_may_not_activate_meets_no_limit() {
    for (plan, expected) in [("closed", "DOMAIN_NOT_ACTIVATED"), ("roaming", "DOMAIN_NOT_ACTIVATED")] {
        let tested = TestLicense::new(plan, &["a.com"]);
        assert_eq!(reasons(&tested, &without_activation(claim(Some("b.com"), None))), [expected], "{plan}");
    }
    let mut tested = TestLicense::new("roaming", &[]);
    for device in ["a", "b"] {
        tested.done(&Command::Activate(claim(None, Some(device))));
    }
    assert_eq!(reasons(&tested, &without_activation(claim(None, Some("c")))), ["DEVICE_NOT_ACTIVATED"]);
    assert_eq!(tested.names(), ["a", "b"], "no device is evicted");
}
