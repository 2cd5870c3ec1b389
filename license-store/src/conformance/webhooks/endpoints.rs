//! Cases for endpoints.

use crate::conformance::audit::entries::{actor, entries};
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
        skip_job_events: false,
    };
    Endpoint::new(id.expect("an id"), settings, SealedSecret::from_bytes(vec![0, 1, 0xff]), at(0))
}

fn unaudited(endpoint: &Endpoint) -> NewEndpoint {
    NewEndpoint::new(endpoint.clone(), None)
}

fn endpoint_context() -> EndpointContext {
    EndpointContext { now: at(60), by: None, idempotency: None }
}

/// Creates an endpoint.
pub(in crate::conformance) async fn register(store: &Handle, types: &[&str]) -> Endpoint {
    let endpoint = new_endpoint(types);
    assert!(ok!(store.webhooks().create_endpoint(&unaudited(&endpoint))), "the limit is not reached");
    endpoint
}

/// Executes a command on an endpoint.
pub(super) async fn execute(store: &Handle, id: &EndpointId, command: &EndpointCommand) -> Endpoint {
    match ok!(store.webhooks().execute_endpoint(id, command, &endpoint_context())) {
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
        skip_job_events: true,
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
    assert_error!(store.webhooks().create_endpoint(&unaudited(&second)).await, AlreadyExists);
    let unknown = new_endpoint(&["*"]).id;
    assert_eq!(ok!(store.webhooks().get_endpoint(&unknown)), None);
    let outcome =
        store.webhooks().execute_endpoint(&unknown, &EndpointCommand::Enable, &endpoint_context()).await;
    assert_eq!(outcome.expect("execute_endpoint"), EndpointOutcome::NotFound);
}

/// The number of endpoints is limited, also if several are created at once.
pub async fn number_of_endpoints_is_limited(Handles { both: handles, .. }: &Handles) {
    for _ in 3..limits::ENDPOINTS {
        register(&handles[0], &["*"]).await;
    }
    let created = race(handles, 8, |_, store| async move {
        ok!(store.webhooks().create_endpoint(&unaudited(&new_endpoint(&["*"]))))
    })
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
    assert!(ok!(store.webhooks().delete_endpoint(&gone.id, None)));
    assert!(!ok!(store.webhooks().delete_endpoint(&gone.id, None)), "again");
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
    let refused =
        store.webhooks().execute_endpoint(&tested.id, &EndpointCommand::Test, &endpoint_context()).await;
    assert_eq!(refused.expect("execute_endpoint"), EndpointOutcome::Disabled);
}

/// A repeated test sends one event, also if both run at once.
pub async fn repeated_test_sends_one_event(Handles { both: handles, .. }: &Handles) {
    let endpoint = register(&handles[0], &["*"]).await;
    let test = async |store: &Handle, request| {
        let idempotency = Some(idempotency("test 1", request));
        let context = EndpointContext { idempotency, ..endpoint_context() };
        ok!(store.webhooks().execute_endpoint(&endpoint.id, &EndpointCommand::Test, &context))
    };
    let outcomes = race(handles, 8, |_, store| {
        let id = endpoint.id.clone();
        let context = EndpointContext { idempotency: Some(idempotency("test 1", 1)), ..endpoint_context() };
        async move { ok!(store.webhooks().execute_endpoint(&id, &EndpointCommand::Test, &context)) }
    })
    .await;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, EndpointOutcome::Done(_))).count();
    assert_eq!(done, 1, "{done} of 8 tests with one key sent an event");
    let first = EventId::new(Subject::Endpoint(endpoint.id.clone()), 1);
    assert_eq!(test(&handles[1], 1).await, EndpointOutcome::Repeated(first));
    assert_eq!(test(&handles[0], 2).await, EndpointOutcome::KeyReused);
    let events = assign_all(&handles[0]).await;
    assert_eq!(events.len(), 1, "one event is sent");
}

/// Every change of an endpoint commits with its audit entry. A change that fails has none.
pub async fn endpoint_changes_are_audited(Handles { store, other, .. }: &Handles) {
    if store.audit.is_none() {
        return;
    }
    let (by, webhooks) = (Arc::new(actor()), store.webhooks());
    let new = NewEndpoint::new(new_endpoint(&["*"]), Some(&by));
    let id = &new.endpoint.id;
    assert!(ok!(webhooks.create_endpoint(&new)));
    let context = EndpointContext { by: Some(Arc::clone(&by)), ..endpoint_context() };
    let settings = EndpointSettings { description: Some("ü".to_owned()), ..new.endpoint.settings.clone() };
    for command in [
        EndpointCommand::Set(settings),
        EndpointCommand::RotateSecret(SealedSecret::from_bytes(vec![7; 90])),
        EndpointCommand::Test,
        EndpointCommand::Disable,
        EndpointCommand::Test,
        EndpointCommand::Enable,
    ] {
        ok!(webhooks.execute_endpoint(id, &command, &context));
    }
    let event = assign_all(store).await[0].event.id();
    let entry = |what| events_replayed(id, &what, &by, at(61));
    let one = entry(ReplayedEvents::One(event.clone()));
    assert!(ok!(webhooks.replay_delivery(id, &event, at(61), Some(one.clone()))));
    let none = EventId::new(event.subject().clone(), 99);
    assert!(!ok!(webhooks.replay_delivery(id, &none, at(61), Some(one.clone()))));
    for since in [at(0), at(1_000)] {
        let audit = Some(entry(ReplayedEvents::Since(since)));
        let replay = Replay { endpoint_id: id.clone(), since, after: 0, limit: 9, now: at(61), audit };
        ok!(webhooks.replay_since(&replay));
    }
    let deleted = endpoint_deleted(id, &by, at(62));
    assert!(ok!(webhooks.delete_endpoint(id, Some(deleted.clone()))));
    assert!(!ok!(webhooks.delete_endpoint(id, Some(deleted.clone()))), "again");

    let filter = AuditFilter { endpoint_id: Some(id.clone()), ..AuditFilter::default() };
    let found = entries(other.audit(), &filter).await;
    assert!(found.iter().all(|entry| entry.actor == *by));
    assert_eq!(found.last(), new.audit.as_ref());
    let actions: Vec<_> = found.iter().rev().map(|entry| entry.action.as_str()).collect();
    let expected = [
        "webhook_endpoint.create",
        "webhook_endpoint.change",
        "webhook_endpoint.rotate_secret",
        "webhook_endpoint.test",
        "webhook_endpoint.disable",
        "webhook_endpoint.enable",
        "webhook_endpoint.replay",
        "webhook_endpoint.replay",
        "webhook_endpoint.replay",
        "webhook_endpoint.delete",
    ];
    assert_eq!(actions, expected);
}
