use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::access::{Actor, Principal};
use crate::command::{Idempotency, IdempotencyDigest, UsedKey};
use crate::event::EventId;
use crate::license::LicenseId;
use crate::webhook::command::{
    EndpointChanges, EndpointCommand, EndpointContext, EndpointOutcome, NewEndpoint, decide_endpoint,
};

fn now() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn settings(types: &[&str]) -> EndpointSettings {
    let events = EventSelection::parse(types.iter().copied()).unwrap();
    EndpointSettings {
        url: "https://example.com/secret-path".to_owned(),
        events,
        description: None,
        skip_job_events: false,
    }
}

fn endpoint(id: &str, types: &[&str]) -> Endpoint {
    let id = EndpointId::parse(id).unwrap();
    Endpoint::new(id, settings(types), SealedSecret::from_bytes(vec![1]), now())
}

fn decide(endpoint: &Endpoint, command: &EndpointCommand) -> Option<EndpointChanges> {
    let by = Some(Arc::new(Actor::new(Principal::CommandLine)));
    let context = EndpointContext { now: now(), by, idempotency: None };
    decide_endpoint(endpoint.clone(), None, command, &context).changes
}

#[test]
fn selections_parse_and_list_types() {
    for (texts, expected) in [
        (vec!["*"], Ok(vec!["*"])),
        (vec!["license.created", "*"], Ok(vec!["*"])),
        (
            vec!["license.revoked", "license.created", "license.created"],
            Ok(vec!["license.created", "license.revoked"]),
        ),
        (vec![], Err("")),
        (vec!["license.created", "license.lost"], Err("license.lost")),
        (vec!["webhook_endpoint.test"], Err("webhook_endpoint.test")),
    ] {
        let read = EventSelection::parse(texts.iter().copied());
        assert_eq!(read.as_ref().map(EventSelection::as_strs).map_err(|text| *text), expected, "{texts:?}");
    }
}

#[test]
fn enabled_endpoint_receives_selected_events() {
    let (one, all) = (endpoint("whe_1", &["license.created"]), endpoint("whe_2", &["*"]));
    let license = Subject::License(LicenseId::parse("lic_1").unwrap());
    let test = |id: &str| Subject::Endpoint(EndpointId::parse(id).unwrap());
    for (event_type, subject, of_one, of_all) in [
        (EventType::LicenseCreated, &license, true, true),
        (EventType::LicenseRevoked, &license, false, true),
        (EventType::EndpointDisabled, &test("whe_1"), false, true),
        (EventType::EndpointTest, &test("whe_1"), true, false),
        (EventType::EndpointTest, &test("whe_2"), false, true),
    ] {
        let wants = |endpoint: &Endpoint, of_job| endpoint.wants(event_type, subject, of_job);
        for of_job in [false, true] {
            assert_eq!((wants(&one, of_job), wants(&all, of_job)), (of_one, of_all));
        }
        let mut others = all.clone();
        others.settings.skip_job_events = true;
        let is_test = event_type == EventType::EndpointTest;
        assert_eq!((wants(&others, false), wants(&others, true)), (of_all, of_all && is_test));
    }
    let disabled = decide(&all, &EndpointCommand::Disable).unwrap().endpoint;
    assert!(!disabled.wants(EventType::LicenseCreated, &license, false));
    assert!(disabled.selects(EventType::LicenseCreated, &license, false));
}

#[test]
fn commands_change_the_endpoint() {
    let first = endpoint("whe_1", &["*"]);
    let disabled = decide(&first, &EndpointCommand::Disable).unwrap();
    let state = EndpointState::Disabled { since: now(), reason: DisabledReason::Admin };
    assert_eq!((disabled.endpoint.state, disabled.event), (state, None));
    assert_eq!(decide(&disabled.endpoint, &EndpointCommand::Test), None, "a test needs an enabled endpoint");
    let failing = Endpoint { failing: Some(Failing::new(now())), ..disabled.endpoint };
    let enabled = decide(&failing, &EndpointCommand::Enable).unwrap().endpoint;
    assert_eq!(enabled, first, "unchanged except for its failures");

    let other = SealedSecret::from_bytes(vec![2]);
    let rotated = decide(&first, &EndpointCommand::RotateSecret(other.clone())).unwrap().endpoint;
    let previous = PreviousSecret { sealed: first.secret.clone(), until: now() + TimeDelta::hours(24) };
    assert_eq!((rotated.secret, rotated.previous_secret), (other, Some(previous)));

    let tested = decide(&first, &EndpointCommand::Test).unwrap();
    let event = tested.event.unwrap();
    assert_eq!((tested.endpoint.last_event, event.sequence), (1, 1));
    assert_eq!(event.id().to_string(), "evt_whe_1_0000000001");
    assert_eq!(event.data, json!({"endpoint": {"id": "whe_1", "description": null}, "sequence": 1}));
}

/// An entry has the changed fields. A command without effect has no entry.
#[test]
fn endpoint_commands_are_audited_without_credentials() {
    let first = endpoint("whe_1", &["*"]);
    let created = NewEndpoint::new(first.clone(), Some(&Actor::new(Principal::CommandLine))).audit.unwrap();
    assert_eq!(created.changes["url"], json!({ "before": null, "after": "https://example.com" }));
    let other = EndpointSettings { url: "https://example.com/other-path".to_owned(), ..settings(&["*"]) };
    let disabled = decide(&first, &EndpointCommand::Disable).unwrap().endpoint;
    for (endpoint, command, expected) in [
        (&first, EndpointCommand::Set(settings(&["*"])), None),
        (
            &first,
            EndpointCommand::Set(other),
            Some(json!({ "url": { "before": "https://example.com", "after": "https://example.com" } })),
        ),
        (
            &first,
            EndpointCommand::Set(settings(&["license.created"])),
            Some(json!({ "events": { "before": ["*"], "after": ["license.created"] } })),
        ),
        (&first, EndpointCommand::Enable, None),
        (&first, EndpointCommand::Disable, Some(json!({ "enabled": { "before": true, "after": false } }))),
        (&disabled, EndpointCommand::Disable, None),
        (&first, EndpointCommand::RotateSecret(SealedSecret::from_bytes(vec![2])), Some(json!({}))),
        (&first, EndpointCommand::Test, Some(json!({}))),
    ] {
        let entry = decide(endpoint, &command).unwrap().audit;
        let changes = entry.as_ref().map(|entry| Value::Object(entry.changes.clone()));
        assert_eq!(changes, expected, "{command:?}");
        assert!(entry.is_none_or(|entry| entry.endpoint_id.as_ref() == Some(&first.id)));
    }
}

#[test]
fn used_key_decides_before_the_state() {
    let disabled = decide(&endpoint("whe_1", &["*"]), &EndpointCommand::Disable).unwrap().endpoint;
    let asked = |request| Idempotency { key: IdempotencyDigest::from_bytes([1; 32]), request: [request; 32] };
    let event = EventId::new(Subject::Endpoint(disabled.id.clone()), 1);
    let used = UsedKey { request: [7; 32], event: event.clone(), at: now() };
    for (request, expected) in [(7, EndpointOutcome::Repeated(event)), (8, EndpointOutcome::KeyReused)] {
        let context = EndpointContext { now: now(), by: None, idempotency: Some(asked(request)) };
        let decided = decide_endpoint(disabled.clone(), Some(&used), &EndpointCommand::Test, &context);
        assert_eq!((decided.outcome, decided.changes), (expected, None));
    }
}

#[test]
fn settings_are_checked_at_the_edge_and_one_past() {
    let of = |url: usize, description: usize| EndpointSettings {
        url: "u".repeat(url),
        description: Some("d".repeat(description)),
        skip_job_events: false,
        ..settings(&["*"])
    };
    let (url, description) = (limits::ENDPOINT_URL_BYTES, limits::ENDPOINT_DESCRIPTION_BYTES);
    assert_eq!(of(url, description).check(), Ok(()));
    assert_eq!(of(url + 1, description).check(), Err(EndpointSettingsError::Url));
    assert_eq!(of(0, 0).check(), Err(EndpointSettingsError::Url));
    assert_eq!(of(url, description + 1).check(), Err(EndpointSettingsError::Description));
    let nul = EndpointSettings { url: "https://a\0".to_owned(), ..settings(&["*"]) };
    assert_eq!(nul.check(), Err(EndpointSettingsError::Url));
}

#[test]
fn debug_hides_url_and_secret() {
    let shown = format!("{:?}", endpoint("whe_1", &["*"]));
    assert!(shown.contains("whe_1") && !shown.contains("secret-path"), "{shown}");
}
