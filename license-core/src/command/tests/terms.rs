//! Tests of calendar terms, renewals and terms that start with the first use.

use chrono::Datelike;
use proptest::prelude::*;

use super::*;

fn time(text: &str) -> DateTime<Utc> {
    format!("{text}T12:00:00Z").parse().unwrap()
}

/// Issues a license at noon of a day.
fn issued(plan: &str, day: &str) -> TestLicense {
    issued_at(&LicenseSpec::new(plan, email()), time(day))
}

fn issued_at(spec: &LicenseSpec, at: DateTime<Utc>) -> TestLicense {
    let id = LicenseId::parse("lic_a1").unwrap();
    let key = (KeyDigest::from_bytes([1; 32]), SealedKey::from_bytes(vec![1]));
    let NewLicense { license, activations, events, .. } =
        create(id, key, spec, None, &plans(), &trial_keys(), at).unwrap();
    TestLicense { license, activations, events, seen: BTreeMap::new(), now: at, reason: None }
}

fn set_expiry(tested: &mut TestLicense, expiry: Expiry) {
    tested.change(LicensePatch::default().expires_at(expiry)).unwrap();
}

fn move_to(tested: &mut TestLicense, plan: &str) {
    tested.change(LicensePatch::default().plan(plan)).unwrap();
}

/// Renews at noon of a day, and returns the new end.
fn renewed(tested: &mut TestLicense, day: &str) -> String {
    tested.now = time(day);
    tested.done(&Command::Renew);
    let end = tested.license.expires_at.unwrap();
    assert_eq!(end.time(), time(day).time(), "the time of the day stays");
    end.date_naive().to_string()
}

#[test]
fn terms_end_on_the_day_of_the_calendar() {
    for (plan, day, end) in [
        ("yearly", "2027-06-15", "2028-06-15"),
        ("yearly", "2028-02-29", "2029-02-28"),
        ("monthly", "2027-01-31", "2027-02-28"),
        ("monthly", "2028-01-31", "2028-02-29"),
        ("monthly", "2027-02-28", "2027-03-28"),
        ("small", "2027-01-31", "2027-03-02"),
    ] {
        assert_eq!(issued(plan, day).license.expires_at, Some(time(end)), "{plan} {day}");
    }
}

#[test]
fn renewals_keep_the_day_of_the_first_term() {
    let mut tested = issued("monthly", "2027-01-31");
    let ends: Vec<_> = (0..3).map(|_| renewed(&mut tested, "2027-02-01")).collect();
    assert_eq!(ends, ["2027-03-31", "2027-04-30", "2027-05-31"]);
    let mut tested = issued("yearly", "2028-02-29");
    let ends: Vec<_> = (0..4).map(|_| renewed(&mut tested, "2028-03-01")).collect();
    assert_eq!(ends, ["2030-02-28", "2031-02-28", "2032-02-29", "2033-02-28"]);
}

#[test]
fn new_expiry_and_lapse_set_another_day() {
    let mut tested = issued("monthly", "2027-01-31");
    set_expiry(&mut tested, Expiry::At(time("2027-02-28")));
    assert_eq!(tested.license.anchor_day, Some(31), "the same expiry changes nothing");
    set_expiry(&mut tested, Expiry::At(time("2027-04-28")));
    assert_eq!(renewed(&mut tested, "2027-02-28"), "2027-05-28");

    let mut lapsed = issued("monthly", "2027-01-31");
    assert_eq!(renewed(&mut lapsed, "2027-03-15"), "2027-04-15", "the term had ended");
    assert_eq!(renewed(&mut lapsed, "2027-03-15"), "2027-05-15");

    let mut at_the_end = issued("monthly", "2027-01-31");
    assert_eq!(renewed(&mut at_the_end, "2027-02-28"), "2027-03-31", "the term ends now");

    let mut perpetual = issued("monthly", "2027-01-31");
    set_expiry(&mut perpetual, Expiry::Never);
    assert_eq!(perpetual.license.anchor_day, None);
    set_expiry(&mut perpetual, Expiry::At(time("2027-05-30")));
    assert_eq!(renewed(&mut perpetual, "2027-01-31"), "2027-06-30");
}

#[test]
fn another_plan_renews_from_the_same_end() {
    let mut tested = issued("monthly", "2027-01-31");
    move_to(&mut tested, "small");
    assert_eq!(tested.license.expires_at, Some(time("2027-02-28")));
    assert_eq!(renewed(&mut tested, "2027-02-01"), "2027-03-30", "30 days");
    move_to(&mut tested, "monthly");
    assert_eq!(renewed(&mut tested, "2027-02-01"), "2027-04-30");
    assert_eq!(renewed(&mut tested, "2027-02-01"), "2027-05-30", "no anchor of the first plan is left");
}

proptest! {
    /// The end is the anchor or the last day of a shorter month, and each renewal ends later.
    #[test]
    fn renewals_never_drift_nor_shorten(
        micros in 0_i64..4_000_000_000_000_000, yearly: bool, early in proptest::collection::vec(0_i64..40, 1..40),
    ) {
        let at = DateTime::from_timestamp_micros(micros).unwrap();
        let mut tested = issued_at(&LicenseSpec::new(if yearly { "yearly" } else { "monthly" }, email()), at);
        for days in early {
            let before = tested.license.clone();
            let end = before.expires_at.unwrap();
            // Renewed up to 20 days before the end, or up to 20 days late.
            tested.now = (end + TimeDelta::days(20 - days)).max(tested.now);
            tested.done(&Command::Renew);
            let License { expires_at: Some(renewed), anchor_day: Some(anchor), updates_until, .. } = tested.license
            else { panic!("a term") };
            prop_assert!(renewed > end.max(tested.now));
            prop_assert!(updates_until >= before.updates_until);
            let last = renewed.num_days_in_month();
            prop_assert_eq!(renewed.day(), u32::from(anchor.min(last)));
            let months = if yearly { 12 } else { 1 };
            let months_of = |at: DateTime<Utc>| at.year() * 12 + at.month0().cast_signed();
            prop_assert_eq!(months_of(renewed), months_of(end.max(tested.now)) + months);
            if tested.now <= end {
                prop_assert_eq!(Some(anchor), before.anchor_day);
            }
        }
    }
}

#[test]
fn first_valid_answer_starts_the_term() {
    let mut tested = issued("boxed", "2027-01-31");
    let waiting = tested.license.clone();
    assert_eq!((waiting.expires_at, waiting.updates_until, waiting.anchor_day), (None, None, None));
    assert!(waiting.awaits_first_use());
    assert_eq!(waiting.status(time("2127-01-01")), Status::Active, "it waits for ever");
    assert_eq!(tested.run(&Command::Renew), Err(Denial::TermNotStarted));
    let shown = |tested: &TestLicense| tested.events.last().unwrap().data["license"]["term"].clone();
    assert_eq!(shown(&tested), json!({ "starts": "first_use", "started_at": null }));

    tested.now = time("2028-02-29");
    assert_eq!(tested.activate(None, Some("d")), Ok(vec!["license.activated", "activation.created"]));
    let end = Some(time("2029-02-28"));
    assert_eq!((tested.license.expires_at, tested.license.updates_until), (end, end));
    assert_eq!(tested.license.anchor_day, Some(29));
    assert_eq!(shown(&tested), json!({ "starts": "first_use", "started_at": "2028-02-29T12:00:00Z" }));
    tested.now = time("2028-03-31");
    assert_eq!(tested.activate(None, Some("d")), Ok(vec![]), "once");
    assert_eq!(tested.license.expires_at, end);
    assert_eq!(renewed(&mut tested, "2028-04-01"), "2030-02-28");
}

#[test]
fn denied_claim_starts_no_term() {
    let mut spec = LicenseSpec::new("boxed", email());
    spec.max_devices = Some(Limit::AtMost(0));
    let mut tested = issued_at(&spec, now());
    assert_eq!(tested.activate(None, Some("d")), Err(DenialCode::DeviceLimitReached));
    assert!(tested.license.awaits_first_use());
    tested.done(&Command::Suspend);
    assert_eq!(tested.activate(None, None), Err(DenialCode::LicenseSuspended));
    tested.done(&Command::Reinstate);
    assert!(tested.activate(None, None).is_ok());
    assert!(!tested.license.awaits_first_use());
}

#[test]
fn waiting_license_has_no_expiry_events() {
    let tested = issued("boxed", "2027-01-31");
    assert_eq!(expiry_events(tested.license, time("2127-01-01"), &Reminders::default()), None);
}

#[test]
fn given_expiry_ends_the_wait() {
    let mut tested = issued("boxed", "2027-01-31");
    tested.now = time("2027-03-01");
    set_expiry(&mut tested, Expiry::At(time("2027-05-31")));
    assert_eq!(tested.events.last().unwrap().data["fields"], json!(["expires_at", "term", "updates_until"]));
    assert_eq!(tested.license.term.started_at, Some(time("2027-03-01")));
    assert_eq!(tested.license.updates_until, Some(time("2028-03-01")));
    tested.done(&Command::Activate(Claim::default()));
    assert_eq!(tested.license.expires_at, Some(time("2027-05-31")), "the first use does not move it");
    assert_eq!(renewed(&mut tested, "2027-03-02"), "2028-05-31");

    let mut waiting = issued("boxed", "2027-01-31");
    assert_eq!(
        waiting.change(LicensePatch::default().expires_at(Expiry::Never)),
        Ok(vec![]),
        "as it is shown"
    );
    assert!(waiting.license.awaits_first_use());
    let perpetual = issued_at(&LicenseSpec::new("boxed", email()).expires_at(Expiry::Never), now()).license;
    assert_eq!((perpetual.awaits_first_use(), perpetual.expires_at), (false, None), "it never expires");

    let spec = LicenseSpec::new("boxed", email()).expires_at(Expiry::At(time("2027-05-31")));
    let given = issued_at(&spec, time("2027-01-31")).license;
    assert_eq!(given.term.started_at, Some(time("2027-01-31")));
    assert_eq!((given.expires_at, given.updates_until), (Some(time("2027-05-31")), Some(time("2028-01-31"))));
}

#[test]
fn moved_license_keeps_waiting() {
    let mut tested = issued("boxed", "2027-01-31");
    move_to(&mut tested, "monthly");
    assert!(tested.license.awaits_first_use());
    tested.now = time("2027-03-31");
    tested.done(&Command::Activate(Claim::default()));
    assert_eq!(tested.license.expires_at, Some(time("2027-04-30")), "the term of its plan");
    assert_eq!(tested.license.updates_until, None);

    let mut perpetual = issued("boxed", "2027-01-31");
    move_to(&mut perpetual, "forever");
    perpetual.done(&Command::Activate(Claim::default()));
    assert_eq!((perpetual.license.expires_at, perpetual.license.awaits_first_use()), (None, false));

    let mut started = issued("monthly", "2027-01-31");
    move_to(&mut started, "boxed");
    assert!(!started.license.awaits_first_use());
    assert_eq!(started.license.expires_at, Some(time("2027-02-28")));
}
