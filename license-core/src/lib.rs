//! The rules of a licensing engine, without I/O. Other crates store licenses and serve HTTP.
//!
//! - [`service::Services`]: the use cases, such as issuing, validating and reporting.
//! - [`store`]: the storage ports. `license-store` implements them in memory and for SQL databases.
//! - [`command::decide`] and [`validation::evaluate`]: the rules, as pure functions.
//! - [`key`], [`domain`], [`catalog`], [`license`], [`trial`], [`event`], [`usage`], [`webhook`], [`signing`]
//!   and [`access`]: the domain types.
//!
//! Architecture invariant: no I/O, no runtime, no clock and no random generator. Times and randomness are
//! arguments. Only the feature `system` adds those of the machine. The feature `plan-files` reads plans from
//! TOML, and `imported-keys` accepts keys of other systems.
//!
//! ```
//! use license_core::catalog::PlanCatalog;
//! use license_core::validation::{evaluate, Claim, Evaluation, LicenseSnapshot};
//! # use license_core::{command::{create, LicenseSpec}, license::{CustomerEmail, LicenseId}};
//! # use license_core::key::{DataKeys, KeyFormat, KeyVault};
//! # use license_core::trial::TrialKeys;
//! # use rand_chacha::rand_core::SeedableRng;
//! # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
//! let now = "2026-01-01T00:00:00Z".parse()?;
//! let plans = PlanCatalog::standard();
//! let vault = KeyVault::new(&DataKeys::generate(&mut rng)?);
//! let (id, key) = (LicenseId::generate(now, &mut rng)?, KeyFormat::default().generate(&mut rng)?);
//! let sealed = vault.seal(&key, id.as_str(), &mut rng)?;
//! let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com")?);
//! let new = create(id, (vault.digest(&key), sealed), &spec, None, &plans, &TrialKeys::new(&vault), now)?;
//!
//! let snapshot = LicenseSnapshot::new(new.license.into(), []);
//! assert_eq!(evaluate(&snapshot, &Claim::default(), &plans, now)?, Evaluation::NeedsActivation);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod access;
mod builder;
pub mod bulk;
pub mod catalog;
pub mod catalog_command;
pub mod clock;
pub mod command;
mod debug;
pub mod domain;
pub mod error;
pub mod event;
#[cfg(feature = "system")]
pub mod folder;
pub mod formula;
mod id;
pub mod job;
pub mod json;
pub mod key;
pub mod license;
pub mod license_table;
pub mod limits;
pub mod metrics;
mod page;
pub mod service;
pub mod signing;
pub mod store;
mod text_enum;
mod text_value;
pub mod transfer;
pub mod trial;
pub mod usage;
pub mod validation;
mod validation_barrier;
pub mod webhook;

pub use catalog::{Limit, Plan, PlanCatalog};
pub use command::LicenseSpec;
pub use job::BackgroundJob;
pub use key::{LicenseKey, Secret};
pub use license::{CustomerEmail, License, LicenseId};
pub use service::{Services, ValidateRequest};
pub use store::{FullStore, LicenseStore, StoreError};
pub use validation::{Denial, Verdict};
