//! Tests of the updates window and of its fallback after the expiry.

use super::*;

fn days(days: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(days)
}

/// Validates a version on a device, and returns the code of the denial.
fn use_version(
    tested: &mut TestLicense,
    device: Option<&str>,
    released_at: Option<DateTime<Utc>>,
) -> Option<DenialCode> {
    let claim = Claim { released_at, ..claim(None, device) };
    tested.run(&Command::Activate(claim)).err().map(|denial| denial.code())
}

#[test]
fn version_is_covered_until_the_end_of_the_window() {
    let mut tested = TestLicense::new("yearly", &[]);
    let end = "2026-12-01T12:00:00Z".parse().unwrap();
    assert_eq!(tested.license.updates_until, Some(end));
    let micro = TimeDelta::microseconds(1);
    let uncovered = Some(DenialCode::VersionNotCovered);
    for (released_at, denied) in
        [(None, None), (Some(days(-9999)), None), (Some(end), None), (Some(end + micro), uncovered)]
    {
        assert_eq!(use_version(&mut tested, None, released_at), denied, "{released_at:?}");
    }
    let denied = tested.run(&Command::Activate(Claim { released_at: Some(end + micro), ..Claim::default() }));
    assert_eq!(
        denied.unwrap_err().to_string(),
        "This license covers versions released until 2026-12-01T12:00:00Z."
    );
    let mut other = TestLicense::new("small", &[]);
    assert_eq!(use_version(&mut other, None, Some(days(9999))), None, "the plan has no window");
}

#[test]
fn version_is_checked_after_expiry_and_before_slots() {
    let mut tested = TestLicense::new("boxed", &[]);
    assert_eq!(use_version(&mut tested, Some("a"), None), None);
    let late = Some(days(5_000));
    assert_eq!(use_version(&mut tested, Some("b"), late), Some(DenialCode::VersionNotCovered));
    assert_eq!(use_version(&mut tested, Some("b"), None), Some(DenialCode::DeviceLimitReached));
    tested.now = days(366);
    assert_eq!(use_version(&mut tested, Some("a"), late), Some(DenialCode::LicenseExpired));
}

#[test]
fn renewal_extends_the_window_as_the_term() {
    let mut tested = TestLicense::new("yearly", &[]);
    tested.done(&Command::Renew);
    assert_eq!(
        tested.license.updates_until,
        Some("2027-06-01T12:00:00Z".parse().unwrap()),
        "added to its end"
    );
    tested.now = "2027-09-30T12:00:00Z".parse().unwrap();
    tested.done(&Command::Renew);
    assert_eq!(tested.license.updates_until, Some("2028-03-30T12:00:00Z".parse().unwrap()), "added to now");
    assert_eq!(tested.license.expires_at, Some("2029-06-01T12:00:00Z".parse().unwrap()));
}

/// A license that never expires is renewed for its updates.
#[test]
fn perpetual_license_renews_its_window() {
    let mut tested = TestLicense::new("maintained", &[]);
    tested.now = "2028-02-29T12:00:00Z".parse().unwrap();
    let ends = ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"];
    for end in ends {
        tested.done(&Command::Renew);
        let License { expires_at, updates_until, .. } = tested.license;
        assert_eq!(updates_until.map(|end| end.date_naive().to_string()).as_deref(), Some(end));
        assert_eq!(expires_at, None);
    }
}

#[test]
fn moved_license_gets_the_window_of_its_plan() {
    let mut tested = TestLicense::new("small", &[]);
    tested.now = days(7);
    tested.change(LicensePatch::default().plan("maintained")).unwrap();
    let end = tested.license.updates_until;
    assert_eq!(end, Some("2027-06-08T12:00:00Z".parse().unwrap()), "from the move");
    tested.now = days(14);
    tested.change(LicensePatch::default().plan("yearly")).unwrap();
    assert_eq!(tested.license.updates_until, end, "a window that it has stays");
    tested.change(LicensePatch::default().plan("small")).unwrap();
    assert_eq!(tested.license.updates_until, None);
}

/// After the grace period, covered versions run on slots that are held.
#[test]
fn fallback_allows_old_versions_on_held_slots() {
    let mut tested = TestLicense::new("fallback", &["a.com"]);
    assert_eq!(use_version(&mut tested, Some("held"), None), None);
    let (old, new) = (Some(days(30)), Some(days(30) + TimeDelta::microseconds(1)));
    let grace = days(33) - TimeDelta::microseconds(1);
    let expired = Some(DenialCode::LicenseExpired);
    let uncovered = Some(DenialCode::VersionNotCovered);
    let full = Some(DenialCode::DeviceLimitReached);
    for (now, device, released_at, denied) in [
        (grace, "held", None, None),
        (grace, "held", new, uncovered),
        (grace, "other", old, full),
        (days(33), "held", old, None),
        (days(33), "held", new, uncovered),
        (days(33), "held", None, expired),
        (days(33), "other", old, expired),
        (days(33), "other", new, expired),
        (days(9999), "held", old, None),
    ] {
        tested.now = now;
        assert_eq!(
            use_version(&mut tested, Some(device), released_at),
            denied,
            "{now} {device} {released_at:?}"
        );
    }
    let at = |domain| Claim { released_at: old, ..claim(Some(domain), None) };
    assert_eq!(tested.run(&Command::Activate(at("a.com"))), Ok(vec![]));
    assert_eq!(tested.run(&Command::Activate(at("localhost"))), Ok(vec![]), "an exempt host needs no slot");
    assert_eq!(tested.run(&Command::Activate(at("b.com"))), Err(Denial::Expired { since: days(30) }));
    tested.done(&Command::Suspend);
    assert_eq!(use_version(&mut tested, Some("held"), old), Some(DenialCode::LicenseSuspended));
}

/// Without the fallback, an expired license allows nothing.
#[test]
fn expired_license_denies_old_versions() {
    let mut tested = TestLicense::new("boxed", &[]);
    assert_eq!(use_version(&mut tested, Some("held"), None), None);
    tested.now = days(366);
    assert_eq!(use_version(&mut tested, Some("held"), Some(now())), Some(DenialCode::LicenseExpired));
}
