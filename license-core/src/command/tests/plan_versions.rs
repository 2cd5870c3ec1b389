//! Tests of plan versions: what a license keeps, and what moves it.

use std::sync::Arc;

use super::*;
use crate::catalog::{PlanEntry, PlanVersion};
use crate::license::Overrides;

/// Plan "pro" with two versions, "old" that is archived, and "other" of another product.
fn versions() -> Arc<PlanCatalog> {
    let first =
        Plan::new("pro").max_domains(1).max_devices(2).term_days(30).grace_days(3).customer_release(true);
    let second = Plan::new("pro").max_domains(5).max_devices(6).term_days(60);
    let mut pro = PlanEntry::new(first, now());
    pro.versions.push(PlanVersion { plan: Arc::new(second), version: 2, created_at: now() });
    let old = PlanEntry { archived_at: Some(now()), ..PlanEntry::new(Plan::new("old"), now()) };
    let other = PlanEntry::new(Plan::new("other").product("editor"), now());
    Arc::new(PlanCatalog::from_stored(7, [], [pro, old, other]))
}

fn sold(spec: &LicenseSpec, plans: &PlanCatalog) -> Result<License, Denial> {
    let key = (KeyDigest::from_bytes([1; 32]), SealedKey::from_bytes(vec![1]));
    create(LicenseId::parse("lic_a1").unwrap(), key, spec, None, plans, &trial_keys(), now())
        .map(|new| new.license)
}

/// A license that was sold with version 1 of "pro".
fn first_version() -> License {
    let plans = versions();
    let first = (**plans.version("pro", 1).unwrap()).clone();
    sold(&LicenseSpec::new("pro", email()), &PlanCatalog::new([first]).unwrap()).unwrap()
}

fn run(license: &License, command: &Command) -> Result<License, Denial> {
    let context = CommandContext { plans: versions(), ..context() };
    match decide(bare_view(license), command, &context).outcome {
        CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => Ok((*license).clone()),
        CommandOutcome::NotActivated(denied) => Err(denied.reason().clone()),
        CommandOutcome::Denied(denial) => Err(denial),
    }
}

fn change(license: &License, patch: LicensePatch) -> Result<License, Denial> {
    run(license, &Command::Change(patch))
}

fn limits_of(license: &License) -> (Option<u32>, Option<u32>) {
    (license.max_domains.as_number(), license.max_devices.as_number())
}

#[test]
fn new_license_has_the_current_version() {
    let license = sold(&LicenseSpec::new("pro", email()).max_devices(9), &versions()).unwrap();
    assert_eq!((license.plan_version, limits_of(&license)), (2, (Some(5), Some(9))));
    assert_eq!(license.overrides, Overrides { max_domains: false, max_devices: true });
    assert_eq!(license.expires_at, Some(now() + TimeDelta::days(60)));
}

#[test]
fn sold_license_keeps_its_version() {
    let license = first_version();
    let renewed = run(&license, &Command::Renew).unwrap();
    assert_eq!(renewed.expires_at, Some(now() + TimeDelta::days(60)), "30 days twice");
    let patched = change(&license, LicensePatch::default().max_devices(7)).unwrap();
    assert_eq!((patched.plan_version, limits_of(&patched)), (1, (Some(1), Some(7))));
    assert_eq!(patched.overrides, Overrides { max_domains: false, max_devices: true });

    let in_grace = now() + TimeDelta::days(32);
    let snapshot = |license: &License| LicenseSnapshot::new(Arc::new(license.clone()), []);
    let evaluated = |license: &License, at| evaluate(&snapshot(license), &claim(None, None), &versions(), at);
    let moved = License { plan_version: 2, ..license.clone() };
    assert_eq!(evaluated(&license, in_grace), Ok(Evaluation::NeedsActivation), "version 1 has grace");
    assert!(matches!(evaluated(&moved, in_grace), Ok(Evaluation::Decided(Verdict::Denied(_)))));
    let deactivate = Command::Deactivate(ActivationTarget::Binding(Binding::Domain(domain("a.com"))));
    assert_eq!(run(&license, &deactivate).unwrap_err().code(), DenialCode::ActivationNotFound);
    assert_eq!(run(&moved, &deactivate).unwrap_err().code(), DenialCode::ReleaseNotAllowed);
}

#[test]
fn naming_the_plan_moves_to_the_current_version() {
    let license = change(&first_version(), LicensePatch::default().max_domains(8).max_devices(9)).unwrap();
    let moved = change(&license, LicensePatch::default().plan("pro").max_devices(4)).unwrap();
    assert_eq!((moved.plan_version, limits_of(&moved)), (2, (Some(5), Some(4))));
    assert_eq!(moved.overrides, Overrides { max_domains: false, max_devices: true });
    assert_eq!(moved.expires_at, license.expires_at);
    let again = change(&moved, LicensePatch::default().plan("pro")).unwrap();
    assert_eq!((limits_of(&again), again.overrides), ((Some(5), Some(6)), Overrides::default()));
    let twice = change(&again, LicensePatch::default().plan("pro")).unwrap();
    assert_eq!(twice.version, again.version, "nothing changed");
}

#[test]
fn applied_version_keeps_overrides_and_expiry() {
    let apply = |version| Command::ApplyPlan { plan: "pro".to_owned(), version };
    let license = change(&first_version(), LicensePatch::default().max_devices(6)).unwrap();
    let moved = run(&license, &apply(2)).unwrap();
    assert_eq!((moved.plan_version, limits_of(&moved)), (2, (Some(5), Some(6))));
    // Also if the new version has the same limit: a later version can have another.
    assert_eq!(moved.overrides, Overrides { max_domains: false, max_devices: true });
    assert_eq!((moved.expires_at, moved.version), (license.expires_at, license.version + 1));
    for (version, unchanged) in [(2, &moved), (1, &moved)] {
        assert_eq!(run(unchanged, &apply(version)).unwrap(), moved, "no license goes back");
    }
    assert_eq!(run(&license, &apply(3)).unwrap_err().code(), DenialCode::PlanUnknown);
    let elsewhere = License { plan: "old".to_owned(), ..license.clone() };
    assert_eq!(run(&elsewhere, &apply(2)).unwrap(), elsewhere, "it has left the plan");
    let revoked = run(&license, &Command::Revoke).unwrap();
    assert_eq!(run(&revoked, &apply(2)).unwrap_err(), Denial::Revoked);
}

#[test]
fn applied_version_may_have_fewer_devices_than_are_in_use() {
    let mut license = first_version();
    (license.plan_version, license.max_devices, license.devices_used) = (1, Limit::AtMost(9), 8);
    let moved = run(&license, &Command::ApplyPlan { plan: "pro".to_owned(), version: 2 }).unwrap();
    assert_eq!(
        (moved.max_devices, moved.devices_used),
        (Limit::AtMost(6), 8),
        "as with a change of the plan"
    );
    assert_eq!(change(&license, LicensePatch::default().plan("pro")).unwrap().max_devices, Limit::AtMost(6));
}

#[test]
fn limit_of_the_plan_is_no_override() {
    let license = first_version();
    let same = change(&license, LicensePatch::default().max_devices(2)).unwrap();
    assert_eq!((same.version, same.overrides), (1, Overrides::default()), "nothing changed");
    let other = change(&license, LicensePatch::default().max_devices(7)).unwrap();
    let back = change(&other, LicensePatch::default().max_devices(2)).unwrap();
    assert_eq!((back.version, back.overrides), (3, Overrides::default()));
    let echo = LicensePatch::default().plan("pro").max_domains(5).max_devices(6);
    let moved = change(&other, echo.clone()).unwrap();
    assert_eq!(
        change(&moved, echo).unwrap().version,
        moved.version,
        "an echo of the license changes nothing"
    );
    let spec = LicenseSpec::new("pro", email()).max_domains(5);
    assert_eq!(sold(&spec, &versions()).unwrap().overrides, Overrides::default());
}

#[test]
fn archived_plans_are_not_sold() {
    let archived = |denial: Denial| (denial.code(), denial.to_string());
    let expected = (
        DenialCode::PlanArchived,
        "The plan \"old\" is archived. The available plans are: other, pro.".to_owned(),
    );
    assert_eq!(archived(sold(&LicenseSpec::new("old", email()), &versions()).unwrap_err()), expected);
    let patch = LicensePatch::default().plan("old");
    assert_eq!(archived(change(&first_version(), patch.clone()).unwrap_err()), expected);

    let old = PlanCatalog::new([Plan::new("old").term_days(30)]).unwrap();
    let license = sold(&LicenseSpec::new("old", email()), &old).unwrap();
    assert!(run(&license, &Command::Renew).is_ok(), "sold licenses go on");
    assert!(change(&license, patch).is_ok(), "it has this version already");
    let other_version = License { plan_version: 2, ..license };
    let denied = change(&other_version, LicensePatch::default().plan("old")).unwrap_err();
    assert_eq!(denied.code(), DenialCode::PlanArchived);
}

#[test]
fn license_keeps_its_product() {
    let denied = change(&first_version(), LicensePatch::default().plan("other")).unwrap_err();
    assert_eq!(denied.code(), DenialCode::ProductDiffers);
    assert_eq!(
        denied.to_string(),
        "This license is for the product \"default\", and the plan \"other\" is for \"editor\"; issue another license."
    );
}

#[test]
fn unknown_version_is_named() {
    let license = License { plan_version: 3, ..first_version() };
    let denied = run(&license, &Command::Renew).unwrap_err().to_string();
    assert_eq!(denied, "There is no plan \"pro version 3\". The plans are: other, pro.");
    assert!(run(&license, &Command::Suspend).is_ok(), "needs no plan");
}
