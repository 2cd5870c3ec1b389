use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::*;
use crate::access::{Actor, Principal};
use crate::signing::SigningKeyPair;

fn at(minute: i64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2027-01-01T00:00:00Z".parse().unwrap();
    start + TimeDelta::minutes(minute)
}

fn new_key(seed: u8) -> NewSigningKey {
    let public = SigningKeyPair::from_seed(&[seed; 32]).public();
    NewSigningKey { public, sealed: SealedSecret::from_bytes(vec![seed; 72]) }
}

fn id(seed: u8) -> SigningKeyId {
    new_key(seed).public.id()
}

struct Fixture {
    set: Arc<SigningKeySet>,
    audit: Option<AuditEntry>,
}

impl Fixture {
    /// Key 1 is active, key 2 is next.
    fn started() -> Self {
        let mut fixture = Self { set: Arc::default(), audit: None };
        fixture.run(&SigningKeyCommand::Start { active: new_key(1), next: new_key(2) }, 0).unwrap();
        fixture
    }

    fn run(&mut self, command: &SigningKeyCommand, minute: i64) -> Result<bool, SigningKeyDenial> {
        let by = Actor { principal: Principal::CommandLine, request_id: None, address: None };
        let context = SigningKeyContext { now: at(minute), by: Some(Arc::new(by)) };
        let SigningKeyDecision { outcome, changes } = decide_signing_keys(&self.set, command, &context);
        match outcome {
            SigningKeyOutcome::Done(set) => {
                if let Some(changes) = &changes {
                    assert_eq!(set, changes.set);
                    assert_eq!(set.revision(), self.set.revision() + 1);
                    for key in &changes.keys {
                        assert_eq!(set.get(&key.id), Some(key));
                    }
                } else {
                    assert_eq!(set, self.set);
                }
                self.set = set;
                self.audit = changes.as_ref().and_then(|changes| changes.audit.clone());
                Ok(changes.is_some())
            }
            SigningKeyOutcome::Denied(denial) => {
                assert_eq!(changes, None);
                Err(denial)
            }
        }
    }

    fn rotate(&mut self, next: u8, force: bool, minute: i64) -> Result<bool, SigningKeyDenial> {
        self.run(&SigningKeyCommand::Rotate { next: new_key(next), force }, minute)
    }

    fn revoke(&mut self, key: u8, next: u8, minute: i64) -> Result<bool, SigningKeyDenial> {
        self.run(&SigningKeyCommand::Revoke { id: id(key), next: new_key(next) }, minute)
    }

    /// A token of the key ends at this minute.
    fn signs_until(&mut self, key: u8, minute: i64) {
        let key = self.set.get(&id(key)).unwrap();
        let signed = SigningKey { signed_until: Some(at(minute)), ..key.clone() };
        self.set = Arc::new(self.set.with(&[signed]));
    }

    fn states(&self) -> Vec<&'static str> {
        let one = |seed| self.set.get(&id(seed)).map(|key| key.state.as_str());
        (1..=9).map_while(one).collect()
    }

    fn published(&self) -> Vec<String> {
        let jwks = self.set.to_jwks();
        let keys = jwks["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn first_keys_are_added_once_and_not_audited() {
    let mut fixture = Fixture::started();
    assert_eq!((fixture.states(), fixture.audit.take()), (vec!["active", "next"], None));
    assert_eq!(fixture.set.active().map(|key| &key.id), Some(&id(1)));
    let again = SigningKeyCommand::Start { active: new_key(3), next: new_key(4) };
    assert_eq!(fixture.run(&again, 5), Ok(false));
}

#[test]
fn rotation_activates_the_key_that_was_published_before() {
    let mut fixture = Fixture::started();
    fixture.signs_until(1, 50_000);
    assert_eq!(fixture.rotate(3, false, 10), Ok(true));
    assert_eq!(fixture.states(), ["retiring", "active", "next"]);
    let [replaced, active] = [1, 2].map(|key| fixture.set.get(&id(key)).unwrap());
    assert_eq!((replaced.replaced_at, active.activated_at), (Some(at(10)), Some(at(10))));
    assert_eq!(fixture.published().len(), 3, "all of them are needed to verify");
    let audit = fixture.audit.unwrap();
    assert_eq!(audit.action, "signing_key.rotate");
    let state = |key: u8| audit.changes[id(key).as_str()].clone();
    assert_eq!(state(1), json!({ "before": "active", "after": "retiring" }));
    assert_eq!(state(2), json!({ "before": "next", "after": "active" }));
    assert_eq!(state(3), json!({ "before": null, "after": "next" }));
}

#[test]
fn rotation_waits_for_the_tokens_of_the_key_before() {
    let mut fixture = Fixture::started();
    fixture.signs_until(1, 50_000);
    fixture.rotate(3, false, 10).unwrap();
    let denied = fixture.rotate(4, false, 49_999).unwrap_err();
    assert_eq!(denied, SigningKeyDenial::StillRetiring { id: id(1), until: at(50_000) });
    assert!(denied.to_string().contains("are in use until 2027-02-04T17:20:00Z."), "{denied}");
    fixture.rotate(4, false, 50_000).unwrap();
    assert_eq!(fixture.states(), ["retired", "retiring", "active", "next"]);

    let mut forced = Fixture::started();
    forced.signs_until(1, 50_000);
    forced.rotate(3, false, 10).unwrap();
    forced.rotate(4, true, 11).unwrap();
    assert_eq!(forced.states(), ["retiring", "retiring", "active", "next"]);
}

#[test]
fn key_retires_after_its_last_token() {
    let mut fixture = Fixture::started();
    fixture.signs_until(1, 50_000);
    fixture.rotate(3, false, 10).unwrap();
    assert_eq!(fixture.run(&SigningKeyCommand::Retire, 49_999), Ok(false));
    assert_eq!(fixture.run(&SigningKeyCommand::Retire, 50_000), Ok(true));
    assert_eq!((fixture.states(), fixture.audit.take()), (vec!["retired", "active", "next"], None));
    assert!(!fixture.published().contains(&id(1).to_string()));
}

#[test]
fn replaced_key_is_retiring_while_software_learns_from_it() {
    let mut fixture = Fixture::started();
    fixture.rotate(3, false, 10).unwrap();
    let last = 10 + KEY_TOKEN_LIFETIME.num_minutes();
    assert_eq!(fixture.set.get(&id(1)).unwrap().signed_until, Some(at(last)));
    assert_eq!(fixture.run(&SigningKeyCommand::Retire, last - 1), Ok(false));
    assert_eq!(fixture.run(&SigningKeyCommand::Retire, last), Ok(true));
    assert_eq!(fixture.states(), ["retired", "active", "next"]);
}

#[test]
fn revoked_key_is_replaced_at_once() {
    let mut fixture = Fixture::started();
    fixture.signs_until(1, 50_000);
    assert_eq!(fixture.revoke(1, 3, 10), Ok(true));
    assert_eq!(fixture.states(), ["revoked", "active", "next"]);
    assert!(!fixture.published().contains(&id(1).to_string()));
    assert_eq!(fixture.audit.take().unwrap().action, "signing_key.revoke");
    assert_eq!(fixture.revoke(1, 4, 11), Ok(false), "once");
    assert_eq!(fixture.revoke(3, 4, 12), Ok(true));
    assert_eq!(fixture.states(), ["revoked", "active", "revoked", "next"]);
    fixture.rotate(5, false, 13).unwrap();
    fixture.revoke(2, 6, 14).unwrap();
    assert_eq!(fixture.states(), ["revoked", "revoked", "revoked", "active", "next"], "no new key");
    assert_eq!(fixture.revoke(9, 6, 15), Err(SigningKeyDenial::NotFound { id: id(9) }));
}

#[test]
fn imported_key_becomes_the_next_one() {
    let mut fixture = Fixture::started();
    assert_eq!(fixture.run(&SigningKeyCommand::Import(new_key(3)), 10), Ok(true));
    assert_eq!(fixture.states(), ["active", "retired", "next"]);
    let again = fixture.run(&SigningKeyCommand::Import(new_key(1)), 11).unwrap_err();
    assert_eq!(again, SigningKeyDenial::Exists { id: id(1), state: SigningKeyState::Active });
    fixture.rotate(4, false, 12).unwrap();
    assert_eq!(fixture.set.active().map(|key| &key.id), Some(&id(3)));
}

#[test]
fn there_is_always_one_active_and_one_next_key() {
    let mut fixture = Fixture::started();
    let mut seed = 3;
    for step in 0..40_i64 {
        let (next, target) = (new_key(seed), u8::try_from(step * 7 % i64::from(seed - 1) + 1).unwrap());
        let command = match step % 4 {
            0 => SigningKeyCommand::Rotate { next, force: true },
            1 => SigningKeyCommand::Revoke { id: id(target), next },
            2 => SigningKeyCommand::Import(next),
            _ => SigningKeyCommand::Retire,
        };
        let before = fixture.set.keys().len();
        fixture.run(&command, step + 1).unwrap();
        if fixture.set.keys().len() > before {
            seed += 1;
        }
        for state in [SigningKeyState::Active, SigningKeyState::Next] {
            let count = fixture.set.keys().iter().filter(|key| key.state == state).count();
            assert_eq!(count, 1, "{state} after {command:?}");
        }
    }
}
