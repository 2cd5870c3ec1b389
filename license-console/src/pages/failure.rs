//! The page of a failure.

use askama::Template;
use axum::response::{IntoResponse, Response};

use crate::failure::Failure;
use crate::page::{Page, Section, render};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    page: Page,
    title: &'a str,
    advice: &'a str,
}

/// Returns the page. The caller sets the status.
pub(crate) fn page(visit: &Visit, failure: &Failure) -> Result<Response, Failure> {
    let page = Page::new(visit, failure.title.clone(), Section::None);
    let html = render(&FailurePage { page, title: &failure.title, advice: &failure.advice })?;
    Ok(html.into_response())
}
