//! Tests of slots beyond the limit.

use super::*;

fn codes(tested: &mut TestLicense, devices: &[&str]) -> Vec<Option<DenialCode>> {
    devices.iter().map(|device| tested.activate(None, Some(device)).err()).collect()
}

#[test]
fn sum_is_the_hard_limit() {
    let mut tested = TestLicense::new("generous", &[]);
    let full = Some(DenialCode::DeviceLimitReached);
    assert_eq!(codes(&mut tested, &["a", "b", "c", "d", "c"]), [None, None, None, full, None]);
    let denied = tested.run(&Command::Activate(claim(None, Some("d")))).unwrap_err();
    assert_eq!(denied.to_string(), "3 of 2 devices are in use.");
    for (domain, denied) in
        [("a.com", None), ("b.com", None), ("c.com", None), ("d.com", Some(DenialCode::DomainLimitReached))]
    {
        assert_eq!(tested.activate(Some(domain), None).err(), denied, "{domain}");
    }
}

#[test]
fn slot_beyond_the_limit_has_an_event() {
    let mut tested = TestLicense::new("generous", &[]);
    let created = || Ok(vec!["activation.created"]);
    let over = || Ok(vec!["activation.created", "license.over_limit"]);
    assert_eq!(tested.activate(None, Some("a")), Ok(vec!["license.activated", "activation.created"]));
    assert_eq!(tested.activate(None, Some("b")), created());
    assert!(!tested.license.is_over_limit());
    assert_eq!(tested.activate(None, Some("c")), over());
    assert!(tested.license.is_over_limit());
    let data = &tested.events.last().unwrap().data;
    assert_eq!((&data["kind"], &data["used"], &data["limit"]), (&json!("device"), &json!(3), &json!(2)));
    assert_eq!(tested.activate(None, Some("c")), Ok(vec![]), "once for each slot");
    assert_eq!(tested.activate(Some("a.com"), None), created());
    assert_eq!(tested.activate(Some("b.com"), None), over());
}

/// Devices are evicted only if the slots beyond the limit are taken too.
#[test]
fn evictions_start_at_the_sum() {
    let mut tested = TestLicense::new("generous_roaming", &[]);
    for device in ["a", "b"] {
        tested.done(&Command::Activate(claim(None, Some(device))));
        tested.now += TimeDelta::hours(1);
    }
    assert_eq!(tested.names(), ["a", "b"]);
    assert_eq!(
        tested.activate(None, Some("c")),
        Ok(vec!["activation.released", "activation.created", "license.over_limit"])
    );
    assert_eq!(tested.names(), ["b", "c"]);
    tested.change(LicensePatch::default().max_devices(Limit::AtMost(0))).unwrap();
    tested.done(&Command::Activate(claim(None, Some("d"))));
    assert_eq!(tested.names(), ["d"], "the lowered limit and one more");
}

/// An admin registers domains within the limit.
#[test]
fn registered_domains_stay_within_the_limit() {
    let mut tested = TestLicense::new("generous", &["a.com"]);
    let domains = vec![domain("a.com"), domain("b.com")];
    let change = LicensePatch { domains: Some(domains), ..Default::default() };
    assert_eq!(tested.change(change), Err(DenialCode::DomainLimitReached));
    tested.done(&Command::Activate(claim(Some("b.com"), None)));
    let domains = vec![domain("a.com"), domain("b.com")];
    let change = LicensePatch { domains: Some(domains), ..Default::default() };
    assert_eq!(tested.change(change), Ok(vec![]), "domains that hold slots stay");
}
