//! `/api/v1/customers/{email}`: export of personal data, and anonymisation.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream;
use license_core::error::ServiceError;
use license_core::license::{CustomerEmail, LicenseId};
use license_core::limits;
use license_core::service::{KeyedLicense, Services};
use license_core::store::{LicenseFilter, LicenseQuery, Page, PageRequest};
use license_core::usage::{RollupFilter, UsageQuery};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::activations::ActivationJson;
use super::licenses::license_json;
use super::usage::json::{RollupJson, ValidationJson};
use crate::auth::Authenticated;
use crate::extract::{CustomerPath, NoContent, NoQuery};
use crate::problem::Problem;
use crate::wire;

/// Number of chunks of an export that are buffered for a slow client.
const BUFFERED_CHUNKS: usize = 4;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Anonymised))]
pub(crate) struct Anonymised<'a> {
    /// Replacement of the e-mail address.
    customer_email: &'a str,
    /// Number of anonymised licenses.
    licenses: u64,
}

pub(super) async fn anonymise(
    State(services): State<Arc<Services>>,
    CustomerPath(email): CustomerPath,
    Authenticated { actor, .. }: Authenticated,
    _: NoQuery,
    _: NoContent,
) -> Result<Response, Problem> {
    let (erasure, licenses) = services.customers.erase(&email, &actor).await?;
    let json = Anonymised { customer_email: erasure.anonymous.as_str(), licenses };
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
    #[serde(serialize_with = "wire::time")]
    at: DateTime<Utc>,
    /// The license at that time, and fields specific to the type.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    data: &'a Value,
}

/// Streams the export page by page, since its size is unknown. If a page fails, the response ends early and
/// is not valid JSON.
pub(super) async fn export(
    State(services): State<Arc<Services>>,
    CustomerPath(email): CustomerPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let filter = LicenseFilter { customer_email: Some(email), ..LicenseFilter::default() };
    let now = services.now();
    let first =
        services.licenses.list(&LicenseQuery { filter: filter.clone(), at: now, page: first_page() }).await?;
    let (sender, chunks) = mpsc::channel(BUFFERED_CHUNKS);
    tokio::spawn(async move {
        let mut export = Export { services, now, sender };
        if let Err(ExportError::Failed(error)) = export.run(&filter, first).await {
            tracing::error!(%error, "customer export failed");
            let _ = export.sender.send(Err("the export failed")).await;
        }
    });
    let chunks = stream::unfold(chunks, async |mut chunks| Some((chunks.recv().await?, chunks)));
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn first_page<C>() -> PageRequest<C> {
    PageRequest { after: None, limit: limits::PAGE_ITEMS }
}

/// The reason why an export ends early.
enum ExportError {
    /// The client has disconnected.
    Disconnected,
    Failed(ServiceError),
}

impl From<ServiceError> for ExportError {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
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
                self.text(comma.to_owned()).await?;
                self.license(license).await?;
                comma = ",";
            }
            let Some(after) = page.next else { break };
            let next = PageRequest { after: Some(after), ..first_page() };
            page = self
                .services
                .licenses
                .list(&LicenseQuery { filter: filter.clone(), at: self.now, page: next })
                .await?;
        }
        self.text("]}".to_owned()).await
    }

    async fn license(&mut self, license: &KeyedLicense) -> Result<(), ExportError> {
        let id = &license.detail.license.id;
        self.text(format!(r#"{{"license":{},"activations":["#, json(&license_json(license, self.now))))
            .await?;
        let (mut request, mut comma) = (first_page(), "");
        loop {
            let page = self.services.activations.list(id, None, &request).await?;
            self.items(&mut comma, page.items.iter().map(|item| json(&ActivationJson::from(item)))).await?;
            match page.next {
                Some(after) => request.after = Some(after),
                None => break,
            }
        }
        self.text(r#"],"events":["#.to_owned()).await?;
        let (mut after, mut comma) = (0, "");
        loop {
            let events = self.services.events.of_license(id, after, limits::PAGE_ITEMS).await?;
            let Some(last) = events.last() else { break };
            after = last.sequence;
            let json = events.iter().map(|event| {
                json(&CustomerEventJson {
                    sequence: event.sequence,
                    event_type: event.event_type.as_str(),
                    at: event.at,
                    data: &event.data,
                })
            });
            self.items(&mut comma, json).await?;
        }
        self.text(r#"],"validations":["#.to_owned()).await?;
        let (mut query, mut comma) = (UsageQuery { page: first_page(), ..UsageQuery::default() }, "");
        loop {
            let page = self.services.usage.report(id, &query).await?.recent;
            self.items(&mut comma, page.items.iter().map(|item| json(&ValidationJson::from(item)))).await?;
            match page.next {
                Some(after) => query.page.after = Some(after),
                None => break,
            }
        }
        self.text(r#"],"usage":["#.to_owned()).await?;
        let (filter, mut request, mut comma) =
            (RollupFilter { license_id: Some(id.clone()) }, first_page(), "");
        loop {
            let page = self.services.usage.rollups(&filter, &request).await?;
            self.items(&mut comma, page.items.iter().map(|item| json(&RollupJson::from(item)))).await?;
            match page.next {
                Some(after) => request.after = Some(after),
                None => break,
            }
        }
        self.text("]}".to_owned()).await
    }

    async fn items(
        &mut self,
        comma: &mut &'static str,
        items: impl Iterator<Item = String>,
    ) -> Result<(), ExportError> {
        let text = items.fold(String::new(), |text, item| {
            let text = text + comma + &item;
            *comma = ",";
            text
        });
        self.text(text).await
    }

    async fn text(&mut self, text: String) -> Result<(), ExportError> {
        if text.is_empty() {
            return Ok(());
        }
        self.sender.send(Ok(text.into())).await.map_err(|_| ExportError::Disconnected)
    }
}

/// Serializes a type of this crate, which cannot fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
