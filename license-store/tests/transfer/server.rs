//! A server that imports and exports, with a clock that stands still.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use license_core::access::{Actor, Principal};
use license_core::catalog::{Limit, OverLimit, Period, Plan, PlanCatalog, Term, TermStart, Updates};
use license_core::clock::ManualClock;
use license_core::domain::DomainName;
use license_core::key::Secret;
use license_core::service::{
    ExportKeys, ImportOptions, ImportReport, ServiceOptions, Services, ValidateRequest,
};
use license_core::store::FullStore;
use license_core::validation::Verdict;
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

pub(super) const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";
pub(super) const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

fn plans() -> PlanCatalog {
    let small = Plan::new("small").max_domains(Limit::AtMost(2)).max_devices(Limit::AtMost(1));
    let boxed = Plan::new("boxed")
        .max_devices(1)
        .over_limit(OverLimit { devices: 1, domains: 0 })
        .term(Term::months(1).starts(TermStart::FirstUse))
        .updates(Updates::new(Period::Months(1)));
    PlanCatalog::new([small.term_days(Some(30)), Plan::new("open"), boxed]).expect("plans")
}

pub(super) fn now() -> DateTime<Utc> {
    "2026-06-01T12:00:00.123456Z".parse().expect("a time")
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The services of a server, with their store.
pub(super) struct Server {
    pub(super) services: Services,
    pub(super) store: Arc<dyn FullStore>,
}

pub(super) async fn server_with(store: Arc<dyn FullStore>, secret: &str, seed: u64) -> Server {
    server_of(store, secret, seed, plans()).await
}

/// As [`leasing_server`], on a store and with a clock that shows `at`.
pub(super) async fn server_at(store: Arc<dyn FullStore>, at: DateTime<Utc>) -> Server {
    start(store, HEX, 1, leasing_plans(), at).await
}

/// As [`server`], with a plan that allows leases.
pub(super) async fn leasing_server(secret: &str, seed: u64) -> Server {
    server_of(Arc::new(MemoryStore::new()), secret, seed, leasing_plans()).await
}

fn leasing_plans() -> PlanCatalog {
    let offline = Plan::new("offline").max_domains(3).max_devices(3).offline_days(7).customer_release(true);
    PlanCatalog::new([Plan::new("open"), offline]).expect("plans")
}

/// As [`server_with`], with these plans.
pub(super) async fn server_of(
    store: Arc<dyn FullStore>,
    secret: &str,
    seed: u64,
    plans: PlanCatalog,
) -> Server {
    start(store, secret, seed, plans, now()).await
}

async fn start(
    store: Arc<dyn FullStore>,
    secret: &str,
    seed: u64,
    plans: PlanCatalog,
    at: DateTime<Utc>,
) -> Server {
    let secret = Secret::from_hex(secret).expect("a secret");
    let options = ServiceOptions::new(&secret, ManualClock::at(at), rng(seed)).plans(plans);
    let services = Services::open(Arc::clone(&store), options).await.expect("services");
    Server { services, store }
}

pub(super) async fn server(secret: &str, seed: u64) -> Server {
    server_with(Arc::new(MemoryStore::new()), secret, seed).await
}

impl Server {
    pub(super) async fn export(&self, keys: ExportKeys) -> String {
        let mut exporter = self
            .services
            .transfer
            .export(keys, &Actor::new(Principal::CommandLine))
            .await
            .expect("an export");
        let mut text = String::new();
        while let Some(line) = exporter.next_line().await.expect("a line") {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// Imports lines. Returns the report and the faults as `line: reason`.
    pub(super) async fn import(&self, text: &str, options: ImportOptions) -> (ImportReport, Vec<String>) {
        let mut importer = self.services.transfer.import(options).await.expect("an import");
        for (number, line) in (1..).zip(text.lines()) {
            importer.line(number, line.as_bytes()).await.expect("the import goes on");
        }
        let report = importer.finish().await.expect("the import ends");
        let faults = importer.take_faults().into_iter().map(|(line, fault)| format!("{line}: {fault}"));
        (report, faults.collect())
    }

    pub(super) async fn validate(&self, key: &str) -> Option<Verdict> {
        self.services.validation.validate(&ValidateRequest { key, ..ValidateRequest::default() }).await.ok()
    }
}

pub(super) fn domain(text: &str) -> DomainName {
    DomainName::parse_registered(text).expect("a domain")
}

/// Builds the line of a license with a plan and a customer.
pub(super) fn line(fields: &str) -> String {
    format!(r#"{{"type":"license","plan":"open","customer_email":"dev@example.com",{fields}}}"#)
}
