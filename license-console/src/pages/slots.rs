//! Releases a slot of a license.

use axum::extract::{Path, State};
use axum::response::Response;
use license_core::license::{ActivationId, LicenseId};

use super::see_other;
use crate::console::Console;
use crate::failure::Failure;
use crate::visit::SignedIn;

pub(crate) async fn release(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path((id, activation)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let id = LicenseId::parse(&id).map_err(|_| Failure::page_not_found())?;
    let activation = ActivationId::parse(&activation).map_err(|_| Failure::page_not_found())?;
    console.services.licenses.by(&visitor.actor).release(&id, activation).await?;
    Ok(see_other(visit.url(&format!("/licenses/{id}?done=released"))))
}
