//! The keyboard shortcuts, as a page for browsers without scripts.

use askama::Template;
use axum::response::IntoResponse;

use crate::failure::Failure;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "shortcuts.html")]
struct ShortcutsPage {
    page: Page,
}

pub(crate) async fn show(SignedIn(visit, _): SignedIn) -> Result<impl IntoResponse, Failure> {
    render(&ShortcutsPage { page: Page::new(&visit, "Keyboard shortcuts", Section::None) })
}
