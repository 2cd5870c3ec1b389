//! The client.

use std::fmt;

use license_verify::{Answer, Decision, HttpAnswer, Nonce, Policy, Request, decide, limits};
use serde_json::{Map, Value, json};

use crate::check::Check;
use crate::clock::Clock;
use crate::error::Error;
use crate::http::{Http, Reply};
use crate::license_key::LicenseKey;
use crate::rfc3339;
use crate::state_error::StateError;
use crate::state_file::{Pause, Stored};
use crate::state_store::{Save, StateStore};

/// Licenses software: asks the server, keeps its answers, and decides whether the software may run.
///
/// Its calls block until the deadline at the latest. [`Client::check_async`] and [`Client::run_async`] do
/// not. Clones share one state.
#[derive(Clone)]
pub struct Client(pub(crate) std::sync::Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) http: Http,
    pub(crate) policy: Policy,
    /// Whether there are public keys.
    pub(crate) wants_proof: bool,
    pub(crate) product: String,
    pub(crate) fingerprint: String,
    pub(crate) domain: Option<String>,
    pub(crate) released_at: Option<i64>,
    pub(crate) license_key: Option<LicenseKey>,
    pub(crate) store: StateStore,
    pub(crate) clock: Clock,
}

impl Client {
    /// Decides whether the software may run. Call it at start-up.
    ///
    /// It asks the server only if a check is due, or if the software may not run by what the client knows. It
    /// does not ask again in a time that the server has set by `Retry-After`.
    #[must_use]
    pub fn check(&self) -> Check {
        let inner = &*self.0;
        let now = inner.clock.now();
        let ((decision, is_due), state_error) = inner.store.update(now, |stored| {
            let mut decision = decide(now, &mut stored.state, &Answer::NotAsked, &inner.policy);
            let pause = stored.pause.filter(|pause| (pause.from..pause.until).contains(&now));
            let is_due = is_due(&decision, pause);
            if let Some(pause) = pause {
                decision.check_in = decision.check_in.max(pause.until.abs_diff(now));
            }
            ((decision, is_due), Save::Sometimes)
        });
        if !is_due || inner.license_key.is_none() {
            return Check { decision, asked: false, ignored: Vec::new(), state_error };
        }
        self.ask(state_error)
    }

    /// Asks the server, and decides whether the software may run. Call it if the user wants to try again.
    #[must_use]
    pub fn check_now(&self) -> Check {
        if self.0.license_key.is_none() {
            return self.check();
        }
        self.ask(None)
    }

    /// Returns the text that the client sends as the fingerprint of this device.
    #[must_use]
    pub fn device_id(&self) -> &str {
        &self.0.fingerprint
    }

    fn ask(&self, earlier: Option<StateError>) -> Check {
        let inner = &*self.0;
        let question = self.question();
        let reply = question
            .as_ref()
            .and_then(|question| inner.http.post("/api/v1/validate", &question.body, limits::ANSWER_BYTES));
        let ignored = reply.as_ref().map(Reply::ignored).unwrap_or_default();
        let now = inner.clock.now();
        let (decision, state_error) = inner.store.update(now, |stored| {
            let answer = match (&question, &reply) {
                (Some(question), Some(reply)) if ignored.is_empty() => {
                    let request = Request { nonce: &question.nonce, body: &question.body };
                    reply.as_http().read(request, &mut stored.state, &inner.policy)
                }
                // An answer to other conditions than ours is none.
                _ => Answer::MISSING,
            };
            let decision = decide(now, &mut stored.state, &answer, &inner.policy);
            set_pause(stored, &answer, &decision, now);
            (decision, Save::Now)
        });
        Check { decision, asked: true, ignored, state_error: earlier.or(state_error) }
    }

    /// Returns a question with a fresh nonce. Returns `None` without a key, or if the random generator fails.
    fn question(&self) -> Option<Question> {
        let nonce = fresh_nonce().ok()?;
        let mut body = self.key_body().ok()?;
        body.insert("product".to_owned(), json!(self.0.product));
        if let Some(time) = self.0.released_at {
            body.insert("released_at".to_owned(), json!(rfc3339::from_unix(time)));
        }
        if self.0.wants_proof {
            body.insert("nonce".to_owned(), json!(nonce.to_text()));
        }
        Some(Question { nonce, body: to_bytes(body) })
    }

    /// Returns a body with the license key, the fingerprint and the domain.
    pub(crate) fn key_body(&self) -> Result<Map<String, Value>, Error> {
        let key = self.0.license_key.as_ref().ok_or(Error::NoKey)?;
        let mut body = Map::new();
        body.insert("key".to_owned(), json!(key.as_str()));
        body.insert("fingerprint".to_owned(), json!(self.0.fingerprint));
        if let Some(domain) = &self.0.domain {
            body.insert("domain".to_owned(), json!(domain));
        }
        Ok(body)
    }

    /// Posts a body, and returns the answer of the server or its refusal.
    pub(crate) fn call(
        &self,
        path: &str,
        body: Map<String, Value>,
        limit: usize,
    ) -> Result<Map<String, Value>, Error> {
        self.0.http.post(path, &to_bytes(body), limit).ok_or(Error::NoAnswer)?.into_result()
    }
}

/// Shows neither the license key nor the device.
impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("product", &self.0.product).finish_non_exhaustive()
    }
}

struct Question {
    nonce: Nonce,
    body: Vec<u8>,
}

impl Reply {
    fn as_http(&self) -> HttpAnswer<'_> {
        HttpAnswer {
            status: self.status,
            retry_after: self.retry_after.as_deref(),
            date: self.date,
            body: &self.body,
        }
    }
}

pub(crate) fn fresh_nonce() -> Result<Nonce, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| Error::NoRandom)?;
    Ok(Nonce::from_random(&random)?)
}

pub(crate) fn to_bytes(body: Map<String, Value>) -> Vec<u8> {
    Value::Object(body).to_string().into_bytes()
}

/// Returns whether to ask the server. Software that may not run asks at every check, because its user may
/// have just paid.
fn is_due(decision: &Decision, pause: Option<Pause>) -> bool {
    let is_allowed = decision.outcome.is_allowed();
    if let Some(pause) = pause
        && (is_allowed || pause.is_requested)
    {
        return false;
    }
    !is_allowed || decision.check_in == 0
}

fn set_pause(stored: &mut Stored, answer: &Answer, decision: &Decision, now: i64) {
    stored.pause = match answer {
        Answer::Missing { retry_after } => {
            let wait = i64::try_from(decision.check_in).unwrap_or(i64::MAX);
            let until = now.saturating_add(wait);
            Some(Pause { from: now, until, is_requested: retry_after.is_some() })
        }
        _ => None,
    };
}
