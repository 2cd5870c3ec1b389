//! Rows as domain types, and domain types as parameters.

mod activations;
mod audit;
mod bulk_jobs;
mod catalog;
mod events;
mod leases;
mod licenses;
mod reader;
mod signing_keys;
mod tokens;
mod trial_claims;
mod usage;
mod webhooks;

pub(super) use activations::{activation_row, idle_plan, new_activation_row, plan_version};
pub(super) use audit::audit_row;
pub(super) use bulk_jobs::job_values;
pub(super) use catalog::{plan_values, plan_version_values, product_values};
pub(super) use events::event_row;
pub(super) use leases::lease_row;
pub(super) use licenses::{NEVER, NO_NOTICE, license_row, license_values, metadata_rows};
pub(super) use reader::{Reader, Rows, hex, int, json_rows, micros, time};
pub(super) use signing_keys::signing_key_values;
pub(super) use tokens::token_values;
pub(super) use trial_claims::trial_claim_row;
pub(super) use usage::rollup_row;
pub(super) use webhooks::{attempt_rows, delivery_row, endpoint_values, event_types};
