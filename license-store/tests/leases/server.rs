//! A server that issues leases, and the software that uses them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::access::{Actor, Principal};
use license_core::catalog::{Plan, PlanCatalog, Term, TermStart};
use license_core::clock::ManualClock;
use license_core::license::{License, LicenseId};
use license_core::service::{LeaseAnswer, LeaseRequest, ServiceOptions, Services, SignedLease};
use license_core::signing::PublicKey;
use license_core::store::FullStore;
use license_core::{CustomerEmail, LicenseSpec, Secret, ValidateRequest};
use license_store::memory::MemoryStore;
use license_verify::{KeySet, Policy};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

pub(super) const PRODUCT: &str = "editor";
pub(super) const NOW: &str = "2026-06-01T12:00:00.123456Z";

pub(super) fn now() -> DateTime<Utc> {
    NOW.parse().expect("a time")
}

/// [`now`] in whole seconds.
pub(super) fn seconds() -> i64 {
    now().timestamp()
}

pub(super) fn days(days: i64) -> TimeDelta {
    TimeDelta::days(days)
}

/// The end of the tolerance of clients, for a lease that is issued now.
pub(super) fn accepted_until(days: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds() + days * 86_400 + 300, 0).expect("a time")
}

fn plans() -> PlanCatalog {
    let plan = |name: &str| Plan::new(name).product(PRODUCT).max_devices(3).customer_release(true);
    PlanCatalog::new([
        plan("online"),
        plan("offline").offline_days(7),
        plan("trusting").offline_days(7).trust_release(true),
        plan("short").offline_days(7).term_days(3),
        plan("boxed").offline_days(60).term(Term::months(1).starts(TermStart::FirstUse)),
        Plan::new("player").product("player").offline_days(7),
    ])
    .expect("plans")
}

/// The services of one node, with their store and clock.
pub(super) struct Server {
    pub(super) services: Services,
    pub(super) store: Arc<dyn FullStore>,
    pub(super) clock: Arc<ManualClock>,
}

/// A license with its key.
pub(super) struct Licensed {
    pub(super) id: LicenseId,
    pub(super) key: String,
}

pub(super) async fn server() -> Server {
    server_with(|options| options).await
}

/// Starts a node with these options on a new store.
pub(super) async fn server_with(options: impl FnOnce(ServiceOptions) -> ServiceOptions) -> Server {
    node(Arc::new(MemoryStore::new()), Arc::new(ManualClock::at(now())), 1, options).await
}

async fn node(
    store: Arc<dyn FullStore>,
    clock: Arc<ManualClock>,
    seed: u64,
    with: impl FnOnce(ServiceOptions) -> ServiceOptions,
) -> Server {
    let secret = Secret::from_hex(&"5a".repeat(32)).expect("a secret");
    let options = ServiceOptions::new(&secret, Arc::clone(&clock), ChaCha20Rng::seed_from_u64(seed));
    let options = with(options.plans(plans()).issuer("https://licenses.example"));
    let services = Services::open(Arc::clone(&store), options).await.expect("services");
    Server { services, store, clock }
}

impl Server {
    /// Starts another node on the same store.
    pub(super) async fn other(&self, options: impl FnOnce(ServiceOptions) -> ServiceOptions) -> Self {
        node(Arc::clone(&self.store), Arc::clone(&self.clock), 2, options).await
    }

    pub(super) async fn license(&self, plan: &str) -> Licensed {
        let spec = LicenseSpec::new(plan, CustomerEmail::parse("dev@example.com").expect("an address"));
        let issued = self.services.licenses.issue(&spec, None).await.expect("a license");
        Licensed { id: issued.detail.license.id.clone(), key: issued.key.reveal().to_owned() }
    }

    /// Asks for a lease of a device, for some days.
    pub(super) async fn ask(&self, license: &Licensed, device: &str, days: Option<u32>) -> LeaseAnswer {
        self.services.leases.issue(&request(&license.key, device, days)).await.expect("an answer")
    }

    pub(super) async fn lease(&self, license: &Licensed, device: &str) -> SignedLease {
        lease_of(self.ask(license, device, None).await)
    }

    pub(super) async fn get(&self, license: &Licensed) -> Arc<License> {
        self.services.licenses.get(&license.id).await.expect("a license").detail.license
    }

    pub(super) fn active_key(&self) -> PublicKey {
        self.services.signing.active_key().expect("a key")
    }

    /// Returns the policy of software on a device that was built with the active key.
    pub(super) fn policy(&self, device: &str) -> Policy {
        policy(self.active_key(), device)
    }

    /// Replaces the signing key.
    pub(super) async fn rotate(&self) {
        self.services.signing_keys.rotate(false).await.expect("rotated");
    }
}

pub(super) fn request<'a>(key: &'a str, device: &'a str, days: Option<u32>) -> LeaseRequest<'a> {
    let validation = ValidateRequest {
        key,
        product: Some(PRODUCT),
        fingerprint: Some(device),
        client: Some("editor/1.2"),
        ..ValidateRequest::default()
    };
    LeaseRequest { validation, days }
}

pub(super) fn lease_of(issued: LeaseAnswer) -> SignedLease {
    match issued {
        LeaseAnswer::Lease(lease) => *lease,
        other => panic!("not a lease: {other:?}"),
    }
}

pub(super) fn keys(public: PublicKey) -> KeySet {
    KeySet::new([license_verify::PublicKey::from_bytes(public.as_bytes()).expect("a key")])
}

pub(super) fn policy(public: PublicKey, device: &str) -> Policy {
    Policy::new(PRODUCT, device).keys(keys(public))
}

pub(super) fn operator() -> Actor {
    Actor::new(Principal::Named("operator".to_owned()))
}
