//! What becomes of devices where there are too many, and of slots that nobody uses.

use super::*;
use crate::audit::Who;

/// Runs a command, and what it released: names, and why.
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

fn names(bench: &Bench) -> Vec<&str> {
    bench.activations.iter().map(|one| one.binding.value()).collect()
}

fn see(bench: &mut Bench, name: &str, at: DateTime<Utc>) {
    let id = bench.activations.iter().find(|one| one.binding.value() == name).unwrap().id.clone();
    bench.seen.insert(id, at);
}

#[test]
fn a_new_device_takes_the_slot_of_the_one_unseen_for_the_longest() {
    let mut bench = Bench::new("roaming", &[]);
    let hour = TimeDelta::hours(1);
    for name in ["a", "b"] {
        bench.done(&device(name));
        bench.now += hour;
    }
    assert_eq!(
        bench.run(&device("c")),
        Ok(vec!["activation.released", "activation.created"]),
        "one commit, the old one first"
    );
    assert_eq!(names(&bench), ["b", "c"], "none was seen since it was made");
    let now = bench.now;
    see(&mut bench, "b", now + hour);
    bench.now += hour + hour;
    assert_eq!(released(&mut bench, &device("d")), Ok(vec![("c".to_owned(), "evicted".to_owned())]));
    assert_eq!(bench.license.devices_used, 2);
    assert_eq!(bench.run(&device("d")), Ok(vec![]), "held");
}

#[test]
fn a_denied_claim_evicts_nobody() {
    let mut bench = Bench::new("roaming", &["a.com", "b.com"]);
    for name in ["a", "b"] {
        bench.done(&device(name));
    }
    assert_eq!(bench.activate(Some("c.com"), Some("c")), Err(DenialCode::DomainLimitReached));
    assert_eq!(names(&bench), ["a.com", "b.com", "a", "b"]);
}

/// A limit that was lowered is kept from the next new device on, unless that would drive out too many at once.
#[test]
fn evictions_are_bounded() {
    let limit = |most| Command::Change(LicenseChange { max_devices: Some(most), ..LicenseChange::default() });
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
    assert_eq!(none, Err(DenialCode::DeviceLimitReached), "there is no slot to take");
}

/// A store that reads too few devices oversells nothing.
#[test]
fn nothing_is_evicted_that_was_not_read() {
    let mut bench = Bench::new("roaming", &[]);
    for name in ["a", "b"] {
        bench.done(&device(name));
    }
    let context = CommandContext { plans: plans().into(), now: now(), expected_version: None, by: None };
    let view = View { license: bench.license.clone(), activations: Vec::new(), unseen: Vec::new() };
    let Decision { outcome, changes } = decide(view, &device("c"), &context);
    let expected = Denial::DeviceLimitReached { used: 2, limit: Limit::AtMost(2) };
    assert_eq!((outcome, changes), (Outcome::Denied(expected), None));
}

#[test]
fn devices_are_idle_to_the_microsecond() {
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
        "the one that was not seen, and no domain"
    );
    assert_eq!(released(&mut bench, &Command::ReleaseIdle), none, "once");
    assert_eq!(names(&bench), ["a.com", "b"]);
    bench.now = now() + TimeDelta::days(31) + micro;
    bench
        .done(&Command::Change(LicenseChange { plan: Some("large".to_owned()), ..LicenseChange::default() }));
    assert_eq!(released(&mut bench, &Command::ReleaseIdle), none, "the plan says nothing of idle devices");
}

#[test]
fn many_idle_devices_are_released_in_several_commands() {
    let mut bench = Bench::new("roaming", &[]);
    let all = Limit::Unlimited;
    bench.done(&Command::Change(LicenseChange { max_devices: Some(all), ..LicenseChange::default() }));
    for n in 0..40 {
        bench.done(&device(&n.to_string()));
    }
    bench.now += TimeDelta::days(31);
    let counts = [(); 3].map(|()| released(&mut bench, &Command::ReleaseIdle).map(|released| released.len()));
    assert_eq!(counts, [Ok(32), Ok(8), Err(DenialCode::ActivationNotFound)]);
}

#[test]
fn customers_free_what_they_could_take_again() {
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
    bench.done(&Command::Change(LicenseChange {
        expires_at: Some(Expiry::At(now())),
        ..LicenseChange::default()
    }));
    let other = released(&mut bench, &fingerprint("d1"));
    assert_eq!(other, Err(DenialCode::ActivationNotFound), "also of one that has expired");

    let mut bench = Bench::new("closed_self_service", &["a.com"]);
    bench.activate(None, Some("d1")).unwrap();
    assert_eq!(released(&mut bench, &deactivate("a.com")), Err(DenialCode::DomainRegistered));
    assert_eq!(released(&mut bench, &deactivate("b.com")), Err(DenialCode::ActivationNotFound));
    assert_eq!(released(&mut bench, &fingerprint("d1")), customer("d1"));
}

/// A domain of its own beside a wildcard that covers it as well is released, and not taken for the wildcard.
#[test]
fn the_name_itself_goes_before_a_wildcard() {
    let mut bench = Bench::new("roaming", &["a.com", "*.a.com"]);
    let www = Command::Deactivate(Binding::Domain(domain("www.a.com")));
    assert_eq!(released(&mut bench, &www), Ok(vec![("a.com".to_owned(), "customer".to_owned())]));
}

#[test]
fn labels() {
    let mut bench = Bench::new("small", &["a.com"]);
    let id = bench.activations[0].id.clone();
    let label = |text: Option<&str>| Command::Label(id.clone(), text.map(|text| Label::parse(text).unwrap()));
    assert_eq!(bench.run(&label(None)), Ok(vec![]), "it has none");
    assert_eq!(bench.run(&label(Some("Shop"))), Ok(vec!["activation.labelled"]));
    assert_eq!(bench.run(&label(Some(" Shop "))), Ok(vec![]), "the same again");
    assert_eq!(bench.activations[0].label.as_ref().map(Label::as_str), Some("Shop"));
    let told = bench.events.last().unwrap();
    assert_eq!(told.data["activation"]["name"], "a.com");
    assert!(!told.data.to_string().contains("Shop"), "it may name a person: {}", told.data);
    assert_eq!(bench.run(&label(None)), Ok(vec!["activation.labelled"]));
    let other = ActivationId::parse("act_a1_0000000099").unwrap();
    let unknown = bench.run(&Command::Label(other, None)).map_err(|denial| denial.code());
    assert_eq!(unknown, Err(DenialCode::ActivationNotFound));
}

/// The text of a label is a note of the vendor's, and kept where notes are erased from.
#[test]
fn the_audit_has_labels_beside_what_it_never_forgets() {
    let bench = Bench::new("small", &["a.com"]);
    let by = Some(Arc::new(Actor::new(Who::CommandLine)));
    let context = CommandContext { plans: plans().into(), now: now(), expected_version: None, by };
    let activations = bench.activations;
    let command = Command::Label(activations[0].id.clone(), Label::parse("Shop").ok());
    let view = View { license: bench.license, activations, unseen: Vec::new() };
    let entry = decide(view, &command, &context).changes.unwrap().audit.unwrap();
    assert_eq!(entry.action, "activation.label");
    assert_eq!(entry.metadata, Some(json!({ "before": { "label": null }, "after": { "label": "Shop" } })));
    assert_eq!(entry.changes["activations"]["after"][0]["name"], "a.com");
    assert!(!json!(entry.changes).to_string().contains("Shop"));
}
