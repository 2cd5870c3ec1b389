//! The choice of light or dark.

use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};

use super::see_other;
use crate::failure::Failure;
use crate::form::Form;
use crate::theme::Theme;
use crate::visit::Visit;

pub(crate) async fn choose(visit: Visit, form: Form) -> Result<Response, Failure> {
    let theme = form.text("theme").and_then(Theme::parse).unwrap_or_default();
    let cookie = theme.cookie(&visit.prefix, visit.connection.https).ok_or_else(Failure::internal)?;
    Ok(([(SET_COOKIE, cookie)], see_other(visit.url("/"))).into_response())
}
