//! Reasons and blocks.

use super::*;
use crate::access::Principal;

fn reason(text: &str) -> Option<Reason> {
    Reason::parse(text).ok()
}

fn domain_binding(text: &str) -> Binding {
    Binding::Domain(domain(text))
}

fn device_binding(text: &str) -> Binding {
    Binding::Device(Fingerprint::parse(text).unwrap())
}

fn block(binding: Binding) -> Command {
    Command::Block(ActivationTarget::Binding(binding))
}

fn block_id(tested: &TestLicense, index: usize) -> BlockId {
    tested.license.blocks.iter().nth(index).unwrap().id.clone()
}

#[test]
fn reason_is_shown_while_its_state_lasts() {
    let mut tested = TestLicense::new("small", &[]);
    tested.reason = reason("payment failed");
    assert_eq!(tested.run(&Command::Suspend), Ok(vec!["license.suspended"]));
    assert_eq!(tested.license.state_reason, reason("payment failed"));
    let data = &tested.events.last().unwrap().data;
    assert_eq!(data["reason"], "payment failed");
    assert_eq!(data["license"]["state_reason"], "payment failed");
    tested.reason = None;
    assert_eq!(tested.run(&Command::Suspend), Ok(vec![]), "without a reason, the first one stays");
    assert_eq!(tested.license.state_reason, reason("payment failed"));
    tested.reason = reason("chargeback");
    assert_eq!(tested.run(&Command::Suspend), Ok(vec!["license.updated"]), "another reason replaces it");
    assert_eq!(tested.events.last().unwrap().data["fields"], json!(["state_reason"]));
    assert_eq!(tested.run(&Command::Suspend), Ok(vec![]), "the same reason");
    assert_eq!(tested.run(&Command::Reinstate), Ok(vec!["license.reinstated"]));
    assert_eq!(tested.license.state_reason, None);
    assert_eq!(tested.run(&Command::Reinstate), Ok(vec![]), "an active license has no reason");
    tested.reason = None;
    assert_eq!(tested.run(&Command::Suspend), Ok(vec!["license.suspended"]));
    assert_eq!(tested.events.last().unwrap().data["reason"], json!(null));
    tested.reason = reason("fraud");
    assert_eq!(tested.run(&Command::Revoke), Ok(vec!["license.revoked"]));
    tested.reason = reason("fraud, see ticket 17");
    assert_eq!(tested.run(&Command::Revoke), Ok(vec!["license.updated"]));
    assert_eq!(tested.license.state_reason, reason("fraud, see ticket 17"));
    assert_eq!(tested.license.state, LicenseState::Revoked);
}

#[test]
fn change_of_state_keeps_the_reason() {
    for (state, expected) in [
        (Some(TargetState::Suspended), reason("chargeback")),
        (Some(TargetState::Revoked), reason("chargeback")),
        (Some(TargetState::Active), None),
        (None, None),
    ] {
        let mut tested = TestLicense::new("small", &[]);
        tested.reason = reason("chargeback");
        let max_devices = Some(Limit::AtMost(7));
        tested.change(LicensePatch { max_devices, state, ..Default::default() }).unwrap();
        assert_eq!(tested.license.state_reason, expected, "{state:?}");
    }
}

/// The cause of a release is not the reason that the vendor gives.
#[test]
fn release_event_has_cause_and_reason() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    tested.reason = reason("stolen laptop");
    tested.done(&Command::Release(tested.activations[0].id.clone()));
    let data = &tested.events.last().unwrap().data;
    assert_eq!((&data["cause"], &data["reason"]), (&json!("admin"), &json!("stolen laptop")));
    assert_eq!(tested.license.state_reason, None);
}

/// The reason is a field of the entry that erasure removes, not one of its changes.
#[test]
fn audit_keeps_reasons_apart_from_permanent_data() {
    let by = Some(Arc::new(Actor::new(Principal::CommandLine)));
    let context = CommandContext { by, reason: reason("Ann Smith left"), ..context() };
    let tested = TestLicense::new("small", &[]);
    for (command, changed) in [(Command::Suspend, "state"), (block(domain_binding("b.com")), "blocked")] {
        let entry = decide(bare_view(&tested.license), &command, &context).changes.unwrap().audit.unwrap();
        assert_eq!(entry.reason, reason("Ann Smith left"), "{command:?}");
        assert!(entry.changes.contains_key(changed), "{command:?}");
        assert!(!json!(entry.changes).to_string().contains("Ann"), "{command:?}");
    }
}

#[test]
fn erasure_removes_reasons() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    tested.reason = reason("Ann Smith left");
    tested.done(&block(domain_binding("a.com")));
    tested.done(&Command::Suspend);
    let pseudonym = CustomerEmail::parse("x@erased.invalid").unwrap();
    let erasure = Erasure { email: email(), pseudonym };
    let view = bare_view(&tested.license);
    let changes = decide(view, &Command::EraseCustomer(erasure.clone()), &context()).changes.unwrap();
    let text = format!("{:?}", changes.license);
    assert!(!text.contains("Ann"), "{text}");
    assert!(changes.license.blocks.has_domain(&domain("a.com")), "the block stays");
    for event in &mut tested.events {
        assert!(erasure.erase_from_event(&mut event.data));
        assert!(!event.data.to_string().contains("Ann"), "{}", event.data);
    }
}

/// Reasons can name the customer that the license belonged to.
#[test]
fn new_customer_does_not_inherit_reasons() {
    let mut tested = TestLicense::new("small", &[]);
    tested.reason = reason("Ann Smith left");
    tested.done(&block(domain_binding("a.com")));
    tested.done(&Command::Suspend);
    tested.reason = None;
    let same = LicensePatch { customer_email: Some(Some(email())), ..Default::default() };
    assert_eq!(tested.change(same), Ok(vec![]));
    assert_eq!(tested.license.state_reason, reason("Ann Smith left"));
    let new = CustomerEmail::parse("new@example.com").unwrap();
    tested.change(LicensePatch { customer_email: Some(Some(new)), ..Default::default() }).unwrap();
    assert!(!format!("{:?}", tested.license).contains("Ann"));
    assert_eq!(tested.license.state, LicenseState::Suspended);
    assert!(tested.license.blocks.has_domain(&domain("a.com")));
}

#[test]
fn blocked_device_and_domain_are_denied() {
    let mut tested = TestLicense::new("large", &[]);
    tested.activate(Some("a.com"), Some("d1")).unwrap();
    let id = tested.activations.iter().find(|one| one.binding == device_binding("d1")).unwrap().id.clone();
    let by_id = Command::Block(ActivationTarget::Id(id.clone()));
    assert_eq!(tested.run(&by_id), Ok(vec!["activation.released", "activation.blocked"]));
    assert_eq!(tested.run(&by_id).map_err(|denial| denial.code()), Err(DenialCode::ActivationNotFound));
    let by_name = block(domain_binding("a.com"));
    assert_eq!(tested.run(&by_name), Ok(vec!["activation.released", "activation.blocked"]));
    assert_eq!(tested.run(&by_name), Ok(vec![]), "it is blocked already");
    assert_eq!(tested.run(&block(device_binding("d2"))), Ok(vec!["activation.blocked"]), "never seen");
    assert!(tested.names().is_empty());
    let (domain_blocked, device_blocked) = (DenialCode::DomainBlocked, DenialCode::DeviceBlocked);
    for (domain, device, expected) in [
        (Some("a.com"), None, Some(domain_blocked)),
        (Some("www.a.com"), None, Some(domain_blocked)),
        (None, Some("d1"), Some(device_blocked)),
        (None, Some("d2"), Some(device_blocked)),
        (Some("a.com"), Some("d1"), Some(domain_blocked)),
        (Some("b.com"), Some("d1"), Some(device_blocked)),
        (Some("shop.a.com"), Some("D1"), None),
    ] {
        let names = tested.names().len();
        assert_eq!(tested.activate(domain, device).err(), expected, "{domain:?} {device:?}");
        assert_eq!(expected.is_some(), tested.names().len() == names, "a denial takes no slot");
    }
    for index in [0, 0, 0] {
        let unblock = Command::Unblock(block_id(&tested, index));
        assert_eq!(tested.run(&unblock), Ok(vec!["activation.unblocked"]));
    }
    assert_eq!(tested.activate(Some("a.com"), Some("d1")).err(), None);
}

/// Neither a wildcard, nor a free host, nor a registration by the vendor lifts a block.
#[test]
fn block_of_domain_is_not_lifted_by_registrations() {
    let mut tested = TestLicense::new("large", &["*.example.com"]);
    tested.done(&block(domain_binding("shop.example.com")));
    assert_eq!(tested.names(), ["*.example.com"], "the wildcard keeps its slot");
    let blocked = Some(DenialCode::DomainBlocked);
    assert_eq!(tested.activate(Some("shop.example.com"), None).err(), blocked);
    assert_eq!(tested.activate(Some("blog.example.com"), None).err(), None);
    let list = |names: &[&str]| LicensePatch {
        domains: Some(names.iter().map(|name| domain(name)).collect()),
        ..Default::default()
    };
    let registered = tested.change(list(&["*.example.com", "shop.example.com"]));
    assert_eq!(registered.err(), blocked, "unblock it first");
    assert_eq!(tested.change(list(&["*.example.com", "*.shop.example.com"])).err(), None);
    tested.done(&block(domain_binding("*.shop.example.com")));
    assert_eq!(tested.names(), ["*.example.com"]);
    assert_eq!(tested.activate(Some("eu.shop.example.com"), None).err(), blocked);
    tested.done(&block(domain_binding("localhost")));
    assert_eq!(tested.activate(Some("localhost"), None).err(), blocked, "the plan exempts it");
}

/// Blocks come after the status and before the limits and policies.
#[test]
fn block_is_denied_before_the_limit_and_after_the_status() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    tested.done(&block(domain_binding("b.com")));
    tested.done(&block(device_binding("d9")));
    assert_eq!(tested.activate(Some("b.com"), None).err(), Some(DenialCode::DomainBlocked));
    assert_eq!(tested.activate(Some("c.com"), Some("d9")).err(), Some(DenialCode::DomainLimitReached));
    tested.activate(None, Some("d1")).unwrap();
    tested.activate(None, Some("d2")).unwrap();
    assert_eq!(tested.activate(None, Some("d9")).err(), Some(DenialCode::DeviceBlocked));
    tested.done(&Command::Suspend);
    assert_eq!(tested.activate(Some("b.com"), Some("d9")).err(), Some(DenialCode::LicenseSuspended));
    let mut closed = TestLicense::new("closed", &[]);
    closed.done(&block(domain_binding("b.com")));
    assert_eq!(closed.activate(Some("b.com"), None).err(), Some(DenialCode::DomainBlocked));
    let mut roaming = TestLicense::new("roaming", &[]);
    roaming.activate(None, Some("d1")).unwrap();
    roaming.activate(None, Some("d2")).unwrap();
    roaming.done(&block(device_binding("d9")));
    assert_eq!(roaming.activate(None, Some("d9")).err(), Some(DenialCode::DeviceBlocked));
    assert_eq!(roaming.names(), ["d1", "d2"], "a blocked device evicts none");
}

#[test]
fn validation_and_activation_agree_on_blocks() {
    let mut tested = TestLicense::new("large", &["*.a.com"]);
    tested.activate(None, Some("d1")).unwrap();
    tested.done(&block(domain_binding("x.a.com")));
    tested.done(&block(device_binding("d2")));
    let bindings = tested.activations.iter().map(|activation| activation.binding.clone());
    let snapshot = LicenseSnapshot::new(Arc::new(tested.license.clone()), bindings);
    for (domain, device, expected) in [
        (Some("x.a.com"), Some("d1"), Some(DenialCode::DomainBlocked)),
        (Some("y.a.com"), Some("d2"), Some(DenialCode::DeviceBlocked)),
        (Some("y.a.com"), Some("d1"), None),
    ] {
        let claim = claim(domain, device);
        let found = match evaluate(&snapshot, &claim, &plans(), now()).unwrap() {
            Evaluation::Decided(Verdict::Denied(denial)) => Some(denial.code()),
            _ => None,
        };
        assert_eq!(found, expected, "{domain:?} {device:?}");
        assert_eq!(tested.run(&Command::Activate(claim)).err().map(|denial| denial.code()), expected);
    }
}

#[test]
fn number_of_blocks_is_bounded() {
    let mut tested = TestLicense::new("large", &[]);
    for n in 0..limits::BLOCKS {
        tested.done(&block(device_binding(&format!("d{n}"))));
    }
    let more =
        |tested: &mut TestLicense| tested.run(&block(device_binding("more"))).map_err(|one| one.code());
    assert_eq!(more(&mut tested), Err(DenialCode::TooManyBlocks));
    assert_eq!(tested.run(&block(device_binding("d0"))), Ok(vec![]), "it is blocked already");
    tested.done(&Command::Unblock(block_id(&tested, 0)));
    assert_eq!(more(&mut tested), Ok(vec!["activation.blocked"]));
}

/// The customer frees a slot by its id under the rules of its name.
#[test]
fn customer_frees_slot_by_id() {
    let mut tested = TestLicense::new("roaming", &["*.shop.com"]);
    tested.activate(Some("a.com"), Some("d1")).unwrap();
    let ids: Vec<_> = tested.activations.iter().map(|one| one.id.clone()).collect();
    let mut free = |id: &ActivationId| {
        let target = ActivationTarget::Id(id.clone());
        tested.run(&Command::Deactivate(target)).map_err(|denial| denial.code())
    };
    assert_eq!(free(&ids[0]), Err(DenialCode::DomainRegistered), "a wildcard");
    assert_eq!(free(&ids[1]), Ok(vec!["activation.released"]));
    assert_eq!(free(&ids[1]), Err(DenialCode::ActivationNotFound), "again");
    assert_eq!(free(&ids[2]), Ok(vec!["activation.released"]));
    let mut closed = TestLicense::new("closed_self_service", &["a.com"]);
    let target = ActivationTarget::Id(closed.activations[0].id.clone());
    let denied = closed.run(&Command::Deactivate(target)).map_err(|denial| denial.code());
    assert_eq!(denied, Err(DenialCode::DomainRegistered));
}
