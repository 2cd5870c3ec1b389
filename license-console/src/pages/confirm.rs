//! Asks for a typed word before something is destroyed.

use askama::Template;
use axum::response::Html;

use crate::failure::Failure;
use crate::form::Form;
use crate::page::{Page, render};

/// The page that asks for the word.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(super) struct Confirm<'a> {
    pub(super) page: Page,
    /// The name of what is destroyed.
    pub(super) name: &'a str,
    pub(super) effect: &'a str,
    pub(super) word: &'static str,
    /// The URL of the form.
    pub(super) action: String,
    /// The URL of the page before.
    pub(super) back: String,
}

impl Confirm<'_> {
    pub(super) fn render(&self) -> Result<Html<String>, Failure> {
        render(self)
    }
}

/// Refuses a form without the word.
pub(super) fn check(form: &Form, word: &str) -> Result<(), Failure> {
    if form.text("confirmation") == Some(word) {
        return Ok(());
    }
    Err(Failure::field("Confirmation", format!("type the word {word}")))
}
