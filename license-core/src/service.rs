//! The use cases: one service for each, over the storage ports.
//!
//! [`Services`] bundles all of them. An embedder normally gets it from the `Engine` of license-store; routers
//! take it.
//!
//! Every method returns its error type's `Store` variant if the store fails. `# Errors` lists what else a
//! method returns.

#![expect(clippy::missing_errors_doc, reason = "the module documentation has the common errors")]

mod access;
mod activations;
mod authentication;
mod bulk;
mod bulk_dry_run;
mod catalog;
mod clock;
mod clock_and_rng;
mod context;
mod current_catalog;
mod customer_activations;
mod customers;
mod events;
mod health;
mod issue;
mod key_formats;
mod leases;
mod licenses;
mod limit_throttle;
mod list_times;
mod revocations;
mod search;
mod secret;
mod sessions;
mod signing;
mod signing_keys;
mod token_settings;
mod transfer;
mod trial_keys;
mod usage;
mod validation;
mod webhooks;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::catalog::PlanCatalog;
use crate::error::{ServiceError, SetupError};
use crate::job::JobLog;
use crate::metrics::{Metric, MetricValue};
use crate::store::{
    CatalogStore, DatabaseInfo, DeliveryBacklog, FullStore, HealthWarning, LicenseStore, StreamState,
    TokenStore, TransferStore,
};

pub use access::{AccessService, Caller, Checked, FirstToken, TokenSpec};
pub use activations::ActivationService;
pub use authentication::{AuthError, AuthRefusal, Authenticator};
pub use bulk::{BulkRequest, BulkService, RanStep, SubmittedJob};
pub use bulk_dry_run::BulkDryRun;
pub use catalog::{CatalogService, Cataloged};
pub use clock::{ClockService, ClockState};
pub use clock_and_rng::ClockAndRng;
pub use context::{ServiceContext, ServiceOptions};
pub use customer_activations::{CustomerActivation, CustomerActivations, ListRequest};
pub use customers::CustomerService;
pub use events::EventService;
pub use health::Health;
pub use leases::{HandedBack, LeaseAnswer, LeaseLimit, LeaseRequest, LeaseService, SignedLease};
pub use licenses::{KeyedLicense, LicenseService};
pub use revocations::RevocationList;
pub use search::{FoundLicenses, SearchRequest, SearchService};
pub use secret::{Rotated, SecretService};
pub use sessions::{SignIn, SignInRequest};
pub use signing::{Proof, SigningService};
pub use signing_keys::SigningKeyService;
pub use transfer::{ExportKeys, Exporter, ImportOptions, ImportReport, Importer, TransferService};
pub use usage::UsageService;
pub use validation::{Deactivated, KeyIdentity, SlotHolder, ValidateRequest, ValidationService};
pub use webhooks::{EndpointWithSecret, Outgoing, OutgoingBatch, TestEvent, WebhookService};

/// The stores that [`Services`] work on. Layers in front of the store implement single ports, so these are
/// separate.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The store.
    pub store: Arc<dyn FullStore>,
    /// The store, or a cache or recorder in front of it.
    pub licenses: Arc<dyn LicenseStore>,
    /// The store, or a cache in front of it.
    pub tokens: Arc<dyn TokenStore>,
    /// The store and every layer in front of it.
    pub health: Health,
}

impl From<Arc<dyn FullStore>> for Stores {
    /// The store alone, without layers.
    fn from(store: Arc<dyn FullStore>) -> Self {
        let health = Health::new([store.clone() as _]);
        Self { licenses: store.clone(), tokens: store.clone(), store, health }
    }
}

/// All services over one store. Clones share everything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Services {
    /// Issues and manages licenses.
    pub licenses: LicenseService,
    /// Validates keys.
    pub validation: Arc<ValidationService>,
    /// Lists activations.
    pub activations: ActivationService,
    /// Lists and erases customers.
    pub customers: CustomerService,
    /// Reports usage.
    pub usage: UsageService,
    /// Reads events.
    pub events: EventService,
    /// Manages webhooks.
    pub webhooks: WebhookService,
    /// Manages API tokens and reads the audit log.
    pub access: AccessService,
    /// Exports and imports.
    pub transfer: TransferService,
    /// Runs one action on many licenses.
    pub bulk: BulkService,
    /// Tells whether the clock is plausible.
    pub clock: ClockService,
    /// Finds licenses.
    pub search: SearchService,
    /// Manages products and plans.
    pub catalog: CatalogService,
    /// Manages signing keys.
    pub signing_keys: SigningKeyService,
    /// Issues leases and takes them back.
    pub leases: LeaseService,
    /// Signs tokens.
    pub signing: SigningService,
    /// What the background jobs of this process did last.
    pub job_log: JobLog,
    licenses_store: Arc<dyn LicenseStore>,
    transfer_store: Arc<dyn TransferStore>,
    catalog_store: Arc<dyn CatalogStore>,
    health: Health,
    context: Arc<ServiceContext>,
}

impl Services {
    /// Creates all services, after checking that the store fits the options, and applies the plans of the
    /// options to the catalog. If the clock is implausible, the services start, and time-driven jobs wait.
    ///
    /// # Errors
    /// Returns [`SetupError`] as [`ServiceContext::open_stored`].
    pub async fn open(stores: impl Into<Stores>, options: ServiceOptions) -> Result<Self, SetupError> {
        let Stores { store, licenses, tokens, health } = stores.into();
        let context = ServiceContext::open_stored(&*licenses, store.clone(), options).await?;
        context.reload_key_formats(&*store).await?;
        context.reload_trial_keys(&*store).await?;
        let clock = ClockService::new(store.clone(), context.sources.clone());
        clock.look().await?;
        let signing_keys = SigningKeyService::new(store.clone(), clock.clone(), context.clone());
        signing_keys.start().await?;
        let signing = SigningService::new(signing_keys.clone(), context.clone());
        let validation =
            ValidationService::new(licenses.clone(), Some(store.clone()), health.clone(), context.clone());
        let events =
            EventService { events: store.clone(), licenses: licenses.clone(), context: context.clone() };
        Ok(Self {
            licenses: LicenseService::new(licenses.clone(), context.clone()),
            validation: Arc::new(validation),
            activations: ActivationService {
                activations: store.clone(),
                licenses: licenses.clone(),
                context: context.clone(),
            },
            customers: CustomerService {
                licenses: licenses.clone(),
                audit: store.clone(),
                search: store.clone(),
                context: context.clone(),
            },
            search: SearchService {
                store: store.clone(),
                licenses: LicenseService::new(licenses.clone(), context.clone()),
                context: context.clone(),
            },
            usage: UsageService { store: store.clone(), context: context.clone() },
            webhooks: WebhookService {
                store: store.clone(),
                events: events.clone(),
                clock: clock.clone(),
                context: context.clone(),
                actor: None,
            },
            events,
            access: AccessService::new(tokens, store.clone(), licenses.clone(), context.sources.clone()),
            transfer: TransferService {
                store: store.clone(),
                audit: store.clone(),
                licenses: licenses.clone(),
                catalog: store.clone(),
                context: context.clone(),
            },
            bulk: BulkService {
                jobs: store.clone(),
                licenses: licenses.clone(),
                search: store.clone(),
                keyed: LicenseService::new(licenses.clone(), context.clone()),
                context: context.clone(),
            },
            catalog: CatalogService::over(store.clone(), context.catalog.clone(), context.sources.clone()),
            leases: LeaseService {
                leases: store.clone(),
                licenses: licenses.clone(),
                signing: signing.clone(),
                clock: clock.clone(),
                context: context.clone(),
                list_times: Arc::default(),
            },
            clock,
            licenses_store: licenses,
            transfer_store: store.clone(),
            signing_keys,
            signing,
            job_log: JobLog::new(context.sources.clock()),
            catalog_store: store,
            health,
            context,
        })
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.context.now()
    }

    /// Returns the plans that licenses can have.
    #[must_use]
    pub fn plans(&self) -> Arc<PlanCatalog> {
        self.context.plans()
    }

    /// Checks that the store answers, and returns whether changes of other nodes arrive.
    ///
    /// # Errors
    /// Returns [`ServiceError::Store`] if the store does not answer.
    pub async fn ready(&self) -> Result<StreamState, ServiceError> {
        self.licenses_store.ping().await?;
        Ok(self.stream_state())
    }

    /// Returns whether changes of other nodes arrive.
    #[must_use]
    pub fn stream_state(&self) -> StreamState {
        self.licenses_store.stream_state()
    }

    /// Returns what the database tells about itself.
    ///
    /// # Errors
    /// Returns [`ServiceError::Store`] if the store does not answer.
    pub async fn database(&self) -> Result<DatabaseInfo, ServiceError> {
        Ok(self.health.database().await?)
    }

    /// Returns whether the store is known to be unreachable, so that validations are answered from memory.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.health.is_down()
    }

    /// Returns the conditions that need the operator.
    #[must_use]
    pub fn warnings(&self) -> Vec<HealthWarning> {
        let mut warnings = self.health.warnings();
        warnings.extend(self.clock.warning());
        warnings.sort_unstable();
        warnings.dedup();
        warnings
    }

    /// Returns the metrics of the services, the store and its layers.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = vec![self.validation.metric(), self.clock.metric()];
        metrics.extend(self.health.metrics());
        metrics
    }

    /// Returns metrics of the vendor's business, read from the store: licenses by plan and status, and
    /// webhook deliveries that wait.
    ///
    /// # Errors
    /// Returns [`ServiceError::Store`] if the store fails.
    pub async fn business_metrics(&self) -> Result<Vec<Metric>, ServiceError> {
        let now = self.now();
        let counts = self.catalog_store.count_licenses(now).await?;
        let values =
            counts.into_iter().map(|one| ([one.plan, one.status.as_str().to_owned()], one.count)).collect();
        let DeliveryBacklog { pending, oldest_due_at } = self.webhooks.store.delivery_backlog(now).await?;
        let waited = oldest_due_at.map_or(0, |due| u64::try_from((now - due).num_seconds()).unwrap_or(0));
        Ok(vec![
            Metric {
                name: "licenses",
                help: "Licenses by plan and status",
                value: MetricValue::Gauges { labels: ["plan", "status"], values },
            },
            Metric::gauge("webhook_pending_deliveries", "Deliveries that are not settled", pending),
            Metric::gauge(
                "webhook_oldest_due_seconds",
                "Time since the oldest due delivery became due, 0 if none is due",
                waited,
            ),
        ])
    }

    /// Reloads the formats of imported keys, and the keys of imported trial claims, because another node may
    /// have imported some.
    ///
    /// # Errors
    /// Returns [`ServiceError::Store`] if the store fails; known formats and keys are kept.
    pub async fn reload_key_formats(&self) -> Result<(), ServiceError> {
        self.context.reload_key_formats(&*self.transfer_store).await?;
        Ok(self.context.reload_trial_keys(&*self.transfer_store).await?)
    }
}

#[cfg(test)]
mod tests;
