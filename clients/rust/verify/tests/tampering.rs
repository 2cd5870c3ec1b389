//! Changed tokens, files, codes and states are refused, and no input makes the crate panic.

use std::sync::LazyLock;

use license_verify::{
    Answer, Digest, Error, Features, HttpAnswer, KeySet, KeyToken, Lease, LicenseFile, Nonce, Outcome,
    Policy, ProvenVerdict, PublicKey, ReleaseCode, Request, RequestCode, Revocations, State, UnprovenVerdict,
    decide,
};
use proptest::prelude::*;
use serde_json::json;

use crate::signer::{
    BODY, FINGERPRINT, NONCE, NOW, PRODUCT, TestKey, key_claims, lease_claims, verdict_claims, with,
};

#[path = "vectors/signer.rs"]
#[expect(dead_code, reason = "the vectors use the rest")]
mod signer;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| signer::key_set(&json!(["active"])));

fn verify_verdict(token: &str) -> Result<ProvenVerdict, Error> {
    ProvenVerdict::verify(token, &KEYS, PRODUCT, &Nonce::parse(NONCE).expect("a nonce"), BODY.as_bytes())
}

/// Whether a token is accepted as each of the types.
fn is_accepted(token: &str) -> [bool; 4] {
    [
        Lease::verify(token, &KEYS, PRODUCT, &Digest::of_device(PRODUCT, FINGERPRINT), NOW).is_ok(),
        verify_verdict(token).is_ok(),
        Revocations::verify(token, &KEYS, PRODUCT).is_ok(),
        KeyToken::verify(token, &KEYS, PRODUCT, NOW).is_ok(),
    ]
}

/// One token of each type.
fn tokens() -> [String; 4] {
    [
        TestKey::Active.lease(&lease_claims()),
        TestKey::Active.verdict(&verdict_claims()),
        TestKey::Active.revocations(NOW, &["lse_0001"]),
        TestKey::Active.keys(&key_claims()),
    ]
}

#[test]
fn token_is_accepted_as_its_own_type_only() {
    for (index, token) in tokens().iter().enumerate() {
        let mut expected = [false; 4];
        expected[index] = true;
        assert_eq!(is_accepted(token), expected);
    }
}

#[test]
fn every_changed_character_of_a_token_is_refused() {
    for token in tokens() {
        for index in 0..token.len() {
            let right = token.as_bytes()[index];
            for wrong in [if right == b'A' { b'B' } else { b'A' }, if right == b'.' { b'=' } else { b'.' }] {
                let mut bytes = token.clone().into_bytes();
                bytes[index] = wrong;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert_eq!(is_accepted(&changed), [false; 4], "character {index} of {token}");
            }
        }
    }
}

#[test]
fn every_cut_and_repeated_token_is_refused() {
    for token in tokens() {
        for length in 0..token.len() {
            assert_eq!(is_accepted(&token[..length]), [false; 4]);
            assert_eq!(is_accepted(&token[token.len() - length..]), [false; 4]);
        }
        assert_eq!(is_accepted(&token.repeat(2)), [false; 4]);
    }
}

#[test]
fn parts_of_two_tokens_are_refused() {
    let tokens = tokens();
    let parts: Vec<Vec<&str>> = tokens.iter().map(|token| token.split('.').collect()).collect();
    for (index, header) in parts.iter().enumerate() {
        for (other, payload) in parts.iter().enumerate() {
            for signature in [header[2], payload[2]] {
                if index != other {
                    assert_eq!(is_accepted(&format!("{}.{}.{signature}", header[0], payload[1])), [false; 4]);
                }
            }
        }
    }
}

/// A verdict that only TLS protected, in a state of software that was built without keys.
#[test]
fn verdict_without_proof_does_not_count_with_keys() {
    let nonce = Nonce::parse(NONCE).expect("a nonce");
    let body = br#"{"valid":true,"license":{"features":{},"expiresAt":null}}"#;
    let http = HttpAnswer { status: 200, retry_after: None, date: None, body };
    let tls_only = Policy::new(PRODUCT, FINGERPRINT);
    let mut state = State::default();
    let answer = http.read(Request { nonce: &nonce, body: b"{}" }, &mut state, &tls_only);
    assert!(matches!(answer, Answer::Unproven(_)));
    assert!(decide(NOW, &mut state, &answer, &tls_only).outcome.is_allowed());

    let with_keys = tls_only.keys(KEYS.clone());
    assert_eq!(http.read(Request { nonce: &nonce, body: b"{}" }, &mut state, &with_keys), Answer::MISSING);
    for answer in [&Answer::NotAsked, &answer] {
        let outcome = decide(NOW, &mut state, answer, &with_keys).outcome;
        assert_eq!(outcome.code(), Some("NEVER_CHECKED"));
    }
    // Nor does it replace a proof.
    let mut state = State::default();
    let proven = verify_verdict(&TestKey::Active.verdict(&verdict_claims())).expect("a proof");
    decide(NOW, &mut state, &Answer::Proven(proven), &with_keys);
    let decision = decide(NOW, &mut state, &answer, &with_keys);
    assert_eq!((decision.outcome, decision.check_in), (Outcome::Allowed, 60));
}

/// Software without keys trusts no signature, so a proof is as good as none.
#[test]
fn proof_does_not_count_without_keys() {
    let proven = verify_verdict(&TestKey::Active.verdict(&verdict_claims())).expect("a proof");
    let policy = Policy::new(PRODUCT, FINGERPRINT);
    let mut state = State::default();
    let denial = UnprovenVerdict {
        error: Some("LICENSE_REVOKED".to_owned()),
        features: Features::new(),
        lic_exp: None,
        date: None,
    };
    decide(NOW, &mut state, &Answer::Unproven(denial), &policy);
    let decision = decide(NOW, &mut state, &Answer::Proven(proven), &policy);
    assert_eq!((decision.outcome.code(), decision.check_in), (Some("LICENSE_REVOKED"), 60));
}

/// The owner of the machine can edit the state, but not the tokens in it.
#[test]
fn edited_state_grants_nothing() {
    let policy = Policy::new(PRODUCT, FINGERPRINT).keys(KEYS.clone());
    let mut state = State::default();
    let denial = with(verdict_claims(), &json!({"valid": false, "error": "LICENSE_REVOKED", "features": {}}));
    let proven = verify_verdict(&TestKey::Active.verdict(&denial)).expect("a proof");
    decide(NOW, &mut state, &Answer::Proven(proven), &policy);
    let forged = [
        json!({"proven": {"token": TestKey::Attacker.verdict(&verdict_claims())}}),
        json!({"proven": {"token": "e30.e30.AA"}}),
        json!({"unproven": {"error": null, "features": {}, "lic_exp": null, "at": NOW}}),
    ];
    for verdict in forged {
        for lease in [json!(null), json!(TestKey::Attacker.lease(&lease_claims())), json!("e30.e30.AA")] {
            let stored: serde_json::Value = serde_json::from_str(&state.to_json()).expect("JSON");
            let keys =
                TestKey::Attacker.keys(&with(key_claims(), &json!({"keys": [TestKey::Attacker.jwk()]})));
            let edited = with(stored, &json!({"verdict": verdict, "lease": lease, "key_tokens": [keys]}));
            let mut edited = State::from_json(edited.to_string().as_bytes()).expect("a state");
            assert!(
                !decide(NOW, &mut edited, &Answer::NotAsked, &policy).outcome.is_allowed(),
                "{verdict} {lease}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_change_of_a_token_is_refused(
        which in 0_usize..4,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..4),
    ) {
        let token = &tokens()[which];
        let mut characters: Vec<char> = token.chars().collect();
        for (index, wrong) in changes {
            let index = index.index(characters.len());
            characters[index] = wrong;
        }
        let changed: String = characters.into_iter().collect();
        prop_assume!(changed != *token);
        prop_assert_eq!(is_accepted(&changed), [false; 4]);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,200}|[A-Za-z0-9_.~ -]{0,200}|LRE[QL]1-[0-9A-Z-]{0,80}") {
        prop_assert_eq!(is_accepted(&text), [false; 4]);
        let _ = (PublicKey::parse(&text), PublicKey::from_jwk(&text), Nonce::parse(&text));
        let _ = (LicenseFile::parse(&text), RequestCode::parse(&text), ReleaseCode::parse(&text));
        prop_assert!(State::from_json(text.as_bytes()).is_err());
    }

    /// A signed token can have any claims, such as those of a broken server.
    #[test]
    fn no_signed_claims_make_a_decision_panic(
        claim in prop::sample::select(vec![
            "iat", "nbf", "exp", "lic_exp", "upd_until", "refresh_after", "ver", "features", "jti", "nonce", "keys",
            "revoked", "valid", "error", "status",
        ]),
        value in prop_oneof![
            any::<i64>().prop_map(|number| json!(number)),
            (0_i64..=253_402_300_799).prop_map(|number| json!(number)),
            any::<bool>().prop_map(|value| json!(value)),
            ".{0,20}".prop_map(|text| json!(text)),
            Just(json!(null)),
            Just(json!([{"kty": "OKP"}])),
        ],
        now in prop_oneof![any::<i64>(), (NOW - 100_000_000)..(NOW + 100_000_000)],
    ) {
        let policy = Policy::new(PRODUCT, FINGERPRINT).keys(KEYS.clone());
        let mut state = State::default();
        let changed = json!({claim: value});
        let _ = state.add_lease(&TestKey::Active.lease(&with(lease_claims(), &changed)), now, &policy);
        let _ = state.learn_keys(&TestKey::Active.keys(&with(key_claims(), &changed)), now, &policy);
        let answer = verify_verdict(&TestKey::Active.verdict(&with(verdict_claims(), &changed)));
        for answer in [answer.map_or(Answer::MISSING, Answer::Proven), Answer::NotAsked] {
            let _ = decide(now, &mut state, &answer, &policy);
            prop_assert!(State::from_json(state.to_json().as_bytes()).as_ref() == Ok(&state));
        }
        let _ = state.return_lease(now, &policy);
    }

    #[test]
    fn no_body_makes_an_answer_panic(status in any::<u16>(), body in any::<Vec<u8>>(), retry_after in ".{0,30}") {
        let nonce = Nonce::parse(NONCE).expect("a nonce");
        for keys in [KEYS.clone(), KeySet::default()] {
            let policy = Policy::new(PRODUCT, FINGERPRINT).keys(keys);
            let http = HttpAnswer { status, retry_after: Some(&retry_after), date: Some(i64::MIN), body: &body };
            let request = Request { nonce: &nonce, body: b"{}" };
            let answer = http.read(request, &mut State::default(), &policy);
            prop_assert!(matches!(answer, Answer::Missing { .. }), "{answer:?}");
        }
    }
}
