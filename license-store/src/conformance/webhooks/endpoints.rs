//! Cases for endpoints.

use crate::conformance::events::positions::assign_all;
use crate::conformance::prelude::*;

/// Builds an endpoint with a unique id that receives these types.
pub(super) fn new_endpoint(types: &[&str]) -> Endpoint {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = EndpointId::parse(&format!("whe_{:020}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let settings = EndpointSettings {
        url: "https://example.com/hook?a='b'".to_owned(),
        events: EventSelection::parse(types.iter().copied()).expect("types"),
        description: None,
    };
    Endpoint::new(id.expect("an id"), settings, SealedSecret::from_bytes(vec![0, 1, 0xff]), at(0))
}

/// Creates an endpoint.
pub(super) async fn register(store: &Handle, types: &[&str]) -> Endpoint {
    let endpoint = new_endpoint(types);
    assert!(ok!(store.webhooks().create_endpoint(&endpoint)), "the limit is not reached");
    endpoint
}

/// Executes a command on an endpoint.
pub(super) async fn execute(store: &Handle, id: &EndpointId, command: &EndpointCommand) -> Endpoint {
    match ok!(store.webhooks().execute_endpoint(id, command, at(60))) {
        EndpointOutcome::Done(endpoint) => *endpoint,
        other => panic!("{command:?} is done, not {other:?}"),
    }
}

/// Every handle reads each field, after each command.
pub async fn every_endpoint_field_is_stored(Handles { store, other, .. }: &Handles) {
    let first = register(store, &["license.created", "license.revoked"]).await;
    assert_eq!(ok!(other.webhooks().get_endpoint(&first.id)), Some(first.clone()));
    let settings = EndpointSettings {
        url: "https://bücher.de/".to_owned(),
        events: EventSelection::All,
        description: Some("ü 'quoted'".to_owned()),
    };
    let secret = SealedSecret::from_bytes(vec![7; 90]);
    for asked in [
        EndpointCommand::Set(settings),
        EndpointCommand::Test,
        EndpointCommand::RotateSecret(secret),
        EndpointCommand::Disable,
        EndpointCommand::Enable,
    ] {
        let changed = execute(store, &first.id, &asked).await;
        assert_eq!(ok!(other.webhooks().get_endpoint(&first.id)), Some(changed), "after {asked:?}");
    }
    let second = register(other, &["*"]).await;
    let ids: Vec<_> = ok!(store.webhooks().list_endpoints()).into_iter().map(|one| one.id).collect();
    assert_eq!(ids, [first.id, second.id.clone()], "oldest first");
    assert_error!(store.webhooks().create_endpoint(&second).await, AlreadyExists);
    let unknown = new_endpoint(&["*"]).id;
    assert_eq!(ok!(store.webhooks().get_endpoint(&unknown)), None);
    let outcome = store.webhooks().execute_endpoint(&unknown, &EndpointCommand::Enable, at(60)).await;
    assert_eq!(outcome.expect("execute_endpoint"), EndpointOutcome::NotFound);
}

/// The number of endpoints is limited, also if several are created at once.
pub async fn number_of_endpoints_is_limited(Handles { both: handles, .. }: &Handles) {
    for _ in 3..limits::ENDPOINTS {
        register(&handles[0], &["*"]).await;
    }
    let created =
        race(
            handles,
            8,
            |_, store| async move { ok!(store.webhooks().create_endpoint(&new_endpoint(&["*"]))) },
        )
        .await;
    assert_eq!(created.iter().filter(|created| **created).count(), 3, "three were created: {created:?}");
    let endpoints = ok!(handles[0].webhooks().list_endpoints());
    assert_eq!(endpoints.len(), limits::ENDPOINTS);
}

/// A deleted endpoint loses its deliveries and gets no more.
pub async fn deleted_endpoint_loses_its_deliveries(Handles { store, .. }: &Handles) {
    let (gone, other) = (register(store, &["*"]).await, register(store, &["*"]).await);
    issue(store, &spec("small")).await;
    assign_all(store).await;
    assert!(ok!(store.webhooks().delete_endpoint(&gone.id)));
    assert!(!ok!(store.webhooks().delete_endpoint(&gone.id)), "again");
    issue(store, &spec("small")).await;
    assign_all(store).await;
    for (endpoint, expected) in [(&gone, 0), (&other, 2)] {
        let page = ok!(store.webhooks().list_deliveries(&endpoint.id, None, &PageRequest::default()));
        assert_eq!(page.items.len(), expected);
    }
    assert_eq!(ok!(store.webhooks().list_endpoints()), [other]);
}

/// A test event goes to its endpoint only, and is refused if the endpoint is disabled.
pub async fn test_event_goes_to_its_endpoint_only(Handles { store, .. }: &Handles) {
    let (tested, other) = (register(store, &["license.created"]).await, register(store, &["*"]).await);
    execute(store, &tested.id, &EndpointCommand::Test).await;
    let events = assign_all(store).await;
    assert_eq!(events[0].event.event_type.as_str(), "webhook_endpoint.test");
    for (endpoint, expected) in [(&tested, 1), (&other, 0)] {
        let page = ok!(store.webhooks().list_deliveries(&endpoint.id, None, &PageRequest::default()));
        assert_eq!(page.items.len(), expected);
    }
    execute(store, &tested.id, &EndpointCommand::Disable).await;
    let refused = store.webhooks().execute_endpoint(&tested.id, &EndpointCommand::Test, at(60)).await;
    assert_eq!(refused.expect("execute_endpoint"), EndpointOutcome::Disabled);
}
