//! Cases for the rules of a claim: product, required parts, features, and whether it may activate.

use crate::conformance::prelude::*;

fn of_product(product: &str, claim: Claim) -> Claim {
    Claim { product: Some(product.to_owned()), ..claim }
}

/// Evaluates a claim on the license as the store finds it by its key.
async fn evaluated(store: &Handle, license: &License, claim: &Claim, now: DateTime<Utc>) -> Evaluation {
    let found = ok!(store.find_by_key(&license.key_digest, claim)).expect("the license exists");
    evaluate(&found, claim, &plans(), now).expect("the plan exists")
}

/// Asserts that validation and command deny a claim with the same facts, and returns them.
async fn denied(store: &Handle, license: &License, claim: &Claim, now: DateTime<Utc>) -> DeniedLicense {
    let evaluation = evaluated(store, license, claim, now).await;
    let Evaluation::Decided(Verdict::Denied(denied)) = evaluation else { panic!("{evaluation:?}") };
    let outcome = ok!(store.execute(&license.id, &Command::Activate(claim.clone()), &context(now)));
    assert_eq!(outcome, CommandOutcome::NotActivated(denied.clone()), "the command denies as the validation");
    denied
}

fn codes(denied: &DeniedLicense) -> Vec<&'static str> {
    denied.reasons().iter().map(|denial| denial.code().as_str()).collect()
}

/// A claim for another product, or without one, takes no slot and learns nothing about the license.
pub async fn claim_for_another_product_takes_no_slot(Handles { store, other, .. }: &Handles) {
    let license = issue(store, &spec("editor")).await;
    let before = detail(store, &license.id).await;
    let free = claim(Some("a.com"), Some("d"));
    for (claim, expected) in [
        (of_product("viewer", free.clone()), "PRODUCT_MISMATCH"),
        (of_product("default", free.clone()), "PRODUCT_MISMATCH"),
        (free.clone(), "PRODUCT_REQUIRED"),
    ] {
        let denied = denied(store, &license, &claim, at(60)).await;
        assert_eq!((codes(&denied), denied.license()), (vec![expected], None), "{claim:?}");
        assert_eq!(detail(other, &license.id).await, before, "a denied claim changed something");
    }
    let command = Command::Activate(of_product("editor", free));
    let activated = ask(store, &license.id, &command).await.expect("its own product");
    assert_eq!((activated.domains_used, activated.devices_used), (1, 1));
}

/// A claim without a part that the plan requires is denied.
pub async fn claim_without_a_required_part_is_denied(Handles { store, .. }: &Handles) {
    let license = issue(store, &spec("bound")).await;
    for (domain, device, expected) in [
        (None, None, vec!["DOMAIN_REQUIRED", "DEVICE_REQUIRED"]),
        (None, Some("d"), vec!["DOMAIN_REQUIRED"]),
        (Some("a.com"), None, vec!["DEVICE_REQUIRED"]),
    ] {
        let denied = denied(store, &license, &claim(domain, device), at(60)).await;
        assert_eq!(codes(&denied), expected, "{domain:?} {device:?}");
    }
    ask(store, &license.id, &activate(Some("a.com"), Some("d"))).await.expect("complete");
}

/// A denial has the reasons of all rules in their order, and the license as it is.
pub async fn denied_claim_has_all_reasons_and_the_license(Handles { store, other, .. }: &Handles) {
    let license = issue_with_slots(store, 1).await;
    ask(store, &license.id, &activate(Some("a.com"), Some("a"))).await.expect("free");
    let features = vec!["export".parse().expect("a name")];
    let full = Claim { features, ..claim(Some("b.com"), Some("b")) };
    let limits = ["FEATURE_MISSING", "DOMAIN_LIMIT_REACHED", "DEVICE_LIMIT_REACHED"];
    let end = license.expires_at.expect("a term");
    for (command, now, first) in [
        (None, at(60), vec![]),
        (None, end, vec!["LICENSE_EXPIRED"]),
        (Some(Command::Suspend), end, vec!["LICENSE_SUSPENDED", "LICENSE_EXPIRED"]),
    ] {
        if let Some(command) = command {
            ask(store, &license.id, &command).await.expect("allowed");
        }
        let denied = denied(store, &license, &full, now).await;
        assert_eq!(codes(&denied), [&first[..], &limits[..]].concat());
        let stored = without_key(detail(other, &license.id).await.license);
        assert_eq!(denied.license(), Some(&*stored), "the license of a denial");
    }
    ask(store, &license.id, &Command::Revoke).await.expect("allowed");
    assert_eq!(codes(&denied(store, &license, &full, at(60)).await), ["LICENSE_REVOKED"]);
}

/// A claim that may not activate takes no slot, and is valid only on slots that are held.
pub async fn claim_that_may_not_activate_takes_no_slot(Handles { store, other, .. }: &Handles) {
    let check = |domain, device| Claim { activate: false, ..claim(domain, device) };
    let license = issue(store, &spec("open")).await;
    let before = detail(store, &license.id).await;
    let full = check(Some("a.com"), Some("d"));
    let expected = ["DOMAIN_NOT_ACTIVATED", "DEVICE_NOT_ACTIVATED"];
    assert_eq!(codes(&denied(store, &license, &full, at(60)).await), expected);
    for held in [check(None, None), check(Some("localhost"), None)] {
        let evaluation = evaluated(store, &license, &held, at(60)).await;
        assert!(matches!(evaluation, Evaluation::Decided(Verdict::Valid(_))), "{evaluation:?}");
        ask(store, &license.id, &Command::Activate(held)).await.expect("valid");
    }
    assert_eq!(detail(other, &license.id).await, before, "the license is not activated");
    ask(store, &license.id, &activate(Some("a.com"), Some("d"))).await.expect("free");
    let evaluation = evaluated(store, &license, &full, at(60)).await;
    assert!(matches!(evaluation, Evaluation::Decided(Verdict::Valid(_))), "{evaluation:?}");
}
