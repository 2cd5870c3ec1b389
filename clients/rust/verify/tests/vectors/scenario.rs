//! Scenarios: steps on a state, each with what is expected.

use serde_json::{Value, json};

use crate::signer::{BODY, FINGERPRINT, NONCE, PRODUCT, with};

/// A scenario under construction. It begins with an empty state.
#[derive(Clone)]
pub(crate) struct Scenario {
    name: String,
    policy: Value,
    steps: Vec<Value>,
}

impl Scenario {
    /// A scenario of software that was built with the active key and has a grace of 7 days.
    pub(crate) fn new(name: &str) -> Self {
        let policy = json!({
            "product": PRODUCT, "fingerprint": FINGERPRINT, "keys": ["active"], "domain": null, "released_at": null,
            "grace": 7 * 86_400, "check_interval": 86_400,
        });
        Self { name: name.to_owned(), policy, steps: Vec::new() }
    }

    pub(crate) fn policy(mut self, changes: &Value) -> Self {
        self.policy = with(self.policy, changes);
        self
    }

    fn step(mut self, step: Value) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn learn(self, now: i64, token: &str, error: Option<&str>) -> Self {
        self.step(json!({"do": "learn_keys", "now": now, "token": token, "error": error}))
    }

    pub(crate) fn lease(self, now: i64, token: &str, error: Option<&str>) -> Self {
        self.step(json!({"do": "add_lease", "now": now, "token": token, "error": error}))
    }

    pub(crate) fn file(self, now: i64, text: &str, error: Option<&str>) -> Self {
        self.step(json!({"do": "add_file", "now": now, "text": text, "error": error}))
    }

    pub(crate) fn revocations(self, token: &str, error: Option<&str>) -> Self {
        self.step(json!({"do": "add_revocations", "token": token, "error": error}))
    }

    pub(crate) fn begin_request(self, nonce: &str) -> Self {
        self.step(json!({"do": "begin_request", "nonce": nonce}))
    }

    pub(crate) fn return_lease(self, now: i64, code: &str) -> Self {
        self.step(json!({"do": "return_lease", "now": now, "code": code}))
    }

    /// The ids of all trusted keys.
    pub(crate) fn trusts(self, ids: &[String]) -> Self {
        let mut ids = ids.to_vec();
        ids.sort();
        self.step(json!({"do": "trusted_keys", "ids": ids}))
    }

    /// A decision. `answer` is `"not_asked"`, `"missing"` or an HTTP answer.
    pub(crate) fn decide(self, now: i64, answer: &Value, expected: &Value) -> Self {
        self.step(json!({"do": "decide", "now": now, "answer": answer, "expected": expected}))
    }

    pub(crate) fn not_asked(self, now: i64, code: &str) -> Self {
        self.decide(now, &"not_asked".into(), &must_check(code, 0))
    }

    pub(crate) fn not_asked_allowed(self, now: i64) -> Self {
        self.decide(now, &"not_asked".into(), &json!({"outcome": "allowed"}))
    }

    pub(crate) fn missing(self, now: i64, expected: &Value) -> Self {
        self.decide(now, &"missing".into(), expected)
    }

    pub(crate) fn done(self) -> Value {
        json!({"name": self.name, "policy": self.policy, "steps": self.steps})
    }
}

/// An answer of the server with a proof.
pub(crate) fn proof(status: u16, token: &str) -> Value {
    http(status, &json!({"valid": status == 200, "proof": token}).to_string())
}

/// An HTTP answer to `BODY`.
pub(crate) fn http(status: u16, body: &str) -> Value {
    json!({"status": status, "retry_after": null, "date": null, "body": body, "nonce": NONCE, "request_body": BODY})
}

pub(crate) fn allowed(check_in: i64) -> Value {
    json!({"outcome": "allowed", "check_in": check_in})
}

pub(crate) fn in_grace(until: i64, check_in: i64) -> Value {
    json!({"outcome": "allowed_in_grace", "until": until, "check_in": check_in})
}

pub(crate) fn denied(code: &str, check_in: i64) -> Value {
    json!({"outcome": "denied", "code": code, "check_in": check_in})
}

pub(crate) fn must_check(code: &str, check_in: i64) -> Value {
    json!({"outcome": "must_check_online", "code": code, "check_in": check_in})
}
