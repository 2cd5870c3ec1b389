//! `/api/v1/customers`: customers, export of personal data, and erasure.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures_util::stream;
use license_core::error::ServiceError;
use license_core::event::Event;
use license_core::json::LicenseJson;
use license_core::license::{CustomerEmail, CustomerName, EmailPrefix, LicenseId, Status};
use license_core::limits;
use license_core::service::{KeyedLicense, Services};
use license_core::store::{CustomerSummary, LicenseFilter, Page, PageRequest};
use license_core::usage::{RollupFilter, UsageQuery};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::activations::ActivationJson;
use super::licenses::license_json;
use super::usage::json::{RollupJson, ValidationJson};
use crate::auth::Authenticated;
use crate::extract::{CustomerPath, NoInput, NoQuery, Query};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, PageJson, WithAsOf};

/// Number of chunks of an export that are buffered for a slow client.
const BUFFERED_CHUNKS: usize = 4;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ErasedCustomer))]
pub(crate) struct ErasedCustomer<'a> {
    /// Replacement of the e-mail address.
    customer_email: &'a str,
    /// Number of licenses that belonged to the customer.
    licenses: u64,
}

/// A customer with sums of its licenses.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Customer))]
pub(crate) struct CustomerJson<'a> {
    /// E-mail address.
    customer_email: &'a str,
    /// Name on the newest license that has one.
    customer_name: Option<&'a str>,
    /// Number of licenses by status.
    license_counts: BTreeMap<&'static str, u64>,
    /// Last valid answer for one of the licenses; null if there is none.
    last_validated_at: Option<DateTime<Utc>>,
}

impl<'a> From<&'a CustomerSummary> for CustomerJson<'a> {
    fn from(customer: &'a CustomerSummary) -> Self {
        let count = |status| customer.licenses.get(&status).copied().unwrap_or_default();
        Self {
            customer_email: customer.email.as_str(),
            customer_name: customer.name.as_ref().map(CustomerName::as_str),
            license_counts: Status::ALL.into_iter().map(|status| (status.as_str(), count(status))).collect(),
            last_validated_at: customer.last_validated_at,
        }
    }
}

/// A customer with its newest licenses.
#[derive(Serialize)]
struct CustomerWithLicenses<'a> {
    #[serde(flatten)]
    customer: CustomerJson<'a>,
    licenses: Vec<LicenseJson<'a>>,
}

pub(super) async fn list(State(state): State<HttpState>, mut query: Query) -> Result<Response, Problem> {
    let expected = "the beginning of an e-mail address";
    let prefix = query.take("email_prefix", expected, |text| EmailPrefix::parse(text).ok())?;
    let page = query.page(|text| CustomerEmail::parse(text).ok())?;
    query.finish()?;
    let now = state.services.now();
    let found = state.services.customers.list(prefix, &page).await?;
    let counted = found.items.iter().map(|customer| customer.as_of);
    let page = PageJson::new(&found, CustomerJson::from);
    Ok(wire::json(StatusCode::OK, &WithAsOf::new(page, counted, now)))
}

pub(super) async fn get(
    State(state): State<HttpState>,
    CustomerPath(email): CustomerPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let now = state.services.now();
    let customer = state.services.customers.get(&email).await?;
    let filter = LicenseFilter { customer_email: Some(email), ..LicenseFilter::default() };
    let found = state.services.licenses.list(&filter, &first_page()).await?;
    let licenses = found.items.iter().map(|license| license_json(license, now)).collect();
    let counted = found.items.iter().map(|license| license.detail.counters.as_of);
    let counted: Vec<_> = counted.chain([customer.as_of]).collect();
    let json = CustomerWithLicenses { customer: (&customer).into(), licenses };
    Ok(wire::json(StatusCode::OK, &WithAsOf::new(json, counted, now)))
}

pub(super) async fn erase(
    State(state): State<HttpState>,
    CustomerPath(email): CustomerPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoInput,
) -> Result<Response, Problem> {
    let (erasure, licenses) = state.services.customers.erase(&email, &actor).await?;
    let json = ErasedCustomer { customer_email: erasure.pseudonym.as_str(), licenses };
    Ok(wire::json(StatusCode::OK, &json))
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LicenseEvent))]
pub(crate) struct CustomerEventJson<'a> {
    /// Number within the license.
    sequence: u64,
    /// Type of the event.
    #[serde(rename = "type")]
    event_type: &'static str,
    /// When it happened.
    at: DateTime<Utc>,
    /// The license at that time, and fields specific to the type.
    data: &'a Value,
}

impl<'a> From<&'a Event> for CustomerEventJson<'a> {
    fn from(event: &'a Event) -> Self {
        let event_type = event.event_type.as_str();
        Self { sequence: event.sequence, event_type, at: event.at, data: &event.data }
    }
}

pub(super) async fn export(
    State(state): State<HttpState>,
    CustomerPath(email): CustomerPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    Ok(export_of(state.services.clone(), email).await?)
}

/// Returns all data of a customer as JSON, as `GET /api/v1/customers/{email}/export` does. The console takes
/// it by `ConsoleOptions::customer_export`.
pub async fn export_customer(services: Services, email: CustomerEmail) -> Response {
    match export_of(Arc::new(services), email).await {
        Ok(response) => response,
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Streams the export page by page. If a page fails, the response ends early and is not valid JSON.
async fn export_of(services: Arc<Services>, email: CustomerEmail) -> Result<Response, ServiceError> {
    let filter = LicenseFilter { customer_email: Some(email), ..LicenseFilter::default() };
    let now = services.now();
    let first = services.licenses.list(&filter, &first_page()).await?;
    let (sender, chunks) = mpsc::channel(BUFFERED_CHUNKS);
    tokio::spawn(async move {
        let mut export = Export { services, now, sender };
        if let Err(ExportError::Failed(error)) = export.run(&filter, first).await {
            tracing::error!(%error, "customer export failed");
            let _ = export.sender.send(Err("the export failed")).await;
        }
    });
    let chunks = stream::unfold(chunks, async |mut chunks| Some((chunks.recv().await?, chunks)));
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(chunks)).into_response())
}

fn first_page<C>() -> PageRequest<C> {
    PageRequest { after: None, limit: limits::PAGE_ITEMS }
}

/// The reason why an export ends early.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the client has disconnected")]
    Disconnected,
    #[error(transparent)]
    Failed(#[from] ServiceError),
}

struct Export {
    services: Arc<Services>,
    now: DateTime<Utc>,
    sender: mpsc::Sender<Result<Bytes, &'static str>>,
}

impl Export {
    async fn run(
        &mut self,
        filter: &LicenseFilter,
        first: Page<KeyedLicense, LicenseId>,
    ) -> Result<(), ExportError> {
        let email = filter.customer_email.as_ref().map(CustomerEmail::as_str);
        self.text(format!(r#"{{"customer_email":{},"licenses":["#, json(&email))).await?;
        let (mut page, mut comma) = (first, "");
        loop {
            for license in &page.items {
                self.license(comma, license).await?;
                comma = ",";
            }
            let Some(after) = page.next else { break };
            let next = PageRequest { after: Some(after), ..first_page() };
            page = self.services.licenses.list(filter, &next).await?;
        }
        self.text("]}".to_owned()).await
    }

    async fn license(&mut self, comma: &str, license: &KeyedLicense) -> Result<(), ExportError> {
        let id = &license.detail.license.id;
        self.text(format!(r#"{comma}{{"license":{}"#, json(&license_json(license, self.now)))).await?;
        let services = Arc::clone(&self.services);
        let (services, filter) = (&*services, &RollupFilter { license_id: Some(id.clone()) });
        let page = |page| async move { services.activations.list(id, None, &page).await };
        self.list("activations", page, |item| json(&ActivationJson::from(item))).await?;
        let page = |page: PageRequest<u64>| async move {
            let items = services.events.of_license(id, page.after.unwrap_or(0), page.limit).await?;
            Ok(Page { next: items.last().map(|last| last.sequence), items })
        };
        self.list("events", page, |event| json(&CustomerEventJson::from(event))).await?;
        let page = |page| async move {
            let query = UsageQuery { page, ..UsageQuery::default() };
            Ok(services.usage.report(id, &query).await?.recent)
        };
        self.list("validations", page, |item| json(&ValidationJson::from(item))).await?;
        let page = |page| async move { services.usage.rollups(filter, &page).await };
        self.list("usage", page, |item| json(&RollupJson::from(item))).await?;
        self.text("}".to_owned()).await
    }

    /// Sends all pages of a list, as a field that follows others.
    async fn list<I, C, F: Future<Output = Result<Page<I, C>, ServiceError>>>(
        &mut self,
        name: &str,
        page: impl Fn(PageRequest<C>) -> F,
        json: impl Fn(&I) -> String,
    ) -> Result<(), ExportError> {
        self.text(format!(r#","{name}":["#)).await?;
        let (mut request, mut comma) = (first_page(), "");
        loop {
            let page = page(request).await?;
            let text = page.items.iter().map(&json).collect::<Vec<_>>().join(",");
            if !text.is_empty() {
                self.text(format!("{comma}{text}")).await?;
                comma = ",";
            }
            let Some(after) = page.next else { break };
            request = PageRequest { after: Some(after), ..first_page() };
        }
        self.text("]".to_owned()).await
    }

    async fn text(&mut self, text: String) -> Result<(), ExportError> {
        self.sender.send(Ok(text.into())).await.map_err(|_| ExportError::Disconnected)
    }
}

/// Serializes a type of this crate, which cannot fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
