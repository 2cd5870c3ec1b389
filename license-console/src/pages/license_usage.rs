//! Usage of one license: a chart and the latest validations.

use chrono::{DateTime, Utc};
use license_core::license::LicenseId;
use license_core::store::PageRequest;
use license_core::usage::{UsageQuery, Validation, ValidationOutcome};

use crate::chart::Chart;
use crate::console::Shared;
use crate::failure::Failure;
use crate::moment::Moment;

const CHART_DAYS: i64 = 30;
const VALIDATIONS: u32 = 10;

/// Usage of one license.
pub(super) struct LicenseUsage {
    pub(super) chart: Chart,
    pub(super) recent: Vec<ValidationRow>,
}

/// A validation as a row.
pub(super) struct ValidationRow {
    pub(super) at: Moment,
    pub(super) outcome: &'static str,
    pub(super) is_valid: bool,
    /// The domain and the device.
    pub(super) from: String,
    pub(super) country: String,
    pub(super) client: String,
}

impl LicenseUsage {
    pub(super) async fn of(console: &Shared, id: &LicenseId, now: DateTime<Utc>) -> Result<Self, Failure> {
        let query = UsageQuery {
            page: PageRequest { after: None, limit: VALIDATIONS },
            ..Chart::query(CHART_DAYS, now)
        };
        let report = console.services.usage.report(id, &query).await?;
        Ok(Self {
            chart: Chart::new(&report.series),
            recent: report.recent.items.iter().map(|one| ValidationRow::new(one, now)).collect(),
        })
    }
}

impl ValidationRow {
    fn new(validation: &Validation, now: DateTime<Utc>) -> Self {
        let domain = validation.claim.domain.as_ref().map(ToString::to_string);
        let device = validation.claim.fingerprint.as_ref().map(|device| device.as_str().to_owned());
        let from: Vec<_> = domain.into_iter().chain(device).collect();
        Self {
            at: Moment::new(validation.at, now),
            outcome: validation.outcome.as_str(),
            is_valid: validation.outcome == ValidationOutcome::Valid,
            from: from.join(", "),
            country: validation
                .location
                .as_ref()
                .map(|location| location.country.to_string())
                .unwrap_or_default(),
            client: validation.client.as_ref().map(|client| client.as_str().to_owned()).unwrap_or_default(),
        }
    }
}
