//! An app for one test: a store of its own, a clock that stands still, seeded randomness.

use std::sync::Arc;

use axum::Router;
use chrono::{DateTime, TimeDelta, Utc};
use license_core::access::{AccessService, TokenSpec};
use license_core::audit::{Actor, Who};
use license_core::clock::ManualClock;
use license_core::key::Secret;
use license_core::outbox::Outbox;
use license_core::plan::{DevicePolicy, DomainPolicy, Limit, Plan, PlanCatalog};
use license_core::service::LicenseService;
use license_core::store::LicenseStore;
use license_core::token::{Scopes, TokenName, TokenSecret};
use license_http::{AdminAuth, Api, EdgeOptions, TokenAuth, router};
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::call::{Call, Reply};

/// What the clock shows at first.
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";
pub(crate) const EMAIL: &str = "dev@example.com";

pub(crate) struct TestApp {
    pub(crate) service: Arc<LicenseService>,
    pub(crate) auth: AdminAuth,
    pub(crate) token: String,
    pub(crate) api: Api,
    pub(crate) router: Router,
    clock: Arc<ManualClock>,
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self::set_up(store.clone(), Some(store)).await
    }

    /// Over a store that keeps no order of events.
    pub(crate) async fn over(store: impl LicenseStore) -> Self {
        Self::set_up(Arc::new(store), None).await
    }

    async fn set_up(store: Arc<dyn LicenseStore>, outbox: Option<Arc<dyn Outbox>>) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let secret = Secret::from_hex(&"0123456789abcdef".repeat(4)).unwrap();
        let token = TokenSecret::generate(&mut rng).unwrap();
        let auth = AdminAuth::new([token.digest()]);
        let plans = PlanCatalog::standard().iter().cloned().collect::<Vec<_>>();
        let registered = Plan::new("registered").domain_policy(DomainPolicy::RegisteredOnly);
        let perpetual = Plan::new("perpetual").max_devices(Limit::AtMost(0));
        let roaming = Plan::new("roaming")
            .max_domains(Limit::AtMost(3))
            .max_devices(Limit::AtMost(1))
            .device_policy(DevicePolicy::EvictOldest)
            .customer_release(true);
        let plans = PlanCatalog::new(plans.into_iter().chain([registered, perpetual, roaming])).unwrap();
        let clocked = Arc::clone(&clock);
        let mut service = LicenseService::builder(store, &secret, clocked, rng).plans(plans);
        if let Some(outbox) = outbox {
            service = service.outbox(outbox);
        }
        let service = Arc::new(service.build().await.unwrap());
        let api = Api::new(Arc::clone(&service), auth.clone());
        let router = router(Arc::clone(&service), auth.clone());
        Self { service, auth, token: token.reveal().to_owned(), api, router, clock }
    }

    /// An app that has tokens and the audit as well.
    pub(crate) async fn with_access() -> (Self, Arc<AccessService>) {
        Self::with_access_that(|api| api).await
    }

    pub(crate) async fn with_access_that(set: impl FnOnce(Api) -> Api) -> (Self, Arc<AccessService>) {
        let store = Arc::new(MemoryStore::new());
        let app = Self::set_up(store.clone(), Some(store.clone())).await;
        let clock = Arc::clone(&app.clock);
        let access = AccessService::new(store, clock, ChaCha20Rng::seed_from_u64(8));
        let access = Arc::new(access);
        let auth = TokenAuth::new(Arc::clone(&access)).beside(app.auth.clone());
        let api = set(Api::new(Arc::clone(&app.service), auth).access(Arc::clone(&access)));
        (app.with(api), access)
    }

    /// The same, within limits.
    pub(crate) fn within(self, options: &EdgeOptions) -> Self {
        let api = self.api.clone().edge(options.clone());
        self.with(api)
    }

    fn with(self, api: Api) -> Self {
        Self { router: api.clone().router(), api, ..self }
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

/// A token with these scopes, as the command line makes it; its id and the token itself.
pub(crate) async fn token(
    access: &AccessService,
    scopes: &str,
    expires_at: Option<DateTime<Utc>>,
) -> (String, String) {
    let spec = TokenSpec {
        name: TokenName::parse("a test").unwrap(),
        scopes: Scopes::parse(scopes).unwrap(),
        expires_at,
    };
    let admin = Scopes::parse("admin").unwrap();
    let (token, secret) = access.create(&spec, admin, &Actor::new(Who::CommandLine)).await.unwrap();
    (token.id.to_string(), secret.reveal().to_owned())
}

/// What a test needs of a license.
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) path: String,
}
