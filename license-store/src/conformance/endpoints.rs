//! Cases of endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use license_core::endpoint::{
    Endpoint, EndpointCommand, EndpointId, EndpointSettings, EventSelection, SealedSecret,
};
use license_core::limits;
use license_core::outbox::{EndpointOutcome, Outbox};
use license_core::store::{PageRequest, StoreError};

use super::OutboxHarness;
use super::fixture::{at, issue, race, spec};
use super::order::publish_all;

/// An endpoint with an id of its own, that is told of these types.
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

/// Keeps a new endpoint.
pub(super) async fn register(outbox: &dyn Outbox, types: &[&str]) -> Endpoint {
    let endpoint = new_endpoint(types);
    assert!(outbox.create_endpoint(&endpoint).await.expect("create_endpoint"), "there is room");
    endpoint
}

pub(super) async fn command(outbox: &dyn Outbox, id: &EndpointId, command: &EndpointCommand) -> Endpoint {
    match outbox.execute_endpoint(id, command, at(60)).await.expect("execute_endpoint") {
        EndpointOutcome::Done(endpoint) => *endpoint,
        other => panic!("{command:?} is done, not {other:?}"),
    }
}

/// Every field comes back, after each command, on every handle.
pub async fn every_field_is_kept(harness: &dyn OutboxHarness) {
    let ((_, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    let first = register(&outbox, &["license.created", "license.revoked"]).await;
    assert_eq!(other.endpoint(&first.id).await.expect("endpoint"), Some(first.clone()));
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
        let changed = command(&outbox, &first.id, &asked).await;
        assert_eq!(other.endpoint(&first.id).await.expect("endpoint"), Some(changed), "after {asked:?}");
    }
    let second = register(&other, &["*"]).await;
    let ids: Vec<_> = outbox.endpoints().await.expect("endpoints").into_iter().map(|one| one.id).collect();
    assert_eq!(ids, [first.id, second.id.clone()], "oldest first");
    let again = outbox.create_endpoint(&second).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists { .. })), "{again:?}");
    let unknown = new_endpoint(&["*"]).id;
    assert_eq!(outbox.endpoint(&unknown).await.expect("endpoint"), None);
    let outcome = outbox.execute_endpoint(&unknown, &EndpointCommand::Enable, at(60)).await;
    assert_eq!(outcome.expect("execute_endpoint"), EndpointOutcome::NotFound);
}

/// There are at most so many, also where several are made at once.
pub async fn there_are_at_most_so_many(harness: &dyn OutboxHarness) {
    let ((store, outbox), (_, other)) = (harness.open_outbox().await, harness.open_outbox().await);
    for _ in 3..limits::ENDPOINTS {
        register(&outbox, &["*"]).await;
    }
    let outboxes = [outbox, other];
    let created = race(&[store], 8, |task, _| {
        let outbox = Arc::clone(&outboxes[task % 2]);
        async move { outbox.create_endpoint(&new_endpoint(&["*"])).await.expect("create_endpoint") }
    })
    .await;
    assert_eq!(created.iter().filter(|created| **created).count(), 3, "three had room: {created:?}");
    assert_eq!(outboxes[0].endpoints().await.expect("endpoints").len(), limits::ENDPOINTS);
}

/// What is removed is gone with its deliveries, and gets no more.
pub async fn a_removed_endpoint_is_gone(harness: &dyn OutboxHarness) {
    let (store, outbox) = harness.open_outbox().await;
    let (gone, other) = (register(&outbox, &["*"]).await, register(&outbox, &["*"]).await);
    issue(&store, &spec("small")).await;
    publish_all(&outbox).await;
    assert!(outbox.delete_endpoint(&gone.id).await.expect("delete_endpoint"));
    assert!(!outbox.delete_endpoint(&gone.id).await.expect("delete_endpoint"), "again");
    issue(&store, &spec("small")).await;
    publish_all(&outbox).await;
    for (endpoint, expected) in [(&gone, 0), (&other, 2)] {
        let page = outbox.deliveries(&endpoint.id, None, &PageRequest::default()).await.expect("deliveries");
        assert_eq!(page.items.len(), expected);
    }
    assert_eq!(outbox.endpoints().await.expect("endpoints"), [other]);
}

/// A test goes to its endpoint only, and is refused where that is disabled.
pub async fn a_test_goes_to_its_endpoint(harness: &dyn OutboxHarness) {
    let (_, outbox) = harness.open_outbox().await;
    let (tested, other) = (register(&outbox, &["license.created"]).await, register(&outbox, &["*"]).await);
    command(&outbox, &tested.id, &EndpointCommand::Test).await;
    let events = publish_all(&outbox).await;
    assert_eq!(events[0].event.event_type.as_str(), "webhook_endpoint.test");
    for (endpoint, expected) in [(&tested, 1), (&other, 0)] {
        let page = outbox.deliveries(&endpoint.id, None, &PageRequest::default()).await.expect("deliveries");
        assert_eq!(page.items.len(), expected);
    }
    command(&outbox, &tested.id, &EndpointCommand::Disable).await;
    let refused = outbox.execute_endpoint(&tested.id, &EndpointCommand::Test, at(60)).await;
    assert_eq!(refused.expect("execute_endpoint"), EndpointOutcome::Disabled);
}
