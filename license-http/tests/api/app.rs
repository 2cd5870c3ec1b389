//! An app for one test: a store of its own, a clock that stands still, seeded randomness.

use std::sync::Arc;

use axum::Router;
use chrono::{DateTime, TimeDelta, Utc};
use license_core::clock::{Clock, ManualClock};
use license_core::key::Secret;
use license_core::plan::{DomainPolicy, Limit, Plan, PlanCatalog};
use license_core::service::LicenseService;
use license_core::store::LicenseStore;
use license_http::{AdminAuth, ApiToken, EdgeOptions, router, router_with};
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::call::{Call, Reply};

/// What the clock shows at first.
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";
pub(crate) const EMAIL: &str = "dev@example.com";

#[derive(Debug)]
struct SharedClock(Arc<ManualClock>);

impl Clock for SharedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }
}

pub(crate) struct TestApp {
    pub(crate) service: Arc<LicenseService>,
    pub(crate) auth: AdminAuth,
    pub(crate) token: String,
    pub(crate) router: Router,
    clock: Arc<ManualClock>,
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::over(MemoryStore::new()).await
    }

    pub(crate) async fn over(store: impl LicenseStore) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let secret = Secret::from_hex(&"0123456789abcdef".repeat(4)).unwrap();
        let token = ApiToken::generate(&mut rng).unwrap();
        let auth = AdminAuth::new([token.digest()]);
        let plans = PlanCatalog::standard().iter().cloned().collect::<Vec<_>>();
        let registered = Plan::new("registered").domain_policy(DomainPolicy::RegisteredOnly);
        let perpetual = Plan::new("perpetual").max_devices(Limit::AtMost(0));
        let plans = PlanCatalog::new(plans.into_iter().chain([registered, perpetual])).unwrap();
        let service = LicenseService::builder(Arc::new(store), &secret, SharedClock(Arc::clone(&clock)), rng)
            .plans(plans)
            .build()
            .await
            .unwrap();
        let service = Arc::new(service);
        let router = router(Arc::clone(&service), auth.clone());
        Self { service, auth, token: token.reveal().to_owned(), router, clock }
    }

    /// The same, within limits.
    pub(crate) fn within(mut self, options: &EdgeOptions) -> Self {
        self.router = router_with(Arc::clone(&self.service), self.auth.clone(), options);
        self
    }

    pub(crate) fn advance(&self, delta: TimeDelta) {
        self.clock.advance(delta);
    }

    /// A call with the token.
    pub(crate) fn admin(&self, method: &str, target: &str) -> Call {
        Call::new(method, target).header("authorization", format!("Bearer {}", self.token))
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.admin("GET", target).send(&self.router).await
    }

    pub(crate) async fn post(&self, target: &str) -> Reply {
        self.admin("POST", target).send(&self.router).await
    }

    pub(crate) async fn delete(&self, target: &str) -> Reply {
        self.admin("DELETE", target).send(&self.router).await
    }

    pub(crate) async fn put(&self, target: &str, body: Value) -> Reply {
        self.admin("PUT", target).json(&body).send(&self.router).await
    }

    pub(crate) async fn create(&self, body: Value) -> Reply {
        self.admin("POST", "/api/v1/licenses").json(&body).send(&self.router).await
    }

    pub(crate) async fn validate(&self, body: Value) -> Reply {
        Call::new("POST", "/api/v1/validate").json(&body).send(&self.router).await
    }

    /// Issues a license of a plan.
    pub(crate) async fn issue(&self, plan: &str) -> Issued {
        self.issue_with(json!({ "plan": plan, "customer_email": EMAIL })).await
    }

    pub(crate) async fn issue_with(&self, body: Value) -> Issued {
        let reply = self.create(body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let license = reply.json();
        let text = |name: &str| license[name].as_str().unwrap().to_owned();
        Issued { id: text("id"), key: text("key"), path: format!("/api/v1/licenses/{}", text("id")) }
    }
}

/// What a test needs of a license.
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) path: String,
}
