//! Cases for `erase_customer`.

use super::entries::{actor, all_entries, ask_as};
use crate::conformance::prelude::*;

/// An erased address is gone from licenses, events and audit entries. Data of other customers stays.
pub async fn customer_is_erased_from_audit_and_events(Handles { store, other, .. }: &Handles) {
    let erasure = Erasure { email: email("me@example.com"), anonymous: email("x@erased.invalid") };
    let issue = async |customer: &str, order: &str| {
        let spec = LicenseSpec {
            customer_email: email(customer),
            metadata: Metadata::from_json(json!({ "order": order })).expect("metadata"),
            ..spec("small")
        };
        let mut new = new_license(&spec).audited(&actor());
        // Events have the JSON of their license.
        new.events[0].data =
            json!({ "license": { "customer_email": customer, "metadata": { "order": order } } });
        ok!(store.create(&new));
        new.license
    };
    let (mine, longer) = (issue("me@example.com", "A-17").await, issue("me@example.com.org", "B-18").await);
    let given = issue("me@example.com", "A-19").await;
    let change = LicensePatch {
        customer_email: Some(email("other@example.com")),
        metadata: Some(MetadataPatch::from_json(json!({ "order": "B-20" })).expect("metadata")),
        ..Default::default()
    };
    ask_as(store, &given.id, &Command::Change(change), Some(actor())).await;
    ask_as(store, &given.id, &Command::Revoke, Some(actor())).await;
    let before = all_entries(store.audit()).await.len();
    for license in [&mine, &longer, &given] {
        ask_as(store, &license.id, &Command::Anonymise(erasure.clone()), Some(actor())).await;
    }
    let entry = AuditEntry::of_erasure(&erasure, 1, &actor(), at(61));
    ok!(store.audit().erase_customer(&erasure, &entry));

    let entries = all_entries(other.audit()).await;
    assert_eq!(entries.len(), before + 2, "one entry of the license, one of the erasure");
    assert_eq!(entries[0], entry);
    let mut text = format!("{entries:?}");
    for license in [&mine, &longer, &given] {
        let read = ok!(other.get(&license.id)).expect("the license exists").license;
        text += &json!([read.customer_email.as_str(), read.metadata]).to_string();
        for event in license_events(other, &license.id, 0).await.unwrap_or_default() {
            text += &event.data.to_string();
        }
    }
    for trace in ["\"me@example.com\"", "A-17", "A-19"] {
        assert!(!text.contains(trace), "{trace} is left: {text}");
    }
    for other in ["\"me@example.com.org\"", "B-18", "\"other@example.com\"", "B-20", "x@erased.invalid"] {
        assert!(text.contains(other), "{other} is gone: {text}");
    }
}
