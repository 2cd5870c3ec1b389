//! State that all services share: keys, plans, the clock and the random number generator.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use rand::TryCryptoRng;

use super::clock_and_rng::ClockAndRng;
use super::current_catalog::CurrentCatalog;
use super::key_formats::{imported_key_formats, read_key};
use super::token_settings::TokenSettings;
use crate::access::{Actor, Principal, TokenId};
use crate::catalog::PlanCatalog;
use crate::catalog_command::{CatalogCommand, CatalogContext, CatalogOutcome};
use crate::clock::{Clock, RngError};
use crate::command::{Command, CommandContext, CommandOutcome, Idempotency, IdempotencyKey};
use crate::debug::partial_debug;
use crate::error::SetupError;
use crate::key::{
    DataKeys, ExportSeal, IMPORTED_MASK, ImportedKeyFormats, KeyDigest, KeyError, KeyFormat, KeyVault,
    LicenseKey, SealedKey, Secret,
};
use crate::license::LicenseId;
use crate::signing::{TokenAlgorithm, TokenSigner};
use crate::store::{CatalogStore, LicenseStore, StoreError, TransferStore};
use crate::trial::{TrialKey, TrialKeys};
use crate::validation::Denial;
use crate::validation_barrier::ValidationBarrier;
use crate::webhook::Schedule;

/// Settings of the services.
#[must_use]
pub struct ServiceOptions {
    secret: Secret,
    sources: Arc<ClockAndRng>,
    /// The plans and the source that manages them; `None` are the built-in ones.
    plans: Option<(PlanCatalog, String)>,
    keeps_catalog: bool,
    key_format: KeyFormat,
    webhook_schedule: Schedule,
    tokens: TokenSettings,
}

partial_debug!(ServiceOptions { plans, key_format });

impl ServiceOptions {
    /// Creates options with the default plans and key format. `secret` seals the data keys. The feature
    /// `system` provides [`SystemClock`](crate::clock) and `SystemRng`.
    pub fn new(secret: &Secret, clock: impl Clock, rng: impl TryCryptoRng + Send + 'static) -> Self {
        Self {
            secret: secret.clone(),
            sources: Arc::new(ClockAndRng::new(clock, rng)),
            plans: None,
            keeps_catalog: false,
            key_format: KeyFormat::default(),
            webhook_schedule: Schedule::default(),
            tokens: TokenSettings::default(),
        }
    }

    /// Sets the plans. They are managed by the code: written to the database at each start, and read-only
    /// for callers. Without them, [`PlanCatalog::standard`] is written once, into an empty catalog.
    pub fn plans(self, plans: PlanCatalog) -> Self {
        self.plans_of(plans, "code")
    }

    /// As [`plans`](Self::plans), managed by the source with this name, such as a file.
    pub fn plans_of(mut self, plans: PlanCatalog, source: impl Into<String>) -> Self {
        self.plans = Some((plans, source.into()));
        self
    }

    /// Leaves the catalog of the database as it is, for tools. An import writes the plans of these options
    /// only if it needs plans and there are none.
    pub fn keep_catalog(mut self) -> Self {
        self.keeps_catalog = true;
        self
    }

    /// Sets the format of keys; the default is `TO-XXXX-XXXX-XXXX-XXXX`.
    pub fn key_format(mut self, format: KeyFormat) -> Self {
        self.key_format = format;
        self
    }

    /// Sets when webhook deliveries are retried; the default is [`SCHEDULE`](crate::webhook::SCHEDULE).
    pub fn webhook_schedule(mut self, schedule: Schedule) -> Self {
        self.webhook_schedule = schedule;
        self
    }

    /// Sets the issuer of tokens, their claim `iss`: usually the public URL. No client compares it.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.tokens.issuer = issuer.into();
        self
    }

    /// Sets the name of the algorithm in tokens; the default is [`TokenAlgorithm::EdDsa`].
    pub fn token_algorithm(mut self, algorithm: TokenAlgorithm) -> Self {
        self.tokens.algorithm = algorithm;
        self
    }

    /// Sets the signer of tokens; the default is the active key of the database.
    pub fn token_signer(mut self, signer: Arc<dyn TokenSigner>) -> Self {
        self.tokens.signer = Some(signer);
        self
    }

    /// Sets the sources of time and randomness.
    pub fn sources(mut self, clock: impl Clock, rng: impl TryCryptoRng + Send + 'static) -> Self {
        self.sources = Arc::new(ClockAndRng::new(clock, rng));
        self
    }

    /// Returns the sources of time and randomness.
    #[must_use]
    pub fn shared_sources(&self) -> Arc<ClockAndRng> {
        Arc::clone(&self.sources)
    }
}

/// State that all services share.
pub struct ServiceContext {
    pub(super) vault: KeyVault,
    pub(super) export_seal: ExportSeal,
    pub(super) key_format: KeyFormat,
    pub(super) catalog: Arc<CurrentCatalog>,
    /// The plans of the options.
    plans: Option<(PlanCatalog, String)>,
    pub(super) webhook_schedule: Schedule,
    pub(super) barrier: ValidationBarrier,
    pub(super) sources: Arc<ClockAndRng>,
    /// Used only for keys that are not in the engine's own format.
    imported_formats: RwLock<Arc<ImportedKeyFormats>>,
    trial_keys: RwLock<TrialKeys>,
    pub(super) tokens: TokenSettings,
}

partial_debug!(ServiceContext { key_format, catalog, sources });

impl ServiceContext {
    /// Loads the data keys of a store, or creates them on the first start. Checks that the database has this
    /// key format. The catalog is that of the options.
    ///
    /// # Errors
    /// Returns [`SetupError::DataKeys`] if the secret does not open the data keys, and
    /// [`SetupError::KeyFormatDiffers`] if the database has keys of another format. Nothing is changed then.
    pub async fn open(store: &dyn LicenseStore, options: ServiceOptions) -> Result<Arc<Self>, SetupError> {
        let plans = options.plans.as_ref().map(|(plans, _)| plans.clone());
        let catalog = CurrentCatalog::in_code(plans.unwrap_or_else(PlanCatalog::standard));
        Self::over(store, catalog, options).await.map(Arc::new)
    }

    /// As [`open`](Self::open), with the catalog of the store, to which the plans of the options are applied.
    ///
    /// # Errors
    /// Also returns [`SetupError::Catalog`] if a rule denies the plans.
    pub async fn open_stored(
        store: &dyn LicenseStore,
        catalog: Arc<dyn CatalogStore>,
        options: ServiceOptions,
    ) -> Result<Arc<Self>, SetupError> {
        let keeps_catalog = options.keeps_catalog;
        let current = CurrentCatalog::stored(Arc::clone(&catalog));
        let context = Self::over(store, current, options).await?;
        if keeps_catalog {
            context.catalog.reload().await?;
            return Ok(Arc::new(context));
        }
        let command = match &context.plans {
            Some(_) => context.first_plans(),
            None => CatalogCommand::Seed { plans: Arc::new(PlanCatalog::standard()), release: true },
        };
        let by = Some(Arc::new(Actor::new(Principal::System)));
        let start = CatalogContext { now: context.now(), expected_revision: None, by, repeatable: false };
        match catalog.execute_catalog(&command, &start).await? {
            CatalogOutcome::Done { after, .. } | CatalogOutcome::Repeated(after) => {
                context.catalog.replace(after);
            }
            CatalogOutcome::Denied(denial) => return Err(SetupError::Catalog(denial)),
        }
        Ok(Arc::new(context))
    }

    async fn over(
        store: &dyn LicenseStore,
        catalog: CurrentCatalog,
        options: ServiceOptions,
    ) -> Result<Self, SetupError> {
        let ServiceOptions { secret, sources, plans, keeps_catalog: _, key_format, webhook_schedule, tokens } =
            options;
        // If several nodes start at once, all get the keys of one node.
        let sealed = sources.with_rng(|rng| DataKeys::generate(rng)?.seal(&secret, rng))?;
        let stored = store.put_if_absent(DataKeys::SETTING, &sealed).await?;
        let data_keys = DataKeys::open(&stored, &secret)?;
        let format = format!("{}-{}", key_format.prefix(), key_format.groups());
        let stored = store.put_if_absent(KeyFormat::SETTING, format.as_bytes()).await?;
        if stored != format.as_bytes() {
            let stored = String::from_utf8_lossy(&stored);
            let prefix = stored.split('-').next().unwrap_or_default().to_owned();
            return Err(SetupError::KeyFormatDiffers { prefix });
        }
        let vault = KeyVault::new(&data_keys);
        Ok(Self {
            trial_keys: RwLock::new(TrialKeys::new(&vault)),
            vault,
            export_seal: ExportSeal::new(&secret),
            key_format,
            catalog: Arc::new(catalog),
            plans,
            webhook_schedule,
            barrier: ValidationBarrier::default(),
            sources,
            imported_formats: RwLock::default(),
            tokens,
        })
    }

    /// Returns the command that writes the plans of the options into an empty catalog.
    pub(super) fn first_plans(&self) -> CatalogCommand {
        match &self.plans {
            Some((plans, source)) => {
                CatalogCommand::Apply { plans: Arc::new(plans.clone()), managed_by: Some(source.clone()) }
            }
            None => CatalogCommand::Seed { plans: Arc::new(PlanCatalog::standard()), release: false },
        }
    }

    /// Returns the catalog by which this node decides.
    pub(super) fn plans(&self) -> Arc<PlanCatalog> {
        self.catalog.get()
    }

    /// Executes a command on a license. If this node does not know the plan version of the license, it reads
    /// the catalog again first.
    pub(super) async fn execute(
        &self,
        store: &dyn LicenseStore,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome, StoreError> {
        let outcome = store.execute(id, command, context).await?;
        if let CommandOutcome::Denied(Denial::PlanUnknown { .. }) = outcome
            && let Some(plans) = self.catalog.newer_than(&context.plans).await?
        {
            let context = CommandContext { plans, ..context.clone() };
            return store.execute(id, command, &context).await;
        }
        Ok(outcome)
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.sources.now()
    }

    /// Reloads the formats of imported keys, because an import may have declared one.
    ///
    /// # Errors
    /// Returns the store's error; known formats are kept.
    pub(super) async fn reload_key_formats(&self, store: &dyn TransferStore) -> Result<(), StoreError> {
        let formats = Arc::new(imported_key_formats(store).await?);
        *self.imported_formats.write().unwrap_or_else(PoisonError::into_inner) = formats;
        Ok(())
    }

    fn imported_formats(&self) -> Arc<ImportedKeyFormats> {
        Arc::clone(&self.imported_formats.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the keys of trial digests.
    pub(super) fn trial_keys(&self) -> TrialKeys {
        self.trial_keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_imported_trial_keys(&self, imported: Vec<TrialKey>) {
        let mut keys = self.trial_keys.write().unwrap_or_else(PoisonError::into_inner);
        *keys = keys.with_imported(imported);
    }

    /// Reads a key in the engine's own format, or in a format of imported keys.
    pub(super) fn read_key(&self, text: &str) -> Result<LicenseKey, KeyError> {
        read_key(text, &self.key_format, || self.imported_formats())
    }

    /// Returns whether an attacker can find keys like this one by guessing.
    pub(super) fn is_guessable(&self, key: &LicenseKey) -> bool {
        key.is_imported() && self.imported_formats().is_guessable(key)
    }

    /// Text that events show instead of a key. If the database has imported keys, the text does not show the
    /// format, because an event does not say which format its key has.
    pub(super) fn masked_key(&self) -> String {
        if self.imported_formats().is_empty() { self.key_format.masked() } else { IMPORTED_MASK.to_owned() }
    }

    pub(super) fn command(
        &self,
        now: DateTime<Utc>,
        expected_version: Option<u64>,
        by: Option<Arc<Actor>>,
    ) -> CommandContext {
        CommandContext {
            plans: self.plans(),
            now,
            expected_version,
            expected_key: None,
            by,
            idempotency: None,
            reason: None,
            job: None,
            trials: self.trial_keys(),
        }
    }

    /// Returns the digests of a request with an idempotency key. Keys of different operations, targets and
    /// callers never match.
    pub(super) fn idempotency(
        &self,
        key: &IdempotencyKey,
        operation: &str,
        target: &str,
        caller: Option<&Actor>,
        content: &str,
    ) -> Idempotency {
        let caller = caller.map_or(["", "", ""], |actor| {
            let principal = &actor.principal;
            [
                principal.kind(),
                principal.token_id().map_or("", TokenId::as_str),
                principal.name().unwrap_or_default(),
            ]
        });
        // The name of a token decides nothing: its id is unique.
        let name = if caller[1].is_empty() { caller[2] } else { "" };
        let parts = [operation, target, caller[0], caller[1], name, key.as_str()];
        Idempotency::new(self.vault.request_digest(&parts), self.vault.request_digest(&[content]))
    }

    /// Returns the digest and sealed form of the given key, or of a new key.
    pub(super) fn seal_key(
        &self,
        given: Option<LicenseKey>,
        id: &LicenseId,
    ) -> Result<(KeyDigest, SealedKey), RngError> {
        self.sources.with_rng(|rng| {
            let key = given.map_or_else(|| self.key_format.generate(rng), Ok)?;
            Ok((self.vault.digest(&key), self.vault.seal(&key, id.as_str(), rng)?))
        })
    }
}
