//! Answers of servers, proxies and portals.

use std::time::Duration;

use license_client::{Client, Error, Outcome};
use serde_json::json;

use crate::server::{Asked, Reply, Server, valid};
use crate::signer::{DAY, HOUR, MINUTE, NOW, TestKey};
use crate::{KEY, TestClock, builder, client};

fn code_of(reply: impl Fn(&Asked) -> Reply + Send + 'static) -> Option<String> {
    let check = client(&Server::new(reply).url()).check();
    assert!(check.asked);
    check.decision.outcome.code().map(str::to_owned)
}

#[test]
fn valid_proof_allows_and_has_features() {
    let server = Server::new(valid);
    let check = client(&server.url()).check();
    assert_eq!(check.decision.outcome, Outcome::Allowed);
    assert_eq!(check.decision.check_in, DAY.cast_unsigned());
    assert!(check.decision.features.contains_key("export"));
    let asked = server.asked().remove(0);
    assert!(asked.head.starts_with("post /api/v1/validate http/1.1\r\n"), "{}", asked.head);
    assert!(asked.head.contains("prefer: handling=lenient\r\n"));
    assert_eq!(asked.json()["key"], KEY);
    // 32 bytes are 43 symbols of base64url.
    assert_eq!(asked.json()["nonce"].as_str().map(str::len), Some(43));
}

#[test]
fn each_question_has_another_nonce() {
    let server = Server::new(valid);
    let client = client(&server.url());
    assert!(client.check_now().is_allowed() && client.check_now().is_allowed());
    let asked = server.asked();
    assert_ne!(asked[0].json()["nonce"], asked[1].json()["nonce"]);
}

#[test]
fn proven_denial_and_not_found_deny() {
    let denied = |status: u16, code: &'static str| {
        code_of(move |asked| {
            let claims = json!({"valid": false, "error": code, "features": {}, "lic_exp": null, "product": null, "status": status});
            Reply::json(status, &json!({"proof": asked.proof(TestKey::Active, &claims)}))
        })
    };
    assert_eq!(denied(200, "LICENSE_REVOKED").as_deref(), Some("LICENSE_REVOKED"));
    assert_eq!(denied(404, "LICENSE_NOT_FOUND").as_deref(), Some("LICENSE_NOT_FOUND"));
}

#[test]
fn what_has_no_valid_proof_is_no_answer() {
    let never = Some("NEVER_CHECKED");
    let denial = json!({"valid": false, "error": "LICENSE_REVOKED"}).to_string();
    for (status, headers, body) in [
        (500, "", "Internal Server Error".to_owned()),
        (200, "content-type: text/html\r\n", "<html>Welcome to the hotel!</html>".to_owned()),
        (401, "", denial.clone()),
        (403, "", denial.clone()),
        (407, "", String::new()),
        (200, "", denial),
    ] {
        let code = code_of(move |_| Reply::Answer(status, headers, body.clone()));
        assert_eq!(code.as_deref(), never, "{status}");
    }
    let signed = |key, changes: serde_json::Value| {
        code_of(move |asked| Reply::json(200, &json!({"proof": asked.proof(key, &changes)})))
    };
    assert_eq!(signed(TestKey::Active, json!({"nonce": "AAECAwQFBgcICQoLDA0ODw"})).as_deref(), never);
    let other_body = json!({"req": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"});
    assert_eq!(signed(TestKey::Active, other_body).as_deref(), never);
    assert_eq!(signed(TestKey::Attacker, json!({})).as_deref(), never);
}

#[test]
fn redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::new(move |_| Reply::Answer(status, "location: /elsewhere\r\n", String::new()));
        assert_eq!(client(&server.url()).check().decision.outcome.code(), Some("NEVER_CHECKED"));
        assert_eq!(server.asked().len(), 1, "{status}");
    }
}

#[test]
fn hanging_server_is_no_answer_at_the_deadline() {
    let server = Server::new(|_| Reply::Hang);
    let client = builder(&server.url()).deadline(Duration::from_millis(50)).build().unwrap();
    assert_eq!(client.check().decision.outcome.code(), Some("NEVER_CHECKED"));
}

#[test]
fn answer_after_the_deadline_by_the_wall_clock_is_no_answer() {
    // The machine is suspended while the server answers: the steady clock does not move.
    let clock = TestClock::new();
    let moved = clock.clone();
    let server = Server::new(move |asked| {
        moved.advance(HOUR);
        valid(asked)
    });
    let client = clock.set(builder(&server.url())).build().unwrap();
    assert_eq!(client.check().decision.outcome.code(), Some("NEVER_CHECKED"));
}

#[test]
fn huge_body_is_no_answer() {
    let huge = |asked: &Asked| {
        let proof = asked.proof(TestKey::Active, &json!({}));
        Reply::json(200, &json!({"proof": proof, "padding": "x".repeat(1024 * 1024)}))
    };
    assert_eq!(code_of(huge).as_deref(), Some("NEVER_CHECKED"));
    // Of this answer, nothing but the length is wrong.
    let list = |_: &Asked| Reply::json(200, &json!({"data": [], "padding": "x".repeat(1024 * 1024)}));
    assert_eq!(client(&Server::new(list).url()).devices().unwrap_err().code(), "NO_ANSWER");
}

#[test]
fn refused_connection_is_no_answer() {
    // No server listens at port 1.
    let check = client("http://localhost:1").check();
    assert_eq!(check.decision.outcome.code(), Some("NEVER_CHECKED"));
    assert_eq!(check.decision.check_in, 60);
}

#[test]
fn certificate_must_be_trusted() {
    let server = Server::with_tls(valid);
    let trusting = builder(&server.url()).root_certificates(&server.certificate).build().unwrap();
    assert!(trusting.check().is_allowed());
    let other = Server::with_tls(valid);
    let wrong = builder(&server.url()).root_certificates(&other.certificate).build().unwrap();
    assert_eq!(wrong.check().decision.outcome.code(), Some("NEVER_CHECKED"));
    assert_eq!(client(&server.url()).check().decision.outcome.code(), Some("NEVER_CHECKED"));
    assert_eq!(server.asked().len(), 1, "no question is sent over a connection that is not trusted");
}

#[test]
fn retry_after_is_honoured_by_later_checks() {
    let clock = TestClock::new();
    let server = Server::new(|_| Reply::Answer(503, "retry-after: 90\r\n", String::new()));
    let client = clock.set(builder(&server.url())).build().unwrap();
    assert_eq!(client.check().decision.check_in, 90);
    clock.advance(89);
    let check = client.check();
    assert!(!check.asked);
    assert_eq!(check.decision.check_in, 1);
    clock.advance(1);
    assert!(client.check().asked);
    assert!(client.check_now().asked);
}

#[test]
fn cached_verdict_is_not_asked_again_until_it_is_due() {
    let clock = TestClock::new();
    let server = Server::new(valid);
    let client = clock.set(builder(&server.url())).build().unwrap();
    assert!(client.check().asked);
    clock.advance(DAY - 1);
    let check = client.check();
    assert!(check.is_allowed() && !check.asked);
    clock.advance(1);
    assert!(client.check().asked);
}

#[test]
fn grace_runs_and_does_not_ask_at_each_start() {
    let clock = TestClock::new();
    let server = Server::new(valid);
    let folder = tempfile::tempdir().unwrap();
    let of = |url: &str| clock.set(builder(url).state_file(folder.path().join("state"))).build().unwrap();
    assert!(of(&server.url()).check().is_allowed());
    clock.advance(2 * DAY);
    let offline = of("http://localhost:1");
    let check = offline.check();
    assert_eq!(check.decision.outcome, Outcome::AllowedInGrace { until: NOW + 9 * DAY });
    assert!(check.asked);
    assert!(!of("http://localhost:1").check().asked, "the wait is kept on disk");
    clock.advance(MINUTE);
    assert!(offline.check().asked);
    clock.advance(7 * DAY);
    assert_eq!(offline.check().decision.outcome.code(), Some("GRACE_ENDED"));
}

#[test]
fn ignored_condition_means_that_the_server_is_too_old() {
    let server = Server::new(|asked| {
        let proof = asked.proof(TestKey::Active, &json!({}));
        Reply::json(200, &json!({"proof": proof, "ignored": ["released_at"]}))
    });
    let check = client(&server.url()).check();
    assert_eq!(check.decision.outcome.code(), Some("NEVER_CHECKED"));
    assert_eq!(check.ignored, ["released_at"]);
}

#[test]
fn without_public_keys_the_answer_over_tls_counts() {
    let server = Server::with_tls(|_| {
        Reply::json(
            200,
            &json!({"valid": true, "license": {"features": {"export": true}, "expiresAt": null}}),
        )
    });
    let client =
        builder(&server.url()).public_keys([]).root_certificates(&server.certificate).build().unwrap();
    assert!(client.check().is_allowed());
    assert!(server.asked()[0].json().get("nonce").is_none());
}

#[test]
fn plain_http_is_refused_except_on_this_machine() {
    let build = |url: &str| Client::builder(url).product("editor").device_id("d").build();
    for url in ["http://licenses.example.com", "licenses.example.com", "https://me@licenses.example.com", ""]
    {
        assert!(matches!(build(url), Err(Error::InvalidServer(_))), "{url}");
    }
    assert!(build("https://licenses.example.com/licensing/").is_ok());
}

#[test]
fn debug_and_errors_do_not_show_the_key() {
    let builder = builder("http://localhost:1");
    let shown = format!("{builder:?}");
    let client = builder.build().unwrap();
    let check = client.check();
    let error = client.devices().unwrap_err();
    let code = client.begin_request().unwrap();
    let shown = format!("{shown}{client:?}{check:?}{error:?}{error}{code:?}");
    assert!(!shown.contains("KG5R"), "{shown}");
}

#[test]
fn devices_are_listed_and_released() {
    let server = Server::new(|asked| match asked.head.lines().next() {
        Some("post /api/v1/activations/list http/1.1") => Reply::json(
            200,
            &json!({
                "listed": true, "has_more": false,
                "data": [{"id": "act_1", "kind": "device", "label": null, "name": "8f14…", "current": true,
                    "first_seen_on": "2026-01-01", "last_seen_on": null}],
            }),
        ),
        _ if asked.json()["activation_id"] == "act_1" => {
            Reply::json(200, &json!({"released": true, "usage": {}}))
        }
        _ => Reply::json(
            200,
            &json!({"released": false, "error": "ACTIVATION_NOT_FOUND", "message": "There is none."}),
        ),
    });
    let client = client(&server.url());
    let devices = client.devices().unwrap();
    assert_eq!((devices[0].id.as_str(), devices[0].current), ("act_1", true));
    client.release_device("act_1").unwrap();
    assert_eq!(client.release_device("act_2").unwrap_err().code(), "ACTIVATION_NOT_FOUND");
}

#[tokio::test]
async fn asynchronous_check_answers_as_the_blocking_one() {
    let server = Server::new(valid);
    let client = client(&server.url());
    assert!(client.check_async().await.is_allowed());
    assert_eq!(client.run_async(Client::devices).await.unwrap_err().code(), "NO_ANSWER");
}

#[test]
fn background_checks_report_each_check() {
    let server = Server::new(valid);
    let (send, receive) = std::sync::mpsc::channel();
    let checks =
        client(&server.url()).check_in_background(move |check| send.send(check.is_allowed()).unwrap());
    assert_eq!(receive.recv(), Ok(true));
    checks.unwrap().stop();
    assert!(receive.recv().is_err(), "the thread has ended");
}
