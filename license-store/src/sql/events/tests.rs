//! Changes in the middle of a sweep.

use chrono::{DateTime, TimeDelta, Utc};
use license_core::license::Expiry;
use license_core::store::{EventStore, ExpiryScan, PageRequest, WebhookStore};
use license_core::webhook::{Endpoint, EndpointId, EndpointSettings, EventSelection, SealedSecret};

use crate::sql::prelude::*;
use crate::sql::store::SqlStore;
use crate::sql::test_fixture::{issue_until, test_each_database};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time in range")
}

/// An endpoint that is created after a sweep has read the endpoints gets the events of the sweep.
async fn check_endpoints_that_change<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let store = open().await;
    let sweep =
        ExpiryScan { now: now() + TimeDelta::days(2), expiring_until: now() + TimeDelta::days(2), limit: 10 };
    let page = PageRequest { after: None, limit: 100 };
    for number in 1..=2_u8 {
        issue_until(&store, number, now(), Some(Expiry::At(now() + TimeDelta::days(1)))).await;
        while store.assign_positions(now(), 100).await.expect("assign_positions") > 0 {}
        let (decisions, endpoints) = store.database.read_expiring(&sweep).await.expect("reads");
        assert_eq!((decisions.len(), endpoints.len()), (1, usize::from(number) - 1));
        let settings = EndpointSettings {
            url: "https://example.com/".to_owned(),
            events: EventSelection::All,
            description: None,
        };
        let id = EndpointId::parse(&format!("whe_{number:020}")).expect("an id");
        let endpoint = Endpoint::new(id, settings, SealedSecret::from_bytes(vec![1]), now());
        assert!(store.create_endpoint(&endpoint).await.expect("create_endpoint"));
        assert_eq!(
            store.database.write_expiry_batch(&decisions, &endpoints, sweep.now).await.expect("writes"),
            1
        );
        while store.assign_positions(sweep.now, 100).await.expect("assign_positions") > 0 {}
        let delivered = store.list_deliveries(&endpoint.id, None, &page).await.expect("a page").items;
        assert_eq!(delivered.len(), 1, "the new endpoint gets the event");
    }
}

test_each_database! {
    #[tokio::test]
    endpoint_created_during_a_sweep_gets_its_events: check_endpoints_that_change;
}
