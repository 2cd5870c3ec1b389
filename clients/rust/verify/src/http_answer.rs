//! Tells an answer of the server from those of proxies, portals and broken servers.

use serde_json::{Map, Value};

use crate::answer::{Answer, UnprovenVerdict};
use crate::feature::Features;
use crate::key_set::KeySet;
use crate::key_token::KeyToken;
use crate::nonce::Nonce;
use crate::policy::Policy;
use crate::state::State;
use crate::verdict::ProvenVerdict;
use crate::{json, limits, time};

/// An HTTP answer to `POST /api/v1/validate`. If no answer came, use [`Answer::MISSING`].
#[derive(Clone, Copy, Debug)]
pub struct HttpAnswer<'a> {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The header `Date`, in Unix seconds.
    pub date: Option<i64>,
    /// The bytes of the body.
    pub body: &'a [u8],
}

/// The request that the answer is for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The nonce that the body has.
    pub nonce: &'a Nonce,
    /// The bytes of the body, as they were sent.
    pub body: &'a [u8],
}

impl HttpAnswer<'_> {
    /// Reads the answer. The state learns the keys that come with the answer.
    ///
    /// With public keys, only the proof counts: neither the status nor the rest of the body is protected. Without
    /// keys, a verdict is a JSON object with `valid` under status 200, or one of the errors `LICENSE_KEY_MALFORMED` and
    /// `LICENSE_NOT_FOUND` under their status.
    #[must_use]
    pub fn read(&self, request: Request<'_>, state: &mut State, policy: &Policy) -> Answer {
        let missing =
            Answer::Missing { retry_after: self.retry_after.and_then(|text| text.trim().parse().ok()) };
        if self.body.len() > limits::ANSWER_BYTES {
            return missing;
        }
        let Some(body) = json::parse_object(self.body) else { return missing };
        if policy.keys.is_empty() {
            return self.unproven(&body).map_or(missing, Answer::Unproven);
        }
        proven(&body, request, state, policy).map_or(missing, Answer::Proven)
    }

    fn unproven(&self, body: &Map<String, Value>) -> Option<UnprovenVerdict> {
        let date = self.date;
        if !body.get("valid")?.as_bool()? {
            let error = body.get("error")?.as_str()?;
            // All errors of the server have `"valid":false`; most of them say nothing about the license.
            let is_verdict = match self.status {
                200 => true,
                400 => error == "LICENSE_KEY_MALFORMED",
                404 => error == "LICENSE_NOT_FOUND",
                _ => false,
            };
            let denial = UnprovenVerdict {
                error: Some(error.to_owned()),
                features: Features::new(),
                lic_exp: None,
                date,
            };
            return is_verdict.then_some(denial);
        }
        let license = body.get("license")?;
        let features = serde_json::from_value(license.get("features")?.clone()).ok()?;
        let lic_exp = match license.get("expiresAt")? {
            Value::Null => None,
            time => Some(time::parse_rfc3339(time.as_str()?)?),
        };
        (self.status == 200).then_some(UnprovenVerdict { error: None, features, lic_exp, date })
    }
}

/// Verifies the proof, by the keys that come with the answer if necessary.
///
/// The proof is fresh, so its time decides whether the state learns keys, and not the clock of the machine.
fn proven(
    body: &Map<String, Value>,
    request: Request<'_>,
    state: &mut State,
    policy: &Policy,
) -> Option<ProvenVerdict> {
    let proof = body.get("proof")?.as_str()?;
    let verify =
        |keys: &KeySet| ProvenVerdict::verify(proof, keys, &policy.product, request.nonce, request.body).ok();
    let tokens: Vec<&str> = match body.get("key_tokens") {
        Some(Value::Array(tokens)) => {
            tokens.iter().filter_map(Value::as_str).take(limits::FILE_KEY_TOKENS).collect()
        }
        _ => Vec::new(),
    };
    let mut keys = state.trusted_keys(policy);
    for token in &tokens {
        if let Ok(token) = KeyToken::read(token, &keys, &policy.product) {
            token.teach(&mut keys);
        }
    }
    let time = verify(&keys)?.verdict().iat;
    for token in tokens {
        // A token that is not accepted teaches nothing; the proof decides.
        let _ = state.learn_keys_at(token, time, policy);
    }
    verify(&state.trusted_keys(policy))
}
