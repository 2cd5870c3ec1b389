//! The use cases: what an embedder holds.

mod data_keys;
mod devices;
mod limit_notices;
mod outbox;
mod usage;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use rand::TryCryptoRng;

use crate::activation::{ActivationId, ActivationKind, Fingerprint};
use crate::audit::{Actor, Erasure};
use crate::change::FeedState;
use crate::client::Client;
use crate::clock::{Clock, ErasedRng, RngError};
use crate::command::{
    Command, CommandContext, Idempotency, IdempotencyKey, LicenseChange, LicenseSpec, LimitNotice, Outcome,
    create,
};
use crate::customer::CustomerEmail;
use crate::delivery::Schedule;
use crate::domain::DomainName;
use crate::error::{ServiceError, SetupError, ValidateError};
use crate::event::Event;
use crate::figure::{Figure, FigureValue};
use crate::in_flight::InFlight;
use crate::key::{
    FOREIGN_MASK, ForeignFormats, KeyDigest, KeyFormat, KeyVault, LicenseKey, SealedKey, Secret,
};
use crate::license::{LicenseDetail, LicenseId};
use crate::limits;
use crate::outbox::Outbox;
use crate::place::Place;
use crate::plan::PlanCatalog;
use crate::seen::ActivationDetail;
use crate::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use crate::transfer::{TransferStore, key_formats, read_key};
use crate::usage::{Validation, ValidationOutcome};
use crate::verdict::{Claim, Denial, DenialCode, Judgement, Verdict, activated, judge};

pub use data_keys::load_data_keys;
pub use devices::{DeactivateRequest, Deactivated, HeldBy};
use limit_notices::LimitNotices;
pub use outbox::{KeyedEndpoint, Outgoing, OutgoingBatch};

/// What a validation is told where no license has the key.
const NOT_FOUND: &str = "LICENSE_NOT_FOUND";
/// New ids and keys tried when one is taken. Two in a row mean a broken generator, not chance.
const CREATE_TRIES: usize = 3;

/// What a caller of validate sends, as typed.
#[derive(Clone, Copy, Default)]
pub struct ValidateRequest<'a> {
    /// The license key.
    pub key: &'a str,
    /// The domain it is used on.
    pub domain: Option<&'a str>,
    /// The device it is used on.
    pub fingerprint: Option<&'a str>,
    /// The software that asks: `name` or `name/version`.
    pub client: Option<&'a str>,
    /// Where it is asked from, as far as that is known.
    pub place: Option<&'a Place>,
}

impl fmt::Debug for ValidateRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, domain, fingerprint, client, place } = self;
        f.debug_struct("ValidateRequest")
            .field("domain", domain)
            .field("fingerprint", fingerprint)
            .field("client", client)
            .field("place", place)
            .finish_non_exhaustive()
    }
}

/// A license with its key in clear, for its owner.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedLicense {
    /// The key. Shown by [`LicenseKey::reveal`] only.
    pub key: LicenseKey,
    /// The license, its counters and what is bound to it.
    pub detail: LicenseDetail,
}

/// Issues, validates and manages licenses over a store. See the [front page](crate) for an example.
pub struct LicenseService {
    store: Arc<dyn LicenseStore>,
    vault: KeyVault,
    key_format: KeyFormat,
    plans: Arc<PlanCatalog>,
    clock: Box<dyn Clock>,
    rng: Mutex<ServiceRng>,
    in_flight: InFlight,
    answers: Answers,
    outbox: Option<Arc<dyn Outbox>>,
    webhook_schedule: Schedule,
    limit_notices: LimitNotices,
    transfer: Option<Arc<dyn TransferStore>>,
    /// Read only where a key is none of this service's own.
    foreign: RwLock<Arc<ForeignFormats>>,
}

impl fmt::Debug for LicenseService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, vault: _, key_format, plans, clock, rng: _, outbox, .. } = self;
        f.debug_struct("LicenseService")
            .field("store", store)
            .field("outbox", outbox)
            .field("key_format", key_format)
            .field("plans", plans)
            .field("clock", clock)
            .finish_non_exhaustive()
    }
}

/// Sets a service up.
#[must_use]
pub struct LicenseServiceBuilder {
    store: Arc<dyn LicenseStore>,
    secret: Secret,
    key_format: KeyFormat,
    plans: PlanCatalog,
    clock: Box<dyn Clock>,
    rng: ServiceRng,
    outbox: Option<Arc<dyn Outbox>>,
    webhook_schedule: Schedule,
    transfer: Option<Arc<dyn TransferStore>>,
}

/// The generator of a service.
type ServiceRng = Box<dyn TryCryptoRng<Error = RngError> + Send>;

impl fmt::Debug for LicenseServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LicenseServiceBuilder").field("store", &self.store).finish_non_exhaustive()
    }
}

impl LicenseServiceBuilder {
    /// Sets the plans; [`PlanCatalog::standard`] otherwise.
    pub fn plans(mut self, plans: PlanCatalog) -> Self {
        self.plans = plans;
        self
    }

    /// Sets the form of keys; `TO-XXXX-XXXX-XXXX-XXXX` otherwise.
    pub fn key_format(mut self, format: KeyFormat) -> Self {
        self.key_format = format;
        self
    }

    /// Where keys of other systems may have been imported to: the data of the store. Without it, none but keys of the
    /// service's own form are known.
    pub fn transfer(mut self, transfer: Arc<dyn TransferStore>) -> Self {
        self.transfer = Some(transfer);
        self
    }

    /// Checks that the store fits the secret and the plans, and gives the service.
    ///
    /// # Errors
    /// [`SetupError`]; nothing was changed, except that a new store has data keys.
    pub async fn build(self) -> Result<LicenseService, SetupError> {
        let Self { store, secret, key_format, plans, clock, mut rng, outbox, webhook_schedule, transfer } =
            self;
        let data_keys = load_data_keys(&*store, &secret, &mut *rng).await?;
        let service = LicenseService {
            store,
            vault: KeyVault::new(&data_keys),
            key_format,
            plans: Arc::new(plans),
            clock,
            rng: Mutex::new(rng),
            in_flight: InFlight::default(),
            answers: Answers::default(),
            outbox,
            webhook_schedule,
            limit_notices: LimitNotices::default(),
            transfer,
            foreign: RwLock::default(),
        };
        let missing =
            service.store.plans_in_use().await?.into_iter().find(|plan| service.plans.get(plan).is_none());
        if let Some(plan) = missing {
            return Err(SetupError::PlanUnknown { plan });
        }
        service.reload_key_formats().await?;
        Ok(service)
    }
}

impl LicenseService {
    /// Starts to set a service up over `store`, with the 32-byte secret that seals its data keys, and the sources of
    /// time and randomness (with the feature `system`: [`SystemClock`](crate::clock) and `SystemRng`).
    pub fn builder(
        store: Arc<dyn LicenseStore>,
        secret: &Secret,
        clock: impl Clock,
        rng: impl TryCryptoRng + Send + 'static,
    ) -> LicenseServiceBuilder {
        LicenseServiceBuilder {
            store,
            secret: secret.clone(),
            key_format: KeyFormat::default(),
            plans: PlanCatalog::standard(),
            clock: Box::new(clock),
            rng: Box::new(ErasedRng(rng)),
            outbox: None,
            webhook_schedule: Schedule::default(),
            transfer: None,
        }
    }

    /// Reads anew which forms keys of other systems have: an import may have declared one. A [sweeper] does, every few seconds.
    ///
    /// [sweeper]: https://docs.rs/license-store
    ///
    /// # Errors
    /// A fault of the store; what was known stays known.
    pub async fn reload_key_formats(&self) -> Result<(), StoreError> {
        if let Some(transfer) = &self.transfer {
            let formats = Arc::new(key_formats(&**transfer).await?);
            *self.foreign.write().unwrap_or_else(PoisonError::into_inner) = formats;
        }
        Ok(())
    }

    fn foreign(&self) -> Arc<ForeignFormats> {
        Arc::clone(&self.foreign.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What events show in the place of a key. They don't say which system made it: where it may be another one, nothing of the form
    /// is shown.
    fn masked(&self) -> String {
        if self.foreign().is_empty() { self.key_format.masked() } else { FOREIGN_MASK.to_owned() }
    }

    /// The plans there are.
    #[must_use]
    pub fn plans(&self) -> &PlanCatalog {
        &self.plans
    }

    /// The time by the service's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Issues a license: its plan gives what `spec` leaves open. With an idempotency key the same request gives the
    /// first license again, also when both run at once.
    ///
    /// # Errors
    /// [`ServiceError::Denied`] as [`create`] says, [`ServiceError::IdempotencyConflict`], or a fault of store or
    /// generator.
    pub async fn issue(
        &self,
        spec: &LicenseSpec,
        idempotency_key: Option<IdempotencyKey>,
    ) -> Result<KeyedLicense, ServiceError> {
        self.issue_by(spec, idempotency_key, None).await
    }

    async fn issue_by(
        &self,
        spec: &LicenseSpec,
        idempotency_key: Option<IdempotencyKey>,
        by: Option<&Arc<Actor>>,
    ) -> Result<KeyedLicense, ServiceError> {
        let now = self.clock.now();
        let idempotency = idempotency_key.map(|key| Idempotency { key, request: spec.digest() });
        let mut tries = 1;
        let id = loop {
            let id = self.with_rng(|rng| LicenseId::generate(now, rng))?;
            let key = self.new_key(&id)?;
            let created = match create(id.clone(), key, spec, idempotency.clone(), &self.plans, now) {
                Ok(new) => {
                    let new = match by {
                        Some(by) => new.audited(by),
                        None => new,
                    };
                    self.store.create(&new).await
                }
                // A repeated request gets its license also where it would be denied by now: its time has passed, or its
                // plan is gone.
                Err(denial) => match &idempotency {
                    Some(asked) => {
                        self.store.created(asked).await?.ok_or(ServiceError::Denied(denial)).map(Ok)?
                    }
                    None => return Err(ServiceError::Denied(denial)),
                },
            };
            match created {
                Ok(Created::New) => break id,
                Ok(Created::Before(first)) => break first,
                Ok(Created::Conflict) => return Err(ServiceError::IdempotencyConflict),
                Err(StoreError::AlreadyExists { .. }) if tries < CREATE_TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        };
        self.get(&id).await
    }

    /// Validates a key for a domain and a device, takes the slots it needs, and counts it.
    ///
    /// When it returns, the validation is kept as durably as the store keeps anything. It is judged as of the moment it
    /// reads the license; a change through this service is acknowledged after the validations that ran meanwhile have
    /// ended, so that none is answered valid after a revocation was.
    ///
    /// # Errors
    /// [`ValidateError`]: the request is malformed, or there is no verdict to give.
    pub async fn validate(&self, request: &ValidateRequest<'_>) -> Result<Verdict, ValidateError> {
        let key = read_key(request.key, &self.key_format, || self.foreign().read(request.key))?;
        let claim = Claim {
            domain: request.domain.map(DomainName::parse).transpose()?,
            fingerprint: request.fingerprint.map(Fingerprint::parse).transpose()?,
        };
        let client = request.client.map(Client::parse).transpose()?;
        let digest = self.vault.digest(&key);
        let _running = self.in_flight.begin();
        let now = self.clock.now();
        // Not by way of the `Arc`, which is a store as well: each asynchronous call through it has a future of its own.
        let store = &*self.store;
        let found = match store.recall(&digest, &claim, now) {
            None => store.license_by_key(&digest, &claim, now).await?,
            remembered => remembered,
        };
        let Some(standing) = found else {
            self.answers.count(None);
            return Ok(Verdict::NotFound);
        };
        let license_id = standing.license().id.clone();
        let no_plan = |denial| no_plan(&license_id, denial);
        let verdict = match judge(&standing, &claim, &self.plans, now).map_err(no_plan)? {
            Judgement::Settled(verdict) => verdict,
            Judgement::NeedsActivation => {
                let context =
                    CommandContext { plans: Arc::clone(&self.plans), now, expected_version: None, by: None };
                let command = Command::Activate(claim.clone());
                match store.execute(&license_id, &command, &context).await? {
                    Outcome::Done(license) => activated(license, &self.plans).map_err(no_plan)?,
                    Outcome::Denied(denial @ Denial::PlanUnknown { .. }) => return Err(no_plan(denial)),
                    Outcome::Denied(denial) => Verdict::Denied(denial),
                }
            }
        };
        let outcome = match &verdict {
            Verdict::Denied(denial) => ValidationOutcome::Denied(denial.code()),
            Verdict::Valid(_) | Verdict::NotFound => ValidationOutcome::Valid,
        };
        let covered_by = match outcome {
            ValidationOutcome::Valid => standing.covered_by(&claim).cloned(),
            ValidationOutcome::Denied(_) => None,
        };
        let place = request.place.cloned();
        let validation =
            Validation { license_id: license_id.clone(), at: now, outcome, claim, covered_by, place, client };
        store.record(&[validation], None).await?;
        self.answers.count(Some(outcome));
        match &verdict {
            Verdict::Denied(Denial::DomainLimitReached { .. }) => {
                self.tell_limit(license_id, ActivationKind::Domain, now).await;
            }
            Verdict::Denied(Denial::DeviceLimitReached { .. }) => {
                self.tell_limit(license_id, ActivationKind::Device, now).await;
            }
            _ => {}
        }
        Ok(verdict)
    }

    /// Tells that a limit was reached, where this was not told lately. The denial stands, whatever becomes of the telling.
    async fn tell_limit(&self, license_id: LicenseId, kind: ActivationKind, at: DateTime<Utc>) {
        let Some(outbox) = &self.outbox else { return };
        if self.store.is_down() || !self.limit_notices.begin(&license_id, kind, at) {
            return;
        }
        let notice = LimitNotice { license_id, kind, at };
        if let Ok(Some(told)) = outbox.tell_limit(&notice).await {
            self.limit_notices.told(&notice.license_id, kind, told);
        }
    }

    /// The license with that id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] inside, or a fault of the store.
    pub async fn get(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        let detail = self.store.license(id).await?.ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
        self.with_key(detail)
    }

    /// Licenses that pass the filter at `now`, newest first. Shown with [`License::status`](crate::license::License::status)
    /// of the same moment, none contradicts the filter.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn list(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<KeyedLicense, LicenseId>, ServiceError> {
        let Page { items, next } = self.store.licenses(filter, now, page).await?;
        let items = items.into_iter().map(|detail| self.with_key(detail)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// Asks one thing of one license, and gives the license as it is then. `expected_version`: only if it still has it.
    ///
    /// # Errors
    /// [`ServiceError::Denied`] when a rule refuses, [`StoreError::NotFound`] inside, or a fault of the store.
    pub async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        expected_version: Option<u64>,
    ) -> Result<KeyedLicense, ServiceError> {
        self.execute_by(id, command, expected_version, None).await
    }

    /// Acts for somebody: every change is written to the audit, in the same commit. Changes that are made without are not.
    #[must_use]
    pub fn by<'a>(&'a self, actor: &'a Arc<Actor>) -> ActingService<'a> {
        ActingService { service: self, actor }
    }

    async fn execute_by(
        &self,
        id: &LicenseId,
        command: &Command,
        expected_version: Option<u64>,
        by: Option<&Arc<Actor>>,
    ) -> Result<KeyedLicense, ServiceError> {
        let now = self.clock.now();
        let context =
            CommandContext { plans: Arc::clone(&self.plans), now, expected_version, by: by.cloned() };
        match self.store.execute(id, command, &context).await? {
            Outcome::Done(_) => {
                // A validation that read the license before may still be on its way to a valid answer.
                self.in_flight.drained().await;
                self.get(id).await
            }
            Outcome::Denied(denial) => Err(ServiceError::Denied(denial)),
        }
    }

    /// Changes fields. As [`execute`](Self::execute).
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn change(&self, id: &LicenseId, change: LicenseChange) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Change(change), None).await
    }

    /// Puts a license on hold; again: no change.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn suspend(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Suspend, None).await
    }

    /// Puts a suspended license in force; again: no change.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn reinstate(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Reinstate, None).await
    }

    /// Adds the plan's term to the later of now and `expires_at`.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn renew(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Renew, None).await
    }

    /// Ends a license, for good; again: no change. When it returns, no validation that begins is valid.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn revoke(&self, id: &LicenseId) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Revoke, None).await
    }

    /// Gives a license a new key; the old one is unknown from then on.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), or of the generator.
    pub async fn rotate_key(
        &self,
        id: &LicenseId,
        expected_version: Option<u64>,
    ) -> Result<KeyedLicense, ServiceError> {
        let (digest, sealed) = self.new_key(id)?;
        self.execute(id, &Command::RotateKey { digest, sealed }, expected_version).await
    }

    /// Frees the slot that an activation holds.
    ///
    /// # Errors
    /// [`Denial::ActivationNotFound`] inside; else as [`execute`](Self::execute).
    pub async fn release(
        &self,
        id: &LicenseId,
        activation: ActivationId,
    ) -> Result<KeyedLicense, ServiceError> {
        self.execute(id, &Command::Release(activation), None).await
    }

    /// What is bound to a license, oldest first, and when it was seen.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] inside, or a fault of the store.
    pub async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, ServiceError> {
        Ok(self.store.activations(id, kind, page).await?)
    }

    /// Whether the store answers, and whether it hears of what other nodes change.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn ready(&self) -> Result<FeedState, ServiceError> {
        self.store.ping().await?;
        Ok(self.feed_state())
    }

    /// Whether the store hears of what other nodes change.
    #[must_use]
    pub fn feed_state(&self) -> FeedState {
        self.store.feed_state()
    }

    /// Whether the store is known not to answer, so that validations are answered from memory meanwhile.
    #[must_use]
    pub fn store_is_down(&self) -> bool {
        self.store.is_down()
    }

    /// Figures of this service and of its store.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![self.answers.figure()];
        figures.extend(self.store.figures());
        figures
    }

    /// Events of a license in their order, after the one with the number `after`.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn license_events(
        &self,
        id: &LicenseId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Event>, ServiceError> {
        Ok(self.store.events(id, after, limit).await?)
    }

    async fn anonymise_by(
        &self,
        email: &CustomerEmail,
        by: &Arc<Actor>,
    ) -> Result<(Erasure, u64), ServiceError> {
        let anonymous = if email.is_anonymous() { email.clone() } else { self.vault.pseudonym(email) };
        let erasure = Erasure { email: email.clone(), anonymous };
        let filter = LicenseFilter { customer_email: Some(email.clone()), ..LicenseFilter::default() };
        let page = PageRequest { after: None, limit: limits::PAGE_ITEMS };
        let command = Command::Anonymise(erasure.clone());
        let mut count = 0;
        // Those that are done leave the list, so that the first page is the next one, and a call that was cut short is made again.
        while !email.is_anonymous() {
            let now = self.clock.now();
            let found = self.store.licenses(&filter, now, &page).await?.items;
            if found.is_empty() {
                break;
            }
            for detail in found {
                let context = CommandContext {
                    plans: Arc::clone(&self.plans),
                    now,
                    expected_version: None,
                    by: Some(Arc::clone(by)),
                };
                match self.store.execute(&detail.license.id, &command, &context).await? {
                    Outcome::Done(_) => count += 1,
                    Outcome::Denied(denial) => return Err(ServiceError::Denied(denial)),
                }
            }
        }
        Ok((erasure, count))
    }

    fn with_key(&self, detail: LicenseDetail) -> Result<KeyedLicense, ServiceError> {
        let license = &detail.license;
        let key = self.vault.open(&license.sealed_key, license.id.as_str());
        let key = key.map_err(|_| ServiceError::SealedKey { id: license.id.clone() })?;
        Ok(KeyedLicense { key, detail })
    }

    fn new_key(&self, id: &LicenseId) -> Result<(KeyDigest, SealedKey), RngError> {
        self.with_rng(|rng| {
            let key = self.key_format.generate(rng)?;
            Ok((self.vault.digest(&key), self.vault.seal(&key, id.as_str(), rng)?))
        })
    }

    fn with_rng<T>(
        &self,
        draw: impl FnOnce(&mut dyn TryCryptoRng<Error = RngError>) -> Result<T, RngError>,
    ) -> Result<T, RngError> {
        // A panic in a generator leaves no half state that matters: the next draw is as random.
        draw(&mut **self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A service that acts for somebody. Made by [`LicenseService::by`].
#[derive(Clone, Copy, Debug)]
pub struct ActingService<'a> {
    service: &'a LicenseService,
    actor: &'a Arc<Actor>,
}

impl ActingService<'_> {
    /// As [`LicenseService::issue`].
    ///
    /// # Errors
    /// As [`LicenseService::issue`].
    pub async fn issue(
        &self,
        spec: &LicenseSpec,
        idempotency_key: Option<IdempotencyKey>,
    ) -> Result<KeyedLicense, ServiceError> {
        self.service.issue_by(spec, idempotency_key, Some(self.actor)).await
    }

    /// As [`LicenseService::execute`].
    ///
    /// # Errors
    /// As [`LicenseService::execute`].
    pub async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        expected_version: Option<u64>,
    ) -> Result<KeyedLicense, ServiceError> {
        self.service.execute_by(id, command, expected_version, Some(self.actor)).await
    }

    /// As [`LicenseService::rotate_key`].
    ///
    /// # Errors
    /// As [`LicenseService::rotate_key`].
    pub async fn rotate_key(
        &self,
        id: &LicenseId,
        expected_version: Option<u64>,
    ) -> Result<KeyedLicense, ServiceError> {
        let (digest, sealed) = self.service.new_key(id)?;
        self.execute(id, &Command::RotateKey { digest, sealed }, expected_version).await
    }

    /// Makes a customer's licenses anonymous: they stay, with their counts and what is bound to them, and nobody can tell any more
    /// whose they were. Says what stands in the address's place, and how many licenses it were. Again: none.
    ///
    /// [`AccessService::erase_customer`](crate::access::AccessService::erase_customer) removes the address from the rest of the
    /// audit afterwards.
    ///
    /// # Errors
    /// A fault of the store; licenses that were done stay so, and the rest is done by the next call.
    pub async fn anonymise(&self, email: &CustomerEmail) -> Result<(Erasure, u64), ServiceError> {
        self.service.anonymise_by(email, self.actor).await
    }
}

/// How many validations were answered, and how.
#[derive(Debug, Default)]
struct Answers {
    valid: AtomicU64,
    unknown: AtomicU64,
    denied: [AtomicU64; DenialCode::ALL.len()],
}

impl Answers {
    /// `None`: no license has the key.
    fn count(&self, outcome: Option<ValidationOutcome>) {
        let counter = match outcome {
            None => &self.unknown,
            Some(ValidationOutcome::Valid) => &self.valid,
            Some(ValidationOutcome::Denied(code)) => &self.denied[code as usize],
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn figure(&self) -> Figure {
        let known = [(ValidationOutcome::Valid.as_str(), &self.valid), (NOT_FOUND, &self.unknown)];
        let denied = DenialCode::ALL.iter().map(|code| code.as_str()).zip(&self.denied);
        let counts = known.into_iter().chain(denied);
        let counts: Vec<_> = counts
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
            .filter(|(_, n)| *n > 0)
            .collect();
        Figure {
            name: "validations",
            help: "Validations that were answered, by what they were told",
            value: FigureValue::Counters { label: "outcome", counts },
        }
    }
}

fn no_plan(id: &LicenseId, denial: Denial) -> ValidateError {
    let plan = match denial {
        Denial::PlanUnknown { plan } => plan,
        other => other.to_string(),
    };
    ValidateError::PlanUnknown { id: id.clone(), plan }
}

#[cfg(test)]
mod tests;
