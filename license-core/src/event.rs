//! Events: what happened to a license, kept in the same commit as the change.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::endpoint::EndpointId;
use crate::json::LicenseJson;
use crate::license::{LicenseDetail, LicenseId};
use crate::limits;

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What kind of thing happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum EventType { $($(#[$doc])* $name,)+ }

        impl EventType {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// `noun.verb`: the form of databases and JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

event_types! {
    /// `license.created`
    LicenseCreated = "license.created",
    /// `license.imported`: it comes from another database or system; told where an import is asked to.
    LicenseImported = "license.imported",
    /// `license.activated`: the first valid answer.
    LicenseActivated = "license.activated",
    /// `license.updated`; the data names the `fields`.
    LicenseUpdated = "license.updated",
    /// `license.suspended`
    LicenseSuspended = "license.suspended",
    /// `license.reinstated`
    LicenseReinstated = "license.reinstated",
    /// `license.renewed`; the data has the new `expires_at`.
    LicenseRenewed = "license.renewed",
    /// `license.key_rotated`
    LicenseKeyRotated = "license.key_rotated",
    /// `license.revoked`
    LicenseRevoked = "license.revoked",
    /// `license.anonymised`: its customer is no longer known.
    LicenseAnonymised = "license.anonymised",
    /// `license.expiring`: its term ends soon; once per term.
    LicenseExpiring = "license.expiring",
    /// `license.expired`: its term has ended; once per term. The grace of its plan may still run.
    LicenseExpired = "license.expired",
    /// `license.limit_reached`: a validation was denied for want of a slot; at most once an hour for each kind of slot. The
    /// data has `kind`, `used` and `limit`.
    LicenseLimitReached = "license.limit_reached",
    /// `license.unusual_usage`: on one day the license was valid in more countries, or on more devices, than its plan takes for
    /// usual; once a day for each. Nothing is denied. The data has `kind` (`countries` or `devices`), `day`, `count` and `limit`.
    LicenseUnusualUsage = "license.unusual_usage",
    /// `activation.created`; the data has the `activation`: `id`, `kind` and `name`.
    ActivationCreated = "activation.created",
    /// `activation.released`; the data has the `activation`, likewise, and the `reason`: `admin`, `customer`, `evicted` or
    /// `idle`.
    ActivationReleased = "activation.released",
    /// `activation.labelled`; the data has the `activation`, likewise, without the label.
    ActivationLabelled = "activation.labelled",
    /// `webhook_endpoint.disabled`: nothing is delivered to it any more; the data has the `endpoint` and the `reason`.
    EndpointDisabled = "webhook_endpoint.disabled",
    /// `webhook_endpoint.test`: asked for by an admin, and delivered to that endpoint only.
    EndpointTest = "webhook_endpoint.test",
}

impl EventType {
    /// Reads the form of databases; `None` for any other text.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an event is about; events are numbered within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A license.
    License(LicenseId),
    /// An endpoint of webhooks.
    Endpoint(EndpointId),
}

impl Subject {
    /// The id of the license or of the endpoint, which begin differently.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::License(id) => id.as_str(),
            Self::Endpoint(id) => id.as_str(),
        }
    }

    /// Reads the form of databases: either id.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let license = LicenseId::parse(text).ok().map(Self::License);
        license.or_else(|| EndpointId::parse(text).ok().map(Self::Endpoint))
    }
}

/// Names one event: `evt_`, the text of its license's id, and the number of the event in ten digits; `evt_whe_…` where it is
/// of an endpoint.
///
/// Derived, not random, so that the decision which makes the event stays pure. It says which license it is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    subject: Subject,
    sequence: u64,
}

impl EventId {
    /// The id of the event with that number.
    #[must_use]
    pub fn new(subject: Subject, sequence: u64) -> Self {
        Self { subject, sequence }
    }

    /// Reads an id. Any text of the right form is an id; whether it exists is for the store.
    ///
    /// # Errors
    /// [`EventIdError`] when it is of another form.
    pub fn parse(text: &str) -> Result<Self, EventIdError> {
        let (subject, digits) =
            text.strip_prefix("evt_").and_then(|rest| rest.rsplit_once('_')).ok_or(EventIdError)?;
        let subject = if subject.starts_with(EndpointId::PREFIX) {
            Subject::Endpoint(EndpointId::parse(subject).map_err(|_| EventIdError)?)
        } else {
            Subject::License(LicenseId::from_suffix(subject).map_err(|_| EventIdError)?)
        };
        // One text for each id: what is read is written the same.
        let written = digits.len() == 10 || (digits.len() > 10 && !digits.starts_with('0'));
        let sequence = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
        match sequence.flatten() {
            Some(sequence) if written && i64::try_from(sequence).is_ok() => Ok(Self { subject, sequence }),
            _ => Err(EventIdError),
        }
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Its number.
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

/// A text that is no event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id is evt_, letters and digits, and a number of ten digits")]
pub struct EventIdError;

/// Something that happened.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// What it is about.
    pub subject: Subject,
    /// 1, 2, 3 … within the license or the endpoint, without gaps, in the order of the commits.
    pub sequence: u64,
    /// What happened.
    pub event_type: EventType,
    /// When.
    pub at: DateTime<Utc>,
    /// A JSON object: the `license` as the API shows it at that commit, without its key; its `sequence`; and what is special
    /// to the type.
    pub data: Value,
}

impl Event {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> EventId {
        EventId { subject: self.subject.clone(), sequence: self.sequence }
    }

    /// The license it is about.
    #[must_use]
    pub fn license_id(&self) -> Option<&LicenseId> {
        match &self.subject {
            Subject::License(id) => Some(id),
            Subject::Endpoint(_) => None,
        }
    }

    /// Shows `masked` as the key of the license in it.
    pub(crate) fn show_key(&mut self, masked: &str) {
        if let Some(license) = self.data.get_mut("license").and_then(Value::as_object_mut) {
            license.insert("key".to_owned(), masked.into());
        }
    }
}

/// Leaves the data out: it has a customer in it.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, sequence, event_type, at, data: _ } = self;
        f.debug_struct("Event")
            .field("subject", subject)
            .field("sequence", sequence)
            .field("event_type", event_type)
            .field("at", at)
            .finish_non_exhaustive()
    }
}

/// Events of one decision. They are written with the license as it becomes, which the decision, having read a part of it,
/// does not know whole: the store reads it within the commit, and [completes](Self::complete) them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewEvents(Vec<Event>);

impl NewEvents {
    pub(crate) fn push(&mut self, event: Event) {
        self.0.push(event);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What happened, in order.
    pub fn types(&self) -> impl Iterator<Item = EventType> {
        self.0.iter().map(|event| event.event_type)
    }

    /// The events as they are kept: with the license as it is after the change, read within the commit. Of its activations,
    /// the first [`limits::EVENT_ACTIVATIONS`] of each kind are needed.
    #[must_use]
    pub fn complete(&self, detail: &LicenseDetail) -> Vec<Event> {
        let mut shown: Option<(DateTime<Utc>, Value)> = None;
        let completed = |event: &Event| {
            let license = match &shown {
                Some((at, license)) if *at == event.at => license.clone(),
                _ => {
                    let license =
                        LicenseJson::new(detail, None, event.at, limits::EVENT_ACTIVATIONS as usize);
                    // Nothing in it fails to be JSON.
                    let license = serde_json::to_value(license).unwrap_or_default();
                    shown.insert((event.at, license)).1.clone()
                }
            };
            let mut data = Map::new();
            data.insert("license".to_owned(), license);
            event.completed(data)
        };
        self.0.iter().map(completed).collect()
    }

    #[cfg(test)]
    pub(crate) fn as_slice(&self) -> &[Event] {
        &self.0
    }
}

impl Event {
    /// With its number, and `data` beside what is special to it.
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
    fn ids_are_read_as_they_are_written() {
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
