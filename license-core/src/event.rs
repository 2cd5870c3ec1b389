//! Events: what happened to licenses and endpoints, written in the same commit as the change.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::debug::partial_debug;
use crate::id::{BulkJobId, EndpointId};
use crate::json::LicenseJson;
use crate::license::{LicenseDetail, LicenseId};
use crate::limits;
use crate::text_enum::text_enum;

text_enum! {
    /// The type of an event.
    #[non_exhaustive]
    EventType {
        /// `license.created`
        LicenseCreated = "license.created",
        /// `license.imported`: imported from elsewhere; emitted only if the import asks for it.
        LicenseImported = "license.imported",
        /// `license.activated`: the first valid answer.
        LicenseActivated = "license.activated",
        /// `license.updated`; the data has the names of the changed `fields`.
        LicenseUpdated = "license.updated",
        /// `license.suspended`; the data has the `reason`, or null.
        LicenseSuspended = "license.suspended",
        /// `license.reinstated`
        LicenseReinstated = "license.reinstated",
        /// `license.renewed`; the data has the new `expires_at`.
        LicenseRenewed = "license.renewed",
        /// `license.key_rotated`
        LicenseKeyRotated = "license.key_rotated",
        /// `license.revoked`; the data has the `reason`, or null.
        LicenseRevoked = "license.revoked",
        /// `license.customer_erased`: the customer was erased.
        LicenseCustomerErased = "license.customer_erased",
        /// `license.expiring`: the term ends soon; once per term.
        LicenseExpiring = "license.expiring",
        /// `license.expired`: the term has ended; once per term. The grace period may still run.
        LicenseExpired = "license.expired",
        /// `license.limit_reached`: a validation was denied because no slot was free; at most once an hour
        /// for each kind of slot. The data has `kind`, `used` and `limit`.
        LicenseLimitReached = "license.limit_reached",
        /// `license.unusual_usage`: in one day the license was valid in more countries or on more devices
        /// than usual for its plan; once a day for each. Nothing is denied. The data has `kind` (`countries`
        /// or `devices`), `day`, `count` and `limit`.
        LicenseUnusualUsage = "license.unusual_usage",
        /// `activation.created`; the data has the `activation`: `id`, `kind` and `name`.
        ActivationCreated = "activation.created",
        /// `activation.released`; the data has the `activation`, the `cause` (`admin`, `customer`, `evicted`,
        /// `idle` or `returned`) and the `reason` that the vendor gave, or null.
        ActivationReleased = "activation.released",
        /// `activation.labelled`; the data has the `activation`, without the label.
        ActivationLabelled = "activation.labelled",
        /// `webhook_endpoint.disabled`: deliveries stop; the data has the `endpoint` and the `reason`.
        EndpointDisabled = "webhook_endpoint.disabled",
        /// `webhook_endpoint.test`: requested by an admin and delivered to that endpoint only.
        EndpointTest = "webhook_endpoint.test",
        /// `license.over_limit`: a validation took a slot beyond the limit, as the plan allows. The data has
        /// `kind`, `used` and `limit`.
        LicenseOverLimit = "license.over_limit",
        /// `activation.blocked`: a domain or device was blocked; the data has the `block`: `id`, `kind` and
        /// `name`, and the `reason`, or null.
        ActivationBlocked = "activation.blocked",
        /// `activation.unblocked`: a block was removed; the data has the `block`.
        ActivationUnblocked = "activation.unblocked",
        /// `lease.issued`; the data has the `lease`: `id` and `expires_at`, and the `activation` of its device.
        LeaseIssued = "lease.issued",
        /// `lease.released`: the lease ended before its time; the data has the `lease`, the `activation` of its
        /// device or domain, and the `cause` (`revoked` or `returned`).
        LeaseReleased = "lease.released",
    }
}

/// The license or endpoint of an event. Events are numbered per subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A license.
    License(LicenseId),
    /// A webhook endpoint.
    Endpoint(EndpointId),
}

impl Subject {
    /// Returns the id. The ids of licenses and endpoints have different prefixes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::License(id) => id.as_str(),
            Self::Endpoint(id) => id.as_str(),
        }
    }

    /// Parses the stored form: either id.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let license = LicenseId::parse(text).map(Self::License);
        license.or_else(|_| EndpointId::parse(text).map(Self::Endpoint)).ok()
    }
}

/// The id of an event: `evt_`, the suffix of its license id or its endpoint id, and its number in at least
/// ten digits.
///
/// It is derived rather than random, so that decisions stay pure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    subject: Subject,
    sequence: u64,
}

impl EventId {
    /// Creates the id of the event with this number.
    #[must_use]
    pub fn new(subject: Subject, sequence: u64) -> Self {
        Self { subject, sequence }
    }

    /// Parses an id. Does not check whether the event exists.
    ///
    /// # Errors
    /// Returns [`EventIdError`] if the form is wrong.
    pub fn parse(text: &str) -> Result<Self, EventIdError> {
        let (subject, digits) =
            text.strip_prefix("evt_").and_then(|rest| rest.rsplit_once('_')).ok_or(EventIdError)?;
        let subject = if subject.starts_with(EndpointId::PREFIX) {
            EndpointId::parse(subject).ok().map(Subject::Endpoint)
        } else {
            LicenseId::from_suffix(subject).map(Subject::License)
        };
        let subject = subject.ok_or(EventIdError)?;
        // Only the canonical form is accepted.
        let written = digits.len() == 10 || (digits.len() > 10 && !digits.starts_with('0'));
        let sequence = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
        match sequence.flatten() {
            Some(sequence) if written && i64::try_from(sequence).is_ok() => Ok(Self { subject, sequence }),
            _ => Err(EventIdError),
        }
    }

    /// Returns the subject.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Returns the number.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match &self.subject {
            Subject::License(id) => id.suffix(),
            Subject::Endpoint(id) => id.as_str(),
        };
        write!(f, "evt_{subject}_{:010}", self.sequence)
    }
}

/// The text is not an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id must be evt_, letters and digits, and a number of ten digits")]
pub struct EventIdError;

/// Something that happened to a license or an endpoint.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// The license or endpoint.
    pub subject: Subject,
    /// The number within the subject: 1, 2, 3 … without gaps, in commit order.
    pub sequence: u64,
    /// The type.
    pub event_type: EventType,
    /// The time.
    pub at: DateTime<Utc>,
    /// A JSON object: the `sequence`, fields of the type, and the `endpoint` or the `license`. The license is
    /// as in the API at that commit, without its key.
    pub data: Value,
}

impl Event {
    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> EventId {
        EventId { subject: self.subject.clone(), sequence: self.sequence }
    }

    /// Returns whether a bulk job caused the event.
    #[must_use]
    pub fn is_of_job(&self) -> bool {
        self.data.get("job").is_some()
    }

    /// Returns the license, if the event is about one.
    #[must_use]
    pub fn license_id(&self) -> Option<&LicenseId> {
        match &self.subject {
            Subject::License(id) => Some(id),
            Subject::Endpoint(_) => None,
        }
    }

    /// Sets the key shown in the license to `masked`.
    pub(crate) fn show_key(&mut self, masked: &str) {
        if let Some(license) = self.data.get_mut("license").and_then(Value::as_object_mut) {
            license.insert("key".to_owned(), masked.into());
        }
    }
}

// Hides the data, which contains the customer.
partial_debug!(Event { subject, sequence, event_type, at });

/// Events of one decision, whose data lacks the license. A decision reads only a part of the license: the
/// store reads all of it in the same commit and [completes](Self::complete) the events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewEvents(Vec<Event>);

impl NewEvents {
    pub(crate) fn push(&mut self, event: Event) {
        self.0.push(event);
    }

    /// Adds `job`, the id of the bulk job that ran the command.
    pub(crate) fn name_job(&mut self, job: &BulkJobId) {
        for data in self.0.iter_mut().filter_map(|event| event.data.as_object_mut()) {
            data.insert("job".to_owned(), job.as_str().into());
        }
    }

    /// Returns the number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the types in order.
    pub fn types(&self) -> impl Iterator<Item = EventType> {
        self.0.iter().map(|event| event.event_type)
    }

    /// Returns the events to store, with the license as it is after the change. `detail` needs the first
    /// [`limits::EVENT_ACTIVATIONS`] activations of each kind.
    #[must_use]
    pub fn complete(&self, detail: &LicenseDetail) -> Vec<Event> {
        // All events of a decision have the same time.
        let Some(Event { at, .. }) = self.0.first() else { return Vec::new() };
        let license = LicenseJson::new(detail, None, *at, limits::EVENT_ACTIVATIONS as usize);
        // Serialising a license to JSON cannot fail.
        let license = serde_json::to_value(license).unwrap_or_default();
        let data = || Map::from_iter([("license".to_owned(), license.clone())]);
        self.0.iter().map(|event| event.completed(data())).collect()
    }

    #[cfg(test)]
    pub(crate) fn as_slice(&self) -> &[Event] {
        &self.0
    }
}

impl Event {
    /// Returns the event with its number, `data` and the fields of its type.
    pub(crate) fn completed(&self, mut data: Map<String, Value>) -> Self {
        data.insert("sequence".to_owned(), json!(self.sequence));
        if let Value::Object(special) = &self.data {
            data.extend(special.clone());
        }
        Self { data: Value::Object(data), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_as_written() {
        let license = Subject::License(LicenseId::parse("lic_a1b2c3d4e5").unwrap());
        let endpoint = Subject::Endpoint(EndpointId::parse("whe_a1").unwrap());
        for (subject, sequence, text) in [
            (&license, 17, "evt_a1b2c3d4e5_0000000017"),
            (&license, 12_345_678_901, "evt_a1b2c3d4e5_12345678901"),
            (&endpoint, 1, "evt_whe_a1_0000000001"),
        ] {
            let id = EventId::new(subject.clone(), sequence);
            assert_eq!(id.to_string(), text);
            assert_eq!(EventId::parse(text), Ok(id));
        }
        for refused in [
            "",
            "evt_",
            "evt_a1",
            "evt_a1_17",
            "evt_a1_00000000017",
            "evt_A1_0000000017",
            "evt_a1_000000001x",
            "evt__0000000017",
            "evt_whe__0000000017",
            "evt_a1_99999999999999999999",
            "evt_a1_9223372036854775808",
            "lic_a1_0000000017",
            "evt_a1\0_0000000017",
        ] {
            assert_eq!(EventId::parse(refused), Err(EventIdError), "{refused:?}");
        }
    }
}
