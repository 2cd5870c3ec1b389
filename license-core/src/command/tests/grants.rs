//! Tests of grants.

use super::*;
use crate::license::{GrantError, GrantId};

fn seats(value: i64) -> Grant {
    Grant::new("seats", value).unwrap()
}

fn from(source: &str, grant: Grant) -> Grant {
    grant.source(source.parse().unwrap())
}

/// Returns the features of a valid answer at `at`.
fn features_at(tested: &TestLicense, at: DateTime<Utc>) -> serde_json::Value {
    let license = License { activated_at: Some(now()), ..tested.license.clone() };
    let snapshot = LicenseSnapshot::new(Arc::new(license), []);
    match evaluate(&snapshot, &Claim::default(), &plans(), at).unwrap() {
        Evaluation::Decided(Verdict::Valid(valid)) => json!(valid.features()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn grant_ends_to_the_microsecond() {
    let mut tested = TestLicense::new("small", &[]);
    let end = now() + TimeDelta::days(1);
    tested.done(&Command::AddGrant(seats(5)));
    tested.done(&Command::AddGrant(from("addon", seats(9)).until(end).unwrap()));
    tested.done(&Command::AddGrant(Grant::new("api", false).unwrap().until(end).unwrap()));
    let micro = TimeDelta::microseconds(1);
    assert_eq!(features_at(&tested, end - micro), json!({"api": false, "seats": 9}));
    assert_eq!(features_at(&tested, end), json!({"api": true, "seats": 5}));
    let asking = Claim { features: vec!["api".parse().unwrap()], ..Claim::default() };
    for (at, expected) in [(end - micro, Err(DenialCode::FeatureMissing)), (end, Ok(()))] {
        tested.now = at;
        let found = tested.decide(&Command::Activate(asking.clone())).outcome;
        let found = match found {
            CommandOutcome::NotActivated(denied) => Err(denied.code()),
            _ => Ok(()),
        };
        assert_eq!(found, expected, "{at}");
    }
}

#[test]
fn grants_have_events_and_can_be_removed() {
    let mut tested = TestLicense::new("small", &[]);
    let add = |grant: Grant| Command::AddGrant(grant);
    assert_eq!(tested.run(&add(seats(5))), Ok(vec!["license.updated"]));
    assert_eq!(tested.events.last().unwrap().data["fields"], json!(["grants"]));
    let shown = json!([{"feature": "seats", "value": 5, "until": null, "source": null}]);
    assert_eq!(tested.events.last().unwrap().data["license"]["grants"], shown);
    assert_eq!(tested.run(&add(seats(5))), Ok(vec![]), "the same grant again");
    assert_eq!(tested.run(&add(seats(6))), Ok(vec!["license.updated"]));
    let other = GrantId { source: "addon".parse().ok(), ..seats(6).id() };
    assert_eq!(tested.run(&Command::RemoveGrant(other)), Err(Denial::GrantNotFound));
    assert_eq!(tested.run(&Command::RemoveGrant(seats(0).id())), Ok(vec!["license.updated"]));
    assert_eq!(tested.run(&Command::RemoveGrant(seats(0).id())), Err(Denial::GrantNotFound));
    assert_eq!(features_at(&tested, now()), json!({"api": true}));
}

#[test]
fn ended_grant_is_denied() {
    let mut tested = TestLicense::new("small", &[]);
    let micro = TimeDelta::microseconds(1);
    let last: DateTime<Utc> = "+10000-01-01T00:00:00Z".parse().unwrap();
    for (until, expected) in [
        (now() + micro, Ok(())),
        (now(), Err(Denial::GrantEnded { until: now() })),
        (now() + TimeDelta::nanoseconds(999), Err(Denial::GrantEnded { until: now() })),
        (last - micro, Ok(())),
    ] {
        let grant = from("s", seats(1)).until(until).unwrap();
        assert_eq!(tested.run(&Command::AddGrant(grant.clone())).map(drop), expected, "{until}");
        let spec = LicenseSpec::new("small", email()).grants([grant]);
        assert_eq!(TestLicense::of(&spec).map(drop), expected, "{until}");
    }
    assert_eq!(seats(1).until(last), Err(GrantError::End));
    tested.done(&Command::AddGrant(seats(1).until(now() + micro).unwrap()));
    tested.now = now() + micro;
    let same = seats(1).until(now() + micro).unwrap();
    assert_eq!(tested.run(&Command::AddGrant(same)), Ok(vec![]), "a repeated request is not denied");
}

#[test]
fn number_of_grants_is_limited() {
    let grants = |count: usize| -> Vec<_> { (0..count).map(|n| from(&format!("s{n}"), seats(1))).collect() };
    let of = |count| TestLicense::of(&LicenseSpec::new("small", email()).grants(grants(count)));
    assert_eq!(of(limits::GRANTS + 1).err(), Some(Denial::GrantLimitReached));
    let mut tested = of(limits::GRANTS).unwrap();
    assert_eq!(tested.run(&Command::AddGrant(seats(1))), Err(Denial::GrantLimitReached));
    tested.done(&Command::AddGrant(from("s0", seats(2))));
    tested.done(&Command::RemoveGrant(from("s0", seats(2)).id()));
    tested.done(&Command::AddGrant(seats(1)));
}

#[test]
fn later_grant_of_a_new_license_replaces_an_earlier_one() {
    let spec = LicenseSpec::new("small", email()).grants([seats(1), from("s", seats(3)), seats(2)]);
    let tested = TestLicense::of(&spec).unwrap();
    let values: Vec<_> = tested.license.grants.iter().map(|grant| grant.value().as_i64().unwrap()).collect();
    assert_eq!((values, features_at(&tested, now())["seats"].clone()), (vec![3, 2], json!(2)));
}

/// A new plan brings its own features; the grants stay.
#[test]
fn grants_outlive_a_change_of_plan() {
    let mut tested = TestLicense::new("small", &[]);
    tested.done(&Command::AddGrant(seats(5)));
    tested.done(&Command::Change(LicensePatch::default().plan("large")));
    assert_eq!(features_at(&tested, now()), json!({"seats": 5}));
}
