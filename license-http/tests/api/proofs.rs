//! Signed verdicts, as licensed software verifies them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use license_core::access::{Actor, Principal};
use license_core::service::SigningKeyService;
use license_core::signing::{PublicKey, SignerError, SigningKeyPair, TokenAlgorithm, TokenSigner};
use license_http::{LimitOptions, RateLimits};
use license_store::faults::Fault;
use license_store::memory::MemoryStore;
use license_verify::{
    Answer, Error, HttpAnswer, KeySet, KeyToken, Nonce, Policy, ProvenVerdict, PublicKey as TrustedKey,
    Request, State, Verdict, decide,
};
use serde_json::{Value, json};

use super::app::{NOW, TestApp, fault_store};
use super::call::{Call, Reply};

fn nonce() -> Nonce {
    Nonce::from_random(&[7; 16]).unwrap()
}

fn trusted(key: PublicKey) -> KeySet {
    KeySet::new([TrustedKey::from_bytes(key.as_bytes()).unwrap()])
}

/// The key that software is built with.
fn built_in(app: &TestApp) -> KeySet {
    trusted(app.services.signing.active_key().unwrap())
}

/// A request with a nonce, and its answer.
struct Asked {
    body: String,
    reply: Reply,
}

impl Asked {
    async fn of(app: &TestApp, mut body: Value) -> Self {
        body["nonce"] = nonce().to_text().into();
        Self::text(app, body.to_string()).await
    }

    async fn text(app: &TestApp, body: String) -> Self {
        let call = Call::new("POST", "/api/v1/validate").json_text(body.clone());
        Self { body, reply: call.send(&app.router).await }
    }

    fn proof(&self) -> String {
        self.reply.json()["proof"].as_str().unwrap().to_owned()
    }

    fn verified(&self, keys: &KeySet, product: &str) -> Result<Verdict, Error> {
        let body = self.body.as_bytes();
        let proven = ProvenVerdict::verify(&self.proof(), keys, product, &nonce(), body)?;
        Ok(proven.verdict().clone())
    }
}

fn seconds(time: &str) -> i64 {
    time.parse::<DateTime<chrono::Utc>>().unwrap().timestamp()
}

#[tokio::test]
async fn valid_verdict_is_proven_with_all_claims() {
    let app = TestApp::new().await;
    let license = app.issue("editor").await;
    let asked = Asked::of(&app, json!({ "key": license.key, "product": "editor" })).await;
    let verdict = asked.verified(&built_in(&app), "editor").unwrap();
    let now = seconds(NOW);
    let expected = json!({
        "iss": "license-server", "aud": "editor", "nonce": nonce().to_text(),
        "req": license_verify::Digest::of_body(asked.body.as_bytes()).to_text(),
        "status": 200, "valid": true, "error": null, "features": { "export": true }, "product": "editor",
        "lic_exp": null, "iat": now, "exp": now + 86_400,
    });
    assert_eq!(serde_json::to_value(&verdict).unwrap(), expected);
    assert_eq!(asked.reply.json()["valid"], true);
    assert!(asked.reply.json().get("key_tokens").is_none(), "no key is retiring");
}

#[tokio::test]
async fn denial_unknown_key_and_malformed_key_are_proven() {
    let app = TestApp::new().await;
    let revoked = app.issue("editor").await;
    app.delete(&revoked.path).await;
    let rotated = app.issue("editor").await;
    app.post(&format!("{}/rotate-key", rotated.path)).await;
    let other = app.issue("starter").await;
    let expired = app.issue("starter").await;
    app.put(&expired.path, json!({ "expires_at": NOW })).await;
    for (body, status, aud, error, product, lic_exp) in [
        (
            json!({ "key": revoked.key, "product": "editor" }),
            200,
            "editor",
            "LICENSE_REVOKED",
            Some("editor"),
            None,
        ),
        (json!({ "key": rotated.key, "product": "editor" }), 404, "editor", "LICENSE_NOT_FOUND", None, None),
        (json!({ "key": rotated.key }), 404, "default", "LICENSE_NOT_FOUND", None, None),
        (
            json!({ "key": "TO-7K3F", "product": "editor" }),
            400,
            "editor",
            "LICENSE_KEY_MALFORMED",
            None,
            None,
        ),
        (json!({ "key": "", "product": "no name" }), 400, "default", "LICENSE_KEY_MALFORMED", None, None),
        (json!({ "key": other.key, "product": "editor" }), 200, "editor", "PRODUCT_MISMATCH", None, None),
        // The denial says nothing about the license, and software of the default product can read it.
        (json!({ "key": revoked.key }), 200, "default", "PRODUCT_REQUIRED", None, None),
        (
            json!({ "key": expired.key }),
            200,
            "default",
            "LICENSE_EXPIRED",
            Some("default"),
            Some(seconds(NOW)),
        ),
    ] {
        let asked = Asked::of(&app, body).await;
        let verdict =
            asked.verified(&built_in(&app), aud).unwrap_or_else(|error| panic!("{error}: {}", asked.body));
        assert_eq!(asked.reply.fault().1, error);
        assert_eq!(
            (
                asked.reply.status,
                verdict.status,
                verdict.valid,
                verdict.error.as_deref(),
                verdict.product.as_deref()
            ),
            (status, status, false, Some(error), product),
            "{}",
            asked.body
        );
        assert_eq!((verdict.lic_exp, verdict.features.is_empty()), (lic_exp, true), "{}", asked.body);
    }
}

#[tokio::test]
async fn end_of_license_includes_its_grace() {
    let app = TestApp::new().await;
    let plan = license_core::Plan::new("graceful").term_days(30).grace_days(3);
    app.services.catalog.create_plan(&plan).await.unwrap();
    let license = app.issue("graceful").await;
    let asked = Asked::of(&app, json!({ "key": license.key })).await;
    let verdict = asked.verified(&built_in(&app), "default").unwrap();
    assert_eq!(verdict.lic_exp, Some(seconds(NOW) + 33 * 86_400));
}

#[tokio::test]
async fn every_byte_of_the_body_is_bound() {
    let app = TestApp::new().await;
    let license = app.issue("editor").await;
    // A byte order mark and white space are parts of the body.
    let text = format!(
        "\u{feff}{{\"key\": \"{}\", \"product\":\"editor\",\"nonce\":\"{}\" }}\n",
        license.key,
        nonce().to_text()
    );
    let asked = Asked::text(&app, text).await;
    let keys = built_in(&app);
    assert_eq!(asked.verified(&keys, "editor").map(|verdict| verdict.valid), Ok(true));
    let proof = asked.proof();
    for position in 0..asked.body.len() {
        let mut body = asked.body.clone().into_bytes();
        body[position] ^= 1;
        let verified = ProvenVerdict::verify(&proof, &keys, "editor", &nonce(), &body);
        assert_eq!(verified, Err(Error::WrongRequest), "{position}");
    }
}

#[tokio::test]
async fn answer_without_a_nonce_or_a_verdict_has_no_proof() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for body in [
        json!({ "key": license.key }),
        json!({ "key": license.key, "nonce": null }),
        json!({ "key": "TO-7K3F" }),
        json!({ "key": license.key, "domain": "..", "nonce": nonce().to_text() }),
        json!({ "key": license.key, "product": "No Name", "nonce": nonce().to_text() }),
        json!({ "key": license.key, "unknown": 1, "nonce": nonce().to_text() }),
    ] {
        let reply = app.validate(body.clone()).await;
        assert!(!reply.text().contains("proof") && !reply.text().contains("key_tokens"), "{body}");
    }
    let text = json!({ "key": license.key, "nonce": nonce().to_text() }).to_string();
    let call = Call::new("POST", "/api/v1/validate").header("content-type", "text/plain").body(text);
    let reply = call.send(&app.router).await;
    assert!(reply.status == 415 && reply.json().get("proof").is_none());
}

#[tokio::test(start_paused = true)]
async fn call_past_the_rate_of_its_key_has_no_proof() {
    let mut rates = RateLimits::default();
    rates.per_key = "1/s:1".parse().unwrap();
    let mut options = LimitOptions::default();
    options.rate_limits = Some(rates);
    let app = TestApp::new().await.within(&options);
    let license = app.issue("editor").await;
    let ask = || Asked::of(&app, json!({ "key": license.key, "product": "editor" }));
    assert!(ask().await.verified(&built_in(&app), "editor").unwrap().valid);
    let limited = ask().await.reply;
    assert_eq!((limited.status, limited.json().get("proof")), (429, None));
}

#[tokio::test]
async fn invalid_nonce_is_named_and_nothing_is_counted() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for nonce in [
        json!(""),
        json!("BwcHBwcHBwcHBwcHBwcH"),
        json!("B".repeat(87)),
        json!("BwcHBwcHBwcHBwcHBwcHBw=="),
        json!(7),
    ] {
        let reply = app.validate(json!({ "key": license.key, "nonce": nonce })).await;
        assert_eq!(reply.fault(), (400, "BAD_REQUEST".to_owned(), Some("nonce".to_owned())), "{nonce}");
    }
    let reply = app.validate(json!({ "key": license.key, "nonce": "short" })).await;
    let expected = "The nonce must be base64url, without padding, of 16 to 64 random bytes.";
    assert_eq!(reply.json()["message"], expected);
    assert_eq!(app.get(&license.path).await.json()["validation_count"], 0);
}

#[tokio::test]
async fn lenient_answer_has_its_proof_and_the_ignored_fields() {
    let app = TestApp::new().await;
    let license = app.issue("editor").await;
    let body =
        json!({ "key": license.key, "product": "editor", "zz": 1, "nonce": nonce().to_text() }).to_string();
    let call =
        Call::new("POST", "/api/v1/validate").json_text(body.clone()).header("prefer", "handling=lenient");
    let asked = Asked { reply: call.send(&app.router).await, body };
    assert_eq!(asked.reply.json()["ignored"], json!(["zz"]));
    assert!(asked.verified(&built_in(&app), "editor").unwrap().valid);
}

fn by_operator(app: &TestApp) -> SigningKeyService {
    app.services.signing_keys.by(&Arc::new(Actor::new(Principal::CommandLine)))
}

/// Asks as software that was built with these keys, and returns the answer that it believes.
fn believed(asked: &Asked, state: &mut State, policy: &Policy) -> Answer {
    let body = asked.reply.text().as_bytes();
    let answer = HttpAnswer { status: asked.reply.status, retry_after: None, date: None, body };
    answer.read(Request { nonce: &nonce(), body: asked.body.as_bytes() }, state, policy)
}

#[tokio::test]
async fn software_with_the_old_key_learns_the_next_one() {
    let app = TestApp::new().await;
    let license = app.issue("editor").await;
    let old = built_in(&app);
    let policy = Policy::new("editor", "machine-1").keys(old.clone());
    by_operator(&app).rotate(false).await.unwrap();
    // The job that retires keys does not take the path away.
    app.advance(TimeDelta::days(29));
    app.services.clock.look().await.unwrap();
    app.services.signing_keys.retire().await.unwrap();
    let asked = Asked::of(&app, json!({ "key": license.key, "product": "editor" })).await;
    assert_eq!(
        asked.reply.json()["key_tokens"].as_array().map(Vec::len),
        Some(3),
        "retiring, active and next"
    );
    assert_eq!(asked.verified(&old, "editor"), Err(Error::UnknownKey));
    let mut state = State::default();
    let answer = believed(&asked, &mut state, &policy);
    assert!(matches!(answer, Answer::Proven(_)), "{answer:?}");
    let decision = decide(seconds(NOW) + 29 * 86_400, &mut state, &answer, &policy);
    assert!(matches!(decision.outcome, license_verify::Outcome::Allowed), "{decision:?}");
    // It trusts all published keys, so the second rotation needs no key token.
    assert_eq!(state.trusted_keys(&policy).ids().count(), 3);
}

#[tokio::test]
async fn key_tokens_of_an_attacker_teach_nothing() {
    let (app, attacker) = (TestApp::new().await, signed_by(SigningKeyPair::from_seed(&[9; 32])).await);
    let license = attacker.issue("editor").await;
    let policy = Policy::new("editor", "machine-1").keys(built_in(&app));
    let mut asked = Asked::of(&attacker, json!({ "key": license.key, "product": "editor" })).await;
    let mut body = asked.reply.json();
    body["key_tokens"] = json!(attacker.services.signing.key_tokens("editor").await.unwrap());
    asked.reply.body = body.to_string().into_bytes();
    let mut state = State::default();
    assert!(matches!(believed(&asked, &mut state, &policy), Answer::Missing { .. }));
    assert_eq!(state.trusted_keys(&policy), built_in(&app));
}

#[tokio::test]
async fn revoked_key_is_dropped_by_key_tokens() {
    let app = TestApp::new().await;
    let first = app.services.signing.active_key().unwrap();
    let tokens = app.services.signing.key_tokens("editor").await.unwrap();
    assert_eq!(tokens.len(), 1, "only the active key signs");
    let mut keys = trusted(first);
    KeyToken::verify(&tokens[0], &keys, "editor", seconds(NOW)).unwrap().teach(&mut keys);
    by_operator(&app).revoke(&first.id()).await.unwrap();
    let tokens = app.services.signing.key_tokens("editor").await.unwrap();
    KeyToken::verify(&tokens[0], &keys, "editor", seconds(NOW)).unwrap().teach(&mut keys);
    assert_eq!(keys.get(first.id().as_str()), Err(Error::RevokedKey));
    assert_eq!(keys.ids().count(), 2, "the active and the next key");
}

/// A signer that another process could have.
struct ForeignSigner {
    pair: SigningKeyPair,
    /// The key that it shows, if it is not its own.
    shown: SigningKeyPair,
    fails: AtomicBool,
}

impl fmt::Debug for ForeignSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeignSigner")
    }
}

#[async_trait]
impl TokenSigner for ForeignSigner {
    fn public_key(&self) -> PublicKey {
        self.shown.public()
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(SignerError::new("the module is busy: slot 7"));
        }
        Ok(self.pair.sign(message))
    }
}

async fn signed_by(pair: SigningKeyPair) -> TestApp {
    TestApp::over_with(Arc::new(MemoryStore::new()), |options| options.token_signer(Arc::new(pair))).await
}

#[tokio::test]
async fn foreign_signer_signs_and_is_published_alone() {
    let pair = SigningKeyPair::from_seed(&[9; 32]);
    let app = signed_by(pair.clone()).await;
    let license = app.issue("editor").await;
    by_operator(&app).rotate(false).await.unwrap();
    let asked = Asked::of(&app, json!({ "key": license.key, "product": "editor" })).await;
    assert!(asked.verified(&trusted(pair.public()), "editor").unwrap().valid);
    assert!(asked.reply.json().get("key_tokens").is_none(), "the keys of the database do not matter");
    let jwks = Call::new("GET", "/api/v1/jwks.json").send(&app.router).await.json();
    assert_eq!(jwks, json!({ "keys": [pair.public().to_jwk()] }));
    let tokens = app.services.signing.key_tokens("editor").await.unwrap();
    let token = KeyToken::verify(&tokens[0], &trusted(pair.public()), "editor", seconds(NOW)).unwrap();
    assert_eq!((tokens.len(), token.keys.len()), (1, 1));
}

#[tokio::test]
async fn failing_signer_is_503_and_never_an_unsigned_verdict() {
    let (pair, other) = (SigningKeyPair::from_seed(&[9; 32]), SigningKeyPair::from_seed(&[8; 32]));
    for (shown, fails) in [(pair.clone(), true), (other, false)] {
        let signer = Arc::new(ForeignSigner { pair: pair.clone(), shown, fails: AtomicBool::new(fails) });
        let configured = Arc::clone(&signer);
        let store = Arc::new(MemoryStore::new());
        let app = TestApp::over_with(store, |options| options.token_signer(configured)).await;
        let license = app.issue("editor").await;
        let body = json!({ "key": license.key, "product": "editor", "fingerprint": "a" });
        for body in [body.clone(), json!({ "key": "x" })] {
            let asked = Asked::of(&app, body).await;
            assert_eq!(asked.reply.fault(), (503, "SIGNING_UNAVAILABLE".to_owned(), None));
            assert_eq!(asked.reply.header("retry-after"), Some("1"));
            assert!(!asked.reply.text().contains("slot 7") && asked.reply.json()["valid"] == false);
        }
        // The validation took its slot as one whose answer was lost: the retry takes no other.
        signer.fails.store(false, Ordering::Relaxed);
        let usage = app.validate(body).await.json()["usage"].clone();
        assert_eq!(usage["devices"], json!({ "used": 1, "limit": 1 }));
    }
}

#[tokio::test]
async fn unreachable_store_has_no_verdict_to_sign() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    store.set(Fault::Unavailable);
    let asked = Asked::of(&app, json!({ "key": license.key })).await;
    assert_eq!((asked.reply.status, asked.reply.json().get("proof")), (503, None));
}

#[tokio::test]
async fn issuer_and_algorithm_are_those_of_the_options() {
    let store = Arc::new(MemoryStore::new());
    let app = TestApp::over_with(store, |options| {
        options.issuer("https://licenses.example.com").token_algorithm(TokenAlgorithm::Ed25519)
    })
    .await;
    let asked = Asked::of(&app, json!({ "key": "x" })).await;
    let verdict = asked.verified(&built_in(&app), "default").unwrap();
    assert_eq!(verdict.iss, "https://licenses.example.com");
    let header = "eyJhbGciOiJFZDI1NTE5Iiwi";
    assert!(asked.proof().starts_with(header), "base64url of {{\"alg\":\"Ed25519\"");
}

#[tokio::test]
async fn keys_are_at_the_root_of_the_host_if_the_program_wants() {
    let app = TestApp::new().await;
    let call = Call::new("GET", "/.well-known/jwks.json");
    assert_eq!(call.send(&app.router).await.status, 404);
    let (app, _) = TestApp::with_access().await;
    let jwks = Call::new("GET", "/api/v1/jwks.json").send(&app.router).await;
    assert_eq!(call.send(&app.router).await.json(), jwks.json());
}
