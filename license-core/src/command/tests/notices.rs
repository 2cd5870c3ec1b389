//! Events about the end of a term, and throttled events, when the clock was wrong.

use super::*;
use crate::usage::Day;

/// Returns the days of the reminder that is due, or 0 for `license.expired`, and stores that it was written.
fn next_notice(license: &mut License, at: DateTime<Utc>, reminders: &Reminders) -> Option<u16> {
    let changes = expiry_events(license.clone(), at, reminders)?;
    *license = (*changes.license).clone();
    let event = &changes.events.as_slice()[0];
    let notice = license.expiry_notice.expect("a notice");
    assert_eq!(notice.at, at);
    match event.event_type {
        EventType::LicenseExpiring => assert_eq!(event.data, json!({ "reminder_days": notice.days })),
        other => assert_eq!((other, notice.days), (EventType::LicenseExpired, 0)),
    }
    Some(notice.days)
}

#[test]
fn each_reminder_is_sent_once_per_term() {
    let reminders = "30,7,1".parse().unwrap();
    let hours = |license: &License, days: i64, hours: i64| {
        license.expires_at.unwrap() - TimeDelta::days(days) + TimeDelta::hours(hours)
    };
    let mut license = TestLicense::new("small", &[]).license;
    let mut sent = Vec::new();
    for hour in 0..=32 * 24 {
        let at = hours(&license, 31, hour);
        sent.extend(next_notice(&mut license, at, &reminders).map(|days| (hour, days)));
    }
    assert_eq!(sent, [(24, 30), (24 * 24, 7), (30 * 24, 1), (31 * 24, 0)]);
    // A license that was issued or renewed late gets only the latest reminder that is due.
    let mut license = TestLicense::new("small", &[]).license;
    let at = hours(&license, 5, 0);
    assert_eq!(next_notice(&mut license, at, &reminders), Some(7));
    // The operator changes the reminders: those with fewer days than the last notice follow.
    let at = hours(&license, 3, 0);
    assert_eq!(next_notice(&mut license, at, &"14,3".parse().unwrap()), Some(3));
}

#[test]
fn notice_of_a_wrong_clock_does_not_suppress_the_real_one() {
    let reminders = "7,1".parse().unwrap();
    let mut license = TestLicense::new("small", &[]).license;
    let end = license.expires_at.unwrap();
    let ahead = end + TimeDelta::days(1_500);
    assert_eq!(next_notice(&mut license, ahead, &reminders), Some(0));
    for (at, due) in [
        (end - TimeDelta::days(8), None),
        (end - TimeDelta::days(7), Some(7)),
        (end - TimeDelta::days(1), Some(1)),
        (end, Some(0)),
        (end + TimeDelta::days(1), None),
    ] {
        assert_eq!(next_notice(&mut license, at, &reminders), due, "{at}");
    }
    // Clocks of nodes differ a little.
    let mut license = TestLicense::new("small", &[]).license;
    assert_eq!(next_notice(&mut license, end + TimeDelta::seconds(60), &reminders), Some(0));
    assert_eq!(next_notice(&mut license, end, &reminders), None);
}

#[test]
fn throttles_of_a_wrong_clock_do_not_count() {
    let tested = TestLicense::new("small", &[]);
    let id = tested.license.id.clone();
    let mut full = tested.license.clone();
    full.max_domains = Limit::AtMost(0);
    let notice = LimitReached { license_id: id, kind: ActivationKind::Domain, at: now() };
    let hour = TimeDelta::hours(1);
    for (last, due) in [
        (now() - hour, true),
        (now() - hour / 2, false),
        (now() + hour / 2, false),
        (now() + hour, true),
        (now() + TimeDelta::days(365), true),
    ] {
        assert_eq!(limit_event(full.clone(), &notice, Some(last)).is_some(), due, "{last}");
    }
    let plan = Plan { max_devices_per_day: Some(3), ..Plan::new("small") };
    let today = Day::of(now()).number();
    for (day, last, due) in [
        (today, None, true),
        (today, Some(today), false),
        (today, Some(today + 400), true),
        (today + 1, Some(today), true),
        (today + 2, None, false),
        (today - 1, None, true),
        (today - 2, None, false),
    ] {
        let last = last.map(Day::from_number);
        let found = AnomalyKind::Devices.may_be_reported(&plan, Day::from_number(day), last, now());
        assert_eq!(found, due, "day {day}, last {last:?}");
    }
}
