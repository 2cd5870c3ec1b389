//! Cases for `erase_customer`.

use license_core::bulk::{BulkAction, BulkJobId, CreatedJob, LicenseOutcome, NewBulkJob};

use super::entries::{actor, all_entries, ask_as};
use crate::conformance::events::positions::assign_all;
use crate::conformance::prelude::*;
use crate::conformance::webhooks::endpoints::register;

/// An erased address is gone from licenses, events and audit entries. Data of other customers stays.
pub async fn customer_is_erased_from_audit_and_events(Handles { store, other, .. }: &Handles) {
    let erasure = Erasure { email: email("me@example.com"), pseudonym: email("x@erased.invalid") };
    let issue = async |customer: &str, order: &str| {
        let spec = LicenseSpec {
            customer_email: Some(email(customer)),
            customer_name: CustomerName::parse(&format!("Name of {order}")).ok(),
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
        customer_email: Some(Some(email("other@example.com"))),
        metadata: Some(MetadataPatch::from_json(json!({ "order": "B-20" })).expect("metadata")),
        ..Default::default()
    };
    ask_as(store, &given.id, &Command::Change(change), Some(actor())).await;
    ask_as(store, &given.id, &Command::Revoke, Some(actor())).await;
    let block = Command::Block(ActivationTarget::Binding(Binding::Device(device("d1"))));
    for (license, name) in [(&mine, "Ann Smith"), (&longer, "Bob Jones")] {
        let reason = Some(Reason::parse(&format!("{name} left")).expect("a reason"));
        let because = CommandContext { by: Some(Arc::new(actor())), reason, ..context(at(60)) };
        for command in [&block, &Command::Suspend] {
            ask_in(store, &license.id, command, &because).await.expect("active");
        }
    }
    let before = all_entries(store.audit()).await.len();
    for license in [&mine, &longer, &given] {
        ask_as(store, &license.id, &Command::EraseCustomer(erasure.clone()), Some(actor())).await;
    }
    let entry = AuditEntry::of_erasure(&erasure, 1, &actor(), at(61));
    ok!(store.audit().erase_customer(&erasure, &entry));

    let entries = all_entries(other.audit()).await;
    assert_eq!(entries.len(), before + 2, "one entry of the license, one of the erasure");
    assert_eq!(entries[0], entry);
    let mut text = format!("{entries:?}");
    for license in [&mine, &longer, &given] {
        let read = ok!(other.get(&license.id)).expect("the license exists").license;
        text += &json!([
            read.customer_email.as_ref().map(CustomerEmail::as_str),
            read.customer_name.as_ref().map(CustomerName::as_str),
            read.metadata,
        ])
        .to_string();
        let reason = read.state_reason.as_ref().map(Reason::as_str);
        text += &json!([reason, read.blocks.to_json()]).to_string();
        for event in license_events(other, &license.id, 0).await.unwrap_or_default() {
            text += &event.data.to_string();
        }
    }
    for trace in ["\"me@example.com\"", "A-17", "A-19", "Ann Smith"] {
        assert!(!text.contains(trace), "{trace} is left: {text}");
    }
    for other in
        ["\"me@example.com.org\"", "B-18", "\"other@example.com\"", "B-20", "x@erased.invalid", "Bob Jones"]
    {
        assert!(text.contains(other), "{other} is gone: {text}");
    }
}

/// A customer that a license was taken from leaves no trace, even if the change had no actor and the audit
/// was pruned. Data of the new customer stays.
pub async fn former_customer_is_erased_without_audit(Handles { store, other, .. }: &Handles) {
    let erasure = Erasure { email: email("me@example.com"), pseudonym: email("x@erased.invalid") };
    let metadata = |order: &str| Metadata::from_json(json!({ "order": order })).expect("metadata");
    let order_patch = |order: &str| MetadataPatch::from_json(json!({ "order": order })).expect("a patch");
    let spec = LicenseSpec {
        customer_email: Some(email("me@example.com")),
        metadata: metadata("A-17"),
        ..spec("small")
    };
    let given = async |pruned: bool| {
        let mut new = new_license(&spec);
        new.license.last_event = 1;
        ok!(store.create(&new));
        let id = new.license.id;
        let note = LicensePatch { metadata: Some(order_patch("A-18")), ..Default::default() };
        ask_as(store, &id, &Command::Change(note), Some(actor())).await;
        if pruned {
            ok!(store.audit().prune_audit(at(1_000), 9));
        }
        for (customer, order) in
            [("other@example.com", "B-19"), ("me@example.com", "A-20"), ("b@example.com", "B-21")]
        {
            let customer_email = Some(Some(email(customer)));
            let change =
                LicensePatch { customer_email, metadata: Some(order_patch(order)), ..Default::default() };
            ask_as(store, &id, &Command::Change(change), None).await;
        }
        let later = CommandContext { by: Some(Arc::new(actor())), ..context(at(100)) };
        let note = LicensePatch { metadata: Some(order_patch("B-22")), ..Default::default() };
        ok!(store.execute(&id, &Command::Change(note), &later));
        id
    };
    let licenses = [given(true).await, given(false).await];
    let entry = AuditEntry::of_erasure(&erasure, 0, &actor(), at(101));
    ok!(store.audit().erase_customer(&erasure, &entry));

    let mut text = format!("{:?}", all_entries(other.audit()).await);
    for id in &licenses {
        for event in license_events(other, id, 0).await.unwrap_or_default() {
            text += &event.data.to_string();
        }
    }
    for trace in ["me@example.com", "A-17", "A-18", "A-20"] {
        assert!(!text.contains(trace), "{trace} is left: {text}");
    }
    assert!(text.contains("B-22"), "the metadata of the new customer is gone: {text}");
    if other.events.is_some() {
        for kept in ["other@example.com", "b@example.com", "B-19", "B-21", "x@erased.invalid"] {
            assert!(text.contains(kept), "{kept} is gone: {text}");
        }
    }
}

/// The reason of a bulk job goes with the customer of one of its licenses, also from the audit. It goes with
/// the licenses of an old job too, because no erasure would find it then.
pub async fn reasons_of_jobs_are_erased(Handles { store, other, .. }: &Handles) {
    let Some(jobs) = &store.bulk_jobs else { return };
    let erasure = Erasure { email: email("me@example.com"), pseudonym: email("x@erased.invalid") };
    let issue_to = async |customer: &str| {
        let customer_email = Some(email(customer));
        issue(store, &LicenseSpec { customer_email, ..spec("small") }).await.id
    };
    let (mine, given) = (issue_to("me@example.com").await, issue_to("me@example.com").await);
    let not_mine = issue_to("b@example.com").await;
    let give = LicensePatch { customer_email: Some(Some(email("b@example.com"))), ..Default::default() };
    let create = async |number: u32, reason: &str, licenses: &[&LicenseId]| {
        let new = NewBulkJob {
            id: BulkJobId::parse(&format!("job_{number}")).expect("an id"),
            action: BulkAction::Suspend,
            created_at: at(i64::from(number)),
            by: Some(actor()),
            idempotency: None,
            reason: Reason::parse(reason).ok(),
        };
        let licenses = JobLicenses::Ids(licenses.iter().map(|id| (*id).clone()).collect());
        assert_eq!(ok!(jobs.create_job(&new, &licenses)), CreatedJob::New);
        new.id
    };
    let erased = create(10, "Ann left", &[&mine, &not_mine]).await;
    let before = create(20, "Ann gave it", &[&given]).await;
    let pruned = create(30, "Bob left", &[&not_mine]).await;
    let kept = create(40, "Bob paid", &[&not_mine]).await;
    // Given away at 60.
    ask_as(store, &given, &Command::Change(give), None).await;
    let after = create(70, "Cid took it", &[&given]).await;
    ok!(jobs.settle_job_step(&pruned, &[(not_mine.clone(), LicenseOutcome::Done)], at(50)));

    ask_as(store, &mine, &Command::EraseCustomer(erasure.clone()), None).await;
    let entry = AuditEntry::of_erasure(&erasure, 1, &actor(), at(101));
    ok!(store.audit().erase_customer(&erasure, &entry));
    // Licenses are deleted one by one, and the reason with the first.
    ok!(jobs.prune_jobs(at(60), 1));
    let mut shown = vec![format!("{:?}", all_entries(other.audit()).await)];
    for (id, has_reason) in [(erased, false), (before, false), (pruned, false), (kept, true), (after, true)] {
        let job = ok!(other.bulk_jobs().get_job(&id)).expect("the job");
        assert_eq!(job.reason.is_some(), has_reason, "{job:?}");
        shown.push(format!("{job:?}"));
    }
    let text = shown.concat();
    for trace in ["Ann left", "Ann gave it", "Bob left"] {
        assert!(!text.contains(trace), "{trace} is left: {text}");
    }
    for kept in ["Bob paid", "Cid took it"] {
        assert_eq!(text.matches(kept).count(), 2, "{kept}, of the job and of the audit: {text}");
    }
}

/// Receivers may answer with the data that they got, so the attempts of an erased customer's events are
/// removed.
pub async fn answers_of_receivers_are_erased(Handles { store, other, .. }: &Handles) {
    let (Some(webhooks), Some(_)) = (&store.webhooks, &store.events) else { return };
    let endpoint = register(store, &["*"]).await;
    let issue_to = async |customer: &str| {
        let spec = LicenseSpec { customer_email: Some(email(customer)), ..spec("small") };
        issue(store, &spec).await
    };
    let (erased, kept) = (issue_to("me@example.com").await, issue_to("b@example.com").await);
    assign_all(store).await;
    let token = LeaseToken::from_bytes([1; 16]);
    let (now, lease_until, latest_retry) = (at(1_000), at(1_060), at(9_000));
    let request = DeliveryLeaseRequest { now, lease_until, latest_retry, token, limit: 9, per_endpoint: 9 };
    for LeasedDelivery { delivery, .. } in ok!(webhooks.lease_deliveries(&request)).deliveries {
        let result = AttemptResult::Answered { status: 200, retry_after: None, body: "got it".to_owned() };
        let settlement = Settlement {
            endpoint_id: endpoint.id.clone(),
            event_id: delivery.event_id,
            token,
            attempt: Attempt { at: at(1_001), duration: Duration::ZERO, result }.to_stored(),
            jitter: 0,
            schedule: Schedule::default(),
            now: at(1_001),
            clock_is_plausible: true,
        };
        ok!(webhooks.settle(&settlement));
    }
    let erasure = Erasure { email: email("me@example.com"), pseudonym: email("x@erased.invalid") };
    ask_as(store, &erased.id, &Command::EraseCustomer(erasure), None).await;
    for (license, attempts) in [(&erased, 0), (&kept, 1)] {
        let event = EventId::new(Subject::License(license.id.clone()), 1);
        let delivery =
            ok!(other.webhooks().get_delivery(&endpoint.id, &event)).expect("the delivery is kept");
        assert_eq!(delivery.attempts.len(), attempts, "attempts of {}", license.id);
    }
}
