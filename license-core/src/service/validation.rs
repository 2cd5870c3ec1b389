//! Validates keys, and deactivates for customers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::context::ServiceContext;
use super::health::Health;
use super::limit_throttle::LimitThrottle;
use crate::access::{Actor, Principal};
use crate::catalog::{FeatureName, is_name};
use crate::command::{Command, CommandOutcome, LimitReached};
use crate::debug::partial_debug;
use crate::domain::DomainName;
use crate::error::ValidateError;
use crate::key::{KeyDigest, KeyError};
use crate::license::{
    ActivationId, ActivationKind, ActivationTarget, Binding, Fingerprint, License, LicenseId,
};
use crate::limits;
use crate::metrics::{Metric, MetricValue};
use crate::signing::ProvenAnswer;
use crate::store::{EventStore, LicenseStore};
use crate::usage::{Client, Location, Validation, ValidationOutcome};
use crate::validation::{Claim, Denial, DenialCode, Evaluation, Verdict, activated, evaluate};

/// Outcome in metrics if no license has the key.
const NOT_FOUND: &str = ProvenAnswer::NOT_FOUND;

/// A validation request, as received.
#[derive(Clone, Copy)]
pub struct ValidateRequest<'a> {
    /// The license key.
    pub key: &'a str,
    /// The domain on which the software runs.
    pub domain: Option<&'a str>,
    /// Fingerprint of the device on which the software runs.
    pub fingerprint: Option<&'a str>,
    /// The software: `name` or `name/version`. Any text is accepted.
    pub client: Option<&'a str>,
    /// The location of the caller, if known.
    pub location: Option<&'a Location>,
    /// When the version of the software was released.
    pub released_at: Option<DateTime<Utc>>,
    /// The name of the product of the software. A key of another product is denied.
    pub product: Option<&'a str>,
    /// The features that the software needs.
    pub features: &'a [&'a str],
    /// Whether the validation may take slots and activate the license.
    pub activate: bool,
}

partial_debug!(ValidateRequest<'_> { domain, fingerprint, client, location, released_at, product, features, activate });

impl Default for ValidateRequest<'_> {
    /// Returns a request without a key and other fields, which may activate the license.
    fn default() -> Self {
        Self {
            key: "",
            domain: None,
            fingerprint: None,
            client: None,
            location: None,
            released_at: None,
            product: None,
            features: &[],
            activate: true,
        }
    }
}

impl ValidateRequest<'_> {
    pub(super) fn claim(&self) -> Result<Claim, ValidateError> {
        if self.product.is_some_and(|product| !is_name(product)) {
            return Err(ValidateError::Product);
        }
        if self.features.len() > limits::FEATURES_PER_REQUEST {
            return Err(ValidateError::TooManyFeatures);
        }
        Ok(Claim {
            domain: self.domain.map(DomainName::parse).transpose()?,
            fingerprint: self.fingerprint.map(Fingerprint::parse).transpose()?,
            released_at: self.released_at,
            product: self.product.map(str::to_owned),
            features: self.features.iter().map(|name| FeatureName::parse(name)).collect::<Result<_, _>>()?,
            activate: self.activate,
        })
    }
}

/// What a text is known to be before any look-up: a well-formed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyIdentity {
    /// The digest, the same for all spellings of the key.
    pub digest: KeyDigest,
    /// Whether the key has an imported format whose keys can be found by guessing.
    pub guessable: bool,
}

/// The holder of a slot, as received.
#[derive(Clone, Copy, Debug)]
pub enum SlotHolder<'a> {
    /// A domain.
    Domain(&'a str),
    /// A device, by its fingerprint.
    Device(&'a str),
    /// An activation, by its id.
    Activation(&'a str),
}

/// Result of a deactivation.
#[derive(Clone, Debug, PartialEq)]
pub enum Deactivated {
    /// The slot is free. The license after the change.
    Released(Arc<License>),
    /// No license has this key.
    NotFound,
    /// Nothing changed. The reason is [`Denial::ActivationNotFound`] if the domain or device holds no slot. A
    /// repeated request gets that answer too.
    Denied(Denial),
}

/// Validates keys, and frees slots for customers.
pub struct ValidationService {
    store: Arc<dyn LicenseStore>,
    /// `None` if the store has no events. Then no event is written for a reached limit.
    events: Option<Arc<dyn EventStore>>,
    health: Health,
    context: Arc<ServiceContext>,
    limit_throttle: LimitThrottle,
    answers: Answers,
}

partial_debug!(ValidationService { store, events, context });

impl ValidationService {
    /// Creates the service. With `events`, a reached limit writes an event.
    pub fn new(
        store: Arc<dyn LicenseStore>,
        events: Option<Arc<dyn EventStore>>,
        health: Health,
        context: Arc<ServiceContext>,
    ) -> Self {
        let (limit_throttle, answers) = (LimitThrottle::default(), Answers::default());
        Self { store, events, health, context, limit_throttle, answers }
    }

    /// Reads a key without a look-up, so that callers can limit the rate of each key.
    ///
    /// # Errors
    /// Returns [`KeyError`] if the text is not a key.
    pub fn identify(&self, key: &str) -> Result<KeyIdentity, KeyError> {
        let key = self.context.read_key(key)?;
        Ok(KeyIdentity {
            digest: self.context.vault.digest(&key),
            guessable: self.context.is_guessable(&key),
        })
    }

    /// Validates a key for a domain and a device, takes the slots it needs, and records the validation.
    ///
    /// When it returns, the store has acknowledged the record of the validation. A change through this node
    /// is acknowledged only after validations that began before it have ended. Therefore, no validation
    /// on this node answers "valid" after it acknowledged a revocation. Other nodes follow when the change
    /// stream tells them, and after the TTL of their cache at the latest.
    ///
    /// # Errors
    /// Returns [`ValidateError`] if the request is malformed, the store fails, or the catalog lacks the plan
    /// of the license.
    pub async fn validate(&self, request: &ValidateRequest<'_>) -> Result<Verdict, ValidateError> {
        let key = self.context.read_key(request.key)?;
        let claim = request.claim()?;
        let client = request.client.and_then(Client::new);
        let digest = self.context.vault.digest(&key);
        let _running = self.context.barrier.begin();
        let now = self.context.now();
        let Some(snapshot) = self.store.find_by_key(&digest, &claim).await? else {
            self.answers.count(None);
            return Ok(Verdict::NotFound);
        };
        let license_id = snapshot.license().id.clone();
        let mut plans = self.context.plans();
        let plan_unknown = |denial| plan_unknown(&license_id, denial);
        let mut evaluation = evaluate(&snapshot, &claim, &plans, now);
        if evaluation.is_err()
            && let Some(newer) = self.context.catalog.newer_than(&plans).await?
        {
            plans = newer;
            evaluation = evaluate(&snapshot, &claim, &plans, now);
        }
        let verdict = match evaluation.map_err(plan_unknown)? {
            Evaluation::Decided(verdict) => verdict,
            Evaluation::NeedsActivation => {
                let command = Command::Activate(claim.clone());
                let context = self.context.command(now, None, None).of_key(digest);
                match self.context.execute(&*self.store, &license_id, &command, &context).await? {
                    CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => {
                        activated(license, &self.context.plans(), now).map_err(plan_unknown)?
                    }
                    CommandOutcome::NotActivated(denied) => Verdict::Denied(denied),
                    CommandOutcome::Denied(Denial::KeyReplaced) => {
                        self.answers.count(None);
                        return Ok(Verdict::NotFound);
                    }
                    // The command expects no version and has no idempotency key.
                    CommandOutcome::Denied(denial) => return Err(plan_unknown(denial)),
                }
            }
        };
        let (outcome, covered_by) = match &verdict {
            Verdict::Denied(denied) => (ValidationOutcome::Denied(denied.code()), None),
            _ => (ValidationOutcome::Valid, snapshot.covered_by(&claim).cloned()),
        };
        let location = request.location.cloned();
        let of = Validation::new(license_id.clone(), now, outcome, claim.of_slots());
        self.store.record(&[Validation { covered_by, location, client, ..of }], None).await?;
        self.answers.count(Some(outcome));
        let full = match outcome {
            ValidationOutcome::Denied(DenialCode::DomainLimitReached) => ActivationKind::Domain,
            ValidationOutcome::Denied(DenialCode::DeviceLimitReached) => ActivationKind::Device,
            _ => return Ok(verdict),
        };
        self.write_limit_event(license_id, full, now).await;
        Ok(verdict)
    }

    /// Writes the event of a reached limit, unless it was written recently. Errors are ignored, because
    /// the request is denied either way.
    async fn write_limit_event(&self, license_id: LicenseId, kind: ActivationKind, at: DateTime<Utc>) {
        let Some(events) = &self.events else { return };
        if self.health.is_down() || !self.limit_throttle.begin(&license_id, kind, at) {
            return;
        }
        let notice = LimitReached { license_id, kind, at };
        if let Ok(Some(written)) = events.write_limit_event(&notice).await {
            self.limit_throttle.record_written(&notice.license_id, kind, written);
        }
    }

    /// Frees the slot of a domain or a device at the request of the customer, if the plan allows it. The
    /// audit log records the change with the request in `actor`. After it returns, no new validation of this
    /// node sees the old activation.
    ///
    /// # Errors
    /// Returns [`ValidateError`] if the request is malformed or the store fails.
    pub async fn deactivate(
        &self,
        key: &str,
        holder: SlotHolder<'_>,
        actor: Actor,
    ) -> Result<Deactivated, ValidateError> {
        let key = self.context.read_key(key)?;
        let target = match holder {
            SlotHolder::Domain(text) => ActivationTarget::Binding(Binding::Domain(DomainName::parse(text)?)),
            SlotHolder::Device(text) => ActivationTarget::Binding(Binding::Device(Fingerprint::parse(text)?)),
            SlotHolder::Activation(text) => ActivationTarget::Id(ActivationId::parse(text)?),
        };
        let (digest, claim) = (self.context.vault.digest(&key), Claim::default());
        let Some(snapshot) = self.store.find_by_key(&digest, &claim).await? else {
            return Ok(Deactivated::NotFound);
        };
        let id = &snapshot.license().id;
        let by = Arc::new(Actor { principal: Principal::Customer, ..actor });
        let context = self.context.command(self.context.now(), None, Some(by)).of_key(digest);
        let command = Command::Deactivate(target);
        Ok(match self.context.execute(&*self.store, id, &command, &context).await? {
            CommandOutcome::Done(license) | CommandOutcome::Repeated(license) => {
                // A validation that read the license before may still be about to answer "valid".
                self.context.barrier.wait_for_earlier().await;
                Deactivated::Released(license)
            }
            CommandOutcome::Denied(denial @ Denial::PlanUnknown { .. }) => {
                return Err(plan_unknown(id, denial));
            }
            CommandOutcome::Denied(Denial::KeyReplaced) => Deactivated::NotFound,
            CommandOutcome::Denied(denial) => Deactivated::Denied(denial),
            CommandOutcome::NotActivated(denied) => Deactivated::Denied(denied.reason().clone()),
        })
    }

    /// Returns the number of validations by outcome.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.answers.metric()
    }
}

/// Validations by outcome: valid, of unknown keys, and denied by code.
#[derive(Debug)]
struct Answers([AtomicU64; 2 + DenialCode::ALL.len()]);

impl Default for Answers {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

impl Answers {
    /// Counts an answer; `None` if no license has the key.
    fn count(&self, outcome: Option<ValidationOutcome>) {
        let index = match outcome {
            Some(ValidationOutcome::Valid) => 0,
            None => 1,
            Some(ValidationOutcome::Denied(code)) => 2 + code as usize,
        };
        self.0[index].fetch_add(1, Ordering::Relaxed);
    }

    fn metric(&self) -> Metric {
        let codes = DenialCode::ALL.iter().map(|code| code.as_str());
        let names = [ValidationOutcome::Valid.as_str(), NOT_FOUND].into_iter().chain(codes);
        let counts = names.zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)));
        let counts = counts.filter(|(_, count)| *count > 0).collect();
        Metric {
            name: "validations",
            help: "Validations by outcome",
            value: MetricValue::Counters { label: "outcome", counts },
        }
    }
}

pub(super) fn plan_unknown(id: &LicenseId, denial: Denial) -> ValidateError {
    let plan = match denial {
        Denial::PlanUnknown { plan, .. } => plan,
        other => other.to_string(),
    };
    ValidateError::PlanUnknown { id: id.clone(), plan }
}
