//! Makes a database of SQLite that has something in each table, to show later that it still opens:
//! `cargo run -p license-store --example make_fixture -- license-store/tests/fixtures/schema-1.db`

use std::error::Error;

use chrono::{DateTime, Utc};
use license_core::activation::Fingerprint;
use license_core::command::{
    Command, CommandContext, Idempotency, IdempotencyKey, LicenseSpec, NewLicense, create,
};
use license_core::customer::CustomerEmail;
use license_core::domain::DomainName;
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::LicenseId;
use license_core::metadata::Metadata;
use license_core::plan::{Limit, Plan, PlanCatalog};
use license_core::store::LicenseStore;
use license_core::usage::{Validation, ValidationOutcome};
use license_core::verdict::{Claim, DenialCode};
use license_store::sql::sqlite::SqliteStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name the file")?;
    let now: DateTime<Utc> = "2026-05-01T12:00:00.123456Z".parse()?;
    let plans =
        PlanCatalog::new([Plan::new("professional").max_domains(Limit::AtMost(3)).term_days(Some(365))])?;
    let license = |number: u8| -> Result<NewLicense, Box<dyn Error>> {
        let mut spec = LicenseSpec::new("professional", CustomerEmail::parse("dev@example.com")?);
        spec.domains = vec![DomainName::parse("example.com")?, DomainName::parse("bücher.de")?];
        spec.metadata = Metadata::from_json(serde_json::json!({"order": "A-17"}))?;
        let id = LicenseId::parse(&format!("lic_fixture{number}"))?;
        let key = (KeyDigest::from_bytes([number; 32]), SealedKey::from_bytes(vec![number; 40]));
        let key_of_request = IdempotencyKey::parse(&format!("order {number}"))?;
        let idempotency = Idempotency { key: key_of_request, request: [number; 32] };
        Ok(create(id, key, &spec, Some(idempotency), &plans, now).map_err(|denial| format!("{denial:?}"))?)
    };
    let store = SqliteStore::open(path).await?;
    let (first, second) = (license(1)?, license(2)?);
    store.create(&first).await?;
    store.create(&second).await?;
    let context = CommandContext { plans: plans.into(), now, expected_version: None, by: None };
    let claim = Claim { domain: None, fingerprint: Some(Fingerprint::parse("device 'one'")?) };
    store.execute(&first.license.id, &Command::Activate(claim.clone()), &context).await?;
    store.execute(&second.license.id, &Command::Revoke, &context).await?;
    let denied = ValidationOutcome::Denied(DenialCode::LicenseExpired);
    let validations = [ValidationOutcome::Valid, ValidationOutcome::Valid, denied]
        .map(|outcome| Validation::new(first.license.id.clone(), now, outcome, claim.clone()));
    store.record(&validations, None).await?;
    store.keep_first("name", b"value").await?;
    store.close().await;
    Ok(())
}
