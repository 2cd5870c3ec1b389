//! Measures the import of 100,000 licenses into an empty SQLite database, and the export. Prints a Markdown
//! table. `--quick` uses 5,000 licenses.
//!
//! `cargo bench -p license-benches --bench transfer`

#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "fill.rs"]
#[expect(dead_code, reason = "other benches use more of it")]
mod fill;

use std::sync::Arc;
use std::time::Duration;

use license_core::access::{Actor, Principal};
use license_core::clock::{SystemClock, SystemRng};
use license_core::key::{ImportedKeyFormat, Secret};
use license_core::service::{ExportKeys, ImportOptions, ServiceOptions, Services, TransferService};
use license_core::store::{FullStore, LicenseStore};
use license_store::sql::sqlite::SqliteStore;

use fill::{SECRET, now};

async fn service(folder: &tempfile::TempDir, name: &str) -> (Arc<SqliteStore>, TransferService) {
    let store = Arc::new(SqliteStore::open(folder.path().join(name)).await.expect("a database"));
    let secret = Secret::from_hex(SECRET).expect("a secret");
    let options = ServiceOptions::new(&secret, SystemClock, SystemRng);
    let services = Services::open(Arc::clone(&store) as Arc<dyn FullStore>, options).await;
    (store, services.expect("services").transfer)
}

async fn import(service: &TransferService, lines: &[String], licenses: usize) -> Duration {
    let format = ImportedKeyFormat::new("old", "OLD-[0-9]{8}").expect("a form");
    let options = ImportOptions { key_formats: vec![format], ..ImportOptions::default() };
    let start = now();
    let mut importer = service.import(options).await.expect("an import");
    for (number, line) in (1..).zip(lines) {
        importer.line(number, line.as_bytes()).await.expect("the importer accepts lines");
    }
    let report = importer.finish().await.expect("the import finishes");
    let took = start.elapsed();
    assert_eq!((report.imported + report.existing, report.refused), (licenses as u64, 0));
    took
}

async fn export(service: &TransferService) -> (Vec<String>, Duration) {
    let start = now();
    let mut exporter =
        service.export(ExportKeys::Sealed, &Actor::new(Principal::CommandLine)).await.expect("an export");
    let mut lines = Vec::new();
    while let Some(line) = exporter.next_line().await.expect("a line") {
        lines.push(line.to_string());
    }
    (lines, start.elapsed())
}

/// Returns licenses with keys of another system, each with a domain and some metadata.
fn lines(licenses: usize) -> Vec<String> {
    let line = |n: usize| {
        serde_json::json!({
            "type": "license", "key": format!("OLD-{n:08}"), "plan": "professional",
            "customer_email": format!("customer{}@example.com", n / 2), "domains": [format!("site{n}.example.com")],
            "created_at": "2025-03-04T05:06:07Z", "metadata": {"order": n, "source": "old shop"},
        })
        .to_string()
    };
    (0..licenses).map(line).collect()
}

#[tokio::main]
async fn main() {
    let licenses = if std::env::args().any(|argument| argument == "--quick") { 5_000 } else { 100_000 };
    let folder = tempfile::tempdir().expect("a folder");
    let ((first, old), (second, new)) =
        (service(&folder, "first.db").await, service(&folder, "second.db").await);
    let lines = lines(licenses);
    println!("| {licenses} licenses, SQLite | seconds |\n|---|---|");
    let row = |what: &str, took: Duration| println!("| {what} | {:.1} |", took.as_secs_f64());
    row("import, keys of another system", import(&old, &lines, licenses).await);
    row("import again: all exist", import(&old, &lines, licenses).await);
    let (exported, took) = export(&old).await;
    row("export", took);
    row("import of the export", import(&new, &exported, licenses).await);
    assert!(export(&new).await.0 == exported, "the exports are identical");
    first.close().await;
    second.close().await;
}
