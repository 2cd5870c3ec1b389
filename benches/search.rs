//! Measures searches among 1M licenses: each single filter, each sort and some pairs. Then validations beside
//! four lists at a time. Prints Markdown tables.
//!
//! Run it with `benches/search`, which starts a PostgreSQL. `--quick` uses 100k licenses; `--only sqlite` or
//! `--only postgres` selects a store. `--sqlite FILE` and `--postgres URL` use a database that an earlier run
//! filled, or fill an empty one.

#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod fill;
#[path = "search_data.rs"]
mod search_data;
#[path = "search_load.rs"]
mod search_load;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::DurationRound;
use license_core::clock::{Clock, SystemClock};
use license_core::license::EmailPrefix;
use license_core::store::{
    CustomerQuery, FullStore, PageRequest, SearchFilter, SearchQuery, SearchSort, SearchTotal, StoreError,
};
use license_store::sql::postgres::{PostgresOptions, PostgresStore};
use license_store::sql::sqlite::SqliteStore;
use test_database::TestDatabase;

use fill::{RawConnection, is_selected, now, store_data_keys};
use search_data::{Search, external_id, searches};

/// Runs of each search. The best one counts: the bench may share its processors.
const RUNS: usize = 7;
/// Time after which a search is not run again.
const PATIENCE: Duration = Duration::from_secs(1);

/// A filled store that explains its searches.
pub(crate) struct Filled {
    pub(crate) store: Arc<dyn FullStore>,
    explain: Explain,
}

enum Explain {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Filled {
    async fn sqlite(path: &Path, licenses: usize) -> Self {
        let store = Arc::new(SqliteStore::open(path).await.expect("a store"));
        let filled = Self { store: store.clone(), explain: Explain::Sqlite(store) };
        filled.fill(licenses, || RawConnection::sqlite(path)).await;
        filled
    }

    async fn postgres(url: &str, licenses: usize) -> Self {
        let store = PostgresStore::connect(url, &PostgresOptions::default()).await;
        let store = Arc::new(store.expect("a store"));
        let filled = Self { store: store.clone(), explain: Explain::Postgres(store) };
        filled.fill(licenses, || RawConnection::postgres_at(url)).await;
        filled
    }

    async fn fill<F: Future<Output = RawConnection>>(&self, licenses: usize, connect: impl FnOnce() -> F) {
        if self.first_page(&query(SearchFilter::default(), SearchSort::NewestFirst)).await.0 > 0 {
            return;
        }
        store_data_keys(&*self.store).await;
        search_data::fill(&mut connect().await, licenses, SystemClock.now()).await;
    }

    /// Returns the number of licenses on the page, and the total.
    pub(crate) async fn first_page(&self, query: &SearchQuery) -> (usize, Option<SearchTotal>) {
        match self.store.search(query).await {
            Ok(found) => (found.page.items.len(), found.total),
            // It shows as the time limit in the table.
            Err(StoreError::QueryTooBroad { .. }) => (0, None),
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the indexes that a search uses, without those of ids, and the tables that it scans.
    async fn indexes(&self, query: &SearchQuery) -> String {
        let plans = match &self.explain {
            Explain::Sqlite(store) => store.explain_search(query).await,
            Explain::Postgres(store) => store.explain_search(query).await,
        };
        let mut names = BTreeSet::new();
        for line in plans.unwrap_or_default().iter().flat_map(|plan| plan.lines()) {
            let words: Vec<_> = line.split_whitespace().collect();
            for (n, word) in words.iter().enumerate() {
                let next = words.get(n + 1).copied().unwrap_or_default();
                match *word {
                    "INDEX" | "using"
                        if next.starts_with("license") || next.starts_with("activations_by_v") =>
                    {
                        names.insert(next.to_owned());
                    }
                    "on" if n > 0 && words[n - 1] == "Scan" && line.contains("Bitmap Index") => {
                        names.insert(next.to_owned());
                    }
                    "on" if n > 1 && words[n - 2] == "Seq" && next != "journal" => {
                        names.insert(format!("scan of {next}"));
                    }
                    "SCAN" if !line.contains("USING") && next == "licenses" => {
                        names.insert(format!("scan of {next}"));
                    }
                    _ => {}
                }
            }
        }
        let names: Vec<_> = names.into_iter().filter(|name| !name.ends_with("_pkey")).collect();
        names.join(", ")
    }
}

pub(crate) fn query(filter: SearchFilter, sort: SearchSort) -> SearchQuery {
    SearchQuery { filter, sort, at: SystemClock.now(), page: PageRequest::default(), count: false }
}

/// Returns the shortest of some runs, and the result of the last.
async fn best<T, F: Future<Output = T>>(run: impl Fn() -> F) -> (Duration, T) {
    let (mut best, mut last) = (Duration::MAX, None);
    for _ in 0..RUNS {
        let start = now();
        last = Some(run().await);
        best = best.min(start.elapsed());
        if start.elapsed() > PATIENCE {
            break;
        }
    }
    (best, last.expect("a run"))
}

fn millis(took: Duration) -> String {
    let text = format!("{:.1} ms", took.as_secs_f64() * 1e3);
    if took > Duration::from_millis(50) { format!("**{text}**") } else { text }
}

async fn measure(name: &str, filled: &Filled) {
    println!("\n| {name} | sort | matches | first page | with count | indexes |\n|---|---|---|---|---|---|");
    let one = SearchFilter { external_id: Some(external_id(4_712)), ..SearchFilter::default() };
    let one = filled.store.search(&query(one, SearchSort::NewestFirst)).await.expect("a page");
    let today = SystemClock.now().duration_trunc(chrono::Duration::minutes(1)).expect("a time");
    for Search { name, filter, sort } in searches(&one.page.items[0], today) {
        let query = query(filter, sort);
        let counted = SearchQuery { count: true, ..query.clone() };
        let (page, _) = best(|| filled.first_page(&query)).await;
        let (count, (_, total)) = best(|| filled.first_page(&counted)).await;
        let total = total.map_or_else(String::new, |total| {
            format!("{}{}", if total.exact { "" } else { "more than " }, total.count)
        });
        let indexes = filled.indexes(&query).await;
        println!("| {name} | {sort} | {total} | {} | {} | {indexes} |", millis(page), millis(count));
    }
    for prefix in ["ada17", "a"] {
        let query = CustomerQuery {
            email: None,
            prefix: Some(EmailPrefix::parse(prefix).expect("a prefix")),
            at: SystemClock.now(),
            page: PageRequest::default(),
        };
        let (page, _) = best(|| async { filled.store.list_customers(&query).await.expect("a page") }).await;
        println!("| customers, email_prefix {prefix:?} | email | | {} | | |", millis(page));
    }
}

async fn run(name: &str, filled: &Filled, seconds: u64) {
    measure(name, filled).await;
    search_load::measure(name, filled, Duration::from_secs(seconds)).await;
}

/// Returns the argument after `flag`.
fn argument(flag: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != flag).nth(1)
}

#[tokio::main]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (licenses, seconds) = if quick { (100_000, 2) } else { (1_000_000, 5) };
    if is_selected("sqlite") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = argument("--sqlite").map_or_else(|| folder.path().join("licenses.db"), PathBuf::from);
        run("SQLite", &Filled::sqlite(&path, licenses).await, seconds).await;
    }
    if !is_selected("postgres") {
        return;
    }
    if let Some(url) = argument("--postgres") {
        return run("PostgreSQL", &Filled::postgres(&url, licenses).await, seconds).await;
    }
    let Some(database) = TestDatabase::new().await else { return };
    run("PostgreSQL", &Filled::postgres(&database.url(), licenses).await, seconds).await;
}
