//! `/api/v1/licenses/search` and `GET /api/v1/licenses`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::VARY;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use license_core::catalog::PlanCatalog;
use license_core::domain::DomainName;
use license_core::json::LicenseJson;
use license_core::license::{CustomerEmail, EmailDomain, EmailPrefix, ExternalId, Fingerprint, Status};
use license_core::limits;
use license_core::service::{FoundLicenses, SearchRequest, SearchService};
use license_core::store::{SearchFilter, SearchRange, SearchSort};
use license_core::usage::Day;
use serde::Serialize;
use serde_json::Value;

use super::license_table;
use super::licenses::license_json;
use crate::extract::{Fields, Query, preferred, value};
use crate::problem::Problem;
use crate::state::HttpState;
use crate::wire::{self, WithAsOf, parse_time};

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

pub(crate) const SEARCH_FIELDS: [&str; 20] = [
    "key",
    "customer_email",
    "email_prefix",
    "email_domain",
    "domain",
    "fingerprint",
    "external_id",
    "metadata",
    "product",
    "plan",
    "status",
    "expires_before",
    "expires_after",
    "never_activated",
    "last_validated_before",
    "last_validated_after",
    "at_limit",
    "sort",
    "limit",
    "cursor",
];

/// The number of those that are filters.
pub(crate) const FILTERS: usize = 17;

/// Statuses as people read them.
const STATUSES: &str = "active, suspended, expired or revoked";
/// A date, such as those of `last_validated_before`.
const DATE: &str = "a date such as 2027-01-31";
/// Names of the orders.
const SORTS: &str = "-created_at, created_at, expires_at or -expires_at";

/// A page of found licenses.
#[derive(Serialize)]
struct FoundJson<'a> {
    data: Vec<LicenseJson<'a>>,
    next_cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<TotalJson>,
}

/// The number of licenses that match.
#[derive(Serialize)]
struct TotalJson {
    count: u64,
    exact: bool,
}

pub(super) async fn search(State(state): State<HttpState>, fields: Fields) -> Result<Response, Problem> {
    let request = read_request(fields, &state.services.search)?;
    let now = state.services.now();
    let found = state.services.search.search(&request).await.map_err(Problem::from_body_error)?;
    Ok(found_response(&found, now))
}

pub(super) async fn list(
    State(state): State<HttpState>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    let now = state.services.now();
    let plans = state.services.catalog.reload().await?;
    let request = read_query(query, &plans)?;
    let found = state.services.search.search(&request).await?;
    let page = if preferred(&headers, &[JSON, CSV]) == Some(CSV) {
        license_table::response(&found, now)?
    } else {
        found_response(&found, now)
    };
    Ok(([(VARY, "accept")], page).into_response())
}

/// Answers with a page as JSON.
fn found_response(found: &FoundLicenses, now: DateTime<Utc>) -> Response {
    let total = found.total.map(|total| TotalJson { count: total.count, exact: total.exact });
    let data = found.licenses.iter().map(|license| license_json(license, now)).collect();
    let page = FoundJson { data, next_cursor: found.next_cursor.as_deref(), total };
    let counted = found.licenses.iter().map(|license| license.detail.counters.as_of);
    wire::json(StatusCode::OK, &WithAsOf::new(page, counted, now))
}

/// Reads the filters of an object within the body.
pub(super) fn read_nested(
    field: &str,
    value: Value,
    search: &SearchService,
) -> Result<SearchFilter, Problem> {
    let fields = Fields::of_object(field, value)?.only(&SEARCH_FIELDS[..FILTERS]);
    let filter = fields.and_then(|mut fields| read_filter(&mut fields, search));
    filter.map_err(|problem| problem.within(field))
}

fn read_request(fields: Fields, search: &SearchService) -> Result<SearchRequest, Problem> {
    let mut fields = fields.only(&SEARCH_FIELDS)?;
    let filter = read_filter(&mut fields, search)?;
    let sort = fields.take("sort", one_of(SORTS, SearchSort::parse))?;
    Ok(SearchRequest {
        sort: sort.unwrap_or(SearchSort::NewestFirst),
        limit: fields.take("limit", read_page_limit)?.unwrap_or(limits::PAGE_ITEMS_DEFAULT),
        cursor: fields.take("cursor", value::text_or_null)?.flatten(),
        ..SearchRequest::new(filter)
    })
}

fn read_filter(fields: &mut Fields, search: &SearchService) -> Result<SearchFilter, Problem> {
    let key = fields.take("key", value::text)?;
    let key = key.map(|text| search.key(&text)).transpose().map_err(Problem::from_body_key)?;
    Ok(SearchFilter {
        key,
        customer_email: fields.take("customer_email", value::parsed(CustomerEmail::parse))?,
        email_prefix: fields.take("email_prefix", value::parsed(EmailPrefix::parse))?,
        email_domain: fields.take("email_domain", value::parsed(EmailDomain::parse))?,
        domain: fields.take("domain", value::parsed(DomainName::parse_registered))?,
        fingerprint: fields.take("fingerprint", value::parsed(Fingerprint::parse))?,
        external_id: fields.take("external_id", value::parsed(ExternalId::parse))?,
        metadata: fields.take("metadata", read_metadata)?.unwrap_or_default(),
        product: fields.take("product", value::name)?,
        plan: fields.take("plan", value::name)?,
        status: fields.take("status", one_of(STATUSES, status))?,
        expires: SearchRange {
            before: fields.take("expires_before", one_of("an RFC 3339 time", parse_time))?,
            from: fields.take("expires_after", one_of("an RFC 3339 time", parse_time))?,
        },
        never_activated: fields.take("never_activated", value::boolean)?,
        last_validated: SearchRange {
            before: fields.take("last_validated_before", one_of(DATE, Day::parse))?,
            from: fields.take("last_validated_after", one_of(DATE, Day::parse))?,
        },
        at_limit: fields.take("at_limit", value::boolean)?,
    })
}

/// Reads the query of `GET /api/v1/licenses`.
fn read_query(mut query: Query, plans: &PlanCatalog) -> Result<SearchRequest, Problem> {
    let names: Vec<_> = plans.iter().map(|plan| plan.name.as_str()).collect();
    let plan = |text: &str| plans.get(text).map(|plan| plan.name.clone());
    let name = |text: &str| value::is_plan_name(text).then(|| text.to_owned());
    let flag = |text: &str| text.parse().ok();
    let time = "a percent-encoded RFC 3339 time";
    let mut filter = SearchFilter {
        status: query.take("status", STATUSES, status)?,
        plan: query.take("plan", &format!("a plan: {}", names.join(", ")), plan)?,
        customer_email: query
            .take("customer_email", "an e-mail address", |text| CustomerEmail::parse(text).ok())?,
        ..SearchFilter::default()
    };
    let (cursor, limit) = {
        let page = query.page(|text| Some(text.to_owned()))?;
        (page.after, page.limit)
    };
    filter.product = query.take("product", "the name of a product", name)?;
    filter.external_id = query.take("external_id", "an external id", |text| ExternalId::parse(text).ok())?;
    filter.expires.before = query.take("expires_before", time, parse_time)?;
    filter.expires.from = query.take("expires_after", time, parse_time)?;
    filter.never_activated = query.take("never_activated", "true or false", flag)?;
    filter.last_validated.before = query.take("last_validated_before", DATE, Day::parse)?;
    filter.last_validated.from = query.take("last_validated_after", DATE, Day::parse)?;
    filter.at_limit = query.take("at_limit", "true or false", flag)?;
    let sort = query.take("sort", SORTS, SearchSort::parse)?.unwrap_or(SearchSort::NewestFirst);
    query.finish()?;
    Ok(SearchRequest { filter, sort, cursor, limit, count: false })
}

fn status(text: &str) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status.as_str() == text)
}

/// Returns a reader of a text that must be one of the `expected`.
fn one_of<T>(
    expected: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> impl FnOnce(&'static str, Value) -> Result<T, Problem> {
    move |field, value| {
        let text = value::text(field, value)?;
        read(&text).ok_or_else(|| Problem::invalid_field(field, format!("This must be {expected}.")))
    }
}

fn read_page_limit(field: &'static str, value: Value) -> Result<u32, Problem> {
    value::whole(field, value, 1..=limits::PAGE_ITEMS)
}

/// Reads members of the metadata to search for. Only short texts are indexed.
fn read_metadata(field: &'static str, value: Value) -> Result<BTreeMap<String, String>, Problem> {
    let Value::Object(members) = value else {
        return Err(value::wrong_type(field, "an object of strings", &value));
    };
    if members.len() > limits::SEARCHED_METADATA {
        let detail = format!("This object must have at most {} members.", limits::SEARCHED_METADATA);
        return Err(Problem::invalid_field(field, detail));
    }
    let member = |(name, value): (String, Value)| {
        let field = format!("{field}.{name}");
        let value = value::text(&field, value)?;
        if name.len() > limits::INDEXED_METADATA_BYTES || value.len() > limits::INDEXED_METADATA_BYTES {
            let most = limits::INDEXED_METADATA_BYTES;
            let detail = format!("Only names and texts of at most {most} bytes can be searched.");
            return Err(Problem::invalid_field(field, detail));
        }
        Ok((name, value))
    };
    members.into_iter().map(member).collect()
}
