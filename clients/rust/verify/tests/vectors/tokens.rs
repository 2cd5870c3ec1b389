//! `tokens.json`: leases, verdicts and lists of revocations, good and bad.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::signer::{
    BODY, DAY, FINGERPRINT, HOUR, NONCE, NOW, PRODUCT, TestKey, denial_claims, encode, lease_claims,
    verdict_claims, with, without,
};

/// The largest whole number that every JSON parser reads exactly.
const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// What a JWT library knows: it checks the signature, the algorithm, `typ`, `aud`, `exp` and `nbf`.
#[derive(Clone, Copy)]
enum Library {
    /// It decides as this crate does.
    Same,
    /// It may decide otherwise, such as accept a duplicate name.
    Other,
}
use Library::{Other, Same};

/// A token that is expected to be accepted (`None`) or to have an error.
fn case(name: &str, kind: &str, token: impl Into<String>, error: Option<&str>, library: Library) -> Value {
    let mut case = json!({
        "name": name, "type": kind, "token": token.into(), "error": error, "jwt_library": matches!(library, Same),
        "now": NOW, "trusted": ["active"], "product": PRODUCT,
    });
    if kind == "lease" {
        case["fingerprint"] = FINGERPRINT.into();
    }
    if kind == "verdict" {
        case["nonce"] = NONCE.into();
        case["request_body"] = BODY.into();
    }
    case
}

fn at(now: i64, case: Value) -> Value {
    with(case, &json!({"now": now}))
}

/// `tokens.json`.
pub(crate) fn document() -> Value {
    let mut cases = good_leases();
    cases.extend(bad_signatures());
    cases.extend(bad_headers());
    cases.extend(bad_forms());
    cases.extend(bad_claims());
    cases.extend(times());
    cases.extend(verdicts());
    cases.extend(revocations());
    json!({"about": "Each token with the code of its error; null: it is accepted.", "cases": cases})
}

fn good_leases() -> Vec<Value> {
    let good = |name: &str, changes: &Value| {
        case(name, "lease", TestKey::Active.lease(&with(lease_claims(), changes)), None, Same)
    };
    let mut ed25519 = TestKey::Active.header("license-lease+jwt");
    ed25519["alg"] = "Ed25519".into();
    vec![
        good("lease", &json!({})),
        good("lease of a perpetual license", &json!({"lic_exp": null})),
        good("lease without features", &json!({"features": {}})),
        good("lease with a domain and an end of updates", &json!({"dom": "example.com", "upd_until": NOW})),
        good("lease for a request code", &json!({"nonce": NONCE})),
        good("lease with a claim that is not known", &json!({"extra": [1]})),
        case(
            "lease with the algorithm Ed25519",
            "lease",
            TestKey::Active.sign(&ed25519, &lease_claims()),
            None,
            Other,
        ),
    ]
}

fn bad_signatures() -> Vec<Value> {
    let lease =
        |name: &str, token: String, error: &str, library| case(name, "lease", token, Some(error), library);
    let good = TestKey::Active.lease(&lease_claims());
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let (header, claims) = signed.split_once('.').expect("three parts");
    let active = TestKey::Active.header("license-lease+jwt");
    let forged = TestKey::Attacker.sign(&active, &lease_claims());
    let other_claims = encode(with(lease_claims(), &json!({"exp": NOW + 70 * DAY})).to_string().as_bytes());
    let other_header = encode(format!(" {active}").as_bytes());
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    vec![
        lease("signed by another key with the kid of a trusted one", forged, "BAD_SIGNATURE", Same),
        lease("signed by an unknown key", TestKey::Attacker.lease(&lease_claims()), "UNKNOWN_KEY", Same),
        lease("changed claims", format!("{header}.{other_claims}.{signature}"), "BAD_SIGNATURE", Same),
        lease("changed header", format!("{other_header}.{claims}.{signature}"), "BAD_SIGNATURE", Same),
        lease("changed signature", format!("{signed}.{flipped}"), "BAD_SIGNATURE", Same),
        lease("signature of zeros", format!("{signed}.{}", encode(&[0; 64])), "BAD_SIGNATURE", Same),
        lease("signature with S + L", format!("{signed}.{}", malleated(signature)), "BAD_SIGNATURE", Same),
        lease("short signature", format!("{signed}.{}", encode(&[1; 63])), "TOKEN_MALFORMED", Same),
        lease("empty signature", format!("{signed}."), "TOKEN_MALFORMED", Same),
        lease("weak key that every signature fits", weak(), "UNKNOWN_KEY", Same),
    ]
}

fn bad_headers() -> Vec<Value> {
    let header = |name: &str, changes: &Value, error: &str, library| {
        let header = with(TestKey::Active.header("license-lease+jwt"), changes);
        case(name, "lease", TestKey::Active.sign(&header, &lease_claims()), Some(error), library)
    };
    let attacker_jwk = json!({"kid": TestKey::Attacker.id(), "jwk": TestKey::Attacker.jwk()});
    let self_signed = TestKey::Attacker.sign(
        &with(TestKey::Attacker.header("license-lease+jwt"), &json!({"jwk": TestKey::Attacker.jwk()})),
        &lease_claims(),
    );
    let lease = lease_claims();
    let without_kid = without(TestKey::Active.header("license-lease+jwt"), "kid");
    let without_typ = without(TestKey::Active.header("license-lease+jwt"), "typ");
    let unsigned = encode(
        with(TestKey::Active.header("license-lease+jwt"), &json!({"alg": "none"})).to_string().as_bytes(),
    );
    let claims = encode(lease.to_string().as_bytes());
    let none = format!("{unsigned}.{claims}.");
    let twice = format!(
        r#"{{"alg":"none","alg":"EdDSA","kid":"{}","typ":"license-lease+jwt"}}"#,
        TestKey::Active.id()
    );
    let malformed = "TOKEN_MALFORMED";
    vec![
        case("alg none without a signature", "lease", none, Some("ALGORITHM_REFUSED"), Same),
        header("alg none with a signature", &json!({"alg": "none"}), "ALGORITHM_REFUSED", Same),
        header("alg in lower case", &json!({"alg": "eddsa"}), "ALGORITHM_REFUSED", Same),
        header("alg ES256", &json!({"alg": "ES256"}), "ALGORITHM_REFUSED", Same),
        header("alg null", &json!({"alg": null}), malformed, Same),
        case("HS256 with the public key as secret", "lease", hs256(), Some("ALGORITHM_REFUSED"), Same),
        header("typ of a verdict", &json!({"typ": "license-verdict+jwt"}), "WRONG_TYPE", Same),
        header("typ JWT", &json!({"typ": "JWT"}), "WRONG_TYPE", Same),
        header("typ in upper case", &json!({"typ": "LICENSE-LEASE+JWT"}), "WRONG_TYPE", Same),
        header("typ with application/", &json!({"typ": "application/license-lease+jwt"}), "WRONG_TYPE", Same),
        case("no typ", "lease", TestKey::Active.sign(&without_typ, &lease), Some(malformed), Same),
        case("no kid", "lease", TestKey::Active.sign(&without_kid, &lease), Some(malformed), Other),
        header("kid of another key", &json!({"kid": TestKey::Next.id()}), "UNKNOWN_KEY", Same),
        header("critical extension", &json!({"crit": ["exp"], "exp": 1}), malformed, Same),
        header("payload that is not encoded", &json!({"b64": false, "crit": ["b64"]}), malformed, Same),
        case("jwk in the header, signed by it", "lease", self_signed, Some(malformed), Same),
        header("jwk in the header", &attacker_jwk, malformed, Same),
        header("jku in the header", &json!({"jku": "https://attacker.example/jwks.json"}), malformed, Other),
        header("x5u in the header", &json!({"x5u": "https://attacker.example/x5u"}), malformed, Other),
        case(
            "alg twice",
            "lease",
            TestKey::Active.sign_text(&twice, &lease.to_string()),
            Some(malformed),
            Other,
        ),
    ]
}

fn bad_forms() -> Vec<Value> {
    let form =
        |name: &str, token: String, library| case(name, "lease", token, Some("TOKEN_MALFORMED"), library);
    let good = TestKey::Active.lease(&lease_claims());
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let (header, claims) = signed.split_once('.').expect("three parts");
    let text = |claims: &str| {
        TestKey::Active.sign_text(&TestKey::Active.header("license-lease+jwt").to_string(), claims)
    };
    let lease = lease_claims().to_string();
    let exp_twice = format!(r#"{{"exp":{},{}"#, NOW - DAY, &lease[1..]);
    let nested_twice = lease.replace(r#""export":true"#, r#""export":false,"export":true"#);
    let not_utf8 = TestKey::Active.sign_encoded(header, &encode(&[lease.as_bytes(), b"\xff"].concat()));
    // The last character of the signature has four unused bits.
    let trailing = format!("{}{}", &good[..good.len() - 1], next_symbol(&good));
    vec![
        form("empty", String::new(), Same),
        form("two parts", signed.to_owned(), Same),
        form("four parts", format!("{good}.{signature}"), Same),
        form("five parts", format!("{good}..{signature}"), Same),
        form(
            "JSON serialization",
            json!({"protected": header, "payload": claims, "signature": signature}).to_string(),
            Same,
        ),
        form("padding", format!("{good}=="), Other),
        form("white space around it", format!(" {good}\n"), Other),
        form("unused bits that are not zero", trailing, Other),
        form("standard base64", format!("{signed}.{}", "+/".repeat(43)), Same),
        form("header that is no JSON", TestKey::Active.sign_text("{", &lease), Same),
        form("claims that are no JSON", text(&lease[1..]), Same),
        form("claims that are no object", text("[]"), Same),
        form("claims with text after them", text(&format!("{lease}{{}}")), Same),
        form("claims that are not UTF-8", not_utf8, Same),
        form("claim twice", text(&exp_twice), Other),
        form("feature twice", text(&nested_twice), Other),
    ]
}

fn bad_claims() -> Vec<Value> {
    let claims = |name: &str, changes: &Value, error: &str, library| {
        case(name, "lease", TestKey::Active.lease(&with(lease_claims(), changes)), Some(error), library)
    };
    let missing = |claim: &str| {
        let token = TestKey::Active.lease(&without(lease_claims(), claim));
        let library = if claim == "aud" || claim == "exp" { Same } else { Other };
        case(&format!("no {claim}"), "lease", token, Some("CLAIMS_MALFORMED"), library)
    };
    let malformed = "CLAIMS_MALFORMED";
    let other_device = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    let mut cases = vec![
        claims("for another product", &json!({"aud": "viewer"}), "WRONG_PRODUCT", Same),
        claims("for two products", &json!({"aud": ["editor", "viewer"]}), malformed, Other),
        claims("for another device", &json!({"fp": other_device}), "WRONG_DEVICE", Other),
        claims("fp that is no digest", &json!({"fp": "8f14e45f"}), malformed, Other),
        claims("empty jti", &json!({"jti": ""}), malformed, Other),
        claims("version 2 of the claims", &json!({"ver": 2}), malformed, Other),
        claims("exp as text", &json!({"exp": "1800604800"}), malformed, Other),
        claims("exp with a fraction", &json!({"exp": 1_800_604_800.5}), malformed, Other),
        claims("exp after the year 9999", &json!({"exp": 253_402_300_800_i64}), malformed, Other),
        claims("negative nbf", &json!({"nbf": -1}), malformed, Other),
        claims("exp before nbf", &json!({"exp": NOW - HOUR}), malformed, Same),
        claims("feature with a fraction", &json!({"features": {"seats": 1.5}}), malformed, Other),
        claims("short nonce", &json!({"nonce": "AAECAwQFBgcICQoLDA0O"}), malformed, Other),
    ];
    let all = [
        "iss",
        "aud",
        "sub",
        "jti",
        "iat",
        "nbf",
        "exp",
        "plan",
        "features",
        "dom",
        "fp",
        "lic_exp",
        "upd_until",
        "ver",
        "refresh_after",
        "nonce",
    ];
    cases.extend(all.map(missing));
    cases
}

fn times() -> Vec<Value> {
    let token = |changes: &Value| TestKey::Active.lease(&with(lease_claims(), changes));
    let time = |name: &str, now, changes: &Value, error: Option<&'static str>, library| {
        at(now, case(name, "lease", token(changes), error, library))
    };
    let end = NOW + 7 * DAY;
    let issue = NOW - 60;
    let none = json!({});
    vec![
        time("in its last second", end - 1, &none, None, Same),
        time("a second less than five minutes after its end", end + 299, &none, None, Other),
        time("five minutes after its end", end + 300, &none, Some("LEASE_EXPIRED"), Other),
        time("five minutes and a second after its end", end + 301, &none, Some("LEASE_EXPIRED"), Same),
        time("a year after its end", end + 365 * DAY, &none, Some("LEASE_EXPIRED"), Same),
        time("a day before its issue", issue - DAY, &none, None, Other),
        time("a day and a second before its issue", issue - DAY - 1, &none, Some("CLOCK_ROLLED_BACK"), Same),
        time("not yet valid", NOW, &json!({"nbf": NOW + DAY + 1}), Some("NOT_YET_VALID"), Same),
        time("at the earliest time", -MAX_SAFE_INTEGER, &none, Some("CLOCK_ROLLED_BACK"), Other),
        time("at the latest time", MAX_SAFE_INTEGER, &none, Some("LEASE_EXPIRED"), Other),
    ]
}

fn verdicts() -> Vec<Value> {
    let verdict = |name: &str, claims: &Value, error: Option<&str>, library| {
        case(name, "verdict", TestKey::Active.verdict(claims), error, library)
    };
    let changed = |name: &str, changes: &Value, error: &str| {
        verdict(name, &with(verdict_claims(), changes), Some(error), Other)
    };
    let not_found = with(denial_claims("LICENSE_NOT_FOUND"), &json!({"status": 404, "product": null}));
    let malformed = "CLAIMS_MALFORMED";
    let mut cases = vec![
        verdict("valid verdict", &verdict_claims(), None, Same),
        verdict("denial", &denial_claims("LICENSE_REVOKED"), None, Same),
        verdict("no license", &not_found, None, Same),
        at(NOW + 365 * DAY, verdict("valid verdict, clock ahead", &verdict_claims(), None, Other)),
        at(NOW - 365 * DAY, verdict("valid verdict, clock behind", &verdict_claims(), None, Other)),
        changed("verdict for another nonce", &json!({"nonce": "AAECAwQFBgcICQoLDA0ODg"}), "WRONG_NONCE"),
        changed(
            "verdict for another body",
            &json!({"req": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}),
            "WRONG_REQUEST",
        ),
        changed("verdict for another product", &json!({"aud": "viewer"}), "WRONG_PRODUCT"),
        changed("valid verdict of another product", &json!({"product": "viewer"}), malformed),
        changed("valid verdict with an error", &json!({"error": "LICENSE_REVOKED"}), malformed),
        changed("denial without an error", &json!({"valid": false}), malformed),
        changed("valid as text", &json!({"valid": "true"}), malformed),
        changed("verdict that ends at its time", &json!({"exp": NOW}), malformed),
        case(
            "lease as a verdict",
            "verdict",
            TestKey::Active.lease(&lease_claims()),
            Some("WRONG_TYPE"),
            Same,
        ),
        case(
            "forged verdict",
            "verdict",
            TestKey::Attacker.verdict(&verdict_claims()),
            Some("UNKNOWN_KEY"),
            Same,
        ),
    ];
    for claim in ["nonce", "req", "status", "valid", "error", "features", "product", "lic_exp", "iat", "exp"]
    {
        let claims = without(verdict_claims(), claim);
        cases.push(verdict(&format!("verdict without {claim}"), &claims, Some(malformed), Other));
    }
    cases
}

fn revocations() -> Vec<Value> {
    let list = |name: &str, token: String, error, library| case(name, "revocations", token, error, library);
    let header = TestKey::Active.header("license-revocations+jwt");
    let sign = |claims: &Value| TestKey::Active.sign(&header, claims);
    vec![
        list("list of revocations", TestKey::Active.revocations(NOW, &["lse_0001", "lse_0002"]), None, Same),
        list("empty list", TestKey::Active.revocations(NOW, &[]), None, Same),
        list("forged list", TestKey::Attacker.revocations(NOW, &[]), Some("UNKNOWN_KEY"), Same),
        list(
            "list of another product",
            sign(&json!({"aud": "viewer", "iat": NOW, "revoked": []})),
            Some("WRONG_PRODUCT"),
            Same,
        ),
        list(
            "list without iat",
            sign(&json!({"aud": "editor", "revoked": []})),
            Some("CLAIMS_MALFORMED"),
            Other,
        ),
        list(
            "list without revoked",
            sign(&json!({"aud": "editor", "iat": NOW})),
            Some("CLAIMS_MALFORMED"),
            Other,
        ),
        list("lease as a list", TestKey::Active.lease(&lease_claims()), Some("WRONG_TYPE"), Same),
    ]
}

/// A token in which the public key is the secret of an HMAC.
fn hs256() -> String {
    let header = with(TestKey::Active.header("license-lease+jwt"), &json!({"alg": "HS256"}));
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(lease_claims().to_string().as_bytes())
    );
    let mac = Hmac::<Sha256>::new_from_slice(TestKey::Active.public().as_bytes()).expect("any length");
    let mac = mac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", encode(&mac))
}

/// A token under the neutral point as key: R = neutral and S = 0 fit every text, unless weak keys are
/// refused.
fn weak() -> String {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let thumbprint = sha2::Digest::finalize(sha2::Digest::chain_update(
        <Sha256 as sha2::Digest>::new(),
        format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(&neutral)),
    ));
    let header = json!({"alg": "EdDSA", "kid": encode(&thumbprint), "typ": "license-lease+jwt"});
    let signature = [neutral, [0; 32]].concat();
    format!(
        "{}.{}.{}",
        encode(header.to_string().as_bytes()),
        encode(lease_claims().to_string().as_bytes()),
        encode(&signature)
    )
}

/// Adds the order of the group to S. A verifier that does not check the range accepts the result.
fn malleated(signature: &str) -> String {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut bytes = base64::Engine::decode(&engine, signature).expect("base64url");
    let mut carry = 0_u16;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = u8::try_from(sum & 0xff).expect("one byte");
        carry = sum >> 8;
    }
    encode(&bytes)
}

/// The symbol after the last one of a text.
fn next_symbol(text: &str) -> char {
    const SYMBOLS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.chars().last().expect("a text");
    let index = SYMBOLS.find(last).expect("a symbol");
    SYMBOLS.chars().nth(index + 1).expect("a symbol with unused bits")
}
