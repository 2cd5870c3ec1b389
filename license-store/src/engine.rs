//! The engine: all services over one store, with cache, group commit and background jobs.
//!
//! ```
//! use std::sync::Arc;
//!
//! use license_core::command::LicenseSpec;
//! use license_core::license::CustomerEmail;
//! use license_core::key::Secret;
//! use license_core::service::ValidateRequest;
//! use license_store::engine::Engine;
//! use license_store::memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = Secret::from_hex("5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a")?;
//! let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
//!
//! let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com")?);
//! let issued = engine.licenses.issue(&spec, None).await?;
//! let request =
//!     ValidateRequest { key: issued.key.reveal(), domain: Some("example.com"), ..ValidateRequest::default() };
//! assert!(engine.validate(&request).await?.is_valid());
//!
//! engine.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod layers;
mod options;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use license_core::error::{SetupError, ValidateError};
use license_core::job::{BackgroundJob, Shutdown};
use license_core::key::Secret;
use license_core::service::{
    Health, LicenseService, ServiceContext, Services, Stores, ValidateRequest, ValidationService,
};
use license_core::store::{FullStore, LicenseStore};
use license_core::validation::Verdict;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cache::{CacheOptions, TokenCache};
use crate::jobs::{
    AnomaliesJob, AuditRetentionJob, BulkJobRetentionJob, BulkJobsJob, CatalogJob, ClockJob,
    EventRetentionJob, ExpiryJob, IdempotencyRetentionJob, IdleDevicesJob, KeyFormatsJob, LeaseRetentionJob,
    ReturnedLeasesJob, SessionRetentionJob, SigningKeysJob, UsageRetentionJob,
};

use layers::Layers;
pub use options::{EngineBuilder, JobOptions, LicenseEngineBuilder};

/// TTL of tokens if changes of other processes do not arrive.
const UNNOTIFIED_TOKEN_TTL: Duration = Duration::from_secs(1);
/// Maximum time that a shutdown waits for the last uses of tokens to be written.
const TOKEN_FLUSH_TIME: Duration = Duration::from_secs(2);

/// Issues and validates licenses over a store that implements [`LicenseStore`] alone, with a cache and group
/// commit.
///
/// It has no background jobs: events, webhooks, usage reports and retention need an [`Engine`].
#[derive(Debug)]
pub struct LicenseEngine {
    licenses: LicenseService,
    validation: ValidationService,
    layers: Layers,
}

impl LicenseEngine {
    /// Starts to configure an engine over `store`. The secret seals the data keys of the store.
    pub fn builder(store: Arc<dyn LicenseStore>, secret: &Secret) -> LicenseEngineBuilder {
        EngineBuilder::new(store, secret)
    }

    /// Issues and manages licenses.
    #[must_use]
    pub fn licenses(&self) -> &LicenseService {
        &self.licenses
    }

    /// Validates a key, and records the validation.
    ///
    /// # Errors
    /// Returns the same errors as [`ValidationService::validate`].
    pub async fn validate(&self, request: &ValidateRequest<'_>) -> Result<Verdict, ValidateError> {
        self.validation.validate(request).await
    }

    /// Returns the service that validates keys.
    #[must_use]
    pub fn validation(&self) -> &ValidationService {
        &self.validation
    }

    /// Writes validations that are not recorded yet, and closes the store.
    pub async fn shutdown(&self) {
        self.layers.close().await;
    }
}

impl EngineBuilder<dyn LicenseStore> {
    /// Starts the engine. If it fails, the store is closed.
    ///
    /// # Errors
    /// Returns [`SetupError`] if the store does not fit the secret or the key format, or does not answer.
    pub async fn start(self) -> Result<LicenseEngine, SetupError> {
        let Self { store, options, cache, recording, .. } = self;
        let layers = Layers::new(Arc::clone(&store), &options.shared_sources(), cache, recording)?;
        let context = match ServiceContext::open(&*store, options).await {
            Ok(context) => context,
            Err(error) => {
                layers.close().await;
                return Err(error);
            }
        };
        let health = Health::new(layers.health());
        Ok(LicenseEngine {
            licenses: LicenseService::new(Arc::clone(&layers.licenses), Arc::clone(&context)),
            validation: ValidationService::new(Arc::clone(&layers.licenses), None, health, context),
            layers,
        })
    }
}

/// All services over one store, with the layers in front of the store and the background jobs. Dereferences
/// to [`Services`].
///
/// | part | what it does |
/// |---|---|
/// | cache | answers validations from memory, and keeps answering while the database is down |
/// | group commit | records validations of concurrent calls in one transaction |
/// | jobs | bulk jobs, expiry and anomaly events, release of idle devices, retention, formats of imported keys, plans of other nodes |
///
/// Call [`shutdown`](Self::shutdown) at the end: it writes validations that are not recorded yet.
#[derive(Debug)]
pub struct Engine {
    services: Services,
    layers: Layers,
    tokens: Arc<TokenCache>,
    jobs: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
    stop: watch::Sender<bool>,
}

impl Deref for Engine {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

impl Engine {
    /// Starts to configure an engine over `store`. The secret seals the data keys of the store.
    pub fn builder(store: Arc<dyn FullStore>, secret: &Secret) -> EngineBuilder {
        EngineBuilder::new(store, secret)
    }

    /// Returns the services, for routers.
    #[must_use]
    pub fn services(&self) -> Services {
        self.services.clone()
    }

    /// Validates a key, and records the validation.
    ///
    /// # Errors
    /// Returns the same errors as [`ValidationService::validate`].
    pub async fn validate(&self, request: &ValidateRequest<'_>) -> Result<Verdict, ValidateError> {
        self.services.validation.validate(request).await
    }

    /// Runs a job until shutdown, for example the webhook dispatcher of license-http.
    pub fn spawn(&self, job: impl BackgroundJob) {
        let (name, shutdown) = (job.name(), self.shutdown_signal());
        let report = self.services.job_log.start(name);
        let task = tokio::spawn(Box::new(job).run(shutdown, report));
        self.jobs().push((name, task));
    }

    /// Returns a future that resolves when [`stop`](Self::stop) or [`shutdown`](Self::shutdown) is called.
    #[must_use]
    pub fn shutdown_signal(&self) -> Shutdown {
        let mut stopped = self.stop.subscribe();
        Box::pin(async move {
            // A dropped engine stops its jobs as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        })
    }

    /// Stops the jobs without waiting for them. A server calls this when it starts to drain its last
    /// requests.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops the jobs, writes validations that are not recorded yet, and closes the store. Call it after the
    /// last request.
    ///
    /// If the database is down, it gives up after 10 seconds and logs how many validations are lost.
    pub async fn shutdown(&self) {
        self.stop();
        let jobs = std::mem::take(&mut *self.jobs());
        for (job, task) in jobs {
            if let Err(error) = task.await {
                tracing::error!(%error, job, "a background job panicked");
            }
        }
        if !matches!(tokio::time::timeout(TOKEN_FLUSH_TIME, self.tokens.flush_uses()).await, Ok(Ok(()))) {
            tracing::warn!("the last uses of tokens were not written");
        }
        self.layers.close().await;
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, JoinHandle<()>)>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EngineBuilder {
    /// Starts the engine and its background jobs. If it fails, the store is closed.
    ///
    /// # Errors
    /// Returns [`SetupError`] if the store does not fit the secret, the plans or the key format, or does not
    /// answer.
    ///
    /// # Panics
    /// Panics outside a tokio runtime.
    pub async fn start(self) -> Result<Engine, SetupError> {
        let Self { store, options, cache, recording, token_cache, jobs } = self;
        let sources = options.shared_sources();
        let layers = Layers::new(Arc::clone(&store) as _, &sources, cache, recording)?;
        let ttl = if store.profile().hears_other_processes {
            token_cache.ttl
        } else {
            token_cache.ttl.min(UNNOTIFIED_TOKEN_TTL)
        };
        let token_cache = CacheOptions { ttl, ..token_cache };
        let tokens = Arc::new(TokenCache::new(
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            sources.clock(),
            token_cache,
        ));
        let health = Health::new(layers.health().into_iter().chain([Arc::clone(&store) as _]));
        let stores = Stores {
            store,
            licenses: Arc::clone(&layers.licenses),
            tokens: Arc::clone(&tokens) as _,
            health,
        };
        let services = match Services::open(stores, options).await {
            Ok(services) => services,
            Err(error) => {
                layers.close().await;
                return Err(error);
            }
        };
        let engine =
            Engine { services, layers, tokens, jobs: Mutex::default(), stop: watch::Sender::new(false) };
        engine.spawn_jobs(jobs);
        Ok(engine)
    }
}

impl Engine {
    fn spawn_jobs(&self, options: JobOptions) {
        let JobOptions { every, reminders, usage_retention, keep_deliveries, keep_events, audit_days } =
            options;
        let services = self.services();
        let Services {
            clock,
            licenses,
            events,
            activations,
            usage,
            access,
            catalog,
            bulk,
            signing_keys,
            leases,
            ..
        } = services.clone();
        self.spawn(CatalogJob { catalog, changes: self.layers.licenses.changes() });
        self.spawn(SigningKeysJob { signing_keys, changes: self.layers.licenses.changes() });
        self.spawn(ClockJob { clock: clock.clone() });
        self.spawn(KeyFormatsJob { services, every });
        self.spawn(ExpiryJob { clock: clock.clone(), events: events.clone(), every, reminders });
        self.spawn(IdleDevicesJob { clock: clock.clone(), activations, every });
        self.spawn(AnomaliesJob { clock: clock.clone(), events: events.clone(), every });
        self.spawn(EventRetentionJob { clock: clock.clone(), events, keep_deliveries, keep_events });
        self.spawn(UsageRetentionJob { clock: clock.clone(), usage, retention: usage_retention });
        self.spawn(AuditRetentionJob { clock: clock.clone(), access: access.clone(), days: audit_days });
        self.spawn(BulkJobsJob { bulk: bulk.clone() });
        self.spawn(BulkJobRetentionJob { clock: clock.clone(), bulk });
        self.spawn(ReturnedLeasesJob { clock: clock.clone(), leases: leases.clone(), every });
        self.spawn(LeaseRetentionJob { clock: clock.clone(), leases });
        self.spawn(IdempotencyRetentionJob { clock: clock.clone(), licenses });
        self.spawn(SessionRetentionJob { clock, access });
    }
}
