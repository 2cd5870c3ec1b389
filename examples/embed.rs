//! The service inside one's own program, on a SQLite file.
//!
//! Run it: `cargo run -p license-examples --example embed`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use license_core::clock::{SystemClock, SystemRng};
use license_core::command::LicenseSpec;
use license_core::customer::CustomerEmail;
use license_core::key::Secret;
use license_core::plan::{Limit, Plan, PlanCatalog};
use license_core::service::{LicenseService, ValidateRequest};
use license_core::verdict::Verdict;
use license_store::sql::sqlite::SqliteStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A program of yours keeps both: the file, and the secret that seals its keys.
    let folder = tempfile::tempdir()?;
    let secret = Secret::generate(&mut SystemRng)?;
    let store = Arc::new(SqliteStore::open(folder.path().join("licenses.db")).await?);

    let plans = PlanCatalog::new([Plan::new("pro")
        .max_domains(Limit::AtMost(1))
        .term_days(Some(365))
        .feature("export", true)])?;
    let licenses =
        LicenseService::builder(store, &secret, SystemClock, SystemRng).plans(plans).build().await?;

    let spec = LicenseSpec::new("pro", CustomerEmail::parse("dev@example.com")?);
    let issued = licenses.issue(&spec, None).await?;
    let key = issued.key.reveal();
    println!("issued    {key}");

    for domain in ["example.com", "https://www.example.com/shop", "localhost", "example.org"] {
        let request = ValidateRequest { key, domain: Some(domain), ..Default::default() };
        match licenses.validate(&request).await? {
            Verdict::Valid(valid) => println!("valid     {domain}: features {:?}", valid.features()),
            Verdict::Denied(denial) => println!("denied    {domain}: {} ({})", denial, denial.code()),
            Verdict::NotFound => println!("not found {domain}"),
        }
    }

    let id = &issued.detail.license.id;
    licenses.revoke(id).await?;
    let verdict = licenses.validate(&ValidateRequest { key, ..ValidateRequest::default() }).await?;
    println!("revoked   {verdict:?}");
    let detail = licenses.get(id).await?.detail;
    println!("counted   {} valid answers", detail.counters.validation_count);

    assert_eq!(verdict, Verdict::Denied(license_core::verdict::Denial::Revoked));
    assert_eq!(detail.counters.validation_count, 3);
    Ok(())
}
