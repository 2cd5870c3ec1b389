//! Measures the first page of each list of the console, among 1M licenses in SQLite. Prints a Markdown
//! table.
//!
//! Run it with `cargo bench -p license-benches --bench console`. `--quick` uses 100k licenses. `--sqlite
//! FILE` uses a database that an earlier run of this bench filled, or fills an empty one.

#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod fill;
#[path = "search_data.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod search_data;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::request::Parts;
use license_console::ConsoleOptions;
use license_core::access::{Principal, Scope};
use license_core::clock::{Clock, SystemClock, SystemRng};
use license_core::key::Secret;
use license_core::service::{AuthError, Authenticator, Caller, ServiceOptions, Services};
use license_core::store::{BulkJobStore, FullStore, PageRequest};
use license_core::webhook::{EndpointId, EndpointSettings, EventSelection};
use license_store::sql::sqlite::SqliteStore;
use tower::ServiceExt;

use fill::{RawConnection, now, store_data_keys};

/// Requests of each page. The best one counts: the bench may share its processors.
const RUNS: usize = 7;
/// What the console promises for a first page.
const BUDGET: Duration = Duration::from_millis(100);

/// Lets everyone in.
#[derive(Debug)]
struct Anyone;

#[async_trait]
impl Authenticator for Anyone {
    async fn authenticate(&self, _: &Parts) -> Result<Caller, AuthError> {
        Ok(Caller { principal: Principal::Named("bench".to_owned()), scopes: Scope::Admin.into() })
    }
}

/// Adds an endpoint, and a delivery, an audit entry and thirty days of usage for many licenses, and jobs.
async fn fill_others(raw: &mut RawConnection, endpoint: &EndpointId) {
    let day = SystemClock.now().timestamp_micros() / 86_400_000_000;
    let days = "WITH RECURSIVE days (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM days WHERE n < 29)";
    let jobs = "WITH RECURSIVE jobs (n) AS (VALUES (10) UNION ALL SELECT n + 1 FROM jobs WHERE n < 39)";
    for statement in [
        "UPDATE events SET position = rowid WHERE position IS NULL".to_owned(),
        "UPDATE position_counter SET last_position = (SELECT MAX(position) FROM events)".to_owned(),
        format!(
            "INSERT INTO deliveries SELECT '{endpoint}', position, license_id, sequence, 'succeeded', 1, NULL, NULL, at, '[]' \
             FROM events"
        ),
        "INSERT INTO audit (at, actor_kind, actor_token, actor_name, action, license_id, changes) \
         SELECT created_at, 'token', 'tok_a', 'Ada', 'license.renew', id, '{}' FROM licenses ORDER BY id"
            .to_owned(),
        format!(
            "{days} INSERT INTO rollups SELECT {day} - days.n, id, 'VALID', 'example.com', '', 'DE', 10, \
             ({day} - days.n) * 86400000000, ({day} - days.n) * 86400000000 + 1 FROM licenses, days \
             WHERE licenses.rowid % 30 = days.n"
        ),
        format!(
            "{jobs} INSERT INTO bulk_jobs (id, action, status, created_at, finished_at, outcomes) SELECT 'job_' || n, \
             'suspend', IIF(n < 37, 'completed', 'running'), n * 1000000, IIF(n < 37, n * 1000000, NULL), \
             IIF(n < 37, '[[\"done\",100000]]', NULL) FROM jobs"
        ),
        "INSERT INTO bulk_job_licenses SELECT bulk_jobs.id, licenses.id, IIF(bulk_jobs.status = 'running', NULL, 'done') \
         FROM bulk_jobs, (SELECT id FROM licenses LIMIT 100000) AS licenses WHERE bulk_jobs.id > 'job_34'"
            .to_owned(),
    ] {
        raw.execute(&statement).await;
    }
    raw.settle().await;
}

async fn open(path: PathBuf, licenses: usize) -> Services {
    let store = Arc::new(SqliteStore::open(&path).await.expect("a store"));
    let jobs = store.list_jobs(&PageRequest::default()).await.expect("jobs");
    let is_new = jobs.items.is_empty();
    if is_new {
        store_data_keys(&*store).await;
    }
    let secret = Secret::from_hex(fill::SECRET).expect("hex digits");
    let options = ServiceOptions::new(&secret, SystemClock, SystemRng);
    let services = Services::open(store as Arc<dyn FullStore>, options).await.expect("services");
    if is_new {
        let settings = EndpointSettings {
            url: "https://example.com/hook".to_owned(),
            events: EventSelection::All,
            description: None,
            skip_job_events: false,
        };
        let endpoint = services.webhooks.create(settings, None).await.expect("an endpoint").endpoint.id;
        let mut raw = RawConnection::sqlite(&path).await;
        search_data::fill(&mut raw, licenses, SystemClock.now()).await;
        fill_others(&mut raw, &endpoint).await;
    }
    services
}

/// Returns the presets and the other links of a page that lead to lists.
fn links(page: &str, start: &str) -> Vec<String> {
    let found = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    found.filter(|link| link.starts_with(start)).map(|link| link.replace("&#38;", "&")).collect()
}

async fn get(router: &Router, target: &str) -> (u16, String) {
    let request = Request::get(target).body(Body::empty()).expect("a request");
    let reply = router.clone().oneshot(request).await.expect("an answer");
    let status = reply.status().as_u16();
    let body = to_bytes(reply.into_body(), usize::MAX).await.expect("a body");
    (status, String::from_utf8(body.into()).expect("UTF-8"))
}

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let licenses = if arguments.iter().any(|one| one == "--quick") { 100_000 } else { 1_000_000 };
    let file = arguments.iter().position(|one| one == "--sqlite").and_then(|at| arguments.get(at + 1));
    let folder = tempfile::tempdir().expect("a folder");
    let path = file.map_or_else(|| folder.path().join("licenses.db"), PathBuf::from);
    let services = open(path, licenses).await;
    let endpoint = services.webhooks.list().await.expect("endpoints")[0].id.clone();
    let options = ConsoleOptions::new().authenticator(Anyone);
    let router = Router::new().nest("/console", license_console::router(services, options));
    let (_, list) = get(&router, "/console/licenses").await;
    let mut targets = vec!["/console".to_owned(), "/console/licenses?sort=created_at".to_owned()];
    targets.extend(links(&list, "/console/licenses?"));
    for path in
        ["licenses/unusual", "customers", "plans", "webhooks", "audit", "usage", "usage?by=domain", "jobs"]
    {
        targets.push(format!("/console/{path}"));
    }
    for plan in ["starter", "nonprofit"] {
        targets.push(format!("/console/licenses?plan={plan}"));
        targets.push(format!("/console/licenses?plan={plan}&status=expired"));
    }
    targets.push(format!("/console/webhooks/{endpoint}"));
    targets.push("/console/jobs/job_39".to_owned());
    targets.sort();
    targets.dedup();
    println!("| page of the console | first page |\n|---|---|");
    for target in targets {
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            let start = now();
            let (status, page) = get(&router, &target).await;
            best = best.min(start.elapsed());
            assert_eq!(status, 200, "{target}: {page}");
        }
        let text = format!("{:.1} ms", best.as_secs_f64() * 1e3);
        println!("| {target} | {} |", if best > BUDGET { format!("**{text}**") } else { text });
    }
}
