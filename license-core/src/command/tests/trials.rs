//! Trials: which claims commands take, and which claims of other licenses deny them.

use super::*;
use crate::trial::{TrialClaim, TrialKeys, TrialSubject};

fn device() -> Fingerprint {
    Fingerprint::parse("pc").unwrap()
}

fn digest(keys: &TrialKeys, subject: TrialSubject<'_>) -> Vec<TrialDigest> {
    keys.digests("default", subject).collect()
}

fn license(plan: &str) -> License {
    TestLicense::new(plan, &[]).license
}

/// Decides a command on a license, with these stored claims.
fn decided(license: &License, command: &Command, stored: &[TrialClaim], keys: &TrialKeys) -> Decision {
    let context = CommandContext { trials: keys.clone(), ..context() };
    let wanted = command.trial_digests(license, &context);
    let trial_claims = stored.iter().filter(|claim| wanted.contains(&claim.digest)).cloned().collect();
    decide(View { trial_claims, ..bare_view(license) }, command, &context)
}

fn claimed(decision: &Decision) -> Vec<TrialDigest> {
    let claims = decision.changes.iter().flat_map(|changes| &changes.trial_claims);
    claims.map(|claim| claim.digest).collect()
}

fn denial(decision: Decision) -> Option<Denial> {
    match decision.outcome {
        CommandOutcome::Denied(denial) => Some(denial),
        CommandOutcome::NotActivated(denied) => Some(denied.reason().clone()),
        _ => None,
    }
}

#[test]
fn trial_of_the_customer_is_claimed_at_the_issue() {
    let (keys, email) = (trial_keys(), email());
    let issue = |plan: &str, customer: Option<&CustomerEmail>| {
        let spec = LicenseSpec { customer_email: customer.cloned(), ..LicenseSpec::without_customer(plan) };
        let key = (KeyDigest::from_bytes([1; 32]), SealedKey::from_bytes(vec![1]));
        create(LicenseId::parse("lic_a1").unwrap(), key, &spec, None, &plans(), &keys, now())
    };
    let claims = issue("trial", Some(&email)).unwrap().trial_claims;
    let of = LicenseId::parse("lic_a1").unwrap();
    let digest = digest(&keys, TrialSubject::Customer(&email))[0];
    assert_eq!(claims, [TrialClaim { digest, license: of }]);
    assert_eq!(issue("small", Some(&email)).unwrap().trial_claims, []);
    assert_eq!(issue("trial", None).unwrap_err(), Denial::CustomerRequired);
    assert!(issue("small", None).is_ok());
    let new = issue("trial", Some(&email)).unwrap();
    assert_eq!(refuse_shared_trials(&[new.clone(), new.clone()]), Err(Denial::TrialUsed));
    assert_eq!(refuse_shared_trials(&[new]), Ok(()));
}

/// With the claims of another database, a trial is claimed by the keys of both, and each denies it.
#[test]
fn claim_by_any_key_denies_the_trial() {
    let keys = trial_keys().with_imported([TrialKey::from_bytes([8; 32])]);
    let (license, command) = (license("trial"), Command::Activate(claim(None, Some("pc"))));
    let digests = digest(&keys, TrialSubject::Device(&device()));
    assert_eq!(claimed(&decided(&license, &command, &[], &keys)), digests);
    for digest in digests.clone() {
        let held = [TrialClaim { digest, license: LicenseId::parse("lic_b2").unwrap() }];
        let denied = decided(&license, &command, &held, &keys);
        assert_eq!(denied.changes, None);
        assert_eq!(denial(denied), Some(Denial::TrialUsed));
        let own = [TrialClaim { digest, license: license.id.clone() }];
        let rest: Vec<_> = digests.iter().filter(|other| **other != digest).copied().collect();
        assert_eq!(claimed(&decided(&license, &command, &own, &keys)), rest, "those that are missing");
    }
}

#[test]
fn only_commands_that_begin_a_trial_claim_it() {
    let (keys, email) = (trial_keys(), email());
    let of_customer = digest(&keys, TrialSubject::Customer(&email));
    let of_device = digest(&keys, TrialSubject::Device(&device()));
    let new = CustomerEmail::parse("new@example.com").unwrap();
    let of_new = digest(&keys, TrialSubject::Customer(&new));
    let change = |patch: LicensePatch| Command::Change(patch);
    let patch = LicensePatch::default;
    let take_slot = || Command::Activate(claim(None, Some("pc")));
    for (plan, command, expected) in [
        ("trial", take_slot(), of_device.clone()),
        ("customer_trial", take_slot(), Vec::new()),
        ("small", take_slot(), Vec::new()),
        ("small", change(patch().plan("trial")), of_customer.clone()),
        ("small", change(patch().plan("customer_trial")), of_customer),
        ("small", change(patch().customer_email(Some(new.clone()))), Vec::new()),
        ("trial", change(patch().customer_email(Some(new.clone()))), of_new.clone()),
        ("trial", change(patch().customer_email(Some(email.clone()))), Vec::new()),
        ("trial", change(patch().plan("customer_trial")), Vec::new()),
        ("trial", change(patch().plan("trial")), Vec::new()),
        ("trial", change(patch().plan("small")), Vec::new()),
        ("trial", change(patch().plan("small").customer_email(Some(new.clone()))), Vec::new()),
        ("small", change(patch().plan("trial").customer_email(Some(new))), of_new),
        ("trial", Command::Revoke, Vec::new()),
        ("trial", Command::Suspend, Vec::new()),
    ] {
        let decision = decided(&license(plan), &command, &[], &keys);
        assert_eq!(claimed(&decision), expected, "{plan}: {command:?}");
        assert_eq!(denial(decision), None, "{plan}: {command:?}");
    }
}

#[test]
fn trial_needs_what_it_is_counted_by() {
    let keys = trial_keys();
    for command in [
        Command::Activate(claim(None, None)),
        Command::Activate(claim(Some("example.com"), None)),
        Command::Activate(Claim { activate: false, ..claim(None, None) }),
    ] {
        let denied = decided(&license("trial"), &command, &[], &keys);
        assert_eq!(denial(denied), Some(Denial::DeviceRequired), "{command:?}");
        assert_eq!(denial(decided(&license("customer_trial"), &command, &[], &keys)), None, "{command:?}");
    }
    let none = Command::Change(LicensePatch::default().customer_email(None));
    assert_eq!(denial(decided(&license("trial"), &none, &[], &keys)), Some(Denial::CustomerRequired));
    assert_eq!(denial(decided(&license("small"), &none, &[], &keys)), None);
    let off = Command::Change(LicensePatch::default().customer_email(None).plan("small"));
    assert_eq!(denial(decided(&license("trial"), &off, &[], &keys)), None, "the new plan is no trial");
}

/// An erased customer keeps its license, and the move to another trial does not claim the pseudonym.
#[test]
fn license_of_erased_customer_moves_between_trials() {
    let mut erased = license("trial");
    erased.customer_email = Some(CustomerEmail::pseudonym([7; 16]));
    let moved = Command::Change(LicensePatch::default().plan("customer_trial"));
    assert_eq!(claimed(&decided(&erased, &moved, &[], &trial_keys())), []);
}

/// The trial rule is checked last: other denials have no trial among their reasons.
#[test]
fn other_rules_deny_before_the_trial() {
    let (keys, command) = (trial_keys(), Command::Activate(claim(None, Some("pc"))));
    let mut full = license("trial");
    full.devices_used = 2;
    let digest = digest(&keys, TrialSubject::Device(&device()))[0];
    let used = [TrialClaim { digest, license: LicenseId::parse("lic_b2").unwrap() }];
    let CommandOutcome::NotActivated(denied) = decided(&full, &command, &used, &keys).outcome else {
        panic!()
    };
    let codes: Vec<_> = denied.reasons().iter().map(Denial::code).collect();
    assert_eq!(codes, [DenialCode::DeviceLimitReached]);
}
