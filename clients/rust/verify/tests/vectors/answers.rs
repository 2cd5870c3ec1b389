//! `answers.json`: answers of servers, proxies and portals, and the decision after each.

use serde_json::{Value, json};

use crate::scenario::{Scenario, allowed, denied, http, in_grace, must_check, proof};
use crate::signer::{
    DAY, HOUR, NOW, TestKey, denial_claims, encode, key_claims, lease_claims, verdict_claims, with,
};

/// `answers.json`.
pub(crate) fn document() -> Value {
    let mut cases = with_keys();
    cases.extend(rotation());
    cases.extend(without_keys());
    json!({"about": "Answers to POST /api/v1/validate. See README.md.", "cases": cases})
}

const PORTAL: &str = "<!doctype html><html><body>Welcome to the hotel! Please log in.</body></html>";

fn with_keys() -> Vec<Value> {
    let valid = TestKey::Active.verdict(&verdict_claims());
    let mut cases: Vec<Value> =
        broken_answers(&valid).into_iter().map(|(name, answer)| no_answer(name, &answer)).collect();
    let not_found = with(denial_claims("LICENSE_NOT_FOUND"), &json!({"status": 404, "product": null}));
    let retry = |seconds: &str| with(http(503, "{}"), &json!({"retry_after": seconds}));
    let never = |seconds| must_check("NEVER_CHECKED", seconds);
    let decide = |name: &str, answer: &Value, expected: &Value| {
        Scenario::new(name).decide(NOW, answer, expected).done()
    };
    cases.extend([
        decide("valid verdict", &proof(200, &valid), &allowed(DAY)),
        decide("valid verdict under another status", &proof(502, &valid), &allowed(DAY)),
        decide(
            "denial",
            &proof(200, &TestKey::Active.verdict(&denial_claims("DEVICE_LIMIT_REACHED"))),
            &denied("DEVICE_LIMIT_REACHED", HOUR),
        ),
        decide(
            "no license",
            &proof(404, &TestKey::Active.verdict(&not_found)),
            &denied("LICENSE_NOT_FOUND", HOUR),
        ),
        decide(
            "denial in a body that says valid",
            &http(
                200,
                &json!({"valid": true, "proof": TestKey::Active.verdict(&denial_claims("LICENSE_REVOKED"))})
                    .to_string(),
            ),
            &denied("LICENSE_REVOKED", HOUR),
        ),
        decide(
            "valid verdict in a body that says denied",
            &http(403, &json!({"valid": false, "error": "LICENSE_REVOKED", "proof": valid}).to_string()),
            &allowed(DAY),
        ),
        decide("Retry-After", &retry("90"), &never(90)),
        decide("Retry-After of 0", &retry("0"), &never(1)),
        decide("Retry-After of an hour", &retry("3600"), &never(3600)),
        decide("Retry-After of a day", &retry("86400"), &never(3600)),
        decide("Retry-After beyond 64 bits", &retry("99999999999999999999"), &never(60)),
        decide("Retry-After that is a date", &retry("Fri, 15 Jan 2027 08:01:00 GMT"), &never(60)),
        decide("Retry-After that is negative", &retry("-1"), &never(60)),
    ]);
    cases
}

/// Answers that neither allow nor deny, as their names say.
fn broken_answers(valid: &str) -> Vec<(&'static str, Value)> {
    let body = |status, body: &Value| http(status, &body.to_string());
    let sign = |changes: &Value| proof(200, &TestKey::Active.verdict(&with(verdict_claims(), changes)));
    let denial = json!({"valid": false, "error": "LICENSE_REVOKED"});
    let (header, rest) = valid.split_once('.').expect("three parts");
    vec![
        ("timeout", "missing".into()),
        ("empty answer", http(200, "")),
        ("captive portal", http(200, PORTAL)),
        ("redirect to a portal", http(302, PORTAL)),
        ("redirect with a verdict", body(307, &denial)),
        ("proxy that asks for a password", http(407, "Proxy Authentication Required")),
        ("401 of a proxy", body(401, &json!({"error": "unauthorized"}))),
        ("403 of a proxy", http(403, "<h1>Forbidden</h1>")),
        ("403 of a proxy in JSON", body(403, &denial)),
        ("404 of a proxy", http(404, "not found")),
        ("404 without a proof", body(404, &json!({"valid": false, "error": "LICENSE_NOT_FOUND"}))),
        ("429", body(429, &json!({"error": "RATE_LIMITED"}))),
        ("500", http(500, "Internal Server Error")),
        ("502", http(502, "<html>Bad Gateway</html>")),
        ("503 of the server", body(503, &json!({"error": "STORE_UNAVAILABLE"}))),
        (
            "verdict without a proof",
            body(200, &json!({"valid": true, "license": {"features": {}, "expiresAt": null}})),
        ),
        ("denial without a proof", body(200, &denial)),
        ("proof that is no text", body(200, &json!({"valid": true, "proof": {"valid": true}}))),
        ("proof that is a list", body(200, &json!([valid]))),
        ("proof in a body that is cut off", http(200, &format!(r#"{{"proof":"{valid}"#))),
        ("two proofs", http(200, &format!(r#"{{"proof":"{valid}","proof":"{valid}"}}"#))),
        ("proof of another request", sign(&json!({"nonce": "AAECAwQFBgcICQoLDA0ODg"}))),
        ("proof of another body", sign(&json!({"req": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}))),
        ("proof of another product", sign(&json!({"aud": "viewer", "product": "viewer"}))),
        ("proof by an unknown key", proof(200, &TestKey::Attacker.verdict(&verdict_claims()))),
        (
            "denial by an unknown key",
            proof(200, &TestKey::Attacker.verdict(&denial_claims("LICENSE_REVOKED"))),
        ),
        (
            "proof forged under the id of a trusted key",
            proof(
                200,
                &TestKey::Attacker.sign(&TestKey::Active.header("license-verdict+jwt"), &verdict_claims()),
            ),
        ),
        ("lease as a proof", proof(200, &TestKey::Active.lease(&lease_claims()))),
        (
            "proof with alg none",
            proof(
                200,
                &format!(
                    "{}.{}.",
                    encode(br#"{"alg":"none","kid":"","typ":"license-verdict+jwt"}"#),
                    encode(verdict_claims().to_string().as_bytes())
                ),
            ),
        ),
        ("proof with a changed signature", proof(200, &format!("{header}.{}A", &rest[..rest.len() - 1]))),
    ]
}

/// On a first start and on a running software, nothing changes but the time of the next question.
fn no_answer(name: &str, answer: &Value) -> Value {
    let valid = proof(200, &TestKey::Active.verdict(&verdict_claims()));
    Scenario::new(name)
        .decide(NOW, answer, &must_check("NEVER_CHECKED", 60))
        .decide(NOW, &valid, &allowed(DAY))
        .decide(NOW + HOUR, answer, &allowed(60))
        .decide(NOW + DAY, answer, &in_grace(NOW + 8 * DAY, 120))
        .decide(NOW + 8 * DAY, answer, &must_check("GRACE_ENDED", 240))
        .done()
}

fn rotation() -> Vec<Value> {
    let with_tokens = |verdict: &str, tokens: &[String]| {
        http(200, &json!({"valid": true, "proof": verdict, "key_tokens": tokens}).to_string())
    };
    let next = TestKey::Next.verdict(&verdict_claims());
    let token = TestKey::Active.keys(&key_claims());
    let by_next = TestKey::Next.keys(&with(key_claims(), &json!({"keys": [TestKey::Later.jwk()]})));
    let expired =
        TestKey::Active.keys(&with(key_claims(), &json!({"iat": NOW - 90 * DAY, "exp": NOW - DAY})));
    let forged = TestKey::Attacker.keys(&with(key_claims(), &json!({"keys": [TestKey::Attacker.jwk()]})));
    let ids = |keys: &[TestKey]| keys.iter().map(|key| key.id()).collect::<Vec<_>>();
    let both = ids(&[TestKey::Active, TestKey::Next]);
    let never = must_check("NEVER_CHECKED", 60);
    vec![
        Scenario::new("new key comes with the answer")
            .decide(NOW, &with_tokens(&next, std::slice::from_ref(&token)), &allowed(DAY))
            .trusts(&both)
            .done(),
        Scenario::new("new key comes with the answer, clock ahead")
            .decide(NOW + 365 * DAY, &with_tokens(&next, std::slice::from_ref(&token)), &allowed(DAY))
            .trusts(&both)
            .done(),
        Scenario::new("two rotations come with the answer")
            .decide(
                NOW,
                &with_tokens(&TestKey::Later.verdict(&verdict_claims()), &[token.clone(), by_next]),
                &allowed(DAY),
            )
            .trusts(&ids(&[TestKey::Active, TestKey::Next, TestKey::Later]))
            .done(),
        Scenario::new("expired key token comes with the answer, clock back")
            .decide(NOW - 30 * DAY, &with_tokens(&next, std::slice::from_ref(&expired)), &never)
            .decide(NOW - 30 * DAY, &proof(200, &TestKey::Active.verdict(&verdict_claims())), &allowed(DAY))
            .decide(NOW - 30 * DAY, &with_tokens(&next, &[expired]), &allowed(60))
            .trusts(&ids(&[TestKey::Active]))
            .done(),
        Scenario::new("forged key token comes with the answer")
            .decide(NOW, &with_tokens(&TestKey::Attacker.verdict(&verdict_claims()), &[forged]), &never)
            .trusts(&ids(&[TestKey::Active]))
            .done(),
        Scenario::new("key token of an answer without a valid proof")
            .decide(NOW, &with_tokens("e30.e30.AA", &[token]), &never)
            .trusts(&ids(&[TestKey::Active]))
            .done(),
    ]
}

fn without_keys() -> Vec<Value> {
    let new = |name: &str| Scenario::new(name).policy(&json!({"keys": []}));
    let license =
        json!({"plan": "professional", "expiresAt": "2027-01-17T08:00:00.5Z", "features": {"export": true}});
    let valid = http(200, &json!({"valid": true, "license": license, "usage": {}}).to_string());
    let denial = |status, code: &str| http(status, &json!({"valid": false, "error": code}).to_string());
    let never = must_check("NEVER_CHECKED", 60);
    let features = json!({"outcome": "allowed", "features": {"export": true}, "check_in": DAY});
    let refuse = |name: &str, answer: &Value| {
        new(name)
            .decide(NOW, answer, &never)
            .decide(NOW, &valid, &features)
            .decide(NOW, answer, &allowed(60))
            .done()
    };
    vec![
        new("without keys, TLS is believed")
            .decide(NOW, &valid, &features)
            .decide(NOW + DAY - 1, &"not_asked".into(), &allowed(1))
            .missing(NOW + DAY, &in_grace(NOW + 2 * DAY, 60))
            .missing(NOW + 2 * DAY + 301, &must_check("LICENSE_EXPIRED", 120))
            .done(),
        new("without keys, a denial")
            .decide(NOW, &denial(200, "LICENSE_SUSPENDED"), &denied("LICENSE_SUSPENDED", HOUR))
            .decide(NOW, &denial(404, "LICENSE_NOT_FOUND"), &denied("LICENSE_NOT_FOUND", HOUR))
            .decide(NOW, &denial(400, "LICENSE_KEY_MALFORMED"), &denied("LICENSE_KEY_MALFORMED", HOUR))
            .done(),
        refuse("without keys, a captive portal", &http(200, PORTAL)),
        refuse("without keys, a redirect", &http(302, "{}")),
        refuse("without keys, a denial by a proxy", &denial(403, "LICENSE_REVOKED")),
        refuse("without keys, a denial with 401", &denial(401, "LICENSE_REVOKED")),
        refuse("without keys, a denial with 503", &denial(503, "STORE_UNAVAILABLE")),
        refuse("without keys, a 404 of another service", &http(404, r#"{"error":"not found"}"#)),
        refuse("without keys, a wrong path", &denial(404, "NOT_FOUND")),
        refuse("without keys, a request that the server does not understand", &denial(400, "BAD_REQUEST")),
        refuse("without keys, no license under another status", &denial(400, "LICENSE_NOT_FOUND")),
        refuse("without keys, valid with 404", &with(valid.clone(), &json!({"status": 404}))),
        refuse("without keys, valid as text", &http(200, r#"{"valid":"true"}"#)),
        refuse("without keys, valid without a license", &http(200, r#"{"valid":true}"#)),
        refuse("without keys, a timeout", &"missing".into()),
    ]
}
