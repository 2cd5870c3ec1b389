//! What goes over the wire: the JSON shapes that routes share, and [`requests`] as the core understands them. A shape
//! of one route stands with its route.

pub(crate) mod requests;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use license_core::activation::Activation;
use license_core::clock::whole_micros;
use license_core::metadata::Metadata;
use license_core::plan::Limit;
use license_core::service::KeyedLicense;
use serde::{Serialize, Serializer};

use crate::problem::Problem;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // One allocation for most answers.
    let mut text = Vec::with_capacity(512);
    match serde_json::to_writer(&mut text, body) {
        Ok(()) => {
            let json = HeaderValue::from_static("application/json");
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            Problem::internal().into_response()
        }
    }
}

/// One license, with its version as `ETag`. It has a key in clear, so nobody on the way may keep it.
pub(crate) fn license(status: StatusCode, license: &KeyedLicense, now: DateTime<Utc>) -> Response {
    let mut response = json(status, &LicenseJson::new(license, now));
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", license.detail.license.version)) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 3339 in UTC with `Z`, and no more digits than needed.
pub(crate) fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[expect(clippy::ref_option, reason = "serde's serialize_with passes fields by reference")]
pub(crate) fn time_or_null<S: Serializer>(
    value: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => time(value, serializer),
        None => serializer.serialize_none(),
    }
}

/// Any RFC 3339 time, in whole microseconds.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| whole_micros(time.to_utc()))
}

/// A license as its owner sees it. The first fourteen names and their order are promised.
#[derive(Serialize)]
pub(crate) struct LicenseJson<'a> {
    id: &'a str,
    key: &'a str,
    status: &'static str,
    plan: &'a str,
    customer_email: &'a str,
    max_domains: Limit,
    domains: Vec<&'a str>,
    max_devices: Limit,
    devices: Vec<&'a str>,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "time_or_null")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "time_or_null")]
    last_validated_at: Option<DateTime<Utc>>,
    validation_count: u64,
    metadata: &'a Metadata,
    domains_used: u64,
    devices_used: u64,
    #[serde(serialize_with = "time_or_null")]
    activated_at: Option<DateTime<Utc>>,
    version: u64,
}

impl<'a> LicenseJson<'a> {
    pub(crate) fn new(keyed: &'a KeyedLicense, now: DateTime<Utc>) -> Self {
        let detail = &keyed.detail;
        let license = &*detail.license;
        let values =
            |activations: &'a [Activation]| activations.iter().map(|one| one.binding.value()).collect();
        Self {
            id: license.id.as_str(),
            key: keyed.key.reveal(),
            status: license.status(now).as_str(),
            plan: &license.plan,
            customer_email: license.customer_email.as_str(),
            max_domains: license.max_domains,
            domains: values(&detail.domains),
            max_devices: license.max_devices,
            devices: values(&detail.devices),
            created_at: license.created_at,
            expires_at: license.expires_at,
            last_validated_at: detail.counters.last_validated_at,
            validation_count: detail.counters.validation_count,
            metadata: &license.metadata,
            domains_used: license.domains_used,
            devices_used: license.devices_used,
            activated_at: license.activated_at,
            version: license.version,
        }
    }
}

/// One page of a list.
#[derive(Serialize)]
pub(crate) struct PageJson<T, C> {
    pub(crate) data: Vec<T>,
    pub(crate) next_cursor: Option<C>,
}
