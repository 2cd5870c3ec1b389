//! The app of one test: its own store, a manual clock and seeded randomness.

use std::sync::Arc;

use axum::Router;
use chrono::{DateTime, TimeDelta, Utc};
use license_core::access::{Actor, Principal, Scopes, TokenName, TokenSecret};
use license_core::catalog::{
    AfterExpiry, DevicePolicy, DomainPolicy, Limit, OverLimit, Period, Plan, RequiredClaim, Term, TermStart,
    Updates,
};
use license_core::clock::ManualClock;
use license_core::domain::DomainName;
use license_core::key::{ImportedKeyFormat, Secret};
use license_core::service::{AccessService, ImportOptions, ServiceOptions, Services, TokenSpec};
use license_core::store::FullStore;
use license_http::{AdminAuth, Api, LimitOptions, TokenAuth, router};
use license_store::faults::FaultStore;
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::call::{Call, Reply};

/// Initial time of the clock.
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";
pub(crate) const EMAIL: &str = "dev@example.com";

pub(crate) struct TestApp {
    pub(crate) services: Services,
    pub(crate) auth: AdminAuth,
    pub(crate) token: String,
    pub(crate) api: Api,
    pub(crate) router: Router,
    clock: Arc<ManualClock>,
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new())).await
    }

    pub(crate) async fn over(store: Arc<dyn FullStore>) -> Self {
        Self::over_with(store, |options| options).await
    }

    /// As [`over`](Self::over), with other options.
    pub(crate) async fn over_with(
        store: Arc<dyn FullStore>,
        configure: impl FnOnce(ServiceOptions) -> ServiceOptions,
    ) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let secret = Secret::from_hex(&"0123456789abcdef".repeat(4)).unwrap();
        let token = TokenSecret::generate(&mut rng).unwrap();
        let auth = AdminAuth::new([token.digest()]);
        let registered = Plan::new("registered").domain_policy(DomainPolicy::RegisteredOnly);
        let perpetual = Plan::new("perpetual").max_devices(Limit::AtMost(0));
        let roaming = Plan::new("roaming")
            .max_domains(Limit::AtMost(3))
            .max_devices(Limit::AtMost(1))
            .device_policy(DevicePolicy::EvictOldest)
            .customer_release(true);
        let boxed = Plan::new("boxed")
            .term(Term::years(1).starts(TermStart::FirstUse))
            .updates(Updates::new(Period::Months(6)));
        let fallback = Plan::new("fallback")
            .term_days(30)
            .updates(Updates::new(Period::Days(30)).after_expiry(AfterExpiry::OldVersions));
        let generous = Plan::new("generous").max_devices(1).over_limit(OverLimit { devices: 1, domains: 0 });
        let staging = DomainName::parse_registered("*.staging.example.net").unwrap();
        let staged = Plan::new("staged").exempt_hosts(vec![staging]);
        let editor =
            Plan::new("editor").product("editor").max_domains(1).max_devices(1).feature("export", true);
        let offline = Plan::new("offline").max_devices(3).offline_days(7).customer_release(true);
        let trusting = Plan::new("trusting").max_devices(1).offline_days(7).trust_release(true);
        let bound = Plan::new("bound").require([RequiredClaim::Domain, RequiredClaim::Device]);
        let options = ServiceOptions::new(&secret, Arc::clone(&clock), rng);
        let services = Services::open(store, configure(options)).await.unwrap();
        services.catalog.create_product("editor", "Editor").await.unwrap();
        for plan in [
            registered, perpetual, roaming, boxed, fallback, generous, staged, editor, offline, trusting,
            bound,
        ] {
            services.catalog.create_plan(&plan).await.unwrap();
        }
        let api = Api::new(services.clone(), auth.clone());
        let router = router(services.clone(), auth.clone());
        Self { services, auth, token: token.reveal().to_owned(), api, router, clock }
    }

    /// Adds tokens and the audit.
    pub(crate) async fn with_access() -> (Self, AccessService) {
        Self::with_access_that(|api| api).await
    }

    pub(crate) async fn with_access_that(configure: impl FnOnce(Api) -> Api) -> (Self, AccessService) {
        let app = Self::new().await;
        let access = app.services.access.clone();
        let auth = TokenAuth::new(access.clone()).with_admins(app.auth.clone());
        let api = configure(Api::new(app.services.clone(), auth).token_routes().well_known_routes());
        (app.with(api), access)
    }

    /// Applies limits.
    pub(crate) fn within(self, options: &LimitOptions) -> Self {
        let api = self.api.clone().limits(options.clone());
        self.with(api)
    }

    fn with(self, api: Api) -> Self {
        Self { router: api.clone().router(), api, ..self }
    }

    pub(crate) fn advance(&self, delta: TimeDelta) {
        self.clock.advance(delta);
    }

    /// Sets the wall clock, although no time passes.
    pub(crate) fn set_clock(&self, time: DateTime<Utc>) {
        self.clock.set(time);
    }

    /// Returns a call with the admin token.
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

    /// Asks for a lease.
    pub(crate) async fn lease(&self, body: Value) -> Reply {
        Call::new("POST", "/api/v1/leases").json(&body).send(&self.router).await
    }

    /// Issues a license with this plan.
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

    /// Imports licenses with keys of these formats.
    pub(crate) async fn import_keys(&self, formats: &[(&str, &str)], keys: &[&str]) {
        let formats = formats.iter().map(|(name, pattern)| ImportedKeyFormat::new(name, pattern).unwrap());
        let options = ImportOptions { key_formats: formats.collect(), ..ImportOptions::default() };
        let mut importer = self.services.transfer.import(options).await.unwrap();
        for (number, key) in (1..).zip(keys) {
            let line =
                json!({ "type": "license", "key": key, "plan": "enterprise", "customer_email": EMAIL });
            importer.line(number, line.to_string().as_bytes()).await.unwrap();
        }
        importer.finish().await.unwrap();
        assert_eq!(importer.take_faults(), []);
    }
}

/// A memory store that fails as the test says.
pub(crate) fn fault_store() -> Arc<FaultStore> {
    Arc::new(FaultStore::new(MemoryStore::new()))
}

/// Creates a token with these scopes. Returns its id and its secret.
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
    let (token, secret) = access.create(&spec, admin, &Actor::new(Principal::CommandLine)).await.unwrap();
    (token.id.to_string(), secret.reveal().to_owned())
}

/// A new license.
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) path: String,
}
