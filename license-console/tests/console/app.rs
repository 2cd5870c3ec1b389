//! The app of one test: the console under a prefix of a host app, its own store, a manual clock.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use chrono::TimeDelta;
use license_console::{Connection, ConsoleOptions};
use license_core::LicenseSpec;
use license_core::access::{Actor, Principal, Scope, Scopes, TokenName, TokenSecret};
use license_core::catalog::{Plan, PlanCatalog};
use license_core::clock::ManualClock;
use license_core::key::Secret;
use license_core::service::{KeyedLicense, ServiceOptions, Services, TokenSpec};
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::browser::Browser;

pub(crate) const NOW: &str = "2026-03-06T14:00:00Z";
pub(crate) const EMAIL: &str = "dev@example.com";

pub(crate) struct TestApp {
    pub(crate) services: Services,
    pub(crate) router: Router,
    pub(crate) clock: Arc<ManualClock>,
}

/// A client on the machine of the server.
pub(crate) fn local(options: ConsoleOptions) -> ConsoleOptions {
    options.connection(|_| Connection { client: "127.0.0.1".parse().ok(), ..Connection::default() })
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with(local(ConsoleOptions::new())).await
    }

    /// Starts with plans that a file manages.
    pub(crate) async fn with_plans(file: &str, plans: impl IntoIterator<Item = Plan>) -> Self {
        let plans = PlanCatalog::new(plans).unwrap();
        Self::start(local(ConsoleOptions::new()), |options| options.plans_of(plans, file)).await
    }

    pub(crate) async fn with(options: ConsoleOptions) -> Self {
        Self::start(options, |options| options).await
    }

    async fn start(options: ConsoleOptions, set: impl FnOnce(ServiceOptions) -> ServiceOptions) -> Self {
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let secret = Secret::from_hex(&"0123456789abcdef".repeat(4)).unwrap();
        let service_options = ServiceOptions::new(&secret, Arc::clone(&clock), ChaCha20Rng::seed_from_u64(7));
        let store = Arc::new(MemoryStore::new()) as Arc<dyn license_core::FullStore>;
        let services = Services::open(store, set(service_options));
        let services = services.await.unwrap();
        let console = license_console::router(services.clone(), options);
        let router = Router::new()
            .route("/", get(|| async { "the host's page" }))
            .route("/consolex", get(|| async { "a sibling" }))
            .nest("/console", console);
        Self { services, router, clock }
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.router.clone())
    }

    /// Creates a token.
    pub(crate) async fn token(&self, scopes: impl Into<Scopes>) -> TokenSecret {
        token_of(&self.services, scopes).await
    }

    /// Returns a browser that is signed in with these scopes.
    pub(crate) async fn signed_in(&self, scopes: impl Into<Scopes>) -> Browser {
        let (token, mut browser) = (self.token(scopes).await, self.browser());
        let reply = browser.post("/console/sign-in", &[("token", token.reveal())]).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/console"), "{}", reply.body);
        browser
    }

    pub(crate) async fn issue(&self) -> KeyedLicense {
        self.services
            .licenses
            .issue(&LicenseSpec::new("starter", EMAIL.parse().unwrap()), None)
            .await
            .unwrap()
    }

    pub(crate) fn advance(&self, minutes: i64) {
        self.clock.advance(TimeDelta::minutes(minutes));
    }
}

/// Creates a token.
pub(crate) async fn token_of(services: &Services, scopes: impl Into<Scopes>) -> TokenSecret {
    let spec = TokenSpec { name: TokenName::parse("Ada").unwrap(), scopes: scopes.into(), expires_at: None };
    services.access.create(&spec, Scope::Admin.into(), &by()).await.unwrap().1
}

pub(crate) fn by() -> Actor {
    Actor::new(Principal::CommandLine)
}
