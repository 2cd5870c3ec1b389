//! `/api/v1/products`: products.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::catalog::Product;
use license_core::service::Cataloged;
use serde::Serialize;

use crate::auth::Authenticated;
use crate::extract::{Fields, IdempotencyHeader, NamePath, NoInput, NoQuery, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Product))]
pub(crate) struct ProductJson<'a> {
    /// Name of the product. It never changes.
    name: &'a str,
    /// Name for people.
    display_name: &'a str,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl<'a> From<&'a Product> for ProductJson<'a> {
    fn from(Product { name, display_name, created_at, updated_at }: &'a Product) -> Self {
        Self { name, display_name, created_at: *created_at, updated_at: *updated_at }
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeletedProduct))]
pub(crate) struct DeletedProduct<'a> {
    /// Name of the deleted product.
    name: &'a str,
    /// Always true.
    deleted: bool,
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Authenticated { actor, .. }: Authenticated,
    IdempotencyHeader(key): IdempotencyHeader,
    fields: Fields,
) -> Result<Response, Problem> {
    let mut fields = fields.only(&["name", "display_name"])?;
    let name = fields.require("name", value::text)?;
    let display_name = fields.require("display_name", value::text)?;
    let catalog = state.services.catalog.by(&actor).repeatable(key.is_some());
    let Cataloged { item, repeated } = catalog.create_product(&name, &display_name).await?;
    let response = wire::json(StatusCode::CREATED, &ProductJson::from(&*item));
    Ok(wire::replayed(repeated, wire::with_location(response, format!("products/{name}"))))
}

/// Lists all products on one page, since there are few.
pub(super) async fn list(State(state): State<HttpState>, _: NoQuery) -> Result<Response, Problem> {
    let catalog = state.services.catalog.reload().await?;
    let data = catalog.products().map(ProductJson::from).collect();
    Ok(wire::json(StatusCode::OK, &PageJson { data, next_cursor: None }))
}

pub(super) async fn get(
    State(state): State<HttpState>,
    NamePath(name): NamePath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let product = state.services.catalog.product(&name).await?;
    Ok(wire::json(StatusCode::OK, &ProductJson::from(&*product)))
}

pub(super) async fn change(
    State(state): State<HttpState>,
    NamePath(name): NamePath,
    Authenticated { actor, .. }: Authenticated,
    fields: Fields,
) -> Result<Response, Problem> {
    let mut fields = fields.only(&["display_name"])?;
    let display_name = fields.require("display_name", value::text)?;
    let product = state.services.catalog.by(&actor).change_product(&name, &display_name).await?;
    Ok(wire::json(StatusCode::OK, &ProductJson::from(&*product)))
}

pub(super) async fn delete(
    State(state): State<HttpState>,
    NamePath(name): NamePath,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    state.services.catalog.by(&actor).delete_product(&name).await?;
    Ok(wire::json(StatusCode::OK, &DeletedProduct { name: &name, deleted: true }))
}
