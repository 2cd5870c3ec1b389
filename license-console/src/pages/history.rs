//! Events in words.

use chrono::{DateTime, Utc};
use license_core::event::{Event, EventType};

use crate::moment::Moment;

/// An event in words.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) id: String,
    pub(crate) at: Moment,
    pub(crate) what: &'static str,
    /// Such as the name of a domain, or a reason.
    pub(crate) detail: String,
    pub(crate) license_id: Option<String>,
    /// The customer of the license at that time.
    pub(crate) customer: String,
}

impl Happened {
    pub(crate) fn new(event: &Event, now: DateTime<Utc>) -> Self {
        let text = |path: &str| event.data.pointer(path).and_then(|value| value.as_str()).unwrap_or_default();
        let details = ["/activation/name", "/block/name", "/kind", "/endpoint/url", "/reason"].map(text);
        let details: Vec<_> = details.into_iter().filter(|text| !text.is_empty()).collect();
        Self {
            id: event.id().to_string(),
            at: Moment::new(event.at, now),
            what: words(event.event_type),
            detail: details.join(": "),
            license_id: event.license_id().map(ToString::to_string),
            customer: text("/license/customer_email").to_owned(),
        }
    }
}

fn words(event_type: EventType) -> &'static str {
    match event_type {
        EventType::LicenseCreated => "Issued",
        EventType::LicenseImported => "Imported",
        EventType::LicenseActivated => "First validated",
        EventType::LicenseUpdated => "Changed",
        EventType::LicenseSuspended => "Suspended",
        EventType::LicenseReinstated => "Reinstated",
        EventType::LicenseRenewed => "Renewed",
        EventType::LicenseKeyRotated => "Key replaced",
        EventType::LicenseRevoked => "Revoked",
        EventType::LicenseCustomerErased => "Customer erased",
        EventType::LicenseExpiring => "Ends soon",
        EventType::LicenseExpired => "Expired",
        EventType::LicenseLimitReached => "Limit reached",
        EventType::LicenseUnusualUsage => "Unusual usage",
        EventType::ActivationCreated => "Slot taken",
        EventType::ActivationReleased => "Slot released",
        EventType::ActivationLabelled => "Slot labelled",
        EventType::EndpointDisabled => "Webhook disabled",
        EventType::EndpointTest => "Webhook tested",
        EventType::LicenseOverLimit => "Beyond the limit",
        EventType::ActivationBlocked => "Blocked",
        EventType::ActivationUnblocked => "Block removed",
        EventType::LeaseIssued => "Lease issued",
        EventType::LeaseReleased => "Lease ended",
        other => other.as_str(),
    }
}
