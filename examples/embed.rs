//! The engine in your own program, on a SQLite file.
//!
//! Run it: `cargo run -p license-examples --example embed`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use license_core::clock::SystemRng;
use license_core::{CustomerEmail, Denial, LicenseSpec, Plan, PlanCatalog, Secret, ValidateRequest, Verdict};
use license_store::{Engine, SqliteStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Your program keeps the database file and the secret that seals its keys.
    let folder = tempfile::tempdir()?;
    let secret = Secret::generate(&mut SystemRng)?;
    let store = SqliteStore::open(folder.path().join("licenses.db")).await?;

    let plans = PlanCatalog::new([Plan::new("pro").max_domains(1).term_days(365).feature("export", true)])?;
    let engine = Engine::builder(Arc::new(store), &secret).plans(plans).start().await?;

    let spec = LicenseSpec::new("pro", CustomerEmail::parse("dev@example.com")?);
    let issued = engine.licenses.issue(&spec, None).await?;
    let key = issued.key.reveal();
    println!("issued    {key}");

    for domain in ["example.com", "https://www.example.com/shop", "localhost", "example.org"] {
        let request = ValidateRequest { key, domain: Some(domain), ..Default::default() };
        match engine.validate(&request).await? {
            Verdict::Valid(valid) => println!("valid     {domain}: features {:?}", valid.features()),
            Verdict::Denied(denied) => println!("denied    {domain}: {denied} ({})", denied.code()),
            Verdict::NotFound => println!("not found {domain}"),
        }
    }

    let id = &issued.detail.license.id;
    engine.licenses.revoke(id).await?;
    let verdict = engine.validate(&ValidateRequest { key, ..ValidateRequest::default() }).await?;
    println!("revoked   {verdict:?}");
    let detail = engine.licenses.get(id).await?.detail;
    println!("counted   {} valid answers", detail.counters.validation_count);

    assert!(matches!(verdict, Verdict::Denied(denied) if *denied.reason() == Denial::Revoked));
    assert_eq!(detail.counters.validation_count, 3);
    engine.shutdown().await;
    Ok(())
}
