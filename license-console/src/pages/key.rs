//! Shows the key of a license. The audit names the person who asked.

use axum::extract::{Path, State};
use axum::response::IntoResponse;

use super::license::{After, find, show};
use crate::console::Console;
use crate::failure::Failure;
use crate::visit::SignedIn;

pub(crate) async fn reveal(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let license = find(&console, &id).await?;
    console.services.access.audit_shown_key(&license.detail.license.id, &visitor.actor).await?;
    let key = license.key.reveal().to_owned();
    show(
        &console,
        &visit,
        &license,
        After::default(),
        Some("The key is shown. The audit has an entry."),
        Some(key),
    )
    .await
}
