//! Exports and imports of leases, and of the slots that they hold.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::access::{Actor, Principal};
use license_core::command::LicenseSpec;
use license_core::license::{ActivationId, CustomerEmail, LeaseId, LicenseId};
use license_core::service::{
    ExportKeys, ImportOptions, LeaseAnswer, LeaseRequest, SignedLease, ValidateRequest,
};
use license_core::store::PageRequest;
use license_store::memory::MemoryStore;
use license_verify::{ReleaseCode, Revocations};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::server::{HEX, OTHER, Server, leasing_server, now, server_at};

/// What happens to a license with leases.
#[derive(Clone, Debug)]
pub(super) enum LeaseAction {
    /// A device gets a lease, for a domain if it has one.
    Lease(u8, Option<u8>),
    /// The device of the newest lease hands it back.
    Return,
    /// The vendor frees the slot of the newest lease.
    Release,
    /// The vendor replaces the key and frees all slots.
    Rotate,
    Suspend,
}

pub(super) fn lease_action() -> impl Strategy<Value = LeaseAction> {
    prop_oneof![
        4 => (0..3_u8, proptest::option::of(0..3_u8)).prop_map(|(device, domain)| LeaseAction::Lease(device, domain)),
        1 => Just(LeaseAction::Return),
        1 => Just(LeaseAction::Release),
        1 => Just(LeaseAction::Rotate),
        1 => Just(LeaseAction::Suspend),
    ]
}

fn operator() -> Actor {
    Actor::new(Principal::CommandLine)
}

async fn issue(server: &Server) -> (LicenseId, String) {
    let spec = LicenseSpec::new("offline", CustomerEmail::parse("dev@example.com").expect("an address"));
    let issued = server.services.licenses.issue(&spec, None).await.expect("a license");
    (issued.detail.license.id.clone(), issued.key.reveal().to_owned())
}

async fn lease(server: &Server, key: &str, device: &str, domain: Option<&str>) -> Option<SignedLease> {
    let validation = ValidateRequest { key, fingerprint: Some(device), domain, ..ValidateRequest::default() };
    let issued = server.services.leases.issue(&LeaseRequest { validation, days: None }).await;
    match issued.expect("an answer") {
        LeaseAnswer::Lease(lease) => Some(*lease),
        LeaseAnswer::Denied(_) | LeaseAnswer::NotFound => None,
    }
}

/// Stores a license with leases. Denied actions change nothing.
pub(super) async fn store_leases(server: &Server, actions: &[LeaseAction]) -> LicenseId {
    let (id, mut key) = issue(server).await;
    let licenses = &server.services.licenses;
    let mut newest: Option<(LeaseId, ActivationId)> = None;
    for action in actions {
        match (action, newest.clone()) {
            (LeaseAction::Lease(device, domain), _) => {
                let domain = domain.map(|domain| format!("d{domain}.example.com"));
                let signed = lease(server, &key, &format!("größe {device}"), domain.as_deref()).await;
                newest = signed.map(|signed| (signed.lease.id, signed.lease.device)).or(newest);
            }
            (LeaseAction::Return, Some((lease, _))) => {
                let _ = server.services.leases.hand_back(&lease, operator()).await;
            }
            (LeaseAction::Release, Some((_, device))) => {
                let _ = licenses.release(&id, device).await;
            }
            (LeaseAction::Rotate, _) => {
                let rotated = licenses.rotate_key(&id, true, None).await.expect("rotated");
                rotated.key.reveal().clone_into(&mut key);
            }
            (LeaseAction::Suspend, _) => {
                licenses.suspend(&id).await.expect("suspended");
            }
            (LeaseAction::Return | LeaseAction::Release, None) => {}
        }
    }
    id
}

/// Leases of each kind, and the holds of their slots.
#[tokio::test]
async fn leases_and_holds_are_exported_and_imported() {
    use LeaseAction::{Lease, Release, Return, Suspend};

    let from = leasing_server(HEX, 1).await;
    let actions =
        [Lease(0, Some(0)), Return, Lease(1, None), Lease(1, None), Release, Lease(2, None), Suspend];
    let id = store_leases(&from, &actions).await;
    let text = from.export(ExportKeys::Clear).await;
    let of_type = |of_type: &str| {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["type"] == of_type).collect::<Vec<_>>()
    };
    let hold = "2026-06-08T12:05:00Z";
    let license = of_type("license").pop().expect("a license");
    assert_eq!((&license["id"], &license["leased_until"]), (&json!(id.as_str()), &json!(hold)));
    let holds: Vec<_> =
        of_type("activation").iter().map(|one| json!([one["held_until"], one["returned"]])).collect();
    assert_eq!(holds, [json!([hold, false]), json!([hold, true]), json!([hold, false])], "{text}");
    let ends: Vec<_> = of_type("lease").iter().map(|one| json!([one["renewal"], one["ended_by"]])).collect();
    let revoked = json!("revoked");
    assert_eq!(
        ends,
        [json!([false, "returned"]), json!([false, revoked]), json!([true, revoked]), json!([false, null])]
    );
    let into = leasing_server(OTHER, 2).await;
    let (report, faults) = into.import(&text, ImportOptions::default()).await;
    assert_eq!((report.imported, faults), (1, Vec::new()));
    assert_eq!(into.export(ExportKeys::Clear).await, text);
    let leases = async |server: &Server| {
        server.services.leases.list(&id, &PageRequest::default()).await.expect("leases").items
    };
    assert_eq!(leases(&into).await, leases(&from).await);
    for server in [&from, &into] {
        let list = server.services.leases.revocations("default").await.expect("a list");
        let key = server.services.signing.active_key().expect("a key");
        let key = license_verify::PublicKey::from_bytes(key.as_bytes()).expect("a key");
        let keys = license_verify::KeySet::new([key]);
        let list = Revocations::verify(&list.token, &keys, "default").expect("a signed list");
        assert_eq!(list.revoked.len(), 4, "the license is suspended");
    }
    let newest = leases(&from).await.pop().expect("a lease");
    into.services.licenses.reinstate(&id).await.expect("reinstated");
    let next = into.services.licenses.release(&id, newest.device).await.expect("released");
    let number = newest.id.as_str().rsplit('_').next().and_then(|number| number.parse().ok());
    assert!(Some(next.detail.license.last_event) > number, "{number:?}");
}

#[tokio::test]
async fn release_code_works_in_the_new_database() {
    let from = leasing_server(HEX, 1).await;
    let (_, key) = issue(&from).await;
    let signed = lease(&from, &key, "a", None).await.expect("a lease");
    let code = ReleaseCode::new(signed.lease.id.as_str(), &signed.token).expect("a code").to_text();
    let into = leasing_server(OTHER, 2).await;
    let text = from.export(ExportKeys::Clear).await;
    assert_eq!(into.import(&text, ImportOptions::default()).await.1, Vec::<String>::new());
    let hand_back = async || into.services.leases.hand_back_by_code(&code, operator()).await;
    assert!(hand_back().await.is_err(), "the database does not have the signing key");
    let pair = from.services.signing_keys.export(&signed.lease.signing_key).await.expect("a key");
    into.services.signing_keys.import(&pair).await.expect("imported");
    let handed_back = hand_back().await.expect("handed back");
    assert_eq!(handed_back.free_at, Some(signed.lease.accepted_until()));
}

#[tokio::test]
async fn leases_that_are_over_are_not_exported() {
    let store = Arc::new(MemoryStore::new());
    let from = server_at(Arc::clone(&store) as _, now()).await;
    let (_, key) = issue(&from).await;
    let signed = lease(&from, &key, "a", None).await.expect("a lease");
    let exported = async |at: DateTime<Utc>| {
        let later = server_at(Arc::clone(&store) as _, at).await;
        let text = later.export(ExportKeys::Clear).await;
        text.lines().filter(|line| line.starts_with(r#"{"type":"lease""#)).count()
    };
    let end = signed.lease.accepted_until();
    assert_eq!(exported(end - TimeDelta::microseconds(1)).await, 1);
    assert_eq!(exported(end).await, 0);
}

/// A license and the lines of its parts, which [`refused`] changes.
fn lines() -> [Value; 4] {
    let end = "2026-06-08T12:00:00Z".parse::<DateTime<Utc>>().expect("a time");
    let license = json!({ "type": "license", "id": "lic_1", "plan": "offline", "customer_email": "dev@example.com", "last_event": 9 });
    let activation = |number: u8, kind: &str, value: &str| {
        json!({ "type": "activation", "license": "lic_1", "id": format!("act_1_000000000{number}"), "kind": kind,
            "value": value, "held_until": "2026-06-08T12:05:00Z", "returned": false })
    };
    let id = "lease_1_0000000004";
    let lease = json!({ "type": "lease", "license": "lic_1", "id": id, "device": "act_1_0000000002",
        "domain": "act_1_0000000003", "issued_at": "2026-06-01T12:00:00Z", "expires_at": end,
        "signing_key": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "renewal": false,
        "claims": json!({ "jti": id, "exp": end.timestamp() }).to_string(), "ended_by": null, "ended_at": null });
    [license, activation(2, "device", "a"), activation(3, "domain", "a.example.com"), lease]
}

async fn import(lines: &[Value]) -> Vec<String> {
    let server = leasing_server(HEX, 1).await;
    let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let (report, faults) = server.import(&text, ImportOptions::default()).await;
    assert_eq!(report.imported, u64::from(faults.is_empty()), "all or nothing: {faults:?}");
    faults
}

#[tokio::test]
async fn lease_must_fit_to_its_license() {
    assert_eq!(import(&lines()).await, Vec::<String>::new());
    let needs_hold = "the held_until of the activation must be at least five minutes after the lease expires";
    let number = "it must belong to the license, with a number up to the license's last_event";
    let claims = "claims: they must be the JSON that was signed, with the id as jti and the end as exp";
    for (line, field, value, expected) in [
        (
            3,
            "device",
            json!("act_1_0000000005"),
            r#"4: device "act_1_0000000005": the license has no such activation; add its line"#.to_owned(),
        ),
        (
            3,
            "domain",
            json!("act_1_0000000005"),
            r#"4: domain "act_1_0000000005": the license has no such activation; add its line"#.to_owned(),
        ),
        (
            1,
            "held_until",
            json!("2026-06-08T12:04:59.999999Z"),
            format!(r#"4: device "act_1_0000000002": {needs_hold}"#),
        ),
        (2, "held_until", json!(null), format!(r#"4: domain "act_1_0000000003": {needs_hold}"#)),
        (0, "last_event", json!(3), format!(r#"4: id "lease_1_0000000004": {number}"#)),
        (3, "claims", json!("{"), format!("4: {claims}")),
        (3, "claims", json!(r#"{"jti":"lease_1_0000000005","exp":1780920000}"#), format!("4: {claims}")),
        (3, "claims", json!(r#"{"jti":"lease_1_0000000004","exp":1780920001}"#), format!("4: {claims}")),
        (
            3,
            "expires_at",
            json!("2026-06-08T12:00:00.5Z"),
            "4: expires_at: it must be in whole seconds".to_owned(),
        ),
        (
            3,
            "ended_by",
            json!("revoked"),
            "4: ended_at: it is required if the lease has an ended_by, and not allowed otherwise".to_owned(),
        ),
        (
            3,
            "ended_at",
            json!("2026-06-02T12:00:00Z"),
            "4: ended_at: it is required if the lease has an ended_by, and not allowed otherwise".to_owned(),
        ),
        (3, "ended_by", json!("lost"), r#"4: ended_by "lost": it must be revoked or returned"#.to_owned()),
        (
            3,
            "signed_by",
            json!("me"),
            "4: signed_by: there is no such field; correct its name, or remove it".to_owned(),
        ),
    ] {
        let mut lines = lines();
        lines[line][field] = value;
        assert_eq!(import(&lines).await, [expected]);
    }
    let mut repeated = lines().to_vec();
    repeated.push(repeated[3].clone());
    let twice = "the license has another lease with this id; remove one of the lines";
    assert_eq!(import(&repeated).await, [format!(r#"5: id "lease_1_0000000004": {twice}"#)]);
    let stray = [lines()[3].clone()];
    let why = "it must follow the line of its license, or an activation or lease of it";
    assert_eq!(import(&stray).await, [format!(r#"1: license "lic_1": {why}"#)]);
}

/// The slot of a lease that ended may be free, or another device has it.
#[tokio::test]
async fn ended_lease_needs_no_activation() {
    let mut lines = lines();
    (lines[3]["ended_by"], lines[3]["ended_at"]) = (json!("revoked"), json!("2026-06-02T12:00:00Z"));
    let [license, _, _, lease] = lines;
    assert_eq!(import(&[license, lease]).await, Vec::<String>::new());
}

/// New events continue after the number of a lease, if the line of the license does not say where.
#[tokio::test]
async fn events_continue_after_the_last_lease() {
    let server = leasing_server(HEX, 1).await;
    let mut lines = lines();
    lines[0]["last_event"] = json!(null);
    let listed = json!(["b.example.com"]);
    lines[0]["domains"] = listed;
    let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(server.import(&text, ImportOptions::default()).await.1, Vec::<String>::new());
    let detail =
        server.store.get(&LicenseId::parse("lic_1").expect("an id")).await.expect("read").expect("one");
    assert_eq!(detail.license.last_event, 5);
    let ids: Vec<_> = detail.domains.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["act_1_0000000003", "act_1_0000000005"], "of the listed domain");
    assert_eq!(detail.license.leased_until, Some("2026-06-08T12:05:00Z".parse().expect("a time")));
}
