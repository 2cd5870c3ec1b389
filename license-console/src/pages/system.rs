//! The state of this node: what runs, what is wrong, and what to do about it.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use license_core::access::Scope;
use license_core::job::JobState;
use license_core::metrics::{Metric, MetricValue};
use license_core::signing::{SigningKey, SigningKeySet, SigningKeyState};
use license_core::store::{DatabaseInfo, StreamState};
use tokio::time::timeout;

use super::problem::Problem;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::moment::Moment;
use crate::numbers::grouped;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};

/// Time within which the database must answer.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    page: Page,
    problems: Vec<Problem>,
    facts: Vec<Fact>,
    jobs: Vec<JobRow>,
}

/// A fact with its name.
struct Fact {
    label: &'static str,
    text: String,
}

/// A background job as a row.
struct JobRow {
    name: &'static str,
    /// `active`, `failing` or `revoked`, for the colour.
    class: &'static str,
    state: &'static str,
    succeeded: Option<Moment>,
    failed: Option<Moment>,
    error: String,
}

pub(crate) async fn show(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
) -> Result<impl IntoResponse, Failure> {
    let services = &console.services;
    let database = database(&console).await;
    let (metrics, jobs) = (services.metrics(), services.job_log.states());
    let stream = services.stream_state();
    let mut facts = facts(&console, database.as_ref(), stream, &metrics);
    if visitor.may(Scope::KeysWrite) {
        facts.extend(signing_keys(&services.signing_keys.current(), &visit));
    }
    render(&SystemPage {
        page: Page::new(&visit, "System", Section::System),
        problems: Problem::all(database.is_some(), stream, &services.warnings(), &jobs, |name| {
            value(&metrics, name)
        }),
        facts,
        jobs: jobs.iter().map(|job| JobRow::new(job, &visit)).collect(),
    })
}

/// Asks the database what it is; `None` if it does not answer in time.
async fn database(console: &Shared) -> Option<DatabaseInfo> {
    let asked = async {
        console.services.ready().await?;
        console.services.database().await
    };
    match timeout(DATABASE_TIMEOUT, asked).await {
        Ok(Ok(info)) => Some(info),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store does not answer the console");
            None
        }
        Err(_) => None,
    }
}

fn facts(
    console: &Shared,
    database: Option<&DatabaseInfo>,
    stream: StreamState,
    metrics: &[Metric],
) -> Vec<Fact> {
    let services = &console.services;
    let number = |name| value(metrics, name).map(grouped);
    let clock = match services.clock.plausible_now() {
        Some(_) => "plausible",
        None => "not plausible: jobs that depend on the time are paused",
    };
    let stream = match stream {
        StreamState::Listening => "arrive",
        StreamState::Lost => "do not arrive",
    };
    let hits = value(metrics, "cache_hits").zip(value(metrics, "cache_misses"));
    let cache = number("cache_entries").zip(value(metrics, "cache_bytes")).map(|(entries, bytes)| {
        let share = hits.and_then(|(hits, misses)| (hits * 100).checked_div(hits + misses));
        let share = share.map(|share| format!(", {share} % of lookups")).unwrap_or_default();
        format!("{entries} entries, {} KB{share}", grouped(bytes.div_ceil(1024)))
    });
    let database_text = database.map_or_else(
        || "does not answer".to_owned(),
        |info| {
            let parts = [info.kind.as_deref(), info.version.as_deref()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
        },
    );
    let schema = database.and_then(|info| info.schema).map(|schema| schema.to_string());
    let all = [
        ("Version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("Database", Some(database_text).filter(|text| !text.is_empty())),
        ("Schema", schema),
        ("Changes of other nodes", Some(stream.to_owned())),
        ("Cache of licenses", cache),
        ("Validations not recorded yet", number("commit_waiting")),
        ("Validations not counted yet", number("journal_waiting")),
        ("Clock", Some(clock.to_owned())),
        ("Plans", Some(grouped(services.plans().entries().count() as u64))),
    ];
    all.into_iter().filter_map(|(label, text)| text.map(|text| Fact { label, text })).collect()
}

/// Returns the active key and the retiring ones, as this node has them in memory.
fn signing_keys(keys: &SigningKeySet, visit: &Visit) -> Vec<Fact> {
    let exact = |at| Moment::new(at, visit.now).exact;
    let fact = |key: &SigningKey| {
        let id = key.id.as_str();
        let (label, since) = match key.state {
            SigningKeyState::Active => {
                ("Signing key", key.activated_at.map(|at| format!(", active since {}", exact(at))))
            }
            SigningKeyState::Retiring => {
                ("Retiring signing key", key.signed_until.map(|at| format!(", in use until {}", exact(at))))
            }
            _ => return None,
        };
        Some(Fact { label, text: format!("{id}{}", since.unwrap_or_default()) })
    };
    keys.keys().iter().rev().filter_map(fact).collect()
}

/// Returns the value of a metric that is one number.
fn value(metrics: &[Metric], name: &str) -> Option<u64> {
    let metric = metrics.iter().find(|metric| metric.name == name)?;
    match metric.value {
        MetricValue::Counter(value) | MetricValue::Gauge(value) => Some(value),
        _ => None,
    }
}

impl JobRow {
    fn new(job: &JobState, visit: &Visit) -> Self {
        let (class, state) = match job {
            job if !job.is_running => ("revoked", "ended"),
            job if job.is_failing => ("failing", "failing"),
            JobState { succeeded_at: None, .. } => ("pending", "waiting"),
            _ => ("active", "running"),
        };
        let failure = job.failure.as_ref();
        Self {
            name: job.name,
            class,
            state,
            succeeded: job.succeeded_at.map(|at| Moment::new(at, visit.now)),
            failed: failure.map(|failure| Moment::new(failure.at, visit.now)),
            error: failure.map(|failure| failure.error.clone()).unwrap_or_default(),
        }
    }
}
