//! The search field, which understands whatever names a license.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use license_core::domain::DomainName;
use license_core::key::KeyError;
use license_core::license::{CustomerEmail, ExternalId, Fingerprint, LicenseId};
use license_core::limits;
use license_core::service::{SearchRequest, Services};
use license_core::store::SearchFilter;

use super::license_row::LicenseRow;
use super::see_other;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::page::{Page, Section, render};
use crate::visit::SignedIn;

#[derive(Template)]
#[template(path = "found.html")]
struct Found<'a> {
    page: Page,
    typed: &'a str,
    rows: Vec<LicenseRow>,
    has_more: bool,
}

/// Answers with the license that is found, or with a list. It is a POST, so that no key and no address of a
/// customer is in a URL.
pub(crate) async fn search(
    State(console): State<Console>,
    SignedIn(visit, _): SignedIn,
    form: Form,
) -> Result<Response, Failure> {
    let typed = form.text("q").unwrap_or_default();
    let mut rows = Vec::new();
    let mut has_more = false;
    for filter in meanings(&console.services, typed) {
        let request = SearchRequest { limit: limits::PAGE_ITEMS, count: false, ..SearchRequest::new(filter) };
        let found = console.services.search.search(&request).await?;
        if let ([only], None) = (&found.licenses[..], &found.next_cursor) {
            return Ok(see_other(visit.url(&format!("/licenses/{}", only.detail.license.id))));
        }
        if !found.licenses.is_empty() {
            rows = found.licenses.iter().map(|license| LicenseRow::new(&license.detail, visit.now)).collect();
            has_more = found.next_cursor.is_some();
            break;
        }
    }
    if rows.is_empty()
        && let Ok(id) = LicenseId::parse(typed)
        && console.services.licenses.get(&id).await.is_ok()
    {
        return Ok(see_other(visit.url(&format!("/licenses/{id}"))));
    }
    let page = Page::new(&visit, "Search", Section::Licenses);
    Ok(render(&Found { page, typed, rows, has_more })?.into_response())
}

/// Returns what a text can mean, the most specific first. A key with one wrong symbol means the corrected
/// key.
fn meanings(services: &Services, typed: &str) -> Vec<SearchFilter> {
    let none = SearchFilter::default;
    if typed.is_empty() || typed.contains('\0') {
        return Vec::new();
    }
    let key = match services.search.key(typed) {
        Ok(digest) => Some(digest),
        Err(KeyError::Check { suggestion: Some(key) }) => services.search.key(key.reveal()).ok(),
        Err(_) => None,
    };
    let email = CustomerEmail::parse(typed).ok();
    let external_id = ExternalId::parse(typed).ok();
    let domain = DomainName::parse(typed).ok();
    let fingerprint = Fingerprint::parse(typed).ok();
    let filters = [
        key.map(|key| SearchFilter { key: Some(key), ..none() }),
        email.map(|email| SearchFilter { customer_email: Some(email), ..none() }),
        external_id.map(|id| SearchFilter { external_id: Some(id), ..none() }),
        domain.map(|domain| SearchFilter { domain: Some(domain), ..none() }),
        fingerprint.map(|fingerprint| SearchFilter { fingerprint: Some(fingerprint), ..none() }),
    ];
    filters.into_iter().flatten().collect()
}
