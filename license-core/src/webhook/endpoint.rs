//! Webhook endpoints.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, json};
use std::collections::BTreeSet;

use crate::debug::partial_debug;
use crate::event::{Event, EventType, Subject};
use crate::limits;
use crate::text_enum::text_enum;

use super::failing::Failing;
use crate::id::EndpointId;
use crate::key::SealedSecret;

/// Time for which deliveries are also signed with the old secret after a rotation.
pub const SECRET_OVERLAP: TimeDelta = TimeDelta::hours(24);

/// The events that an endpoint receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventSelection {
    /// All events, including types added later: `["*"]`.
    All,
    /// Events of these types; not empty.
    Types(BTreeSet<EventType>),
}

impl EventSelection {
    /// Parses a list of types, in which `*` means all.
    ///
    /// # Errors
    /// Returns the first text that is not a type, or `""` if the list is empty.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut types = BTreeSet::new();
        let mut all = false;
        for text in texts {
            match EventType::parse(text) {
                // Test events are delivered for every selection.
                Some(EventType::EndpointTest) => return Err(text),
                Some(event_type) => _ = types.insert(event_type),
                None if text == "*" => all = true,
                None => return Err(text),
            }
        }
        match (all, types.is_empty()) {
            (true, _) => Ok(Self::All),
            (false, true) => Err(""),
            (false, false) => Ok(Self::Types(types)),
        }
    }

    /// Returns the list as texts.
    #[must_use]
    pub fn as_strs(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec!["*"],
            Self::Types(types) => types.iter().map(|event_type| event_type.as_str()).collect(),
        }
    }

    /// Returns whether a type is selected.
    #[must_use]
    pub fn has(&self, event_type: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Types(types) => types.contains(&event_type),
        }
    }
}

/// The settings of an endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// The URL; at most [`limits::ENDPOINT_URL_BYTES`]. The sender checks whether it is allowed.
    pub url: String,
    /// The selected events.
    pub events: EventSelection,
    /// A description for people; at most [`limits::ENDPOINT_DESCRIPTION_BYTES`].
    pub description: Option<String>,
    /// Whether events of bulk jobs are left out.
    pub skip_job_events: bool,
}

impl EndpointSettings {
    /// Checks lengths and characters.
    ///
    /// # Errors
    /// Returns [`EndpointSettingsError`] if a text is too long or has control characters, or no URL is set.
    pub fn check(&self) -> Result<(), EndpointSettingsError> {
        let Self { url, events: _, description, skip_job_events: _ } = self;
        let well_formed = |text: &str, max: usize| text.len() <= max && !text.chars().any(char::is_control);
        if url.is_empty() || !well_formed(url, limits::ENDPOINT_URL_BYTES) {
            return Err(EndpointSettingsError::Url);
        }
        match description {
            Some(text) if !well_formed(text, limits::ENDPOINT_DESCRIPTION_BYTES) => {
                Err(EndpointSettingsError::Description)
            }
            _ => Ok(()),
        }
    }
}

// Hides the URL, which often contains credentials.
partial_debug!(EndpointSettings { events, description, skip_job_events });

/// The reason why settings are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointSettingsError {
    /// Empty, too long, or with a control character.
    #[error("a URL must have 1 to {} bytes and no control characters", limits::ENDPOINT_URL_BYTES)]
    Url,
    /// Too long, or with a control character.
    #[error(
        "a description can have at most {} bytes and no control characters",
        limits::ENDPOINT_DESCRIPTION_BYTES
    )]
    Description,
}

text_enum! {
    /// The reason why an endpoint is disabled.
    DisabledReason {
        /// An admin disabled it.
        Admin = "admin",
        /// It answered 410 Gone.
        Gone = "gone",
        /// Its attempts failed for five days.
        Failing = "failing",
    }
}

/// The state of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// Events are delivered.
    Enabled,
    /// Nothing is delivered, and new events are not queued. Queued deliveries wait.
    Disabled {
        /// When it was disabled.
        since: DateTime<Utc>,
        /// The reason.
        reason: DisabledReason,
    },
}

/// A replaced secret that still signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousSecret {
    /// The secret.
    pub sealed: SealedSecret,
    /// End of the overlap.
    pub until: DateTime<Utc>,
}

/// A webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The id.
    pub id: EndpointId,
    /// The settings.
    pub settings: EndpointSettings,
    /// Enabled or disabled.
    pub state: EndpointState,
    /// The secret that signs deliveries.
    pub secret: SealedSecret,
    /// The previous secret, which also signs for a while.
    pub previous_secret: Option<PreviousSecret>,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of the last change by an admin.
    pub updated_at: DateTime<Utc>,
    /// Time of the latest success.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Failures since the latest success.
    pub failing: Option<Failing>,
    /// Number of the newest event.
    pub last_event: u64,
}

impl Endpoint {
    /// Creates an enabled endpoint.
    #[must_use]
    pub fn new(id: EndpointId, settings: EndpointSettings, secret: SealedSecret, now: DateTime<Utc>) -> Self {
        Self {
            id,
            settings,
            state: EndpointState::Enabled,
            secret,
            previous_secret: None,
            created_at: now,
            updated_at: now,
            last_success_at: None,
            failing: None,
            last_event: 0,
        }
    }

    /// Returns whether events are delivered.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state == EndpointState::Enabled
    }

    /// Returns whether an event of this type and subject must be delivered. `of_job` tells whether a bulk job
    /// caused it.
    #[must_use]
    pub fn wants(&self, event_type: EventType, subject: &Subject, of_job: bool) -> bool {
        self.is_enabled() && self.selects(event_type, subject, of_job)
    }

    /// Returns whether the endpoint selects the event, even if it is disabled.
    #[must_use]
    pub fn selects(&self, event_type: EventType, subject: &Subject, of_job: bool) -> bool {
        if event_type == EventType::EndpointTest {
            matches!(subject, Subject::Endpoint(id) if *id == self.id)
        } else {
            self.settings.events.has(event_type) && !(of_job && self.settings.skip_job_events)
        }
    }

    /// Disables the endpoint.
    pub(crate) fn disable(&mut self, reason: DisabledReason, now: DateTime<Utc>) {
        if self.is_enabled() {
            self.state = EndpointState::Disabled { since: now, reason };
        }
    }

    /// Creates an event about the endpoint. `special` are the fields of its type.
    pub(crate) fn emit(
        &mut self,
        event_type: EventType,
        special: serde_json::Value,
        at: DateTime<Utc>,
    ) -> Event {
        self.last_event += 1;
        let subject = Subject::Endpoint(self.id.clone());
        let event = Event { subject, sequence: self.last_event, event_type, at, data: special };
        let described = json!({ "id": self.id.as_str(), "description": self.settings.description });
        event.completed(Map::from_iter([("endpoint".to_owned(), described)]))
    }
}

#[cfg(test)]
mod tests;
