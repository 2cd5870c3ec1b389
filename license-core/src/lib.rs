//! The pure core of a licensing engine: it decides, and leaves keeping and speaking to others.
//!
//! - [`service::LicenseService`] is what a backend holds: issue, validate, manage.
//! - [`store::LicenseStore`] is the port it keeps licenses through; `license-store` has stores for memory and SQL.
//! - [`outbox::Outbox`] is the port beside it: what happened, in one order, for subscribers and webhooks.
//! - [`command::decide`] and [`verdict::judge`] are the rules: pure functions of a license, a question and a time.
//! - [`access::AccessService`] knows who may call and what they did: tokens and the audit, kept through ports of their own,
//!   [`token::TokenStore`] and [`audit::AuditStore`].
//! - [`key`], [`domain`], [`plan`], [`license`], [`activation`], [`client`], [`place`], [`event`], [`endpoint`],
//!   [`delivery`] and [`usage`] are the nouns.
//!
//! Architecture invariant: no I/O, no runtime, no clock and no generator of its own. Times and randomness come in as
//! arguments; only the feature `system` adds the machine's own, for the edge. The feature `plan-files` reads plans from TOML, and
//! `imported-keys` accepts keys of other systems.
//!
//! ```
//! use license_core::plan::PlanCatalog;
//! use license_core::verdict::{judge, Claim, Judgement, Standing};
//! # use license_core::{command::{create, LicenseSpec}, customer::CustomerEmail, key::{DataKeys, KeyFormat, KeyVault}, license::LicenseId};
//! # use rand_chacha::rand_core::SeedableRng;
//! # let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
//! let now = "2026-01-01T00:00:00Z".parse()?;
//! let plans = PlanCatalog::standard();
//! let vault = KeyVault::new(&DataKeys::generate(&mut rng)?);
//! let (id, key) = (LicenseId::generate(now, &mut rng)?, KeyFormat::default().generate(&mut rng)?);
//! let sealed = vault.seal(&key, id.as_str(), &mut rng)?;
//! let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com")?);
//! let new = create(id, (vault.digest(&key), sealed), &spec, None, &plans, now)?;
//!
//! let standing = Standing::new(new.license.into(), []);
//! assert_eq!(judge(&standing, &Claim::default(), &plans, now)?, Judgement::NeedsActivation);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod access;
pub mod activation;
pub mod audit;
pub mod change;
pub mod client;
pub mod clock;
pub mod command;
pub mod customer;
pub mod delivery;
pub mod domain;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod figure;
mod in_flight;
pub mod json;
pub mod key;
pub mod license;
pub mod limits;
pub mod metadata;
pub mod outbox;
pub mod place;
pub mod plan;
pub mod seen;
pub mod service;
pub mod store;
pub mod token;
pub mod transfer;
pub mod usage;
pub mod verdict;
