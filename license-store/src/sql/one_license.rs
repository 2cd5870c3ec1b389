//! What tests of a database record: validations of one license.

use license_core::command::{LicenseSpec, create};
use license_core::customer::CustomerEmail;
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::LicenseId;
use license_core::plan::{Plan, PlanCatalog};
use license_core::store::LicenseStore;
use license_core::usage::{Validation, ValidationOutcome};
use license_core::verdict::Claim;

/// Creates a license; a validation of it.
pub(super) async fn one_license(store: &impl LicenseStore) -> Validation {
    let id = LicenseId::parse("lic_1").expect("an id");
    let at = chrono::DateTime::from_timestamp(1_780_000_000, 0).expect("a time in range");
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    let plans = PlanCatalog::new([Plan::new("open")]).expect("plans in bounds");
    let key = (KeyDigest::from_bytes([1; 32]), SealedKey::from_bytes(vec![1]));
    let new = create(id.clone(), key, &spec, None, &plans, at).expect("in bounds");
    store.create(&new).await.expect("created");
    Validation::new(id, at, ValidationOutcome::Valid, Claim::default())
}
