use super::*;
use crate::event::Subject;
use crate::license::LicenseId;
use crate::webhook::{EndpointSettings, EndpointState, EventSelection, SealedSecret};

fn now() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn endpoint() -> Endpoint {
    let settings = EndpointSettings {
        url: "https://a".to_owned(),
        events: EventSelection::All,
        description: None,
        skip_job_events: false,
    };
    Endpoint::new(EndpointId::parse("whe_1").unwrap(), settings, SealedSecret::from_bytes(vec![1]), now())
}

fn delivery(tries: u32) -> Delivery {
    Delivery {
        endpoint_id: endpoint().id,
        event_id: EventId::new(Subject::License(LicenseId::parse("lic_1").unwrap()), 1),
        position: 1,
        status: DeliveryStatus::Pending,
        tries,
        due_at: Some(now()),
        created_at: now(),
    }
}

const HOUR: TimeDelta = TimeDelta::hours(1);

fn answered(status: u16, retry_after: Option<u64>) -> AttemptResult {
    let retry_after = retry_after.map(Duration::from_secs);
    AttemptResult::Answered { status, retry_after, body: String::new() }
}

fn refused() -> AttemptResult {
    AttemptResult::Failed { error: "refused".to_owned() }
}

fn run(tries: u32, endpoint: Endpoint, result: AttemptResult, jitter: u16) -> SettleDecision {
    let delivery = delivery(tries);
    let settlement = Settlement {
        endpoint_id: delivery.endpoint_id.clone(),
        event_id: delivery.event_id.clone(),
        token: LeaseToken::from_bytes([1; 16]),
        attempt: Attempt { at: now(), duration: Duration::from_millis(5), result },
        jitter,
        schedule: Schedule::default(),
        now: now(),
        clock_is_plausible: true,
    };
    settle(delivery, endpoint, &settlement)
}

#[test]
fn only_200_to_299_is_success() {
    for (status, success) in
        [(199, false), (200, true), (204, true), (299, true), (301, false), (404, false), (500, false)]
    {
        let decision = run(0, endpoint(), answered(status, None), 0);
        assert_eq!(decision.settled() == Settled::Succeeded, success, "{status}");
        assert_eq!(decision.endpoint.last_success_at.is_some(), success);
        assert_eq!(decision.endpoint.failing.is_some(), !success);
    }
    assert!(matches!(run(0, endpoint(), refused(), 0).settled(), Settled::Retry(_)));
}

#[test]
fn schedule_with_least_and_most_jitter() {
    let pauses = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (tries, pause) in (0..).zip(pauses) {
        for (jitter, millis) in [(0, pause * 1_000), (1_000, pause * 1_100), (u16::MAX, pause * 1_100)] {
            let decision = run(tries, endpoint(), refused(), jitter);
            assert_eq!(decision.settled(), Settled::Retry(now() + TimeDelta::milliseconds(millis)));
            assert_eq!(decision.delivery.tries, tries + 1);
        }
    }
    let last = run(9, endpoint(), refused(), 0);
    assert_eq!((last.settled(), last.delivery.due_at), (Settled::Failed, None), "the tenth try was the last");
}

#[test]
fn receiver_can_request_a_pause_up_to_a_day() {
    for (asked, seconds) in [(0, 5), (3, 5), (60, 60), (86_400, 86_400), (900_000, 86_400), (u64::MAX, 5)] {
        let decision = run(0, endpoint(), answered(503, Some(asked)), 0);
        assert_eq!(decision.settled(), Settled::Retry(now() + TimeDelta::seconds(seconds)), "{asked}");
    }
}

#[test]
fn endpoint_is_disabled_when_gone_or_after_five_failing_days() {
    let failing_for = |time: TimeDelta| {
        // The time since the last of these failures counts too.
        let failing = Failing { since: now() - time, last_at: now() - HOUR, lasted: time - HOUR };
        Endpoint { failing: Some(failing), ..endpoint() }
    };
    let days = TimeDelta::days(5);
    for (endpoint, result, reason) in [
        (endpoint(), answered(410, None), Some(DisabledReason::Gone)),
        (failing_for(days - TimeDelta::microseconds(1)), refused(), None),
        (failing_for(days), refused(), Some(DisabledReason::Failing)),
        (failing_for(days), answered(200, None), None),
        (endpoint(), answered(500, None), None),
    ] {
        let decision = run(3, endpoint, result, 0);
        let expected =
            reason.map_or(EndpointState::Enabled, |reason| EndpointState::Disabled { since: now(), reason });
        assert_eq!(decision.endpoint.state, expected);
        let found = decision.event.map(|event| (event.event_type, event.data["reason"].clone()));
        assert_eq!(found, reason.map(|reason| (EventType::EndpointDisabled, reason.as_str().into())));
    }
    assert_eq!(run(0, endpoint(), answered(410, None), 0).settled(), Settled::Failed);
    let disabled = run(3, failing_for(days), refused(), 0);
    assert!(
        matches!(disabled.settled(), Settled::Retry(_)),
        "queued deliveries continue after it is enabled"
    );
    assert_eq!(run(3, disabled.endpoint, refused(), 0).event, None, "emitted once");
}

#[test]
fn stored_response_is_bounded() {
    let result = |text: String| Attempt {
        at: now(),
        duration: Duration::from_micros(1_500),
        result: AttemptResult::Failed { error: text },
    };
    let max = limits::ANSWER_BYTES;
    for (text, stored) in [
        ("x".repeat(max), "x".repeat(max)),
        ("x".repeat(max + 1), "x".repeat(max)),
        (format!("{}ü", "x".repeat(max - 1)), "x".repeat(max - 1)),
        ("a\0b".to_owned(), "a\u{fffd}b".to_owned()),
    ] {
        let attempt = result(text).to_stored();
        assert_eq!(attempt.result, AttemptResult::Failed { error: stored });
        assert_eq!(attempt.duration, Duration::from_millis(1));
    }
}

/// Lets an attempt fail at each of these times, in hours. Returns the endpoint.
fn failing_at(hours: &[i64], clock_is_plausible: bool) -> Endpoint {
    hours.iter().fold(endpoint(), |endpoint, hours| {
        let delivery = delivery(3);
        let at = now() + TimeDelta::hours(*hours);
        let settlement = Settlement {
            endpoint_id: delivery.endpoint_id.clone(),
            event_id: delivery.event_id.clone(),
            token: LeaseToken::from_bytes([1; 16]),
            attempt: Attempt { at, duration: Duration::from_millis(5), result: refused() },
            jitter: 0,
            schedule: Schedule::default(),
            now: at,
            clock_is_plausible,
        };
        settle(delivery, endpoint, &settlement).endpoint
    })
}

#[test]
fn jump_of_the_clock_does_not_disable_an_endpoint() {
    let day = 24;
    for (hours, disabled) in [
        (vec![0, 6 * day], false),
        (vec![0, 365 * day], false),
        (vec![0, 6 * day, 0, 6 * day, 0], false),
        // Ten attempts within minutes do not make up for the time.
        (vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6 * day], false),
        (vec![0, day, 2 * day, 3 * day, 4 * day, 5 * day - 1], false),
        (vec![0, day, 2 * day, 3 * day, 4 * day, 5 * day], true),
        ((0..=120).collect(), true),
    ] {
        assert_eq!(!failing_at(&hours, true).is_enabled(), disabled, "failures after {hours:?} hours");
        assert!(failing_at(&hours, false).is_enabled(), "while the clock is implausible");
    }
}

#[test]
fn gone_endpoint_is_disabled_whatever_the_clock() {
    let delivery = delivery(0);
    let settlement = Settlement {
        endpoint_id: delivery.endpoint_id.clone(),
        event_id: delivery.event_id.clone(),
        token: LeaseToken::from_bytes([1; 16]),
        attempt: Attempt { at: now(), duration: Duration::ZERO, result: answered(410, None) },
        jitter: 0,
        schedule: Schedule::default(),
        now: now(),
        clock_is_plausible: false,
    };
    assert!(!settle(delivery, endpoint(), &settlement).endpoint.is_enabled());
}

#[test]
fn lease_holds_for_at_most_five_minutes() {
    for (seconds, holds) in
        [(-1, false), (0, false), (1, true), (300, true), (301, false), (31_536_000, false)]
    {
        assert_eq!(lease_holds(now() + TimeDelta::seconds(seconds), now()), holds, "a lease for {seconds} s");
    }
}
