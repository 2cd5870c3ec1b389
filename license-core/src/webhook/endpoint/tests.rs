use super::*;
use crate::license::LicenseId;

fn now() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn settings(types: &[&str]) -> EndpointSettings {
    let events = EventSelection::parse(types.iter().copied()).unwrap();
    EndpointSettings { url: "https://example.com/secret-path".to_owned(), events, description: None }
}

fn endpoint(id: &str, types: &[&str]) -> Endpoint {
    let id = EndpointId::parse(id).unwrap();
    Endpoint::new(id, settings(types), SealedSecret::from_bytes(vec![1]), now())
}

fn decide(endpoint: &Endpoint, command: &EndpointCommand) -> Option<EndpointDecision> {
    decide_endpoint(endpoint.clone(), command, now())
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
        assert_eq!((one.wants(event_type, subject), all.wants(event_type, subject)), (of_one, of_all));
    }
    let disabled = decide(&all, &EndpointCommand::Disable).unwrap().endpoint;
    assert!(!disabled.wants(EventType::LicenseCreated, &license));
    assert!(disabled.selects(EventType::LicenseCreated, &license));
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

#[test]
fn settings_are_checked_at_the_edge_and_one_past() {
    let of = |url: usize, description: usize| EndpointSettings {
        url: "u".repeat(url),
        description: Some("d".repeat(description)),
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
