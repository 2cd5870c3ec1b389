//! Settings of an engine.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use license_core::catalog::PlanCatalog;
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::key::{KeyFormat, Secret};
use license_core::license::Reminders;
use license_core::service::ServiceOptions;
use license_core::signing::{TokenAlgorithm, TokenSigner};
use license_core::store::{FullStore, LicenseStore};
use license_core::usage::UsageRetention;
use license_core::webhook::Schedule;
use rand::TryCryptoRng;

use crate::cache::CacheOptions;
use crate::group_commit::GroupCommitOptions;

/// Settings of the background jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobOptions {
    /// Interval between scans: the maximum delay of an expiry event and of the release of an idle device.
    pub every: Duration,
    /// When a license is "expiring".
    pub reminders: Reminders,
    /// How long usage is kept.
    pub usage_retention: UsageRetention,
    /// How long settled webhook deliveries are kept.
    pub keep_deliveries: TimeDelta,
    /// How long events are kept; longer if a subscription has not read them. `None` keeps all events.
    pub keep_events: Option<TimeDelta>,
    /// How many days audit entries are kept.
    pub audit_days: u32,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(10),
            reminders: Reminders::default(),
            usage_retention: UsageRetention::default(),
            keep_deliveries: TimeDelta::days(30),
            keep_events: None,
            audit_days: 400,
        }
    }
}

/// Configures an [`Engine`](super::Engine) or, over a store with fewer capabilities, a
/// [`LicenseEngine`](super::LicenseEngine). Every setting has the default of the server.
#[derive(Debug)]
#[must_use]
pub struct EngineBuilder<S: ?Sized = dyn FullStore> {
    pub(super) store: Arc<S>,
    pub(super) options: ServiceOptions,
    pub(super) cache: CacheOptions,
    pub(super) recording: GroupCommitOptions,
    pub(super) token_cache: CacheOptions,
    pub(super) jobs: JobOptions,
}

/// Configures a [`LicenseEngine`](super::LicenseEngine).
pub type LicenseEngineBuilder = EngineBuilder<dyn LicenseStore>;

impl<S: LicenseStore + ?Sized> EngineBuilder<S> {
    pub(super) fn new(store: Arc<S>, secret: &Secret) -> Self {
        Self {
            store,
            options: ServiceOptions::new(secret, SystemClock, SystemRng),
            cache: CacheOptions::default(),
            recording: GroupCommitOptions::default(),
            token_cache: CacheOptions::tokens(),
            jobs: JobOptions::default(),
        }
    }

    /// Sets the plans, which are then managed by the code: a start of an [`Engine`](super::Engine) writes
    /// what differs to the database, and callers cannot change them. Without this call,
    /// [`PlanCatalog::standard`] is written once, into an empty database, and callers manage the plans.
    pub fn plans(mut self, plans: PlanCatalog) -> Self {
        self.options = self.options.plans(plans);
        self
    }

    /// As [`plans`](Self::plans), managed by the source with this name, such as a file.
    pub fn plans_of(mut self, plans: PlanCatalog, source: impl Into<String>) -> Self {
        self.options = self.options.plans_of(plans, source);
        self
    }

    /// Sets the format of keys; the default is `TO-XXXX-XXXX-XXXX-XXXX`.
    pub fn key_format(mut self, format: KeyFormat) -> Self {
        self.options = self.options.key_format(format);
        self
    }

    /// Sets the sources of time and randomness; the default is the machine's.
    pub fn clock(mut self, clock: impl Clock, rng: impl TryCryptoRng + Send + 'static) -> Self {
        self.options = self.options.sources(clock, rng);
        self
    }

    /// Sets size and age of the license cache.
    pub fn cache(mut self, options: CacheOptions) -> Self {
        self.cache = options;
        self
    }

    /// Sets how validations are recorded.
    pub fn recording(mut self, options: GroupCommitOptions) -> Self {
        self.recording = options;
        self
    }
}

impl EngineBuilder {
    /// Sets size and age of the cache of API tokens.
    pub fn token_cache(mut self, options: CacheOptions) -> Self {
        self.token_cache = options;
        self
    }

    /// Sets intervals and retention of the background jobs.
    pub fn jobs(mut self, options: JobOptions) -> Self {
        self.jobs = options;
        self
    }

    /// Sets when webhook deliveries are retried; the default is
    /// [`SCHEDULE`](license_core::webhook::SCHEDULE).
    pub fn webhook_schedule(mut self, schedule: Schedule) -> Self {
        self.options = self.options.webhook_schedule(schedule);
        self
    }

    /// Sets the issuer of tokens, their claim `iss`: usually the public URL. No client compares it.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.options = self.options.issuer(issuer);
        self
    }

    /// Sets the name of the algorithm in tokens; the default is [`TokenAlgorithm::EdDsa`].
    pub fn token_algorithm(mut self, algorithm: TokenAlgorithm) -> Self {
        self.options = self.options.token_algorithm(algorithm);
        self
    }

    /// Sets the signer of tokens, such as a hardware security module; the default is the active key of the database.
    pub fn token_signer(mut self, signer: Arc<dyn TokenSigner>) -> Self {
        self.options = self.options.token_signer(signer);
        self
    }
}
