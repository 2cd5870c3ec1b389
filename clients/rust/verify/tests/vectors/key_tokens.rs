//! `key_tokens.json`: public keys, and sequences of key tokens that software learns from.

use license_verify::limits;
use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::signer::{DAY, NOW, PRODUCT, TestKey, encode, key_claims, lease_claims, with};

/// `public_keys.json`.
pub(crate) fn public_keys() -> Value {
    let x = TestKey::Active.jwk()["x"].clone();
    let jwk = |changes: &Value| with(TestKey::Active.jwk(), changes);
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut order_8 = [0; 32];
    let hex = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    for (index, byte) in order_8.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hex");
    }
    // y = 3 + p, another text of the point with y = 3.
    let mut not_canonical = [0xff; 32];
    (not_canonical[0], not_canonical[31]) = (0xf0, 0x7f);
    let key = |bytes: &[u8]| json!({"kty": "OKP", "crv": "Ed25519", "x": encode(bytes)});
    let case =
        |name: &str, jwk: Value, error: Option<&str>| json!({"name": name, "jwk": jwk, "error": error});
    let malformed = Some("KEY_MALFORMED");
    json!({
        "about": "Each JWK with the code of its error; null: the key is accepted.",
        "cases": [
            case("key", jwk(&json!({})), None),
            case("key without kid and use", json!({"kty": "OKP", "crv": "Ed25519", "x": x}), None),
            case("key with alg EdDSA", jwk(&json!({"alg": "EdDSA"})), None),
            case("key with alg HS256", jwk(&json!({"alg": "HS256"})), malformed),
            case("key for encryption", jwk(&json!({"use": "enc"})), malformed),
            case("kid that is no thumbprint", jwk(&json!({"kid": "key-1"})), malformed),
            case("private key", jwk(&json!({"d": encode(&[1; 32])})), malformed),
            case("key of another curve", jwk(&json!({"crv": "X25519"})), malformed),
            case("key of another kind", jwk(&json!({"kty": "oct"})), malformed),
            case("key of 31 bytes", key(&[3; 31]), malformed),
            case("no point of the curve", key(&[&[2_u8][..], &[0; 31]].concat()), malformed),
            case("other text of a point", key(&not_canonical), malformed),
            case("neutral point", key(&neutral), Some("WEAK_KEY")),
            case("point of order 8", key(&order_8), Some("WEAK_KEY")),
            case("zeros", key(&[0; 32]), Some("WEAK_KEY")),
        ],
    })
}

/// `key_tokens.json`.
#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) fn document() -> Value {
    let new = |name: &str| Scenario::new(name);
    let ids = |keys: &[TestKey]| keys.iter().map(|key| key.id()).collect::<Vec<_>>();
    let only = ids(&[TestKey::Active]);
    let both = ids(&[TestKey::Active, TestKey::Next]);
    let claims = |changes: &Value| with(key_claims(), changes);
    let by = |key: TestKey, changes: &Value| key.keys(&claims(changes));
    let token = TestKey::Active.keys(&key_claims());
    let later = json!({"iat": NOW + DAY, "keys": [TestKey::Next.jwk(), TestKey::Later.jwk()]});
    let revoke =
        |keys: &[TestKey], iat: i64| json!({"iat": iat, "keys": [TestKey::Next.jwk()], "revoked": ids(keys)});
    let weak = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&[0; 32])});
    let private = with(TestKey::Next.jwk(), &json!({"d": encode(&[1; 32])}));
    let refused = |name: &str, token: String, error: &str| {
        new(name).learn(NOW, &token, Some(error)).trusts(&only).done()
    };
    let lease_of_next = TestKey::Next.lease(&lease_claims());
    let lease_of_active = TestKey::Active.lease(&lease_claims());
    let cases = [
        new("key token of a trusted key").learn(NOW, &token, None).trusts(&both).done(),
        new("key that was learned signs a lease")
            .lease(NOW, &lease_of_next, Some("UNKNOWN_KEY"))
            .learn(NOW, &token, None)
            .lease(NOW, &lease_of_next, None)
            .done(),
        new("key that was learned introduces another")
            .learn(NOW, &by(TestKey::Next, &later), Some("UNKNOWN_KEY"))
            .learn(NOW, &token, None)
            .learn(NOW, &by(TestKey::Next, &later), None)
            .trusts(&ids(&[TestKey::Active, TestKey::Next, TestKey::Later]))
            .done(),
        new("key token at the end of its tolerance").learn(NOW + 90 * DAY + 300, &token, None).done(),
        new("expired key token")
            .learn(NOW + 90 * DAY + 301, &token, Some("TOKEN_EXPIRED"))
            .trusts(&only)
            .done(),
        new("learned keys outlast their token")
            .learn(NOW, &token, None)
            .not_asked(NOW + 365 * DAY, "NEVER_CHECKED")
            .trusts(&both)
            .done(),
        new("key token of the future")
            .learn(NOW - DAY - 1, &token, Some("CLOCK_ROLLED_BACK"))
            .trusts(&only)
            .done(),
        refused("key token of an unknown key", by(TestKey::Attacker, &json!({})), "UNKNOWN_KEY"),
        refused(
            "key token of the key that it introduces",
            by(TestKey::Attacker, &json!({"keys": [TestKey::Attacker.jwk()]})),
            "UNKNOWN_KEY",
        ),
        refused(
            "key token forged under the id of a trusted key",
            TestKey::Attacker.sign(&TestKey::Active.header("license-keys+jwt"), &key_claims()),
            "BAD_SIGNATURE",
        ),
        refused(
            "key token of another product",
            by(TestKey::Active, &json!({"aud": "viewer"})),
            "WRONG_PRODUCT",
        ),
        refused("lease as a key token", lease_of_active.clone(), "WRONG_TYPE"),
        refused("JWKS", json!({"keys": [TestKey::Next.jwk()]}).to_string(), "TOKEN_MALFORMED"),
        refused("weak key", by(TestKey::Active, &json!({"keys": [weak]})), "WEAK_KEY"),
        refused("private key", by(TestKey::Active, &json!({"keys": [private]})), "KEY_MALFORMED"),
        refused("key token without exp", by(TestKey::Active, &json!({"exp": null})), "CLAIMS_MALFORMED"),
        refused(
            "too many keys",
            by(TestKey::Active, &json!({"keys": vec![TestKey::Next.jwk(); limits::TOKEN_KEYS + 1]})),
            "CLAIMS_MALFORMED",
        ),
        refused(
            "too many revoked keys",
            by(TestKey::Active, &json!({"revoked": vec!["k"; limits::TOKEN_REVOKED_KEYS + 1]})),
            "CLAIMS_MALFORMED",
        ),
        new("most keys")
            .learn(
                NOW,
                &by(
                    TestKey::Active,
                    &json!({
                        "keys": vec![TestKey::Next.jwk(); limits::TOKEN_KEYS],
                        "revoked": vec!["k"; limits::TOKEN_REVOKED_KEYS],
                    }),
                ),
                None,
            )
            .trusts(&both)
            .done(),
        new("revoked key never comes back")
            .learn(NOW, &token, None)
            .learn(NOW, &by(TestKey::Next, &revoke(&[TestKey::Active], NOW + DAY)), None)
            .trusts(&ids(&[TestKey::Next]))
            .learn(NOW, &token, Some("REVOKED_KEY"))
            .learn(NOW, &by(TestKey::Next, &json!({"iat": NOW + DAY})), None)
            .trusts(&ids(&[TestKey::Next]))
            .lease(NOW, &lease_of_active, Some("REVOKED_KEY"))
            .done(),
        new("key revokes itself as its last act")
            .learn(NOW, &by(TestKey::Active, &revoke(&[TestKey::Active], NOW)), None)
            .trusts(&ids(&[TestKey::Next]))
            .done(),
        new("lease in use ends with its key")
            .lease(NOW, &lease_of_active, None)
            .not_asked_allowed(NOW)
            .learn(NOW, &by(TestKey::Active, &revoke(&[TestKey::Active], NOW)), None)
            .not_asked(NOW, "REVOKED_KEY")
            .done(),
    ];
    json!({"about": format!("Steps on an empty state of {PRODUCT}. See README.md."), "cases": cases})
}
