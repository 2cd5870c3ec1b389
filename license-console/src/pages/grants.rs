//! Features that one license has beyond its plan: granted and removed.

use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use license_core::catalog::{FeatureName, FeatureValue};
use license_core::license::{Grant, GrantId, GrantSource, LicenseId};

use super::see_other;
use crate::console::Console;
use crate::failure::Failure;
use crate::form::Form;
use crate::moment::Moment;
use crate::visit::SignedIn;
use crate::zone;

/// A grant as a row.
pub(super) struct GrantRow {
    pub(super) feature: String,
    pub(super) value: String,
    pub(super) source: String,
    pub(super) until: Option<Moment>,
    pub(super) is_over: bool,
}

impl GrantRow {
    pub(super) fn new(grant: &Grant, now: DateTime<Utc>) -> Self {
        let source = grant.id().source.map(|source| source.as_str().to_owned());
        Self {
            feature: grant.feature().as_str().to_owned(),
            value: value_text(grant.value()),
            source: source.unwrap_or_default(),
            until: grant.end().map(|end| Moment::new(end, now)),
            is_over: !grant.is_in_force(now),
        }
    }
}

/// Returns the value of a feature as a text.
pub(super) fn value_text(value: &FeatureValue) -> String {
    match value {
        FeatureValue::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        FeatureValue::Integer(number) => number.to_string(),
        FeatureValue::String(text) => text.clone(),
    }
}

pub(crate) async fn add(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let id = LicenseId::parse(&id).map_err(|_| Failure::page_not_found())?;
    let feature = form.text("feature").ok_or_else(|| Failure::field("Feature", "type its name"))?;
    let grant = Grant::new(feature, value(&form)?).map_err(|why| Failure::field("Grant", why))?;
    let grant = match form.parsed("until", "Until", zone::start_of_day)? {
        Some(end) => grant.until(end).map_err(|why| Failure::field("Until", why))?,
        None => grant,
    };
    let grant = match form.parsed("source", "Source", GrantSource::parse)? {
        Some(source) => grant.source(source),
        None => grant,
    };
    console.services.licenses.by(&visitor.actor).grant(&id, grant).await?;
    Ok(see_other(visit.url(&format!("/licenses/{id}?done=grant"))))
}

pub(crate) async fn remove(
    State(console): State<Console>,
    SignedIn(visit, visitor): SignedIn,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Failure> {
    let id = LicenseId::parse(&id).map_err(|_| Failure::page_not_found())?;
    let feature = form.parsed("feature", "Feature", FeatureName::parse)?;
    let feature = feature.ok_or_else(|| Failure::field("Feature", "type its name"))?;
    let source = form.parsed("source", "Source", GrantSource::parse)?;
    console.services.licenses.by(&visitor.actor).remove_grant(&id, GrantId { feature, source }).await?;
    Ok(see_other(visit.url(&format!("/licenses/{id}?done=grant-removed"))))
}

fn value(form: &Form) -> Result<FeatureValue, Failure> {
    let text = form.text("value").unwrap_or_default();
    match form.text("kind") {
        Some("on") => Ok(FeatureValue::Bool(true)),
        Some("off") => Ok(FeatureValue::Bool(false)),
        Some("number") => text
            .parse()
            .map(FeatureValue::Integer)
            .map_err(|_| Failure::field("Value", "must be a whole number")),
        Some("text") => Ok(FeatureValue::String(text.to_owned())),
        _ => Err(Failure::field("Kind", "must be on, off, number or text")),
    }
}
