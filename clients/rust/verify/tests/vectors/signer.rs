//! Test keys, and the only code that signs tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use license_verify::{KeySet, PublicKey};
use serde_json::{Value, json};

/// 2027-01-15T08:00:00Z, the time of most cases.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const PRODUCT: &str = "editor";
pub(crate) const FINGERPRINT: &str = "8f14e45f-ceea-467f";

/// The keys of the vectors, by name. Their private parts are public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TestKey {
    /// Signs now. Software is built with it.
    Active,
    /// Signs after the next rotation.
    Next,
    /// Signs after that.
    Later,
    /// Belongs to an attacker.
    Attacker,
}

impl TestKey {
    pub(crate) const ALL: [Self; 4] = [Self::Active, Self::Next, Self::Later, Self::Attacker];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Later => "later",
            Self::Attacker => "attacker",
        }
    }

    fn seed(self) -> [u8; 32] {
        let mut seed = [0; 32];
        let label = format!("license test key: {}", self.name());
        seed[..label.len()].copy_from_slice(label.as_bytes());
        seed
    }

    pub(crate) fn signing(self) -> SigningKey {
        SigningKey::from_bytes(&self.seed())
    }

    pub(crate) fn public(self) -> PublicKey {
        PublicKey::from_bytes(self.signing().verifying_key().as_bytes()).expect("a sound key")
    }

    pub(crate) fn id(self) -> String {
        self.public().id().to_owned()
    }

    pub(crate) fn jwk(self) -> Value {
        serde_json::from_str(&self.public().to_jwk()).expect("JSON")
    }

    pub(crate) fn header(self, typ: &str) -> Value {
        json!({"alg": "EdDSA", "kid": self.id(), "typ": typ})
    }

    /// Signs a header and claims.
    pub(crate) fn sign(self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Signs any texts.
    pub(crate) fn sign_text(self, header: &str, claims: &str) -> String {
        self.sign_encoded(&encode(header.as_bytes()), &encode(claims.as_bytes()))
    }

    /// Signs parts that are encoded already.
    pub(crate) fn sign_encoded(self, header: &str, claims: &str) -> String {
        let signed = format!("{header}.{claims}");
        let signature = encode(&self.signing().sign(signed.as_bytes()).to_bytes());
        format!("{signed}.{signature}")
    }

    pub(crate) fn lease(self, claims: &Value) -> String {
        self.sign(&self.header("license-lease+jwt"), claims)
    }

    pub(crate) fn verdict(self, claims: &Value) -> String {
        self.sign(&self.header("license-verdict+jwt"), claims)
    }

    pub(crate) fn revocations(self, iat: i64, revoked: &[&str]) -> String {
        let claims = json!({"iss": ISSUER, "aud": PRODUCT, "iat": iat, "revoked": revoked});
        self.sign(&self.header("license-revocations+jwt"), &claims)
    }

    pub(crate) fn keys(self, claims: &Value) -> String {
        self.sign(&self.header("license-keys+jwt"), claims)
    }
}

pub(crate) const ISSUER: &str = "https://licenses.example.com";

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the set of keys with these names.
pub(crate) fn key_set(names: &Value) -> KeySet {
    let names = names.as_array().expect("a list of names");
    names
        .iter()
        .map(|name| TestKey::ALL.into_iter().find(|key| name == key.name()).expect("a known name").public())
        .collect()
}

/// Replaces claims. A value of null sets null; [`without`] removes one.
pub(crate) fn with(mut claims: Value, changes: &Value) -> Value {
    let changes = changes.as_object().expect("an object").clone();
    claims.as_object_mut().expect("an object").extend(changes);
    claims
}

pub(crate) fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().expect("an object").remove(name).expect("the claim");
    claims
}

/// A lease for a week, issued at `NOW`.
pub(crate) fn lease_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": PRODUCT, "sub": "lic_a1b2c3d4e5", "jti": "lse_0001",
        "iat": NOW - MINUTE, "nbf": NOW - MINUTE, "exp": NOW + 7 * DAY,
        "plan": "professional", "features": {"export": true, "seats": 5, "tier": "gold"},
        "dom": null, "fp": "Mm3cp1wo54uyhVUpWgNMHrbqGS-bQ-ooX2_SPZWKENU",
        "lic_exp": NOW + 365 * DAY, "upd_until": null, "ver": 1,
        "refresh_after": NOW + 3 * DAY, "nonce": null,
    })
}

pub(crate) const NONCE: &str = "AAECAwQFBgcICQoLDA0ODw";
pub(crate) const BODY: &str = r#"{"key":"TO-KG5R-ZJ6N-N7RN-EGAX","product":"editor","fingerprint":"8f14e45f-ceea-467f","nonce":"AAECAwQFBgcICQoLDA0ODw"}"#;
/// SHA-256 of `BODY`, by another program.
pub(crate) const BODY_DIGEST: &str = "hK118M2IjgYWUitE2o9HDCnzGeix36_fTchG07sUCns";

/// A valid verdict of `NOW`.
pub(crate) fn verdict_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": PRODUCT, "nonce": NONCE, "req": BODY_DIGEST, "status": 200, "valid": true, "error": null,
        "features": {"export": true}, "product": PRODUCT, "lic_exp": NOW + 365 * DAY, "iat": NOW, "exp": NOW + DAY,
    })
}

/// A denial of `NOW`.
pub(crate) fn denial_claims(code: &str) -> Value {
    let denial = json!({"valid": false, "error": code, "features": {}, "product": PRODUCT, "lic_exp": null});
    with(verdict_claims(), &denial)
}

/// A key token of `NOW` that introduces the next key.
pub(crate) fn key_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": PRODUCT, "iat": NOW, "exp": NOW + 90 * DAY,
        "keys": [TestKey::Active.jwk(), TestKey::Next.jwk()], "revoked": [],
    })
}

/// `keys.json`.
pub(crate) fn document() -> Value {
    let keys: Vec<Value> = TestKey::ALL
        .into_iter()
        .map(|key| json!({"name": key.name(), "jwk": key.jwk(), "private": encode(&key.seed())}))
        .collect();
    json!({"about": "Test keys. Their private parts are public: never trust them.", "keys": keys})
}
