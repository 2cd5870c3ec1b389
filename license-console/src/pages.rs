//! The pages.

pub(crate) mod actions;
pub(crate) mod audit;
pub(crate) mod blocks;
pub(crate) mod bulk;
pub(crate) mod customer;
pub(crate) mod customers;
pub(crate) mod delivery;
pub(crate) mod edit;
pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod grants;
pub(crate) mod issue;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod key;
pub(crate) mod leases;
pub(crate) mod license;
pub(crate) mod licenses;
pub(crate) mod licenses_csv;
pub(crate) mod overview;
pub(crate) mod plan;
pub(crate) mod plan_edit;
pub(crate) mod plans;
pub(crate) mod rotate_key;
pub(crate) mod search;
pub(crate) mod sign_in;
pub(crate) mod slots;
pub(crate) mod theme;
pub(crate) mod tokens;
pub(crate) mod unusual;
pub(crate) mod usage;
pub(crate) mod webhook;
pub(crate) mod webhooks;

mod audit_row;
mod choice;
mod confirm;
mod history;
mod job_row;
mod license_count;
mod license_row;
mod license_usage;
mod notice;
mod once;
mod plan_field;
mod preset;
mod secret;
mod sort_header;
mod visible_key;

mod plan_form;
pub(crate) mod plan_new;
mod problem;
pub(crate) mod product;
pub(crate) mod release_code;
pub(crate) mod shortcuts;
pub(crate) mod signing_keys;
pub(crate) mod system;
pub(crate) mod time_zone;
pub(crate) mod webhook_form;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Sends the browser to another page after a form.
pub(crate) fn see_other(target: String) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response()
}
