//! Runs the vectors of `clients/vectors`, and checks that they are up to date.
//!
//! To write them: `UPDATE_VECTORS=1 cargo test -p license-verify --test vectors`.
#![expect(clippy::disallowed_methods, reason = "the vectors are files")]

use std::path::PathBuf;

use license_verify::{
    Answer, Decision, Digest, Error, HttpAnswer, KeySet, Lease, LicenseFile, Nonce, Outcome, Policy,
    ProvenVerdict, PublicKey, ReleaseCode, Request, RequestCode, Revocations, State, decide,
};
use serde_json::{Value, json};

#[path = "vectors/answers.rs"]
mod answers;
#[path = "vectors/clocks.rs"]
mod clocks;
#[path = "vectors/decisions.rs"]
mod decisions;
#[path = "vectors/files.rs"]
mod files;
#[path = "vectors/key_tokens.rs"]
mod key_tokens;
#[path = "vectors/scenario.rs"]
mod scenario;
#[path = "vectors/signer.rs"]
mod signer;
#[path = "vectors/tokens.rs"]
mod tokens;

type Document = fn() -> Value;

const DOCUMENTS: [(&str, Document); 10] = [
    ("keys.json", signer::document),
    ("public_keys.json", key_tokens::public_keys),
    ("tokens.json", tokens::document),
    ("key_tokens.json", key_tokens::document),
    ("license_files.json", files::document),
    ("digests.json", decisions::digests),
    ("codes.json", decisions::codes),
    ("decisions.json", decisions::document),
    ("answers.json", answers::document),
    ("clock.json", clocks::document),
];

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../vectors", name].iter().collect()
}

/// Reads the cases of a file. Each file has some.
fn cases(name: &str, list: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path(name)).expect("a file of vectors");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let cases = document[list].as_array().expect("a list of cases").clone();
    assert!(!cases.is_empty(), "{name} has no {list}");
    cases
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} of {case} is a text"))
}

fn number(case: &Value, field: &str) -> i64 {
    case[field].as_i64().unwrap_or_else(|| panic!("{field} of {case} is a number"))
}

/// Returns the code of an error; null if there is none.
fn code<T>(result: &Result<T, Error>) -> Value {
    result.as_ref().err().map_or(Value::Null, |error| error.code().into())
}

#[test]
fn vectors_are_up_to_date() {
    for (name, document) in DOCUMENTS {
        let text = format!("{:#}\n", document());
        if std::env::var("UPDATE_VECTORS").is_ok() {
            std::fs::write(path(name), &text).expect("a writable folder");
        }
        let stored = std::fs::read_to_string(path(name)).expect("a file of vectors");
        assert!(
            stored == text,
            "{name} is not up to date: UPDATE_VECTORS=1 cargo test -p license-verify --test vectors"
        );
    }
}

#[test]
fn tokens_are_accepted_or_rejected_as_stated() {
    for case in cases("tokens.json", "cases") {
        let keys = signer::key_set(&case["trusted"]);
        let (token, product) = (text(&case, "token"), text(&case, "product"));
        let result = match text(&case, "type") {
            "lease" => {
                let device = Digest::of_device(product, text(&case, "fingerprint"));
                code(&Lease::verify(token, &keys, product, &device, number(&case, "now")))
            }
            "verdict" => {
                let nonce = Nonce::parse(text(&case, "nonce")).expect("a nonce");
                code(&ProvenVerdict::verify(
                    token,
                    &keys,
                    product,
                    &nonce,
                    text(&case, "request_body").as_bytes(),
                ))
            }
            "revocations" => code(&Revocations::verify(token, &keys, product)),
            other => panic!("{other} is no type of token"),
        };
        assert_eq!(result, case["error"], "{}", case["name"]);
    }
}

#[test]
fn public_keys_are_accepted_or_rejected_as_stated() {
    for case in cases("public_keys.json", "cases") {
        let result = PublicKey::from_jwk(&case["jwk"].to_string());
        assert_eq!(code(&result), case["error"], "{}", case["name"]);
    }
    for key in cases("keys.json", "keys") {
        assert_eq!(
            PublicKey::from_jwk(&key["jwk"].to_string()).map(|key| key.id().to_owned()).as_deref(),
            Ok(text(&key["jwk"], "kid"))
        );
    }
}

#[test]
fn license_files_are_read_as_stated() {
    for case in cases("license_files.json", "cases") {
        let result = LicenseFile::parse(text(&case, "text"));
        assert_eq!(code(&result), case["error"], "{}", case["name"]);
        if let Ok(file) = result {
            assert_eq!(
                (json!(file.lease), json!(file.key_tokens)),
                (case["lease"].clone(), case["key_tokens"].clone())
            );
            if ["lease", "lease and key token"].contains(&text(&case, "name")) {
                assert_eq!(file.to_string(), text(&case, "text"));
            }
        }
    }
}

#[test]
fn digests_are_as_stated() {
    for case in cases("digests.json", "devices") {
        assert_eq!(
            Digest::of_device(text(&case, "product"), text(&case, "fingerprint")).to_text(),
            text(&case, "fp")
        );
    }
    for case in cases("digests.json", "bodies") {
        assert_eq!(Digest::of_body(text(&case, "body").as_bytes()).to_text(), text(&case, "req"));
    }
}

#[test]
fn codes_are_written_and_read_as_stated() {
    for case in cases("codes.json", "requests") {
        let nonce = Nonce::parse(text(&case, "nonce")).expect("a nonce");
        let code =
            RequestCode::new(text(&case, "product"), text(&case, "key"), text(&case, "fingerprint"), nonce);
        let code = code.expect("a code");
        assert_eq!(code.to_text(), text(&case, "text"));
        assert_eq!(RequestCode::parse(text(&case, "text")), Ok(code));
    }
    for case in cases("codes.json", "releases") {
        let code = ReleaseCode::new(text(&case, "jti"), text(&case, "lease")).expect("a code");
        assert_eq!(code.to_text(), text(&case, "text"));
        let read = ReleaseCode::parse(text(&case, "text")).expect("a code");
        assert_eq!(read, code);
        assert!(read.is_from(text(&case, "lease")));
    }
    for case in cases("codes.json", "bad") {
        assert_eq!(code(&RequestCode::parse(text(&case, "text"))), case["error"], "{case}");
        assert_eq!(code(&ReleaseCode::parse(text(&case, "text"))), case["error"], "{case}");
    }
}

#[test]
fn key_tokens_teach_what_is_stated() {
    run_scenarios("key_tokens.json");
}

#[test]
fn decisions_are_as_stated() {
    run_scenarios("decisions.json");
}

#[test]
fn answers_of_broken_networks_decide_as_stated() {
    run_scenarios("answers.json");
}

#[test]
fn clocks_decide_as_stated() {
    run_scenarios("clock.json");
}

fn run_scenarios(name: &str) {
    for case in cases(name, "cases") {
        let policy = policy(&case["policy"]);
        let mut state = State::default();
        for (index, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
            // Every step begins as a new run of the software does.
            state = State::from_json(state.to_json().as_bytes()).expect("the state is read back");
            run_step(&mut state, &policy, step, &format!("{name}: {}, step {index}", case["name"]));
        }
    }
}

fn policy(policy: &Value) -> Policy {
    let seconds = |field| u32::try_from(number(policy, field)).expect("seconds");
    let keys: KeySet = signer::key_set(&policy["keys"]);
    let mut settings = Policy::new(text(policy, "product"), text(policy, "fingerprint"))
        .keys(keys)
        .grace(seconds("grace"))
        .check_interval(seconds("check_interval"));
    if let Some(domain) = policy["domain"].as_str() {
        settings = settings.domain(domain);
    }
    if let Some(released_at) = policy["released_at"].as_i64() {
        settings = settings.released_at(released_at);
    }
    settings
}

fn run_step(state: &mut State, policy: &Policy, step: &Value, name: &str) {
    let now = || number(step, "now");
    let result = match text(step, "do") {
        "learn_keys" => code(&state.learn_keys(text(step, "token"), now(), policy)),
        "add_lease" => code(&state.add_lease(text(step, "token"), now(), policy)),
        "add_file" => code(&state.add_file(text(step, "text"), now(), policy)),
        "add_revocations" => code(&state.add_revocations(text(step, "token"), policy)),
        "begin_request" => {
            state.begin_request(Nonce::parse(text(step, "nonce")).expect("a nonce"));
            Value::Null
        }
        "return_lease" => {
            let code = state.return_lease(now(), policy).expect("a lease");
            assert_eq!(code.to_text(), text(step, "code"), "{name}");
            Value::Null
        }
        "trusted_keys" => {
            assert_eq!(json!(state.trusted_keys(policy).ids().collect::<Vec<_>>()), step["ids"], "{name}");
            Value::Null
        }
        "decide" => {
            let answer = answer(&step["answer"], state, policy);
            check_decision(&decide(now(), state, &answer, policy), &step["expected"], name);
            Value::Null
        }
        other => panic!("{other} is no step"),
    };
    assert_eq!(result, step["error"], "{name}");
}

fn answer(answer: &Value, state: &mut State, policy: &Policy) -> Answer {
    match answer.as_str() {
        Some("not_asked") => return Answer::NotAsked,
        Some("missing") => return Answer::MISSING,
        _ => {}
    }
    let nonce = Nonce::parse(text(answer, "nonce")).expect("a nonce");
    let request = Request { nonce: &nonce, body: text(answer, "request_body").as_bytes() };
    let http = HttpAnswer {
        status: u16::try_from(number(answer, "status")).expect("a status"),
        retry_after: answer["retry_after"].as_str(),
        date: answer["date"].as_i64(),
        body: text(answer, "body").as_bytes(),
    };
    http.read(request, state, policy)
}

/// Checks each field that is stated.
fn check_decision(decision: &Decision, expected: &Value, name: &str) {
    let (outcome, until) = match &decision.outcome {
        Outcome::Allowed => ("allowed", None),
        Outcome::AllowedInGrace { until } => ("allowed_in_grace", Some(*until)),
        Outcome::Denied { .. } => ("denied", None),
        Outcome::MustCheckOnline { .. } => ("must_check_online", None),
    };
    let actual = json!({
        "outcome": outcome, "until": until, "code": decision.outcome.code(), "check_in": decision.check_in,
        "renew_lease": decision.renew_lease, "features": decision.features,
    });
    for (field, value) in expected.as_object().expect("an expected decision") {
        assert_eq!(&actual[field], value, "{name}: {field} of {actual}");
    }
    assert_eq!(decision.outcome.is_allowed(), outcome.starts_with("allowed"), "{name}");
    assert!(decision.outcome.is_allowed() || decision.features.is_empty(), "{name}");
}
