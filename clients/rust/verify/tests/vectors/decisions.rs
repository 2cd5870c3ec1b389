//! `decisions.json`: how verdicts, leases and revocations change decisions.

use serde_json::{Value, json};

use crate::scenario::{Scenario, allowed, denied, in_grace, must_check, proof};
use crate::signer::{
    BODY, DAY, HOUR, MINUTE, NONCE, NOW, TestKey, denial_claims, key_claims, lease_claims, verdict_claims,
    with,
};

/// `decisions.json`.
pub(crate) fn document() -> Value {
    let mut cases = verdicts();
    cases.extend(leases());
    cases.extend(newest());
    cases.extend(air_gap());
    json!({"about": "Steps on an empty state. See README.md.", "cases": cases})
}

fn new(name: &str) -> Scenario {
    Scenario::new(name)
}

fn valid_at(now: i64) -> Value {
    let times = json!({"iat": now, "exp": now + DAY});
    proof(200, &TestKey::Active.verdict(&with(verdict_claims(), &times)))
}

fn denial_at(now: i64, code: &str) -> Value {
    let times = json!({"iat": now, "exp": now + DAY});
    proof(200, &TestKey::Active.verdict(&with(denial_claims(code), &times)))
}

fn lease(changes: &Value) -> String {
    TestKey::Active.lease(&with(lease_claims(), changes))
}

/// A lease for a week from `now`.
fn lease_at(now: i64, jti: &str) -> String {
    lease(&json!({
        "jti": jti, "iat": now - MINUTE, "nbf": now - MINUTE, "exp": now + 7 * DAY, "refresh_after": now + 3 * DAY,
    }))
}

fn verdicts() -> Vec<Value> {
    let not_asked: Value = "not_asked".into();
    let valid = || new("").decide(NOW, &valid_at(NOW), &allowed(DAY));
    let named = |name: &str, scenario: Scenario| with(scenario.done(), &json!({"name": name}));
    let ends_soon =
        proof(200, &TestKey::Active.verdict(&with(verdict_claims(), &json!({"lic_exp": NOW + 2 * DAY}))));
    let has_ended =
        proof(200, &TestKey::Active.verdict(&with(verdict_claims(), &json!({"lic_exp": NOW - DAY}))));
    let features = json!({"outcome": "allowed", "features": {"export": true}});
    vec![
        named(
            "first start without a network",
            new("").not_asked(NOW, "NEVER_CHECKED").missing(NOW, &must_check("NEVER_CHECKED", 60)),
        ),
        named(
            "valid verdict lasts until its exp",
            valid().decide(NOW + DAY - 1, &not_asked, &allowed(1)).decide(
                NOW + DAY - 1,
                &not_asked,
                &features,
            ),
        ),
        named(
            "grace begins at the first decision after exp that has no answer",
            valid()
                .missing(NOW + HOUR, &allowed(60))
                .missing(NOW + 3 * DAY, &in_grace(NOW + 10 * DAY, 120))
                .missing(NOW + 5 * DAY, &in_grace(NOW + 10 * DAY, 240))
                .decide(NOW + 10 * DAY - 1, &not_asked, &in_grace(NOW + 10 * DAY, 0))
                .missing(NOW + 10 * DAY, &must_check("GRACE_ENDED", 480)),
        ),
        named(
            "answer ends the grace, and the next grace begins later",
            valid()
                .missing(NOW + 2 * DAY, &in_grace(NOW + 9 * DAY, 60))
                .decide(NOW + 8 * DAY, &valid_at(NOW + 8 * DAY), &allowed(DAY))
                .missing(NOW + 9 * DAY, &in_grace(NOW + 16 * DAY, 60)),
        ),
        named(
            "answer after the grace",
            valid()
                .missing(NOW + DAY, &in_grace(NOW + 8 * DAY, 60))
                .missing(NOW + 8 * DAY, &must_check("GRACE_ENDED", 120))
                .decide(NOW + 9 * DAY, &valid_at(NOW + 9 * DAY), &allowed(DAY)),
        ),
        named(
            "no grace",
            valid().policy(&json!({"grace": 0})).missing(NOW + DAY, &must_check("GRACE_ENDED", 60)),
        ),
        named(
            "long failures are repeated once an hour",
            (0..9).fold(new(""), |scenario, failures| {
                let wait = [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600][failures];
                scenario.missing(NOW, &must_check("NEVER_CHECKED", wait))
            }),
        ),
        named(
            "denial stops at once and stays",
            valid()
                .decide(
                    NOW + HOUR,
                    &denial_at(NOW + HOUR, "LICENSE_REVOKED"),
                    &denied("LICENSE_REVOKED", HOUR),
                )
                .missing(NOW + 2 * HOUR, &denied("LICENSE_REVOKED", 60))
                .decide(NOW + 3 * HOUR, &not_asked, &denied("LICENSE_REVOKED", HOUR)),
        ),
        named(
            "valid verdict ends a denial",
            new("")
                .decide(NOW, &denial_at(NOW, "LICENSE_SUSPENDED"), &denied("LICENSE_SUSPENDED", HOUR))
                .decide(NOW + HOUR, &valid_at(NOW + HOUR), &allowed(DAY)),
        ),
        named(
            "license that ends is not used offline five minutes later",
            new("")
                .decide(NOW, &ends_soon, &allowed(DAY))
                .missing(NOW + DAY, &in_grace(NOW + 2 * DAY, 60))
                .decide(NOW + 2 * DAY + 301, &not_asked, &must_check("LICENSE_EXPIRED", 0)),
        ),
        named(
            "license that the server accepts after its end",
            new("")
                .decide(NOW, &has_ended, &allowed(DAY))
                .missing(NOW + 2 * DAY, &in_grace(NOW + 9 * DAY, 60)),
        ),
        named(
            "verdict of a key that was revoked",
            valid()
                .learn(
                    NOW,
                    &TestKey::Active.keys(&with(
                        key_claims(),
                        &json!({"revoked": [TestKey::Active.id()], "keys": [TestKey::Next.jwk()]}),
                    )),
                    None,
                )
                .not_asked(NOW, "NEVER_CHECKED"),
        ),
    ]
}

fn leases() -> Vec<Value> {
    let not_asked: Value = "not_asked".into();
    let end = NOW + 7 * DAY;
    let renew = json!({"outcome": "allowed", "check_in": 0, "renew_lease": true});
    let features = json!({"outcome": "allowed", "renew_lease": false, "features": {"export": true, "seats": 5, "tier": "gold"}});
    vec![
        new("lease lasts until five minutes after its end, without any grace")
            .lease(NOW, &lease(&json!({})), None)
            .decide(NOW, &not_asked, &features)
            .decide(NOW, &not_asked, &allowed(3 * DAY))
            .decide(NOW + 3 * DAY, &not_asked, &renew)
            .missing(NOW + 3 * DAY, &json!({"outcome": "allowed", "check_in": 60, "renew_lease": true}))
            .decide(end + 299, &not_asked, &renew)
            .missing(end + 300, &must_check("LEASE_EXPIRED", 120))
            .not_asked(end + 365 * DAY, "LEASE_EXPIRED")
            .done(),
        new("verdict before a lease does not extend it")
            .decide(NOW, &valid_at(NOW), &allowed(DAY))
            .lease(NOW + HOUR, &lease_at(NOW + HOUR, "lse_2"), None)
            .missing(NOW + HOUR + 7 * DAY + 301, &must_check("LEASE_EXPIRED", 60))
            .done(),
        new("grace of a verdict also runs while a lease lasts")
            .lease(NOW, &lease(&json!({})), None)
            .decide(NOW + HOUR, &valid_at(NOW + HOUR), &allowed(DAY))
            .missing(NOW + 2 * DAY, &allowed(60))
            .missing(end + 301, &in_grace(NOW + 9 * DAY, 120))
            .missing(NOW + 9 * DAY, &must_check("GRACE_ENDED", 240))
            .done(),
        new("lease for another device")
            .lease(
                NOW,
                &lease(&json!({"fp": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"})),
                Some("WRONG_DEVICE"),
            )
            .not_asked(NOW, "NEVER_CHECKED")
            .done(),
        new("lease for the domain of the software")
            .policy(&json!({"domain": "example.com"}))
            .lease(NOW, &lease(&json!({"dom": "example.org"})), Some("WRONG_DOMAIN"))
            .lease(NOW, &lease(&json!({})), Some("WRONG_DOMAIN"))
            .lease(NOW, &lease(&json!({"dom": "example.com"})), None)
            .not_asked_allowed(NOW)
            .done(),
        new("version after the end of the updates")
            .policy(&json!({"released_at": NOW}))
            .lease(NOW, &lease(&json!({"upd_until": NOW - 1})), Some("VERSION_NOT_COVERED"))
            .lease(NOW, &lease(&json!({"upd_until": NOW})), None)
            .not_asked_allowed(NOW)
            .done(),
        new("software without keys refuses leases")
            .policy(&json!({"keys": []}))
            .lease(NOW, &lease(&json!({})), Some("UNKNOWN_KEY"))
            .done(),
        new("older lease does not replace a newer one")
            .lease(NOW + DAY, &lease_at(NOW + DAY, "lse_2"), None)
            .lease(NOW + DAY, &lease_at(NOW, "lse_1"), Some("LEASE_OUTDATED"))
            .lease(NOW + 2 * DAY, &lease_at(NOW + 2 * DAY, "lse_3"), None)
            .decide(NOW + 2 * DAY, &not_asked, &allowed(3 * DAY))
            .done(),
        new("older lease that lasts longer, after the newer one has ended")
            .lease(
                NOW + HOUR,
                &lease(&json!({"jti": "lse_2", "iat": NOW + HOUR, "nbf": NOW + HOUR, "exp": NOW + DAY})),
                None,
            )
            .lease(NOW + 2 * DAY, &lease(&json!({})), None)
            .not_asked_allowed(NOW + 2 * DAY)
            .done(),
        new("revoked lease")
            .lease(NOW, &lease(&json!({})), None)
            .not_asked_allowed(NOW)
            .revocations(&TestKey::Active.revocations(NOW, &["lse_0000", "lse_0001"]), None)
            .not_asked(NOW, "LEASE_REVOKED")
            .lease(NOW, &lease(&json!({})), Some("LEASE_REVOKED"))
            .done(),
        new("older list of revocations does not replace a newer one")
            .lease(NOW, &lease(&json!({})), None)
            .revocations(&TestKey::Active.revocations(NOW, &["lse_0001"]), None)
            .revocations(&TestKey::Active.revocations(NOW - 1, &[]), Some("REVOCATIONS_OUTDATED"))
            .revocations(&TestKey::Active.revocations(NOW, &[]), None)
            .not_asked(NOW, "LEASE_REVOKED")
            .revocations(&TestKey::Active.revocations(NOW + 1, &[]), None)
            .not_asked_allowed(NOW)
            .done(),
        new("forged list of revocations")
            .lease(NOW, &lease(&json!({})), None)
            .revocations(&TestKey::Attacker.revocations(NOW, &["lse_0001"]), Some("UNKNOWN_KEY"))
            .not_asked_allowed(NOW)
            .done(),
    ]
}

fn newest() -> Vec<Value> {
    vec![
        new("denial ends a lease that lasts")
            .lease(NOW, &lease(&json!({})), None)
            .decide(NOW + HOUR, &denial_at(NOW + HOUR, "LICENSE_REVOKED"), &denied("LICENSE_REVOKED", HOUR))
            .missing(NOW + 2 * HOUR, &denied("LICENSE_REVOKED", 60))
            .done(),
        new("denial of the second of the lease ends it")
            .lease(NOW, &lease(&json!({})), None)
            .decide(NOW, &denial_at(NOW, "LICENSE_REVOKED"), &denied("LICENSE_REVOKED", HOUR))
            .done(),
        new("denial by a server whose clock is behind ends a lease that lasts")
            .lease(NOW, &lease(&json!({})), None)
            .decide(NOW, &denial_at(NOW - 10, "LICENSE_REVOKED"), &denied("LICENSE_REVOKED", HOUR))
            .lease(NOW, &lease(&json!({})), None)
            .decide(NOW, &"not_asked".into(), &denied("LICENSE_REVOKED", HOUR))
            .done(),
        new("lease that was issued before a denial does not end it")
            .decide(NOW + HOUR, &denial_at(NOW + HOUR, "LICENSE_REVOKED"), &denied("LICENSE_REVOKED", HOUR))
            .lease(NOW + 2 * HOUR, &lease(&json!({})), None)
            .decide(NOW + 2 * HOUR, &"not_asked".into(), &denied("LICENSE_REVOKED", HOUR))
            .done(),
        new("lease that was issued after a denial ends it")
            .decide(NOW, &denial_at(NOW, "LICENSE_EXPIRED"), &denied("LICENSE_EXPIRED", HOUR))
            .lease(NOW + 1, &lease_at(NOW + 1, "lse_2"), None)
            .not_asked_allowed(NOW + 1)
            .done(),
        new("lease of a revoked key does not hide a verdict")
            .learn(NOW, &TestKey::Active.keys(&key_claims()), None)
            .decide(NOW, &proof(200, &TestKey::Next.verdict(&verdict_claims())), &allowed(DAY))
            .lease(NOW + HOUR, &lease_at(NOW + HOUR, "lse_2"), None)
            .learn(
                NOW,
                &TestKey::Next.keys(&with(key_claims(), &json!({"revoked": [TestKey::Active.id()]}))),
                None,
            )
            .decide(NOW + HOUR, &"not_asked".into(), &allowed(DAY - HOUR))
            .done(),
    ]
}

fn air_gap() -> Vec<Value> {
    let other = "AAECAwQFBgcICQoLDA0ODg";
    let answer = lease(&json!({"nonce": NONCE}));
    let key_token = TestKey::Active.keys(&key_claims());
    let next = TestKey::Next.lease(&lease_claims());
    let file = |tokens: &[&str]| {
        format!("-----BEGIN LICENSE FILE-----\r\n{}\r\n-----END LICENSE FILE-----\r\n", tokens.join("\r\n~"))
    };
    vec![
        new("lease answers the last request only")
            .lease(NOW, &answer, Some("WRONG_NONCE"))
            .begin_request(other)
            .lease(NOW, &answer, Some("WRONG_NONCE"))
            .begin_request(NONCE)
            .lease(NOW, &answer, None)
            .not_asked_allowed(NOW)
            .lease(NOW, &answer, None)
            .begin_request(other)
            .not_asked_allowed(NOW)
            .done(),
        new("request is answered once")
            .begin_request(NONCE)
            .lease(NOW, &answer, None)
            .lease(NOW, &lease(&json!({"nonce": NONCE, "jti": "lse_2"})), Some("WRONG_NONCE"))
            .done(),
        new("answer to a request cures a clock that was ahead")
            .not_asked(NOW + 365 * DAY, "NEVER_CHECKED")
            .lease(NOW, &lease(&json!({})), Some("CLOCK_ROLLED_BACK"))
            .begin_request(NONCE)
            .lease(NOW, &answer, None)
            .not_asked_allowed(NOW)
            .done(),
        new("file that was loaded does not set the clock again")
            .begin_request(NONCE)
            .lease(NOW, &answer, None)
            .not_asked(NOW + 8 * DAY, "LEASE_EXPIRED")
            .lease(NOW, &answer, Some("CLOCK_ROLLED_BACK"))
            .not_asked(NOW, "CLOCK_ROLLED_BACK")
            .done(),
        new("file with a key token teaches the key of its lease")
            .file(NOW, &file(&[&next]), Some("UNKNOWN_KEY"))
            .file(NOW, &file(&[&next, &key_token]), None)
            .not_asked_allowed(NOW)
            .done(),
        new("file with a forged key token")
            .file(
                NOW,
                &file(&[
                    &TestKey::Attacker.lease(&lease_claims()),
                    &TestKey::Attacker.keys(&with(key_claims(), &json!({"keys": [TestKey::Attacker.jwk()]}))),
                ]),
                Some("UNKNOWN_KEY"),
            )
            .trusts(&[TestKey::Active.id()])
            .done(),
        new("file that is cut off").file(NOW, &file(&[&next])[..200], Some("FILE_MALFORMED")).done(),
        new("lease that was handed back")
            .decide(NOW - HOUR, &valid_at(NOW - HOUR), &allowed(DAY))
            .lease(NOW, &lease(&json!({})), None)
            .return_lease(NOW, "LREL1-11P76-SAZ60-R30C8-G4GEA-FM2B2-B0HWH-1APXJ-MDJQG-68Z54-K3BV8")
            .not_asked(NOW, "NEVER_CHECKED")
            .lease(NOW, &lease(&json!({})), Some("LEASE_RETURNED"))
            .decide(NOW, &valid_at(NOW), &allowed(DAY))
            .done(),
    ]
}

/// `codes.json`.
pub(crate) fn codes() -> Value {
    let request = |product: &str, key: &str, fingerprint: &str, nonce: &str, text: &str| json!({"product": product, "key": key, "fingerprint": fingerprint, "nonce": nonce, "text": text});
    json!({
        "about": "Request codes and release codes. Those of bad have an error.",
        "requests": [
            request("editor", "TO-KG5R-ZJ6N-N7RN-EGAX", "8f14e45f-ceea-467f", NONCE, "LREQ1-0SJP8-TBMDX-S1CN2-F5N5M-EDAJ5-ND4MD-JE5N7-3EMJE-5N2ME-GAR28-W6CC9-MCMT3-ASHDC-DJPAR-9D6GV-3ESGG-000G4-0R40M-30E20-9185G-R38E1-YABVT-APGC"),
            request("p", "k", "f", NONCE, "LREQ1-05R02-TR1CR-80008-20C20-A1G71-04GM2-RC1M7-0YQYN-APQKJ"),
        ],
        "releases": [{"lease": lease(&json!({})), "jti": "lse_0001", "text": "LREL1-11P76-SAZ60-R30C8-G4GEA-FM2B2-B0HWH-1APXJ-MDJQG-68Z54-K3BV8"}],
        "bad": [
            {"text": "", "error": "CODE_MALFORMED"},
            {"text": "LREQ1-", "error": "CODE_MALFORMED"},
            {"text": "LREQ2-00000", "error": "CODE_MALFORMED"},
            {"text": "LREQ1-00000-00000-00000", "error": "CODE_MALFORMED"},
            {"text": "LREQ1-05R02-TR1CR-80008-20C20-A1G71-04GM2-RC1M7-0YQYN-APQK1", "error": "CODE_MALFORMED"},
        ],
    })
}

/// `digests.json`.
pub(crate) fn digests() -> Value {
    json!({
        "about": "fp: the digest of a device. req: the digest of a request body. Both are base64url.",
        "devices": [
            {"product": "editor", "fingerprint": "8f14e45f-ceea-467f", "fp": "Mm3cp1wo54uyhVUpWgNMHrbqGS-bQ-ooX2_SPZWKENU"},
            {"product": "editor", "fingerprint": " 8f14e45f-ceea-467f\n", "fp": "Mm3cp1wo54uyhVUpWgNMHrbqGS-bQ-ooX2_SPZWKENU"},
            {"product": "edit", "fingerprint": "or8f14e45f-ceea-467f", "fp": "MLsEBIBjDjG_xb-sVw8PTLvKZpQYnbPdifdeVKjCm7Y"},
            {"product": "default", "fingerprint": "Gerät 1", "fp": "o9UH9RlOewSLOVwm7xWRuHgX5fYpx0ZKsNobj6SxKyk"},
        ],
        "bodies": [
            {"body": "", "req": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
            {"body": BODY, "req": crate::signer::BODY_DIGEST},
        ],
    })
}
