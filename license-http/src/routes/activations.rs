//! `/api/v1/licenses/{id}/activations`: what is bound, and freeing a slot.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::activation::{Activation, ActivationId, ActivationKind};
use license_core::command::Command;
use license_core::service::LicenseService;
use serde::Serialize;

use super::licenses::answer;
use crate::auth::LetIn;
use crate::extract::{ActivationPath, Ask, By, LicensePath, Query};
use crate::problem::Problem;
use crate::wire::{self, PageJson};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Activation))]
pub(super) struct ActivationJson<'a> {
    /// Of this activation.
    id: &'a str,
    /// What is bound.
    kind: &'static str,
    /// The domain's canonical name, or the device's fingerprint.
    value: &'a str,
    /// When the slot was taken.
    #[serde(serialize_with = "wire::time")]
    created_at: DateTime<Utc>,
}

impl<'a> From<&'a Activation> for ActivationJson<'a> {
    fn from(activation: &'a Activation) -> Self {
        let Activation { id, binding, created_at } = activation;
        Self {
            id: id.as_str(),
            kind: binding.kind().as_str(),
            value: binding.value(),
            created_at: *created_at,
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
    let found = service.activations(&id, kind, &page).await?;
    let page = PageJson {
        data: found.items.iter().map(ActivationJson::from).collect(),
        next_cursor: found.next.as_ref().map(ActivationId::as_str),
    };
    Ok(wire::json(StatusCode::OK, &page))
}

pub(super) async fn release(
    State(service): State<Arc<LicenseService>>,
    ActivationPath(activation): ActivationPath,
    By(LetIn { actor, .. }): By,
    ask: Ask,
) -> Result<Response, Problem> {
    let released = service.by(&actor).execute(&ask.license, &Command::Release(activation), ask.version).await;
    answer(&service, released)
}
