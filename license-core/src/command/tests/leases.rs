//! Tests of leases. Expected values are written out.

use serde_json::Value;

use super::*;
use crate::license::LeaseEnd;
use crate::signing::{SigningKeyId, SigningKeyPair};
use crate::store::LicenseRecord;

fn signing_key() -> SigningKeyId {
    SigningKeyPair::from_seed(&[5; 32]).public().id()
}

pub(super) fn request(claim: Claim) -> NewLease {
    NewLease {
        claim,
        days: None,
        nonce: None,
        signer: LeaseSigner::Stored(signing_key()),
        issuer: "https://example.com".to_owned(),
    }
}

fn lease(fingerprint: &str) -> Command {
    Command::Lease(request(claim(None, Some(fingerprint))))
}

fn online(fingerprint: &str) -> Command {
    Command::Activate(claim(None, Some(fingerprint)))
}

fn offline_plan() -> Plan {
    Plan::new("offline").max_devices(3).offline_days(7).customer_release(true)
}

/// A license as a store keeps it.
struct Stored {
    record: LicenseRecord,
    context: CommandContext,
}

impl Stored {
    fn new(plan: Plan) -> Self {
        let context = CommandContext { plans: PlanCatalog::new([plan]).unwrap().into(), ..context() };
        let id = LicenseId::parse("lic_a1").unwrap();
        let key = (KeyDigest::from_bytes([1; 32]), SealedKey::from_bytes(vec![1]));
        let name = context.plans.available().remove(0);
        let spec = LicenseSpec::new(name, email());
        let new = create(id, key, &spec, None, &context.plans, &trial_keys(), now()).unwrap();
        Self { record: LicenseRecord::new(&new), context }
    }

    /// Runs a command and returns its events, or the denial.
    fn run(&mut self, command: &Command) -> Result<Vec<Event>, Denial> {
        let view = self.record.view(command, &self.context);
        let Decision { outcome, changes } = decide(view, command, &self.context);
        match outcome {
            CommandOutcome::Denied(denial) => Err(denial),
            CommandOutcome::NotActivated(denied) => Err(denied.reason().clone()),
            CommandOutcome::Done(_) | CommandOutcome::Repeated(_) => {
                Ok(changes.map(|changes| self.record.apply(&changes)).unwrap_or_default())
            }
        }
    }

    fn code(&mut self, command: &Command) -> Result<(), DenialCode> {
        self.run(command).map(drop).map_err(|denial| denial.code())
    }

    fn activation(&self, name: &str) -> Activation {
        let mut all = self.record.activations().map(|detail| &detail.activation);
        all.find(|one| one.binding.value() == name).expect("an activation").clone()
    }

    fn newest_lease(&self) -> Lease {
        self.record.leases().last().expect("a lease").clone()
    }

    fn after(&mut self, time: TimeDelta) -> &mut Self {
        self.context.now += time;
        self
    }
}

fn target(name: &str) -> ActivationTarget {
    ActivationTarget::Binding(Binding::Device(Fingerprint::parse(name).unwrap()))
}

fn rotate(release: bool) -> Command {
    Command::RotateKey {
        digest: KeyDigest::from_bytes([2; 32]),
        sealed: SealedKey::from_bytes(vec![2]),
        release,
    }
}

#[test]
fn lease_has_the_documented_claims() {
    let plan = offline_plan().grace_days(1).term_days(3).feature("export", true);
    let mut stored = Stored::new(plan);
    let nonce = Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned());
    let claim = claim(Some("shop.example.com"), Some("pc"));
    let events = stored.run(&Command::Lease(NewLease { nonce, ..request(claim) })).unwrap();
    let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["license.activated", "activation.created", "activation.created", "lease.issued"]);
    let seconds = now().timestamp();
    let lease = stored.newest_lease();
    let end = seconds + 4 * 86_400;
    let claims: Value = serde_json::from_str(&lease.claims).unwrap();
    let expected = json!({
        "iss": "https://example.com", "aud": "default", "sub": "lic_a1", "jti": "lease_a1_0000000005",
        "iat": seconds - 60, "nbf": seconds - 60, "exp": end, "plan": "offline",
        "features": { "export": true }, "dom": "shop.example.com",
        "fp": claims["fp"], "lic_exp": end, "upd_until": null, "ver": 1,
        "refresh_after": seconds + 2 * 86_400, "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
    });
    assert_eq!(claims, expected);
    let until = Some(now() + TimeDelta::days(4) + TimeDelta::minutes(5));
    for name in ["pc", "shop.example.com"] {
        assert_eq!(stored.activation(name).held_until, until, "{name}");
    }
    assert_eq!(stored.record.license().leased_until, until);
}

#[test]
fn lease_ends_with_the_license_or_the_wanted_days() {
    for (term, asked, expected) in
        [(None, None, 7), (None, Some(3), 3), (None, Some(30), 7), (Some(5), None, 5), (Some(5), Some(2), 2)]
    {
        let mut stored = Stored::new(offline_plan().term_days(term));
        let request = NewLease { days: asked, ..request(claim(None, Some("pc"))) };
        stored.code(&Command::Lease(request)).unwrap();
        assert_eq!(stored.newest_lease().expires_at, now() + TimeDelta::days(expected), "{term:?} {asked:?}");
    }
    let mut stored = Stored::new(offline_plan().term_days(5));
    assert_eq!(stored.after(TimeDelta::days(5)).code(&lease("pc")), Err(DenialCode::LicenseExpired));
}

#[test]
fn lease_needs_fingerprint_and_offline_days() {
    let mut stored = Stored::new(offline_plan());
    assert_eq!(stored.code(&Command::Lease(request(claim(None, None)))), Err(DenialCode::DeviceRequired));
    let mut stored = Stored::new(Plan::new("online"));
    assert_eq!(stored.code(&lease("pc")), Err(DenialCode::OfflineNotAllowed));
    assert_eq!(stored.record.license().devices_used, 0, "a denied lease takes no slot");
}

#[test]
fn customer_eviction_and_idle_release_wait_for_the_end() {
    let mut stored = Stored::new(offline_plan().offline_slots(3).idle_days(1));
    for name in ["a", "b", "c"] {
        stored.code(&lease(name)).unwrap();
    }
    let until = now() + TimeDelta::days(7) + TimeDelta::minutes(5);
    stored.after(TimeDelta::days(6));
    assert_eq!(stored.run(&Command::Deactivate(target("a"))), Err(Denial::ActivationHeld { until }));
    assert_eq!(stored.code(&Command::ReleaseIdle), Err(DenialCode::ActivationNotFound));
    let full =
        Denial::DeviceLimitReached { used: 3, limit: Limit::AtMost(3), held: 3, next_free_at: Some(until) };
    assert_eq!(stored.run(&online("d")), Err(full));
    stored.context.now = until - TimeDelta::microseconds(1);
    assert_eq!(stored.code(&Command::Deactivate(target("a"))), Err(DenialCode::ActivationHeld));
    stored.context.now = until;
    assert_eq!(stored.code(&Command::Deactivate(target("a"))), Ok(()));
    assert_eq!(stored.code(&Command::ReleaseIdle), Ok(()));

    let mut stored = Stored::new(offline_plan().max_devices(2).device_policy(DevicePolicy::EvictOldest));
    for command in [lease("held"), online("b"), online("c")] {
        stored.code(&command).unwrap();
        stored.after(TimeDelta::minutes(1));
    }
    let names: Vec<_> = stored.record.activations().map(|one| one.activation.binding.value()).collect();
    assert_eq!(names, ["held", "c"], "the lease was not evicted, though it is older");
}

#[test]
fn leases_leave_slots_for_devices_online() {
    for (plan, expected) in [
        (offline_plan(), 2),
        (offline_plan().max_devices(1), 1),
        (offline_plan().offline_slots(1), 1),
        (offline_plan().max_devices(None).offline_slots(5), 5),
        (offline_plan().max_devices(None), 9),
    ] {
        let mut stored = Stored::new(plan);
        let issued = (0..9).filter(|n| stored.code(&lease(&n.to_string())).is_ok()).count();
        assert_eq!(issued, expected, "{:?}", stored.context.plans);
    }
    let mut stored = Stored::new(offline_plan());
    for name in ["a", "b"] {
        stored.code(&lease(name)).unwrap();
    }
    let limit = Denial::OfflineLimitReached {
        held: 2,
        limit: Limit::AtMost(2),
        next_free_at: Some(now() + TimeDelta::days(7) + TimeDelta::minutes(5)),
    };
    assert_eq!(stored.run(&lease("c")), Err(limit));
    assert_eq!(stored.code(&lease("a")), Ok(()), "a renewal takes no other slot");
    assert_eq!(stored.code(&online("c")), Ok(()));
}

/// Devices that hand their leases back at once would otherwise share one slot.
#[test]
fn new_leases_of_a_day_are_bounded() {
    let mut stored = Stored::new(offline_plan().trust_release(true));
    for name in ["a", "b"] {
        stored.code(&lease(name)).unwrap();
        let id = stored.newest_lease().id;
        stored.code(&Command::ReturnLease(id)).unwrap();
        stored.after(TimeDelta::hours(1));
    }
    let next_free_at = Some(now() + TimeDelta::hours(24));
    let limit = Denial::OfflineLimitReached { held: 0, limit: Limit::AtMost(2), next_free_at };
    assert_eq!(stored.run(&lease("c")), Err(limit));
    assert_eq!(stored.after(TimeDelta::hours(22)).code(&lease("c")), Ok(()));
}

#[test]
fn returned_slot_is_free_at_the_end_unless_trusted() {
    let mut stored = Stored::new(offline_plan());
    stored.code(&lease("a")).unwrap();
    stored.code(&lease("a")).unwrap();
    let first = stored.record.leases().next().unwrap().id.clone();
    let types: Vec<_> = stored.run(&Command::ReturnLease(first.clone())).unwrap();
    let types: Vec<_> = types.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["lease.released", "lease.released"], "all leases of the device");
    assert!(stored.record.leases().all(|lease| lease.ended == Some((LeaseEnd::Returned, now()))));
    assert_eq!(stored.code(&Command::ReturnLease(first)), Err(DenialCode::LeaseNotFound));
    assert_eq!(stored.record.license().devices_used, 1, "a copy of the file may live on");
    assert_eq!(stored.code(&Command::ReleaseReturned), Err(DenialCode::ActivationNotFound));
    stored.after(TimeDelta::days(7) + TimeDelta::minutes(5));
    assert_eq!(stored.code(&Command::ReleaseReturned), Ok(()));
    assert_eq!(stored.record.license().devices_used, 0);

    let mut stored = Stored::new(offline_plan().trust_release(true));
    stored.code(&lease("a")).unwrap();
    let id = stored.newest_lease().id;
    stored.code(&Command::ReturnLease(id)).unwrap();
    assert_eq!(stored.record.license().devices_used, 0);

    let mut stored = Stored::new(offline_plan());
    stored.code(&lease("a")).unwrap();
    let id = stored.newest_lease().id;
    stored.code(&Command::ReturnLease(id)).unwrap();
    stored.code(&lease("a")).unwrap();
    assert!(!stored.activation("a").is_returned, "the device holds a lease again");
}

#[test]
fn trusted_return_ends_the_hold_of_the_domain_unless_others_hold_it() {
    let lease_at = |fingerprint| Command::Lease(request(claim(Some("a.example"), Some(fingerprint))));
    let deactivate = Command::Deactivate(ActivationTarget::Binding(Binding::Domain(domain("a.example"))));
    let mut stored = Stored::new(offline_plan().trust_release(true));
    stored.code(&lease_at("a")).unwrap();
    let first = stored.newest_lease().id;
    stored.code(&lease_at("b")).unwrap();
    stored.code(&Command::ReturnLease(first)).unwrap();
    assert_eq!(stored.code(&deactivate), Err(DenialCode::ActivationHeld), "by the lease of the other device");
    let second = stored.newest_lease().id;
    stored.code(&Command::ReturnLease(second)).unwrap();
    assert_eq!(stored.code(&deactivate), Ok(()));
}

#[test]
fn command_of_a_replaced_key_is_denied() {
    let mut stored = Stored::new(offline_plan());
    let digest = stored.record.license().key_digest;
    stored.context = stored.context.clone().of_key(digest);
    stored.code(&lease("a")).unwrap();
    stored.context = stored.context.clone().of_key(KeyDigest::from_bytes([9; 32]));
    for command in [lease("b"), online("c"), Command::Suspend] {
        assert_eq!(stored.code(&command), Err(DenialCode::LicenseKeyReplaced));
    }
    assert_eq!(stored.record.license().devices_used, 1);
}

#[test]
fn vendor_does_not_wait_and_revokes_the_leases() {
    for command in [
        |held: &Activation| Command::Release(held.id.clone()),
        |held: &Activation| Command::Block(ActivationTarget::Id(held.id.clone())),
    ] {
        let mut stored = Stored::new(offline_plan());
        for name in ["a", "b"] {
            stored.code(&lease(name)).unwrap();
        }
        let held = stored.activation("a");
        stored.code(&command(&held)).unwrap();
        let ended: Vec<_> = stored.record.leases().map(|lease| lease.ended).collect();
        assert_eq!(ended, [Some((LeaseEnd::Revoked, now())), None]);
        assert_eq!(stored.record.license().devices_used, 1);
        assert_eq!(stored.code(&lease("c")), Ok(()), "a revoked lease is not one of the day");
    }
    let mut stored = Stored::new(offline_plan());
    let both = claim(Some("a.com"), Some("a"));
    stored.code(&Command::Lease(request(both))).unwrap();
    let domains = LicensePatch { domains: Some(Vec::new()), ..Default::default() };
    stored.code(&Command::Change(domains)).unwrap();
    assert_eq!(stored.newest_lease().ended, Some((LeaseEnd::Revoked, now())), "a removed domain");
    let mut stored = Stored::new(offline_plan());
    stored.code(&lease("a")).unwrap();
    stored.code(&Command::Suspend).unwrap();
    assert_eq!(stored.newest_lease().ended, None, "the state of the license says it");
}

#[test]
fn rotation_with_release_undoes_a_hostile_holder() {
    let mut stored = Stored::new(offline_plan().max_domains(2));
    let wildcard = vec![DomainName::parse_registered("*.shop.com").unwrap()];
    stored.code(&Command::Change(LicensePatch { domains: Some(wildcard), ..Default::default() })).unwrap();
    for command in [Command::Lease(request(claim(Some("evil.com"), Some("x1")))), lease("x2"), online("x3")] {
        stored.code(&command).unwrap();
    }
    assert_eq!(stored.code(&online("mine")), Err(DenialCode::DeviceLimitReached));
    stored.code(&rotate(false)).unwrap();
    assert_eq!(stored.code(&online("mine")), Err(DenialCode::DeviceLimitReached), "a rotation alone");
    stored.code(&rotate(true)).unwrap();
    let names: Vec<_> = stored.record.activations().map(|one| one.activation.binding.value()).collect();
    assert_eq!(names, ["*.shop.com"]);
    assert_eq!((stored.record.license().domains_used, stored.record.license().devices_used), (1, 0));
    assert!(stored.record.leases().all(|lease| lease.ended == Some((LeaseEnd::Revoked, now()))));
    assert_eq!([lease("a"), lease("b"), online("c")].map(|own| stored.code(&own)), [Ok(()); 3]);
}

/// The claims are those of the contract in `clients/vectors/README.md`.
#[test]
fn signed_claims_are_accepted_by_clients() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let plan = offline_plan().feature("export", true).feature("seats", 5).feature("tier", "gold");
    let mut stored = Stored::new(plan.term_days(30).updates(Updates::new(Period::Days(20))));
    let software = claim(Some("shop.example.com"), Some(" größe 1 "));
    stored.code(&Command::Lease(request(software))).unwrap();
    let lease = stored.newest_lease();
    let pair = SigningKeyPair::from_seed(&[5; 32]);
    let header = json!({ "alg": "EdDSA", "kid": pair.public().id().as_str(), "typ": "license-lease+jwt" });
    let parts = [header.to_string(), lease.claims.clone()].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = parts.join(".");
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())));
    let public = license_verify::PublicKey::from_bytes(pair.public().as_bytes()).unwrap();
    let keys = license_verify::KeySet::new([public]);
    let device = license_verify::Digest::of_device("default", "größe 1");
    let seconds = now().timestamp();
    let verified = license_verify::Lease::verify(&token, &keys, "default", &device, seconds).unwrap();
    assert_eq!((verified.jti.as_str(), verified.sub.as_str()), (lease.id.as_str(), "lic_a1"));
    assert_eq!((verified.iat, verified.exp), (seconds - 60, seconds + 7 * 86_400));
    assert_eq!(verified.lic_exp, Some(seconds + 30 * 86_400));
    assert_eq!(verified.upd_until, Some(seconds + 20 * 86_400));
    assert_eq!(verified.dom.as_deref(), Some("shop.example.com"));
}

#[test]
fn shorter_lease_does_not_shorten_the_hold() {
    let mut stored = Stored::new(offline_plan().max_domains(2));
    let claim = claim(Some("a.com"), Some("a"));
    stored.code(&Command::Lease(request(claim.clone()))).unwrap();
    let until = Some(now() + TimeDelta::days(7) + TimeDelta::minutes(5));
    stored.code(&Command::Lease(NewLease { days: Some(1), ..request(claim) })).unwrap();
    assert_eq!(stored.newest_lease().accepted_until(), now() + TimeDelta::days(1) + TimeDelta::minutes(5));
    assert_eq!(stored.activation("a").held_until, until, "the first lease is in use");
    assert_eq!(stored.activation("a.com").held_until, until);
    assert_eq!(stored.record.license().leased_until, until);
}

/// A store may find a slot that was held since it looked.
#[test]
fn held_slot_of_a_view_is_not_freed() {
    let mut stored = Stored::new(offline_plan().idle_days(1));
    stored.code(&lease("a")).unwrap();
    let held = stored.activation("a");
    stored.after(TimeDelta::days(3));
    let mut view = stored.record.view(&Command::ReleaseIdle, &stored.context);
    view.eviction_candidates = vec![EvictionCandidate { activation: held.clone(), seen_at: now() }];
    let idle = decide(view, &Command::ReleaseIdle, &stored.context);
    assert_eq!(idle.outcome, CommandOutcome::Denied(Denial::ActivationNotFound));
    let mut view = stored.record.view(&Command::ReleaseReturned, &stored.context);
    view.activations = vec![Activation { is_returned: true, ..held }];
    let returned = decide(view, &Command::ReleaseReturned, &stored.context);
    assert_eq!(returned.outcome, CommandOutcome::Denied(Denial::ActivationNotFound));
}

/// A holder of the key cannot take them, so a rotation need not free them.
#[test]
fn rotation_with_release_keeps_registered_domains() {
    let mut stored = Stored::new(offline_plan().domain_policy(DomainPolicy::RegisteredOnly));
    let domain = vec![DomainName::parse_registered("shop.com").unwrap()];
    stored.code(&Command::Change(LicensePatch { domains: Some(domain), ..Default::default() })).unwrap();
    stored.code(&Command::Lease(request(claim(Some("shop.com"), Some("a"))))).unwrap();
    stored.code(&rotate(true)).unwrap();
    let names: Vec<_> = stored.record.activations().map(|one| one.activation.binding.value()).collect();
    assert_eq!(names, ["shop.com"]);
    assert_eq!((stored.record.license().domains_used, stored.record.license().devices_used), (1, 0));
    assert_eq!(stored.newest_lease().ended, Some((LeaseEnd::Revoked, now())));
}

/// A lease can be denied after its slot was taken. Then the denial has the license without the slot.
#[test]
fn denied_lease_shows_the_license_before_it() {
    let mut stored = Stored::new(offline_plan().offline_slots(1));
    stored.code(&lease("a")).unwrap();
    let view = stored.record.view(&lease("b"), &stored.context);
    let Decision { outcome, changes } = decide(view, &lease("b"), &stored.context);
    let CommandOutcome::NotActivated(denied) = outcome else { panic!("{outcome:?}") };
    let shown = denied.license().map(|license| (license.devices_used, license.version));
    let version = stored.record.license().version;
    assert_eq!((denied.code(), shown), (DenialCode::OfflineLimitReached, Some((1, version))));
    assert!(changes.is_none(), "{changes:?}");
}
