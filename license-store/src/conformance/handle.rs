//! A handle on the data under test.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use license_core::store::{
    ActivationStore, AuditStore, BulkJobStore, CatalogStore, ClockStore, EventStore, FullStore, LeaseStore,
    LicenseStore, SearchStore, SigningKeyStore, TokenStore, TransferStore, UsageStore, WebhookStore,
};

use super::{Harness, StreamScope};

/// Two handles on one set of data.
#[derive(Debug)]
pub struct Handles {
    pub(super) store: Handle,
    pub(super) other: Handle,
    /// Both of them.
    pub(super) both: [Handle; 2],
    pub(super) scope: StreamScope,
}

impl Handles {
    /// Opens the handles.
    pub async fn open(harness: &dyn Harness) -> Self {
        let both = [harness.open().await, harness.open().await];
        let [store, other] = both.clone();
        Self { store, other, both, scope: harness.stream_scope() }
    }
}

/// A [`LicenseStore`], to which it dereferences, and the further capabilities that the store has. Cheap to
/// clone.
#[derive(Clone)]
pub struct Handle {
    /// The license store.
    pub licenses: Arc<dyn LicenseStore>,
    pub(super) activations: Option<Arc<dyn ActivationStore>>,
    pub(super) usage: Option<Arc<dyn UsageStore>>,
    pub(super) events: Option<Arc<dyn EventStore>>,
    pub(super) webhooks: Option<Arc<dyn WebhookStore>>,
    pub(super) tokens: Option<Arc<dyn TokenStore>>,
    pub(super) audit: Option<Arc<dyn AuditStore>>,
    pub(super) transfer: Option<Arc<dyn TransferStore>>,
    pub(super) catalog: Option<Arc<dyn CatalogStore>>,
    pub(super) clock: Option<Arc<dyn ClockStore>>,
    pub(super) search: Option<Arc<dyn SearchStore>>,
    pub(super) bulk_jobs: Option<Arc<dyn BulkJobStore>>,
    pub(super) signing_keys: Option<Arc<dyn SigningKeyStore>>,
    pub(super) leases: Option<Arc<dyn LeaseStore>>,
}

macro_rules! capabilities {
    ($($name:ident, $with:ident: $port:ident;)+) => {
        impl Handle {
            /// Creates a handle that is a [`LicenseStore`] alone.
            #[must_use]
            pub fn new(licenses: Arc<dyn LicenseStore>) -> Self {
                Self { licenses, $($name: None),+ }
            }

            $(
                #[doc = concat!("Adds a [`", stringify!($port), "`].")]
                #[must_use]
                pub fn $with(self, $name: Arc<dyn $port>) -> Self {
                    Self { $name: Some($name), ..self }
                }

                #[doc = concat!("Returns the [`", stringify!($port), "`]. Panics if the handle has none.")]
                #[must_use]
                pub fn $name(&self) -> &dyn $port {
                    let store = self.$name.as_deref();
                    store.expect(concat!("this harness has no ", stringify!($port)))
                }
            )+
        }

        impl<S: FullStore> From<Arc<S>> for Handle {
            fn from(store: Arc<S>) -> Self {
                Self { $($name: Some(Arc::clone(&store) as _),)+ licenses: store }
            }
        }
    };
}

capabilities! {
    activations, with_activations: ActivationStore;
    usage, with_usage: UsageStore;
    events, with_events: EventStore;
    webhooks, with_webhooks: WebhookStore;
    tokens, with_tokens: TokenStore;
    audit, with_audit: AuditStore;
    transfer, with_transfer: TransferStore;
    catalog, with_catalog: CatalogStore;
    clock, with_clock: ClockStore;
    search, with_search: SearchStore;
    bulk_jobs, with_bulk_jobs: BulkJobStore;
    signing_keys, with_signing_keys: SigningKeyStore;
    leases, with_leases: LeaseStore;
}

impl Handle {
    /// Replaces the license store, for example by a cache in front of it.
    #[must_use]
    pub fn with_licenses(self, licenses: Arc<dyn LicenseStore>) -> Self {
        Self { licenses, ..self }
    }
}

impl Deref for Handle {
    type Target = dyn LicenseStore;

    fn deref(&self) -> &Self::Target {
        &*self.licenses
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("licenses", &self.licenses).finish_non_exhaustive()
    }
}
