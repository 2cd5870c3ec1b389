//! Endpoints that are created between the read and the write of an expiry scan.

use chrono::{DateTime, TimeDelta, Utc};
use license_core::license::{Expiry, Reminders};
use license_core::store::{EventStore, ExpiryScan, PageRequest, WebhookStore};
use license_core::webhook::{
    Endpoint, EndpointId, EndpointSettings, EventSelection, NewEndpoint, SealedSecret,
};

use crate::sql::prelude::*;
use crate::sql::store::SqlStore;
use crate::sql::test_fixture::{issue_until, test_each_database};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time in range")
}

/// An endpoint that is created after a scan has read the endpoints still receives the events of that scan.
async fn check_created_endpoint<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let store = open().await;
    let scan = ExpiryScan { now: now() + TimeDelta::days(2), reminders: Reminders::default(), limit: 10 };
    let page = PageRequest { after: None, limit: 100 };
    for number in 1..=2_u8 {
        issue_until(&store, number, now(), Some(Expiry::At(now() + TimeDelta::days(1)))).await;
        while store.assign_positions(now(), 100).await.expect("assign_positions") > 0 {}
        let (decisions, endpoints) = store.database.read_expiring(&scan).await.expect("read_expiring");
        assert_eq!((decisions.len(), endpoints.len()), (1, usize::from(number) - 1));
        let settings = EndpointSettings {
            url: "https://example.com/".to_owned(),
            events: EventSelection::All,
            description: None,
            skip_job_events: false,
        };
        let id = EndpointId::parse(&format!("whe_{number:020}")).expect("an id");
        let endpoint = Endpoint::new(id, settings, SealedSecret::from_bytes(vec![1]), now());
        assert!(
            store.create_endpoint(&NewEndpoint::new(endpoint.clone(), None)).await.expect("create_endpoint")
        );
        let written = store.database.write_expiry_batch(&decisions, &endpoints, scan.now).await;
        assert_eq!(written.expect("write_expiry_batch"), 1);
        while store.assign_positions(scan.now, 100).await.expect("assign_positions") > 0 {}
        let delivered = store.list_deliveries(&endpoint.id, None, &page).await.expect("a page").items;
        assert_eq!(delivered.len(), 1, "deliveries of the new endpoint");
    }
}

test_each_database! {
    #[tokio::test]
    endpoint_created_during_scan_receives_its_events: check_created_endpoint;
}
