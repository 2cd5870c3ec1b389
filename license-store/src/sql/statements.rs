//! The SQL of the stores: one file per capability, written once for all dialects, built when a store is
//! opened.
//!
//! `LIMIT $1 + 0`, never `LIMIT $1`: SQLite plans for the bound value of a plain `LIMIT $1`, and so
//! prepares the statement again for each value.

/// Defines a struct of statements, each with its doc, its name and its SQL in one place. The SQL may use `D`,
/// the dialect, the variables that follow `where`, and `#3` as in [`fragments::statement`].
macro_rules! statements {
    ($(#[$attribute:meta])* $name:ident {
        $($(#[$doc:meta])* $field:ident: $sql:expr,)*
    } $(where { $($setup:tt)* })?) => {
        $(#[$attribute])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $($(#[$doc])* pub(crate) $field: sqlx::SqlStr,)*
        }

        impl $name {
            pub(crate) fn new<D: $crate::sql::dialect::Dialect>() -> Self {
                // Some SQL is the same for all dialects.
                let _ = std::marker::PhantomData::<D>;
                $($($setup)*)?
                Self { $($field: $crate::sql::statements::fragments::statement($sql),)* }
            }
        }
    };
}

mod activations;
mod anomalies;
mod audit;
mod bulk_jobs;
mod catalog;
mod clock;
mod compaction;
mod events;
mod expiry;
mod fragments;
mod invariants;
mod journal;
mod leases;
mod license_columns;
mod licenses;
mod list_query;
mod reports;
mod search;
mod search_conditions;
mod search_ids;
mod search_query;
mod settings;
mod signing_keys;
mod tokens;
mod transfer;
mod trial_claims;
mod usage;
mod used_keys;
mod verification;
mod webhooks;

pub(super) use activations::ActivationStatements;
pub(super) use anomalies::AnomalyStatements;
pub(super) use audit::AuditStatements;
pub(super) use bulk_jobs::BulkJobStatements;
pub(super) use catalog::CatalogStatements;
pub(super) use clock::ClockStatements;
pub(super) use compaction::CompactionStatements;
pub(super) use events::EventStatements;
pub(super) use expiry::ExpiryStatements;
#[cfg(all(test, feature = "sqlite"))]
pub(super) use fragments::AS_OF;
pub(super) use invariants::{EXAMPLES, Invariant, OPEN_LEASES, invariants};
pub(super) use journal::JournalStatements;
pub(super) use leases::LeaseStatements;
pub(super) use license_columns::{COLUMNS as LICENSE_COLUMNS, Indexed};
pub(super) use licenses::LicenseStatements;
pub(super) use reports::ReportStatements;
pub(super) use search::{SearchStatements, customers};
pub(super) use search_query::{SearchSql, Source, WINDOWS};
pub(super) use settings::SettingStatements;
pub(super) use signing_keys::SigningKeyStatements;
pub(super) use tokens::TokenStatements;
pub(super) use transfer::TransferStatements;
pub(super) use trial_claims::TrialClaimStatements;
pub(super) use usage::UsageStatements;
pub(super) use used_keys::UsedKeyStatements;
pub(super) use verification::VerificationStatements;
pub(super) use webhooks::WebhookStatements;

use super::dialect::Dialect;

/// All statements of a store.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) licenses: LicenseStatements,
    pub(super) activations: ActivationStatements,
    pub(super) settings: SettingStatements,
    pub(super) used_keys: UsedKeyStatements,
    pub(super) events: EventStatements,
    pub(super) expiry: ExpiryStatements,
    pub(super) anomalies: AnomalyStatements,
    pub(super) webhooks: WebhookStatements,
    pub(super) journal: JournalStatements,
    pub(super) compaction: CompactionStatements,
    pub(super) usage: UsageStatements,
    pub(super) reports: ReportStatements,
    pub(super) tokens: TokenStatements,
    pub(super) audit: AuditStatements,
    pub(super) bulk_jobs: BulkJobStatements,
    pub(super) clock: ClockStatements,
    pub(super) signing_keys: SigningKeyStatements,
    pub(super) transfer: TransferStatements,
    pub(super) search: SearchStatements,
    pub(super) catalog: CatalogStatements,
    pub(super) trial_claims: TrialClaimStatements,
    pub(super) leases: LeaseStatements,
}

impl Statements {
    pub(super) fn new<D: Dialect>() -> Self {
        Self {
            licenses: LicenseStatements::new::<D>(),
            activations: ActivationStatements::new::<D>(),
            settings: SettingStatements::new::<D>(),
            used_keys: UsedKeyStatements::new::<D>(),
            events: EventStatements::new::<D>(),
            expiry: ExpiryStatements::new::<D>(),
            anomalies: AnomalyStatements::new::<D>(),
            webhooks: WebhookStatements::new::<D>(),
            journal: JournalStatements::new::<D>(),
            compaction: CompactionStatements::new::<D>(),
            usage: UsageStatements::new::<D>(),
            reports: ReportStatements::new::<D>(),
            tokens: TokenStatements::new::<D>(),
            audit: AuditStatements::new::<D>(),
            bulk_jobs: BulkJobStatements::new::<D>(),
            clock: ClockStatements::new::<D>(),
            signing_keys: SigningKeyStatements::new::<D>(),
            transfer: TransferStatements::new::<D>(),
            search: SearchStatements::new::<D>(),
            catalog: CatalogStatements::new::<D>(),
            trial_claims: TrialClaimStatements::new::<D>(),
            leases: LeaseStatements::new::<D>(),
        }
    }
}
