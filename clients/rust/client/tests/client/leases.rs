//! Leases.

use license_client::{Client, Outcome, RequestCode};
use license_verify::LicenseFile;
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::signer::{DAY, NOW, TestKey, lease_claims, with};
use crate::{TestClock, builder, client};

const NO_SERVER: &str = "http://localhost:1";

fn file(changes: &Value) -> String {
    let lease = TestKey::Active.lease(&with(lease_claims(), changes));
    LicenseFile { lease, key_tokens: Vec::new() }.to_string()
}

#[test]
fn fetched_lease_licenses_without_a_network() {
    let server = Server::new(|_| {
        let file = file(&json!({}));
        Reply::json(201, &json!({"lease": "eyJ", "file": file, "expires_at": "", "refresh_after": ""}))
    });
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let at = |url: &str| clock.set(builder(url).state_file(folder.path().join("state"))).build().unwrap();
    let lease = at(&server.url()).fetch_lease(Some(7)).unwrap();
    assert_eq!(lease.jti, "lse_0001");
    let asked = server.asked().remove(0);
    assert!(asked.head.starts_with("post /api/v1/leases http/1.1\r\n"));
    assert_eq!((&asked.json()["days"], &asked.json()["product"]), (&json!(7), &json!("editor")));
    let offline = at(NO_SERVER);
    assert_eq!(offline.check().decision.outcome, Outcome::Allowed);
    clock.advance(7 * DAY + 300);
    assert_eq!(offline.check().decision.outcome.code(), Some("LEASE_EXPIRED"));
}

#[test]
fn refusal_of_a_lease_has_the_code_of_the_server() {
    let server = Server::new(|_| {
        Reply::json(
            200,
            &json!({"valid": false, "error": "OFFLINE_NOT_ALLOWED", "message": "The plan has no offline use."}),
        )
    });
    let client = client(&server.url());
    assert_eq!(client.fetch_lease(None).unwrap_err().code(), "OFFLINE_NOT_ALLOWED");
    assert_eq!(self::client(NO_SERVER).fetch_lease(None).unwrap_err().code(), "NO_ANSWER");
}

#[test]
fn file_answers_the_last_request_only() {
    let client = client(NO_SERVER);
    let first = client.begin_request().unwrap();
    let last = client.begin_request().unwrap();
    let answer = |code: &RequestCode| file(&json!({"nonce": code.nonce.to_text()}));
    assert_eq!(client.add_license_file(&answer(&first)).unwrap_err().code(), "WRONG_NONCE");
    client.add_license_file(&answer(&last)).unwrap();
    assert!(client.check().is_allowed());
}

#[test]
fn file_of_another_device_or_signer_is_refused() {
    let client = client(NO_SERVER);
    let other = file(&json!({"fp": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}));
    assert_eq!(client.add_license_file(&other).unwrap_err().code(), "WRONG_DEVICE");
    let forged = LicenseFile { lease: TestKey::Attacker.lease(&lease_claims()), key_tokens: Vec::new() };
    assert_eq!(client.add_license_file(&forged.to_string()).unwrap_err().code(), "UNKNOWN_KEY");
}

#[test]
fn client_without_a_key_runs_by_a_license_file() {
    let client = Client::builder(NO_SERVER)
        .product("editor")
        .public_keys([TestKey::Active.public()])
        .device_id(crate::signer::FINGERPRINT)
        .clock(|| NOW)
        .build()
        .unwrap();
    assert_eq!(client.check_now().decision.outcome.code(), Some("NEVER_CHECKED"));
    assert_eq!(client.begin_request().unwrap_err().code(), "NO_KEY");
    client.add_license_file(&file(&json!({}))).unwrap();
    let check = client.check_now();
    assert!(check.is_allowed() && !check.asked);
}

#[test]
fn returned_lease_ends_here_and_is_sent_to_the_server() {
    let server = Server::new(|asked| match asked.head.lines().next() {
        Some("post /api/v1/leases/release http/1.1") => Reply::json(200, &json!({"released": true})),
        _ => Reply::Answer(503, "", String::new()),
    });
    let client = client(&server.url());
    let text = file(&json!({}));
    client.add_license_file(&text).unwrap();
    let code = client.return_lease().unwrap();
    assert!(code.is_from(&TestKey::Active.lease(&lease_claims())));
    client.send_release(&code).unwrap();
    assert_eq!(server.asked()[0].json(), json!({"release": code.to_text()}));
    assert!(!client.check().is_allowed());
    assert_eq!(client.add_license_file(&text).unwrap_err().code(), "LEASE_RETURNED");
}

#[test]
fn revoked_lease_ends_with_the_list() {
    let server = Server::new(|_| {
        Reply::json(200, &json!({"revocations": TestKey::Active.revocations(NOW, &["lse_0001"])}))
    });
    let client = client(&server.url());
    client.add_license_file(&file(&json!({}))).unwrap();
    assert!(client.check().is_allowed());
    client.fetch_revocations().unwrap();
    let asked = server.asked().remove(0);
    assert!(asked.head.starts_with("get /api/v1/revocations?product=editor http/1.1\r\n"), "{}", asked.head);
    assert_eq!(self::client(NO_SERVER).fetch_revocations().unwrap_err().code(), "NO_ANSWER");
    let offline = Client::clone(&client);
    assert_eq!(offline.check().decision.outcome.code(), Some("LEASE_REVOKED"));
}
