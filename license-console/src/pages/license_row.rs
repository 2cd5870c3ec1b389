//! A license as a row of a list.

use chrono::{DateTime, Utc};
use license_core::license::{ActivationKind, License, LicenseDetail};

use crate::moment::Moment;
use crate::numbers::grouped;

/// A row of a list.
#[derive(Clone, Debug)]
pub(crate) struct LicenseRow {
    pub(crate) id: String,
    /// The customer, or the id of a license without one.
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) plan: String,
    pub(crate) status: &'static str,
    pub(crate) domains: String,
    pub(crate) devices: String,
    pub(crate) issued: Moment,
    pub(crate) expires: Option<Moment>,
    pub(crate) last_validated: Option<Moment>,
}

impl LicenseRow {
    pub(crate) fn new(LicenseDetail { license, counters, .. }: &LicenseDetail, now: DateTime<Utc>) -> Self {
        Self {
            id: license.id.to_string(),
            name: name(license),
            detail: license.customer_name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            plan: license.plan.clone(),
            status: license.status(now).as_str(),
            domains: slots(license, ActivationKind::Domain),
            devices: slots(license, ActivationKind::Device),
            issued: Moment::new(license.created_at, now),
            expires: license.expires_at.map(|at| Moment::new(at, now)),
            last_validated: counters.last_validated_at.map(|at| Moment::new(at, now)),
        }
    }
}

/// Returns the customer, or a text that says that there is none.
pub(crate) fn name(license: &License) -> String {
    license
        .customer_email
        .as_ref()
        .map_or_else(|| "No customer yet".to_owned(), |email| email.as_str().to_owned())
}

fn slots(license: &License, kind: ActivationKind) -> String {
    let slots = license.slots(kind);
    match slots.limit.as_number() {
        Some(limit) => format!("{} of {}", grouped(slots.used), grouped(limit.into())),
        None => grouped(slots.used),
    }
}
