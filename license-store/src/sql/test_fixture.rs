//! Licenses for the tests of SQL stores.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use license_core::catalog::{Plan, PlanCatalog};
use license_core::command::{Command, CommandContext, CommandOutcome, LicenseSpec, create};
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{CustomerEmail, Fingerprint, LicenseId};
use license_core::store::LicenseStore;
use license_core::validation::Claim;

/// Issues a license with a device called `one`.
pub(super) async fn issue(store: &impl LicenseStore, number: u8, now: DateTime<Utc>) -> LicenseId {
    let plans = PlanCatalog::new([Plan::new("open")]).expect("plans in bounds");
    let id = LicenseId::parse(&format!("lic_{number:03}")).expect("an id");
    let key = (KeyDigest::from_bytes([number; 32]), SealedKey::from_bytes(vec![number]));
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    let new = create(id, key, &spec, None, &plans, now).expect("in bounds");
    store.create(&new).await.expect("created");
    let claim = Claim { domain: None, fingerprint: Some(Fingerprint::parse("one").expect("a fingerprint")) };
    let context = CommandContext { plans: Arc::new(plans), now, expected_version: None, by: None };
    let made = store.execute(&new.license.id, &Command::Activate(claim), &context).await;
    assert!(matches!(made, Ok(CommandOutcome::Done(_))), "{made:?}");
    new.license.id
}
