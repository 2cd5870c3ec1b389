//! `/api/v1/licenses/{id}/activations`: list, label and release activations.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::command::Command;
use license_core::license::{Activation, ActivationId, ActivationKind, Label};
use license_core::usage::{ActivationDetail, Country, LastSeen};
use serde::Serialize;
use serde_json::Value;

use super::licenses::{execute, execute_because};
use crate::extract::{ActivationPath, Fields, LicenseCommand, LicensePath, Query, ReasonBody, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson, WithAsOf};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Activation))]
pub(crate) struct ActivationJson<'a> {
    /// Id of the activation.
    id: &'a str,
    /// What holds the slot.
    kind: &'static str,
    /// Canonical domain name, or device fingerprint.
    name: &'a str,
    /// Your label; null if it has none.
    label: Option<&'a str>,
    /// When the slot was taken.
    created_at: DateTime<Utc>,
    /// When it was first validated; null if never.
    first_seen_at: Option<DateTime<Utc>>,
    /// When it was last validated; null if never.
    last_seen_at: Option<DateTime<Utc>>,
    /// Number of valid answers.
    validations: u64,
    /// Country of the last validation, ISO 3166 alpha-2; null if unknown.
    country: Option<&'a str>,
}

impl<'a> From<&'a ActivationDetail> for ActivationJson<'a> {
    fn from(ActivationDetail { activation, last_seen }: &'a ActivationDetail) -> Self {
        let Activation { id, binding, created_at, label, held_until: _, is_returned: _ } = activation;
        let LastSeen { first_seen_at, last_seen_at, validations, country, as_of: _ } = last_seen;
        Self {
            id: id.as_str(),
            kind: binding.kind().as_str(),
            name: binding.value(),
            label: label.as_ref().map(Label::as_str),
            created_at: *created_at,
            first_seen_at: *first_seen_at,
            last_seen_at: *last_seen_at,
            validations: *validations,
            country: country.as_ref().map(Country::as_str),
        }
    }
}

pub(super) async fn list(
    State(state): State<HttpState>,
    LicensePath(id): LicensePath,
    mut query: Query,
) -> Result<Response, Problem> {
    let kind = query.take("kind", "domain or device", |text| {
        [ActivationKind::Domain, ActivationKind::Device].into_iter().find(|kind| kind.as_str() == text)
    })?;
    let page = query.page(|text| ActivationId::parse(text).ok())?;
    query.finish()?;
    let now = state.services.now();
    let found = state.services.activations.list(&id, kind, &page).await?;
    let page = PageJson::new(&found, ActivationJson::from);
    let counted = found.items.iter().map(|item| item.last_seen.as_of);
    Ok(wire::json(StatusCode::OK, &WithAsOf::new(page, counted, now)))
}

pub(super) async fn release(
    ActivationPath(activation): ActivationPath,
    command: LicenseCommand,
    ReasonBody(reason): ReasonBody,
) -> Result<Response, Problem> {
    execute_because(command, Command::Release(activation), reason).await
}

pub(super) async fn label(
    ActivationPath(activation): ActivationPath,
    command: LicenseCommand,
    fields: Fields,
) -> Result<Response, Problem> {
    let label = fields.only(&["label"])?.require("label", read_label)?;
    execute(command, Command::Label(activation, label)).await
}

fn read_label(field: &'static str, value: Value) -> Result<Option<Label>, Problem> {
    let label = value::text_or_null(field, value)?.map(|text| Label::parse(&text));
    label.transpose().map_err(|error| value::invalid(field, &error))
}
