//! A base for stores that wrap another store in tests: it forwards every method of every port.

use std::fmt;
use std::future::Future;

use prelude::*;

/// Expands `$callback!` with all ports and their fallible methods. `also` has the other methods of a port.
macro_rules! with_ports {
    ($callback:ident $($target:ty)?) => {
        $crate::layer::$callback! { $($target;)?
            port LicenseStore {
                async fn create_all(&self, new: &[NewLicense]) -> Created;
                async fn execute(&self, id: &LicenseId, command: &Command, context: &CommandContext) -> CommandOutcome;
                async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> ();
                async fn find_by_key(&self, digest: &KeyDigest, claim: &Claim) -> Option<LicenseSnapshot>;
                async fn get(&self, id: &LicenseId) -> Option<LicenseDetail>;
                async fn list(&self, query: &LicenseQuery) -> Page<LicenseDetail, LicenseId>;
                async fn put_if_absent(&self, name: &str, value: &[u8]) -> Vec<u8>;
                async fn find_used_key(&self, asked: &Idempotency) -> Option<UsedKey>;
                async fn prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> u64;
                async fn ping(&self) -> ();
            } also {
                fn changes(&self) -> Box<dyn ChangeStream> {
                    Layer::changes(self)
                }
                fn stream_state(&self) -> StreamState {
                    Layer::stream_state(self)
                }
                fn profile(&self) -> ::license_core::store::StoreProfile {
                    self.inner().profile()
                }
                async fn close(&self) {
                    self.inner().close().await;
                }
            }
            port ActivationStore {
                async fn list_activations(
                    &self, id: &LicenseId, kind: Option<ActivationKind>, page: &PageRequest<ActivationId>
                ) -> Page<ActivationDetail, ActivationId>;
                async fn find_idle<'a>(&self, query: &IdleQuery<'a>) -> Vec<LicenseId>;
            }
            port UsageStore {
                async fn report(&self, id: &LicenseId, query: &UsageQuery) -> UsageReport;
                async fn overview(&self, query: &UsageQuery) -> UsageOverview;
                async fn list_rollups(
                    &self, filter: &RollupFilter, page: &PageRequest<RollupKey>
                ) -> Page<Rollup, RollupKey>;
                async fn prune_usage(&self, retention: &UsageRetention, now: DateTime<Utc>, limit: u32) -> u64;
            }
            port EventStore {
                async fn license_events(&self, id: &LicenseId, after: u64, limit: u32) -> Vec<Event>;
                async fn write_expiry_events(&self, scan: &ExpiryScan) -> u32;
                async fn write_limit_event(&self, notice: &LimitReached) -> Option<DateTime<Utc>>;
                async fn write_anomaly_events(&self, scan: &AnomalyScan) -> u32;
                async fn assign_positions(&self, now: DateTime<Utc>, limit: u32) -> u32;
                async fn list_events(
                    &self, filter: &EventFilter, page: &PageRequest<u64>
                ) -> Page<SequencedEvent, u64>;
                async fn events_after(&self, position: u64, limit: u32) -> Vec<SequencedEvent>;
                async fn last_position(&self) -> u64;
                async fn acknowledged(&self, name: &str) -> Option<u64>;
                async fn acknowledge(&self, name: &str, position: u64) -> ();
                async fn prune_events(&self, retention: &EventRetention) -> u32;
            }
            port WebhookStore {
                async fn create_endpoint(&self, new: &NewEndpoint) -> bool;
                async fn list_endpoints(&self) -> Vec<Endpoint>;
                async fn get_endpoint(&self, id: &EndpointId) -> Option<Endpoint>;
                async fn execute_endpoint(
                    &self, id: &EndpointId, command: &EndpointCommand, context: &EndpointContext
                ) -> EndpointOutcome;
                async fn delete_endpoint(&self, id: &EndpointId, audit: Option<AuditEntry>) -> bool;
                async fn lease_deliveries(&self, request: &DeliveryLeaseRequest) -> LeasedDeliveries;
                async fn settle(&self, settlement: &Settlement) -> Settled;
                async fn return_delivery(
                    &self, delivery: &Delivery, token: LeaseToken, now: DateTime<Utc>
                ) -> ();
                async fn delivery_backlog(&self, now: DateTime<Utc>) -> DeliveryBacklog;
                async fn list_deliveries(
                    &self, endpoint: &EndpointId, status: Option<DeliveryStatus>, page: &PageRequest<u64>
                ) -> Page<DeliveryDetail, u64>;
                async fn get_delivery(&self, endpoint: &EndpointId, event: &EventId) -> Option<DeliveryDetail>;
                async fn replay_delivery(
                    &self, endpoint: &EndpointId, event: &EventId, now: DateTime<Utc>, audit: Option<AuditEntry>
                ) -> bool;
                async fn replay_since(&self, replay: &Replay) -> Replayed;
            }
            port TokenStore {
                async fn create_token(&self, new: &NewToken) -> ();
                async fn revoke_token(&self, id: &TokenId, by: &Actor, now: DateTime<Utc>) -> Option<ApiToken>;
                async fn find_token_by_digest(&self, digest: &TokenDigest) -> Option<ApiToken>;
                async fn get_token(&self, id: &TokenId) -> Option<ApiToken>;
                async fn list_tokens(&self, page: &PageRequest<TokenId>) -> Page<ApiToken, TokenId>;
                async fn record_token_uses(&self, uses: &[TokenUse]) -> ();
                async fn create_link(&self, new: &NewLink) -> Option<ApiToken>;
                async fn open_session(&self, new: &NewSession) -> Option<ApiToken>;
                async fn prune_sessions(&self, before: DateTime<Utc>, limit: u32) -> u64;
            }
            port AuditStore {
                async fn list_audit(&self, filter: &AuditFilter, page: &PageRequest<u64>) -> Page<Audited, u64>;
                async fn add_audit(&self, entry: &AuditEntry) -> ();
                async fn prune_audit(&self, before: DateTime<Utc>, limit: u32) -> u64;
                async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> ();
            }
            port TransferStore {
                async fn import(&self, batch: &ImportBatch) -> Vec<Imported>;
                async fn dry_run(&self, batch: &ImportBatch) -> Vec<Imported>;
                async fn import_rollups(&self, batch: &RollupBatch) -> Vec<ImportedRollup>;
                async fn dry_run_rollups(&self, rollups: &[Rollup]) -> Vec<ImportedRollup>;
                async fn snapshot<'a>(&'a self) -> Box<dyn TransferSnapshot + 'a>;
                async fn declare_setting(
                    &self, name: &str, value: &[u8], audit: Option<AuditEntry>
                ) -> Vec<u8>;
                async fn replace_setting(&self, change: &SettingChange) -> bool;
                async fn settings_with_prefix(&self, prefix: &str) -> Vec<(String, Vec<u8>)>;
                async fn import_trial_claims(&self, batch: &TrialClaimBatch) -> u64;
                async fn dry_run_trial_claims(&self, claims: &[TrialClaim]) -> u64;
            }
            port CatalogStore {
                async fn load_catalog(&self, known: u64) -> Option<PlanCatalog>;
                async fn execute_catalog(
                    &self, command: &CatalogCommand, context: &CatalogContext
                ) -> CatalogOutcome;
                async fn count_licenses(&self, now: DateTime<Utc>) -> Vec<LicenseCount>;
            }
            port ClockStore {
                async fn heartbeat(&self) -> Option<DateTime<Utc>>;
                async fn move_heartbeat(&self, change: &HeartbeatChange) -> bool;
            }
            port SearchStore {
                async fn search(&self, query: &SearchQuery) -> SearchPage;
                async fn count_matches(
                    &self, filter: &SearchFilter, at: DateTime<Utc>, limit: u64
                ) -> u64;
                async fn list_customers(&self, query: &CustomerQuery) -> Page<CustomerSummary, CustomerEmail>;
            }
            port BulkJobStore {
                async fn create_job(&self, new: &NewBulkJob, licenses: &JobLicenses) -> CreatedJob;
                async fn get_job(&self, id: &BulkJobId) -> Option<BulkJob>;
                async fn cancel_job(&self, id: &BulkJobId, by: &Actor, now: DateTime<Utc>) -> Option<BulkJob>;
                async fn next_job_step(&self, after: Option<BulkJobId>, limit: u32) -> Option<BulkJobStep>;
                async fn settle_job_step(
                    &self, id: &BulkJobId, outcomes: &[(LicenseId, LicenseOutcome)], now: DateTime<Utc>
                ) -> ();
                async fn prune_jobs(&self, before: DateTime<Utc>, limit: u32) -> u64;
                async fn list_jobs(&self, page: &PageRequest<BulkJobId>) -> Page<BulkJob, BulkJobId>;
                async fn list_refused(
                    &self, id: &BulkJobId, page: &PageRequest<LicenseId>
                ) -> Page<RefusedLicense, LicenseId>;
            }
            port SigningKeyStore {
                async fn load_signing_keys(&self, known: u64) -> Option<SigningKeySet>;
                async fn execute_signing_keys(
                    &self, command: &SigningKeyCommand, context: &SigningKeyContext
                ) -> SigningKeyOutcome;
            }
            port LeaseStore {
                async fn find_lease(&self, id: &LeaseId) -> Option<Lease>;
                async fn list_leases(
                    &self, license: &LicenseId, page: &PageRequest<LeaseId>
                ) -> Page<Lease, LeaseId>;
                async fn outstanding_leases(
                    &self, license: &LicenseId, which: &OutstandingLeases, now: DateTime<Utc>, limit: u32
                ) -> Vec<Lease>;
                async fn revoked_leases(&self, product: &str, now: DateTime<Utc>) -> Vec<LeaseId>;
                async fn find_returned(&self, now: DateTime<Utc>, limit: u32) -> Vec<LicenseId>;
                async fn prune_leases(&self, before: DateTime<Utc>, limit: u32) -> u64;
            }
        }
    };
}

macro_rules! define_layer {
    ($(port $port:ident {
        $(async fn $method:ident $(<$generic:lifetime>)? (
            & $($own:lifetime)? $self:ident $(, $arg:ident: $type:ty)*
        ) -> $out:ty;)*
    } $(also { $($other:tt)* })?)*) => {
        /// A store that wraps another one. Override a method to change it, or [`around`](Self::around) to
        /// change all; the others are forwarded. [`impl_ports!`] implements the ports.
        #[async_trait]
        pub(crate) trait Layer: fmt::Debug + Send + Sync + 'static {
            /// The wrapped store.
            fn inner(&self) -> &dyn FullStore;

            /// Runs a forwarded call of a method.
            async fn around<T: Send>(
                &self,
                method: &'static str,
                call: impl Future<Output = Result<T, StoreError>> + Send,
            ) -> Result<T, StoreError> {
                let _ = method;
                call.await
            }

            fn changes(&self) -> Box<dyn ChangeStream> {
                self.inner().changes()
            }

            fn stream_state(&self) -> StreamState {
                self.inner().stream_state()
            }

            fn is_down(&self) -> bool {
                self.inner().is_down()
            }

            fn warnings(&self) -> Vec<HealthWarning> {
                self.inner().warnings()
            }

            fn metrics(&self) -> Vec<Metric> {
                self.inner().metrics()
            }

            async fn database(&self) -> Result<Option<DatabaseInfo>, StoreError> {
                self.around("database", self.inner().database()).await
            }

            $($(async fn $method $(<$generic>)? (
                & $($own)? $self $(, $arg: $type)*
            ) -> Result<$out, StoreError> {
                $self.around(stringify!($method), $self.inner().$method($($arg),*)).await
            })*)*
        }

        /// Names of the methods that pass through [`Layer::around`].
        pub(crate) const METHODS: &[&str] = &[$($(stringify!($method)),*),*];
    };
}

macro_rules! implement_ports {
    ($layer:ty; $(port $port:ident {
        $(async fn $method:ident $(<$generic:lifetime>)? (
            & $($own:lifetime)? $self:ident $(, $arg:ident: $type:ty)*
        ) -> $out:ty;)*
    } $(also { $($other:tt)* })?)*) => {
        $(#[async_trait]
        impl ::license_core::store::$port for $layer {
            $(async fn $method $(<$generic>)? (
                & $($own)? $self $(, $arg: $type)*
            ) -> Result<$out, StoreError> {
                Layer::$method($self $(, $arg)*).await
            })*
            $($($other)*)?
        })*

        #[async_trait]
        impl ::license_core::store::StoreHealth for $layer {
            fn is_down(&self) -> bool {
                Layer::is_down(self)
            }

            fn warnings(&self) -> Vec<HealthWarning> {
                Layer::warnings(self)
            }

            fn metrics(&self) -> Vec<Metric> {
                Layer::metrics(self)
            }

            async fn database(&self) -> Result<Option<DatabaseInfo>, StoreError> {
                Layer::database(self).await
            }
        }
    };
}

/// Implements every port for a type that implements [`Layer`]. The trait must be in scope.
macro_rules! impl_ports {
    ($layer:ty) => {
        const _: () = {
            use $crate::layer::prelude::*;
    $crate::layer::with_ports!(implement_ports $layer);
        };
    };
}

/// The types in the signatures of the ports.
pub(crate) mod prelude {
    pub(crate) use async_trait::async_trait;
    pub(crate) use chrono::{DateTime, Utc};
    pub(crate) use license_core::access::*;
    pub(crate) use license_core::bulk::*;
    pub(crate) use license_core::catalog::PlanCatalog;
    pub(crate) use license_core::catalog_command::*;
    pub(crate) use license_core::command::*;
    pub(crate) use license_core::event::*;
    pub(crate) use license_core::key::KeyDigest;
    pub(crate) use license_core::license::*;
    pub(crate) use license_core::metrics::Metric;
    pub(crate) use license_core::signing::*;
    pub(crate) use license_core::store::*;
    pub(crate) use license_core::transfer::*;
    pub(crate) use license_core::trial::TrialClaim;
    pub(crate) use license_core::usage::*;
    pub(crate) use license_core::validation::*;
    pub(crate) use license_core::webhook::*;
}

pub(crate) use {define_layer, impl_ports, implement_ports, with_ports};

with_ports!(define_layer);
