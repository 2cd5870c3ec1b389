//! Limits hold at the edge and one past it.

use license_verify::{
    Answer, Digest, Error, HttpAnswer, KeyToken, Lease, Nonce, Policy, Request, Revocations, State, decide,
    limits,
};
use serde_json::{Value, json};

use crate::signer::{
    BODY, DAY, FINGERPRINT, NONCE, NOW, PRODUCT, TestKey, key_claims, lease_claims, verdict_claims, with,
};

#[path = "vectors/signer.rs"]
#[expect(dead_code, reason = "the vectors use the rest")]
mod signer;

fn policy() -> Policy {
    Policy::new(PRODUCT, FINGERPRINT).keys(signer::key_set(&json!(["active"])))
}

/// Returns a token of exactly this length, by the claim `pad`.
fn token_of(bytes: usize, sign: impl Fn(&Value) -> String) -> String {
    let mut length = bytes * 3 / 4 - sign(&json!({"pad": ""})).len();
    loop {
        let token = sign(&json!({"pad": "x".repeat(length)}));
        // No base64 text has a length of 4n + 1, so some lengths are skipped.
        if token.len() >= bytes {
            return token;
        }
        length += ((bytes - token.len()) * 3 / 4).max(1);
    }
}

#[test]
fn longest_token_is_accepted() {
    let device = Digest::of_device(PRODUCT, FINGERPRINT);
    let verify = |token: &str| {
        Lease::verify(token, &signer::key_set(&json!(["active"])), PRODUCT, &device, NOW).map(|_| ())
    };
    let sign = |pad: &Value| TestKey::Active.lease(&with(lease_claims(), pad));
    let token = token_of(limits::TOKEN_BYTES, sign);
    assert!(token.len() <= limits::TOKEN_BYTES + 1, "{}", token.len());
    let too_long = Err(Error::TokenTooLong { limit: limits::TOKEN_BYTES });
    assert_eq!(verify(&token), if token.len() == limits::TOKEN_BYTES { Ok(()) } else { too_long.clone() });
    assert_eq!(verify(&token_of(limits::TOKEN_BYTES - 1, sign)), Ok(()));
    assert_eq!(verify(&"A".repeat(limits::TOKEN_BYTES + 1)), too_long);
    assert!(matches!(verify(&"A".repeat(limits::TOKEN_BYTES)), Err(Error::TokenMalformed(_))));
}

/// A tenth of the leases, because signatures of megabytes are slow without optimisation.
#[test]
fn list_of_revocations_has_room_for_100_000_leases() {
    let ids: Vec<String> = (0..10_000).map(|index| format!("lse_{index:040}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let token = TestKey::Active.revocations(NOW, &ids);
    assert!(token.len() > limits::TOKEN_BYTES);
    assert!(10 * token.len() < limits::REVOCATIONS_BYTES);

    let keys = signer::key_set(&json!(["active"]));
    assert_eq!(Revocations::verify(&token, &keys, PRODUCT).map(|list| list.revoked.len()), Ok(10_000));
    let too_long = "A".repeat(limits::REVOCATIONS_BYTES + 1);
    let limit = limits::REVOCATIONS_BYTES;
    assert_eq!(Revocations::verify(&too_long, &keys, PRODUCT), Err(Error::TokenTooLong { limit }));
    assert!(matches!(Revocations::verify(&too_long[1..], &keys, PRODUCT), Err(Error::TokenMalformed(_))));

    let mut state = State::default();
    state.add_revocations(&token, &policy()).expect("a list");
    assert!(10 * state.to_json().len() < limits::STATE_BYTES);
    assert_eq!(State::from_json(state.to_json().as_bytes()), Ok(state));
}

#[test]
fn longest_answer_is_read() {
    let nonce = Nonce::parse(NONCE).expect("a nonce");
    let read = |length: usize| {
        let mut body = json!({"proof": TestKey::Active.verdict(&verdict_claims())}).to_string();
        body.push_str(&" ".repeat(length - body.len()));
        let http = HttpAnswer { status: 200, retry_after: None, date: None, body: body.as_bytes() };
        http.read(Request { nonce: &nonce, body: BODY.as_bytes() }, &mut State::default(), &policy())
    };
    assert!(matches!(read(limits::ANSWER_BYTES), Answer::Proven(_)));
    assert_eq!(read(limits::ANSWER_BYTES + 1), Answer::MISSING);
}

#[test]
fn state_of_another_version_or_form_is_refused() {
    let text = State::default().to_json();
    assert_eq!(State::from_json(text.as_bytes()), Ok(State::default()));
    let wrong = [
        String::new(),
        "{}".to_owned(),
        text.replace(r#""version":1"#, r#""version":2"#),
        text.replace(r#""version":1"#, r#""version":1,"version":1"#),
        text.replace(r#""version":1"#, r#""version":1,"extra":1"#),
        text[..text.len() - 1].to_owned(),
        format!("{text}{}", " ".repeat(limits::STATE_BYTES)),
    ];
    for text in wrong {
        assert!(matches!(State::from_json(text.as_bytes()), Err(Error::StateMalformed(_))), "{text:.80}");
    }
}

/// Each rotation is signed by the key before it, and only the first key was built in.
#[test]
fn chain_of_rotations_is_followed_up_to_its_limit() {
    let mut state = State::default();
    let policy = policy();
    let chain: Vec<_> =
        (0..=limits::LEARNED_KEY_TOKENS).map(|index| rotated(u8::try_from(index).expect("small"))).collect();
    let sign = |signer: &ed25519_dalek::SigningKey, next: &ed25519_dalek::SigningKey| {
        let id = |key: &ed25519_dalek::SigningKey| {
            license_verify::PublicKey::from_bytes(key.verifying_key().as_bytes()).expect("a sound key")
        };
        let header = json!({"alg": "EdDSA", "kid": id(signer).id(), "typ": "license-keys+jwt"});
        let jwk: Value = serde_json::from_str(&id(next).to_jwk()).expect("JSON");
        let claims = with(key_claims(), &json!({"keys": [jwk]}));
        let signed = format!(
            "{}.{}",
            signer::encode(header.to_string().as_bytes()),
            signer::encode(claims.to_string().as_bytes())
        );
        let signature = ed25519_dalek::Signer::sign(signer, signed.as_bytes()).to_bytes();
        format!("{signed}.{}", signer::encode(&signature))
    };
    let mut signer = TestKey::Active.signing();
    for (index, next) in chain.iter().enumerate() {
        let result = state.learn_keys(&sign(&signer, next), NOW, &policy);
        if index < limits::LEARNED_KEY_TOKENS {
            assert_eq!(result, Ok(()), "{index}");
            assert_eq!(state.trusted_keys(&policy).ids().count(), index + 2);
        } else {
            assert_eq!(result, Err(Error::TooManyKeyTokens));
        }
        signer = next.clone();
    }
    assert_eq!(State::from_json(state.to_json().as_bytes()), Ok(state));
}

fn rotated(index: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[index + 1; 32])
}

/// A server that names all its keys in each token needs one token in the state, however often it rotates.
#[test]
fn newest_key_token_replaces_those_that_it_covers() {
    let mut state = State::default();
    let policy = policy();
    for day in 0..100 {
        let keys = [TestKey::Active.jwk(), TestKey::Next.jwk(), TestKey::Later.jwk()];
        let known = usize::try_from(day % 3).expect("small") + 1;
        let claims = json!({"iat": NOW + day, "keys": keys[..known]});
        state
            .learn_keys(&TestKey::Active.keys(&with(key_claims(), &claims)), NOW, &policy)
            .expect("a key token");
    }
    assert_eq!(state.trusted_keys(&policy).ids().count(), 3);
    let stored: Value = serde_json::from_str(&state.to_json()).expect("JSON");
    assert_eq!(stored["key_tokens"].as_array().map(Vec::len), Some(1));
}

#[test]
fn key_token_is_accepted_for_five_minutes_after_its_end() {
    let keys = signer::key_set(&json!(["active"]));
    let token = TestKey::Active.keys(&key_claims());
    let end = NOW + 90 * DAY;
    assert!(KeyToken::verify(&token, &keys, PRODUCT, end + 300).is_ok());
    assert_eq!(KeyToken::verify(&token, &keys, PRODUCT, end + 301), Err(Error::TokenExpired { at: end }));
}

#[test]
fn oldest_returned_leases_are_forgotten_beyond_the_limit() {
    let mut state = State::default();
    let policy = policy();
    let lease =
        |index: usize| TestKey::Active.lease(&with(lease_claims(), &json!({"jti": format!("lse_{index}")})));
    for index in 0..=limits::RETURNED_LEASES {
        state.add_lease(&lease(index), NOW, &policy).expect("a lease");
        state.return_lease(NOW, &policy).expect("a code");
    }
    for index in 1..=limits::RETURNED_LEASES {
        assert_eq!(state.add_lease(&lease(index), NOW, &policy), Err(Error::LeaseReturned), "{index}");
    }
    assert!(state.add_lease(&lease(0), NOW, &policy).is_ok());
    assert!(decide(NOW, &mut state, &Answer::NotAsked, &policy).outcome.is_allowed());
}
