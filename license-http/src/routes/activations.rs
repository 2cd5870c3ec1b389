//! `/api/v1/licenses/{id}/activations`: what is bound and how it is called, and freeing a slot.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::activation::{Activation, ActivationId, ActivationKind, Label};
use license_core::command::Command;
use license_core::place::Country;
use license_core::seen::{ActivationDetail, ActivationUsage};
use license_core::service::LicenseService;
use serde::Serialize;
use serde_json::Value;

use super::licenses::answer;
use crate::auth::LetIn;
use crate::extract::{ActivationPath, Ask, By, Fields, IfMatch, LicensePath, NoQuery, Query};
use crate::problem::{Problem, sentence};
use crate::wire::{self, PageJson, WithAsOf, requests};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Activation))]
pub(super) struct ActivationJson<'a> {
    /// Of this activation.
    id: &'a str,
    /// What is bound.
    kind: &'static str,
    /// The domain's canonical name, or the device's fingerprint.
    name: &'a str,
    /// What you call it; null: nothing.
    label: Option<&'a str>,
    /// When the slot was taken.
    #[serde(serialize_with = "wire::time")]
    created_at: DateTime<Utc>,
    /// When it was first validated; null: not yet.
    #[serde(serialize_with = "wire::time_or_null")]
    first_seen_at: Option<DateTime<Utc>>,
    /// When it was last validated.
    #[serde(serialize_with = "wire::time_or_null")]
    last_seen_at: Option<DateTime<Utc>>,
    /// How often it was answered valid.
    validations: u64,
    /// The country it was last seen in, by the two letters of ISO 3166; null: unknown.
    country: Option<&'a str>,
}

impl<'a> From<&'a ActivationDetail> for ActivationJson<'a> {
    fn from(ActivationDetail { activation, usage }: &'a ActivationDetail) -> Self {
        let Activation { id, binding, created_at, label } = activation;
        let ActivationUsage { first_seen_at, last_seen_at, validations, country, as_of: _ } = usage;
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
    State(service): State<Arc<LicenseService>>,
    LicensePath(id): LicensePath,
    mut query: Query,
) -> Result<Response, Problem> {
    let kind = query.take("kind", "domain or device", |text| {
        [ActivationKind::Domain, ActivationKind::Device].into_iter().find(|kind| kind.as_str() == text)
    })?;
    let page = query.page(|text| ActivationId::parse(text).ok())?;
    query.finish()?;
    let now = service.now();
    let found = service.activations(&id, kind, &page).await?;
    let page = PageJson {
        data: found.items.iter().map(ActivationJson::from).collect(),
        next_cursor: found.next.as_ref().map(ActivationId::as_str),
    };
    let counted = found.items.iter().map(|item| item.usage.as_of);
    Ok(wire::json(StatusCode::OK, &WithAsOf::new(page, counted, now)))
}

pub(super) async fn release(
    State(service): State<Arc<LicenseService>>,
    ActivationPath(activation): ActivationPath,
    By(LetIn { actor, .. }): By,
    ask: Ask,
) -> Result<Response, Problem> {
    let command = Command::Release(activation);
    answer(&service, service.by(&actor).execute(&ask.license, &command, ask.version)).await
}

pub(super) async fn label(
    State(service): State<Arc<LicenseService>>,
    LicensePath(id): LicensePath,
    ActivationPath(activation): ActivationPath,
    By(LetIn { actor, .. }): By,
    _: NoQuery,
    IfMatch(version): IfMatch,
    fields: Fields,
) -> Result<Response, Problem> {
    let label = fields.only(&["label"])?.require("label", read_label)?;
    let command = Command::Label(activation, label);
    answer(&service, service.by(&actor).execute(&id, &command, version)).await
}

/// A label; `null` is none.
fn read_label(field: &'static str, value: Value) -> Result<Option<Label>, Problem> {
    if value.is_null() {
        return Ok(None);
    }
    let text = requests::text(field, value)?;
    Label::parse(&text).map(Some).map_err(|error| Problem::invalid_field(field, sentence(&error)))
}
