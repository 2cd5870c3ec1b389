//! Tests of evictions, idle devices, customer releases and labels.

use serde_json::Value;

use super::*;
use crate::access::Principal;

/// Runs a command and returns the names and causes of the released activations.
fn released(tested: &mut TestLicense, command: &Command) -> Result<Vec<(String, String)>, DenialCode> {
    let before = tested.events.len();
    tested.run(command).map_err(|denial| denial.code())?;
    let released =
        tested.events[before..].iter().filter(|event| event.event_type == EventType::ActivationReleased);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Ok(released.map(|event| (text(&event.data["activation"]["name"]), text(&event.data["cause"]))).collect())
}

fn device(name: &str) -> Command {
    Command::Activate(claim(None, Some(name)))
}

fn see(tested: &mut TestLicense, name: &str, at: DateTime<Utc>) {
    let id = tested.activations.iter().find(|one| one.binding.value() == name).unwrap().id.clone();
    tested.seen.insert(id, at);
}

#[test]
fn new_device_evicts_the_least_recently_seen() {
    let mut tested = TestLicense::new("roaming", &[]);
    let hour = TimeDelta::hours(1);
    for name in ["a", "b"] {
        tested.done(&device(name));
        tested.now += hour;
    }
    assert_eq!(
        tested.run(&device("c")),
        Ok(vec!["activation.released", "activation.created"]),
        "one commit, the release first"
    );
    assert_eq!(tested.names(), ["b", "c"], "no device was seen after its activation");
    let now = tested.now;
    see(&mut tested, "b", now + hour);
    tested.now += hour + hour;
    assert_eq!(released(&mut tested, &device("d")), Ok(vec![("c".to_owned(), "evicted".to_owned())]));
    assert_eq!(tested.license.devices_used, 2);
    assert_eq!(tested.run(&device("d")), Ok(vec![]), "held");
}

#[test]
fn denied_claim_evicts_no_device() {
    let mut tested = TestLicense::new("roaming", &["a.com", "b.com"]);
    for name in ["a", "b"] {
        tested.done(&device(name));
    }
    assert_eq!(tested.activate(Some("c.com"), Some("c")), Err(DenialCode::DomainLimitReached));
    assert_eq!(tested.names(), ["a.com", "b.com", "a", "b"]);
}

/// A lowered limit applies to the next new device, unless too many devices would be evicted.
#[test]
fn evictions_are_bounded() {
    let limit = |max| Command::Change(LicensePatch { max_devices: Some(max), ..Default::default() });
    for (held, expected) in
        [(limits::EVICTIONS, Ok(1)), (limits::EVICTIONS + 1, Err(DenialCode::DeviceLimitReached))]
    {
        let mut tested = TestLicense::new("roaming", &[]);
        tested.done(&limit(Limit::Unlimited));
        for n in 0..held {
            tested.done(&device(&n.to_string()));
        }
        tested.done(&limit(Limit::AtMost(1)));
        let found = tested.run(&device("new")).map(|_| tested.license.devices_used);
        assert_eq!(found.map_err(|denial| denial.code()), expected, "{held} devices, a limit of 1");
    }
    let mut tested = TestLicense::new("roaming", &[]);
    tested.done(&limit(Limit::AtMost(0)));
    let none = tested.run(&device("new")).map_err(|denial| denial.code());
    assert_eq!(none, Err(DenialCode::DeviceLimitReached), "no slot exists");
}

/// A store that reads too few devices does not oversell.
#[test]
fn unread_devices_are_not_evicted() {
    let mut tested = TestLicense::new("roaming", &[]);
    for name in ["a", "b"] {
        tested.done(&device(name));
    }
    let Decision { outcome, changes } = decide(bare_view(&tested.license), &device("c"), &context());
    let CommandOutcome::NotActivated(denied) = outcome else { panic!("{outcome:?}") };
    assert_eq!((denied.code(), changes), (DenialCode::DeviceLimitReached, None));
}

#[test]
fn idle_time_is_exact_to_the_microsecond() {
    let idle = TimeDelta::days(30);
    let micro = TimeDelta::microseconds(1);
    let mut tested = TestLicense::new("roaming", &["a.com"]);
    for name in ["a", "b"] {
        tested.done(&device(name));
    }
    see(&mut tested, "b", now() + TimeDelta::days(1));
    tested.now = now() + idle;
    let none = Err(DenialCode::ActivationNotFound);
    assert_eq!(released(&mut tested, &Command::ReleaseIdle), none, "not yet");
    tested.now += micro;
    assert_eq!(
        released(&mut tested, &Command::ReleaseIdle),
        Ok(vec![("a".to_owned(), "idle".to_owned())]),
        "only the unseen device"
    );
    assert_eq!(released(&mut tested, &Command::ReleaseIdle), none, "once");
    assert_eq!(tested.names(), ["a.com", "b"]);
    tested.now = now() + TimeDelta::days(31) + micro;
    tested.done(&Command::Change(LicensePatch { plan: Some("large".to_owned()), ..Default::default() }));
    assert_eq!(released(&mut tested, &Command::ReleaseIdle), none, "the plan has no idle time");
}

#[test]
fn many_idle_devices_need_several_commands() {
    let mut tested = TestLicense::new("roaming", &[]);
    let all = Limit::Unlimited;
    tested.done(&Command::Change(LicensePatch { max_devices: Some(all), ..Default::default() }));
    for n in 0..40 {
        tested.done(&device(&n.to_string()));
    }
    tested.now += TimeDelta::days(31);
    let counts = [(); 3].map(|()| released(&mut tested, &Command::ReleaseIdle).map(|slots| slots.len()));
    assert_eq!(counts, [Ok(32), Ok(8), Err(DenialCode::ActivationNotFound)]);
}

#[test]
fn customer_frees_only_slots_it_could_take_again() {
    let deactivate =
        |text: &str| Command::Deactivate(ActivationTarget::Binding(Binding::Domain(domain(text))));
    let fingerprint = |text: &str| {
        let device = Binding::Device(Fingerprint::parse(text).unwrap());
        Command::Deactivate(ActivationTarget::Binding(device))
    };
    let customer = |name: &str| Ok(vec![(name.to_owned(), "customer".to_owned())]);
    let mut tested = TestLicense::new("roaming", &["*.shop.com"]);
    tested.activate(Some("a.com"), Some("d1")).unwrap();
    assert_eq!(released(&mut tested, &fingerprint("D1")), Err(DenialCode::ActivationNotFound));
    assert_eq!(released(&mut tested, &fingerprint("d1")), customer("d1"));
    assert_eq!(released(&mut tested, &fingerprint("d1")), Err(DenialCode::ActivationNotFound), "again");
    assert_eq!(released(&mut tested, &deactivate("a.com")), customer("a.com"));
    assert_eq!(
        released(&mut tested, &deactivate("www.shop.com")),
        Err(DenialCode::DomainRegistered),
        "only the vendor can register a wildcard again"
    );
    tested.now += TimeDelta::days(1_000);
    tested.done(&Command::Change(LicensePatch { expires_at: Some(Expiry::At(now())), ..Default::default() }));
    let other = released(&mut tested, &fingerprint("d1"));
    assert_eq!(other, Err(DenialCode::ActivationNotFound), "an expired license too");

    let mut tested = TestLicense::new("closed_self_service", &["a.com"]);
    tested.activate(None, Some("d1")).unwrap();
    assert_eq!(released(&mut tested, &deactivate("a.com")), Err(DenialCode::DomainRegistered));
    assert_eq!(released(&mut tested, &deactivate("b.com")), Err(DenialCode::ActivationNotFound));
    assert_eq!(released(&mut tested, &fingerprint("d1")), customer("d1"));
}

/// If a domain and a wildcard that covers it are both registered, the domain is released.
#[test]
fn domain_itself_is_released_before_a_wildcard() {
    for domains in [["a.com", "*.a.com"], ["*.a.com", "a.com"]] {
        let mut tested = TestLicense::new("roaming", &domains);
        let www = Command::Deactivate(ActivationTarget::Binding(Binding::Domain(domain("www.a.com"))));
        assert_eq!(released(&mut tested, &www), Ok(vec![("a.com".to_owned(), "customer".to_owned())]));
    }
}

#[test]
fn label_is_stored_and_emits_an_event() {
    let mut tested = TestLicense::new("small", &["a.com"]);
    let id = tested.activations[0].id.clone();
    let label = |text: Option<&str>| Command::Label(id.clone(), text.map(|text| Label::parse(text).unwrap()));
    assert_eq!(tested.run(&label(None)), Ok(vec![]), "the label is absent already");
    assert_eq!(tested.run(&label(Some("Shop"))), Ok(vec!["activation.labelled"]));
    assert_eq!(tested.run(&label(Some(" Shop "))), Ok(vec![]), "the same label");
    assert_eq!(tested.activations[0].label.as_ref().map(Label::as_str), Some("Shop"));
    let event = tested.events.last().unwrap();
    assert_eq!(event.data["activation"]["name"], "a.com");
    assert!(!event.data.to_string().contains("Shop"), "it may name a person: {}", event.data);
    assert_eq!(tested.run(&label(None)), Ok(vec!["activation.labelled"]));
    let other = ActivationId::parse("act_a1_0000000099").unwrap();
    let unknown = tested.run(&Command::Label(other, None)).map_err(|denial| denial.code());
    assert_eq!(unknown, Err(DenialCode::ActivationNotFound));
}

/// The label is in the metadata of the entry, which erasure removes.
#[test]
fn audit_keeps_labels_apart_from_permanent_data() {
    let tested = TestLicense::new("small", &["a.com"]);
    let by = Some(Arc::new(Actor::new(Principal::CommandLine)));
    let command = Command::Label(tested.activations[0].id.clone(), Label::parse("Shop").ok());
    let view = View { activations: tested.activations, ..bare_view(&tested.license) };
    let entry = decide(view, &command, &CommandContext { by, ..context() }).changes.unwrap().audit.unwrap();
    assert_eq!(entry.action, "activation.label");
    assert_eq!(entry.metadata, Some(json!({ "before": { "label": null }, "after": { "label": "Shop" } })));
    assert_eq!(entry.changes["activations"]["after"][0]["name"], "a.com");
    assert!(!json!(entry.changes).to_string().contains("Shop"));
}
