//! Tests of evictions, idle devices, customer releases and labels.

use super::*;
use crate::access::Who;

/// Runs a command and returns the names and reasons of the released activations.
fn released(bench: &mut Bench, command: &Command) -> Result<Vec<(String, String)>, DenialCode> {
    let before = bench.events.len();
    bench.run(command).map_err(|denial| denial.code())?;
    let released =
        bench.events[before..].iter().filter(|event| event.event_type == EventType::ActivationReleased);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Ok(released.map(|event| (text(&event.data["activation"]["name"]), text(&event.data["reason"]))).collect())
}

fn device(name: &str) -> Command {
    Command::Activate(claim(None, Some(name)))
}

fn see(bench: &mut Bench, name: &str, at: DateTime<Utc>) {
    let id = bench.activations.iter().find(|one| one.binding.value() == name).unwrap().id.clone();
    bench.seen.insert(id, at);
}

#[test]
fn new_device_evicts_the_least_recently_seen() {
    let mut bench = Bench::new("roaming", &[]);
    let hour = TimeDelta::hours(1);
    for name in ["a", "b"] {
        bench.done(&device(name));
        bench.now += hour;
    }
    assert_eq!(
        bench.run(&device("c")),
        Ok(vec!["activation.released", "activation.created"]),
        "one commit, the release first"
    );
    assert_eq!(bench.names(), ["b", "c"], "no device was seen after its activation");
    let now = bench.now;
    see(&mut bench, "b", now + hour);
    bench.now += hour + hour;
    assert_eq!(released(&mut bench, &device("d")), Ok(vec![("c".to_owned(), "evicted".to_owned())]));
    assert_eq!(bench.license.devices_used, 2);
    assert_eq!(bench.run(&device("d")), Ok(vec![]), "held");
}

#[test]
fn denied_claim_evicts_no_device() {
    let mut bench = Bench::new("roaming", &["a.com", "b.com"]);
    for name in ["a", "b"] {
        bench.done(&device(name));
    }
    assert_eq!(bench.activate(Some("c.com"), Some("c")), Err(DenialCode::DomainLimitReached));
    assert_eq!(bench.names(), ["a.com", "b.com", "a", "b"]);
}

/// A lowered limit applies to the next new device, unless too many devices would be evicted.
#[test]
fn evictions_are_bounded() {
    let limit = |max| Command::Change(LicensePatch { max_devices: Some(max), ..Default::default() });
    for (held, expected) in
        [(limits::EVICTIONS, Ok(1)), (limits::EVICTIONS + 1, Err(DenialCode::DeviceLimitReached))]
    {
        let mut bench = Bench::new("roaming", &[]);
        bench.done(&limit(Limit::Unlimited));
        for n in 0..held {
            bench.done(&device(&n.to_string()));
        }
        bench.done(&limit(Limit::AtMost(1)));
        let found = bench.run(&device("new")).map(|_| bench.license.devices_used);
        assert_eq!(found.map_err(|denial| denial.code()), expected, "{held} devices, a limit of 1");
    }
    let mut bench = Bench::new("roaming", &[]);
    bench.done(&limit(Limit::AtMost(0)));
    let none = bench.run(&device("new")).map_err(|denial| denial.code());
    assert_eq!(none, Err(DenialCode::DeviceLimitReached), "no slot exists");
}

/// A store that reads too few devices does not oversell.
#[test]
fn unread_devices_are_not_evicted() {
    let mut bench = Bench::new("roaming", &[]);
    for name in ["a", "b"] {
        bench.done(&device(name));
    }
    let Decision { outcome, changes } = decide(bare_view(&bench.license), &device("c"), &context());
    let expected = Denial::DeviceLimitReached { used: 2, limit: Limit::AtMost(2) };
    assert_eq!((outcome, changes), (CommandOutcome::Denied(expected), None));
}

#[test]
fn idle_time_is_exact_to_the_microsecond() {
    let idle = TimeDelta::days(30);
    let micro = TimeDelta::microseconds(1);
    let mut bench = Bench::new("roaming", &["a.com"]);
    for name in ["a", "b"] {
        bench.done(&device(name));
    }
    see(&mut bench, "b", now() + TimeDelta::days(1));
    bench.now = now() + idle;
    let none = Err(DenialCode::ActivationNotFound);
    assert_eq!(released(&mut bench, &Command::ReleaseIdle), none, "not yet");
    bench.now += micro;
    assert_eq!(
        released(&mut bench, &Command::ReleaseIdle),
        Ok(vec![("a".to_owned(), "idle".to_owned())]),
        "only the unseen device"
    );
    assert_eq!(released(&mut bench, &Command::ReleaseIdle), none, "once");
    assert_eq!(bench.names(), ["a.com", "b"]);
    bench.now = now() + TimeDelta::days(31) + micro;
    bench.done(&Command::Change(LicensePatch { plan: Some("large".to_owned()), ..Default::default() }));
    assert_eq!(released(&mut bench, &Command::ReleaseIdle), none, "the plan has no idle time");
}

#[test]
fn many_idle_devices_need_several_commands() {
    let mut bench = Bench::new("roaming", &[]);
    let all = Limit::Unlimited;
    bench.done(&Command::Change(LicensePatch { max_devices: Some(all), ..Default::default() }));
    for n in 0..40 {
        bench.done(&device(&n.to_string()));
    }
    bench.now += TimeDelta::days(31);
    let counts = [(); 3].map(|()| released(&mut bench, &Command::ReleaseIdle).map(|released| released.len()));
    assert_eq!(counts, [Ok(32), Ok(8), Err(DenialCode::ActivationNotFound)]);
}

#[test]
fn customer_frees_only_slots_it_could_take_again() {
    let deactivate = |text: &str| Command::Deactivate(Binding::Domain(domain(text)));
    let fingerprint = |text: &str| Command::Deactivate(Binding::Device(Fingerprint::parse(text).unwrap()));
    let customer = |name: &str| Ok(vec![(name.to_owned(), "customer".to_owned())]);
    let mut bench = Bench::new("roaming", &["*.shop.com"]);
    bench.activate(Some("a.com"), Some("d1")).unwrap();
    assert_eq!(released(&mut bench, &fingerprint("D1")), Err(DenialCode::ActivationNotFound));
    assert_eq!(released(&mut bench, &fingerprint("d1")), customer("d1"));
    assert_eq!(released(&mut bench, &fingerprint("d1")), Err(DenialCode::ActivationNotFound), "again");
    assert_eq!(released(&mut bench, &deactivate("a.com")), customer("a.com"));
    assert_eq!(
        released(&mut bench, &deactivate("www.shop.com")),
        Err(DenialCode::DomainRegistered),
        "only the vendor can register a wildcard again"
    );
    bench.now += TimeDelta::days(1_000);
    bench.done(&Command::Change(LicensePatch { expires_at: Some(Expiry::At(now())), ..Default::default() }));
    let other = released(&mut bench, &fingerprint("d1"));
    assert_eq!(other, Err(DenialCode::ActivationNotFound), "an expired license too");

    let mut bench = Bench::new("closed_self_service", &["a.com"]);
    bench.activate(None, Some("d1")).unwrap();
    assert_eq!(released(&mut bench, &deactivate("a.com")), Err(DenialCode::DomainRegistered));
    assert_eq!(released(&mut bench, &deactivate("b.com")), Err(DenialCode::ActivationNotFound));
    assert_eq!(released(&mut bench, &fingerprint("d1")), customer("d1"));
}

/// A domain that is registered beside a covering wildcard is released itself.
#[test]
fn domain_itself_is_released_before_a_wildcard() {
    let mut bench = Bench::new("roaming", &["a.com", "*.a.com"]);
    let www = Command::Deactivate(Binding::Domain(domain("www.a.com")));
    assert_eq!(released(&mut bench, &www), Ok(vec![("a.com".to_owned(), "customer".to_owned())]));
}

#[test]
fn label_is_stored_and_emits_an_event() {
    let mut bench = Bench::new("small", &["a.com"]);
    let id = bench.activations[0].id.clone();
    let label = |text: Option<&str>| Command::Label(id.clone(), text.map(|text| Label::parse(text).unwrap()));
    assert_eq!(bench.run(&label(None)), Ok(vec![]), "the license has no such activation");
    assert_eq!(bench.run(&label(Some("Shop"))), Ok(vec!["activation.labelled"]));
    assert_eq!(bench.run(&label(Some(" Shop "))), Ok(vec![]), "the same label");
    assert_eq!(bench.activations[0].label.as_ref().map(Label::as_str), Some("Shop"));
    let event = bench.events.last().unwrap();
    assert_eq!(event.data["activation"]["name"], "a.com");
    assert!(!event.data.to_string().contains("Shop"), "it may name a person: {}", event.data);
    assert_eq!(bench.run(&label(None)), Ok(vec!["activation.labelled"]));
    let other = ActivationId::parse("act_a1_0000000099").unwrap();
    let unknown = bench.run(&Command::Label(other, None)).map_err(|denial| denial.code());
    assert_eq!(unknown, Err(DenialCode::ActivationNotFound));
}

/// The label is in the metadata of the entry, which erasure removes.
#[test]
fn audit_keeps_labels_apart_from_permanent_data() {
    let bench = Bench::new("small", &["a.com"]);
    let by = Some(Arc::new(Actor::new(Who::CommandLine)));
    let command = Command::Label(bench.activations[0].id.clone(), Label::parse("Shop").ok());
    let view = View { activations: bench.activations, ..bare_view(&bench.license) };
    let entry = decide(view, &command, &CommandContext { by, ..context() }).changes.unwrap().audit.unwrap();
    assert_eq!(entry.action, "activation.label");
    assert_eq!(entry.metadata, Some(json!({ "before": { "label": null }, "after": { "label": "Shop" } })));
    assert_eq!(entry.changes["activations"]["after"][0]["name"], "a.com");
    assert!(!json!(entry.changes).to_string().contains("Shop"));
}
