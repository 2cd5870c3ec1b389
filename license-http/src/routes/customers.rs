//! `/api/v1/customers/{email}`: what is kept of a customer, and forgetting who it is.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream;
use license_core::customer::CustomerEmail;
use license_core::error::ServiceError;
use license_core::license::LicenseId;
use license_core::limits;
use license_core::service::{KeyedLicense, LicenseService};
use license_core::store::{LicenseFilter, Page, PageRequest};
use license_core::usage::{RollupFilter, UsageQuery};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::activations::ActivationJson;
use super::usage::json::{RollupJson, ValidationJson};
use crate::auth::LetIn;
use crate::extract::{By, CustomerPath, NoContent, NoQuery};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire;

/// Parts of an export that wait for the caller to take them.
const PARTS_AHEAD: usize = 4;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Anonymised))]
pub(super) struct Anonymised<'a> {
    /// What stands in the place of the address.
    customer_email: &'a str,
    /// How many licenses were of this customer.
    licenses: u64,
}

pub(super) async fn anonymise(
    State(state): State<HttpState>,
    CustomerPath(email): CustomerPath,
    By(LetIn { actor, .. }): By,
    _: NoQuery,
    _: NoContent,
) -> Result<Response, Problem> {
    let (erasure, licenses) = state.service.by(&actor).anonymise(&email).await?;
    if let Some(access) = &state.access
        && !email.is_anonymous()
    {
        access.erase_customer(&erasure, licenses, &actor).await?;
    }
    let json = Anonymised { customer_email: erasure.anonymous.as_str(), licenses };
    Ok(wire::json(StatusCode::OK, &json))
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = LicenseEvent))]
pub(super) struct EventJson<'a> {
    /// Its number within the license.
    sequence: u64,
    /// What happened.
    #[serde(rename = "type")]
    event_type: &'static str,
    /// When.
    #[serde(serialize_with = "wire::time")]
    at: DateTime<Utc>,
    /// The license as it was then, and what is special to the type.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    data: &'a Value,
}

/// Written page by page as the caller takes it: nobody knows how much there is. A fault in the midst of it cuts the answer off, so
/// that what came is no JSON.
pub(super) async fn export(
    State(service): State<Arc<LicenseService>>,
    CustomerPath(email): CustomerPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let filter = LicenseFilter { customer_email: Some(email), ..LicenseFilter::default() };
    let now = service.now();
    let first = service.list(&filter, now, &first_page()).await?;
    let (sender, parts) = mpsc::channel(PARTS_AHEAD);
    tokio::spawn(async move {
        let mut export = Export { service, now, sender };
        if let Err(Stopped::Failed(error)) = export.run(&filter, first).await {
            tracing::error!(%error, "an export was cut off");
            let _ = export.sender.send(Err("the export was cut off")).await;
        }
    });
    let parts = stream::unfold(parts, async |mut parts| Some((parts.recv().await?, parts)));
    let mut response = Response::new(Body::from_stream(parts));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn first_page<C>() -> PageRequest<C> {
    PageRequest { after: None, limit: limits::PAGE_ITEMS }
}

/// Why an export ends early.
enum Stopped {
    /// Nobody takes it any more.
    Left,
    Failed(ServiceError),
}

impl From<ServiceError> for Stopped {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}

struct Export {
    service: Arc<LicenseService>,
    now: DateTime<Utc>,
    sender: mpsc::Sender<Result<Bytes, &'static str>>,
}

impl Export {
    async fn run(
        &mut self,
        filter: &LicenseFilter,
        first: Page<KeyedLicense, LicenseId>,
    ) -> Result<(), Stopped> {
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
            page = self.service.list(filter, self.now, &next).await?;
        }
        self.text("]}".to_owned()).await
    }

    async fn license(&mut self, license: &KeyedLicense) -> Result<(), Stopped> {
        let id = &license.detail.license.id;
        self.text(format!(r#"{{"license":{},"activations":["#, json(&wire::license_json(license, self.now))))
            .await?;
        let (mut request, mut comma) = (first_page(), "");
        loop {
            let page = self.service.activations(id, None, &request).await?;
            self.items(&mut comma, page.items.iter().map(|item| json(&ActivationJson::from(item)))).await?;
            match page.next {
                Some(after) => request.after = Some(after),
                None => break,
            }
        }
        self.text(r#"],"events":["#.to_owned()).await?;
        let (mut after, mut comma) = (0, "");
        loop {
            let events = self.service.license_events(id, after, limits::PAGE_ITEMS).await?;
            let Some(last) = events.last() else { break };
            after = last.sequence;
            let json = events.iter().map(|event| {
                json(&EventJson {
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
            let page = self.service.usage(id, &query).await?.recent;
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
            let page = self.service.rollups(&filter, &request).await?;
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
    ) -> Result<(), Stopped> {
        let text = items.fold(String::new(), |text, item| {
            let text = text + comma + &item;
            *comma = ",";
            text
        });
        self.text(text).await
    }

    async fn text(&mut self, text: String) -> Result<(), Stopped> {
        if text.is_empty() {
            return Ok(());
        }
        self.sender.send(Ok(text.into())).await.map_err(|_| Stopped::Left)
    }
}

/// These shapes have nothing that can't be JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
