//! The newest signed list of revoked leases of each product, as it is sent.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use license_core::service::{RevocationList, Services};
use serde::Serialize;
use tokio::time::Instant;

use crate::problem::Problem;

/// Time for which a list is answered from memory.
const CACHED: Duration = Duration::from_mins(1);
/// Clients and proxies may keep the answer for as long.
const CACHE_HEADER: &str = "public, max-age=60";

/// A list of revoked leases.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Revocations<'a> {
    /// The signed token of type `license-revocations+jwt`.
    revocations: &'a str,
}

/// The newest list of each product.
#[derive(Debug, Default)]
pub(crate) struct RevocationLists(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<List>>>>>);

/// A list as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct List {
    made_at: Instant,
    etag: String,
    body: Bytes,
    gzipped: Bytes,
}

impl RevocationLists {
    /// Returns the list of a product. If it is older than [`CACHED`], one caller makes it, and others wait.
    /// If the store fails, an older list is sent: software keeps the newest that it has.
    pub(crate) async fn get(&self, services: &Services, product: &str) -> Result<List, Problem> {
        if services.plans().product(product).is_none() {
            // Only existing products have an entry.
            return List::new(services.leases.revocations(product).await?).await;
        }
        let entry = {
            let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lists.entry(product.to_owned()).or_default())
        };
        let mut list = entry.lock().await;
        if let Some(list) = list.as_ref().filter(|list| list.made_at.elapsed() < CACHED) {
            return Ok(list.clone());
        }
        match (services.leases.revocations(product).await, &*list) {
            (Ok(made), _) => Ok(list.insert(List::new(made).await?).clone()),
            (Err(error), Some(older)) => {
                tracing::warn!(%error, product, "sent an older list of revocations");
                Ok(older.clone())
            }
            (Err(error), None) => Err(error.into()),
        }
    }
}

impl List {
    /// Compresses the list, once for all callers.
    async fn new(RevocationList { token, version, count: _ }: RevocationList) -> Result<Self, Problem> {
        let made_at = Instant::now();
        let compress = move || -> std::io::Result<_> {
            let body = serde_json::to_vec(&Revocations { revocations: &token })?;
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&body)?;
            Ok((body, encoder.finish()?))
        };
        // A long list takes a while to compress.
        let compressed = tokio::task::spawn_blocking(compress).await;
        let (body, gzipped) = compressed.ok().and_then(Result::ok).ok_or_else(Problem::internal)?;
        let etag = format!("\"{version}\"");
        Ok(Self { made_at, etag, body: body.into(), gzipped: gzipped.into() })
    }

    pub(crate) fn answer(self, headers: &HeaderMap) -> Response {
        let common = [
            (CACHE_CONTROL, CACHE_HEADER.to_owned()),
            (VARY, ACCEPT_ENCODING.to_string()),
            (ETAG, self.etag.clone()),
        ];
        // Weak comparison: a proxy that compresses makes the tag weak.
        let is_known = values(headers, &IF_NONE_MATCH)
            .any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.etag);
        if is_known {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let json = [(CONTENT_TYPE, "application/json")];
        let accepts_gzip = values(headers, &ACCEPT_ENCODING).any(|coding| accepts(coding, "gzip"));
        if accepts_gzip {
            (common, json, [(CONTENT_ENCODING, "gzip")], self.gzipped).into_response()
        } else {
            (common, json, self.body).into_response()
        }
    }
}

/// Returns the comma-separated values of a header.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

/// Returns whether a value of `Accept-Encoding` accepts this coding, which it does unless its weight is 0.
fn accepts(value: &str, coding: &str) -> bool {
    let (name, weight) = value.split_once(';').unwrap_or((value, ""));
    let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
    name.trim().eq_ignore_ascii_case(coding) && weight.is_ok_and(|weight| weight > 0.0)
}
