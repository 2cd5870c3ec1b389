//! Endpoints: where webhooks go.

mod secret;

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use rand::TryCryptoRng;
use serde_json::{Map, json};

use crate::event::{Event, EventType, Subject};
use crate::license::{LicenseId, ordered_symbols};
use crate::limits;

pub use secret::{SealedSecret, WebhookSecret, WebhookSecretError};

/// After a rotation deliveries are signed with the old secret as well, for so long.
pub const SECRET_OVERLAP: TimeDelta = TimeDelta::hours(24);

/// Names one endpoint: `whe_` and 1 to 40 of `a–z 0–9`; made ids are ordered by time, as those of licenses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(String);

impl EndpointId {
    pub(crate) const PREFIX: &str = "whe_";

    /// A new id of the time `now`.
    ///
    /// # Errors
    /// That of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(now: DateTime<Utc>, rng: &mut R) -> Result<Self, R::Error> {
        let symbols = ordered_symbols(now, rng)?.map(char::from);
        Ok(Self(Self::PREFIX.chars().chain(symbols).collect()))
    }

    /// Reads an id. Any text of the right form is an id; whether it exists is for the store.
    ///
    /// # Errors
    /// [`EndpointIdError`] when it is of another form.
    pub fn parse(text: &str) -> Result<Self, EndpointIdError> {
        // The same form but for the prefix.
        let rest = text.strip_prefix(Self::PREFIX).ok_or(EndpointIdError)?;
        LicenseId::from_suffix(rest).map_err(|_| EndpointIdError)?;
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EndpointId").field(&self.0).finish()
    }
}

/// A text that is no id of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint id is whe_ and 1 to 40 of a–z and 0–9")]
pub struct EndpointIdError;

/// Which events an endpoint is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventSelection {
    /// All, also of types that later versions add: `["*"]`.
    All,
    /// Those of these types; not empty.
    Types(BTreeSet<EventType>),
}

impl EventSelection {
    /// Reads a list of types, in which `*` is all.
    ///
    /// # Errors
    /// The first text that is no type; `""` where the list is empty.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut types = BTreeSet::new();
        let mut all = false;
        for text in texts {
            match EventType::from_stored(text) {
                // A test goes to its endpoint whatever it has chosen.
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

    /// The list as texts.
    #[must_use]
    pub fn as_strs(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec!["*"],
            Self::Types(types) => types.iter().map(|event_type| event_type.as_str()).collect(),
        }
    }

    /// Whether a type is among them.
    #[must_use]
    pub fn has(&self, event_type: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Types(types) => types.contains(&event_type),
        }
    }
}

/// What an admin says of an endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Where to send; at most [`limits::ENDPOINT_URL_BYTES`]. Whether it may be reached is for the sender.
    pub url: String,
    /// Which events.
    pub events: EventSelection,
    /// For people; at most [`limits::ENDPOINT_DESCRIPTION_BYTES`].
    pub description: Option<String>,
}

impl EndpointSettings {
    /// Checks the lengths, and that no text has a control character.
    ///
    /// # Errors
    /// [`EndpointSettingsError`].
    pub fn check(&self) -> Result<(), EndpointSettingsError> {
        let Self { url, events: _, description } = self;
        let well_formed = |text: &str, most: usize| text.len() <= most && !text.chars().any(char::is_control);
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

/// Leaves the URL out: for many receivers it is what lets a caller in.
impl fmt::Debug for EndpointSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, events, description } = self;
        let mut shown = f.debug_struct("EndpointSettings");
        shown.field("events", events).field("description", description).finish_non_exhaustive()
    }
}

/// Why the settings of an endpoint are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointSettingsError {
    /// Empty, too long, or with a control character.
    #[error("a URL has 1 to {} bytes and no control characters", limits::ENDPOINT_URL_BYTES)]
    Url,
    /// Too long, or with a control character.
    #[error(
        "a description has at most {} bytes and no control characters",
        limits::ENDPOINT_DESCRIPTION_BYTES
    )]
    Description,
}

/// Why nothing is delivered to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisabledReason {
    /// An admin said so.
    Admin,
    /// It answered 410 Gone.
    Gone,
    /// It answered nothing with success for five days.
    Failing,
}

impl DisabledReason {
    /// `admin`, `gone` or `failing`: the form of databases and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// Reads the form of databases; `None` for any other text.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::Admin, Self::Gone, Self::Failing].into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Whether events are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// They are.
    Enabled,
    /// None is, and none is kept for it. Those that were waiting wait on.
    Disabled {
        /// Since when.
        since: DateTime<Utc>,
        /// Why.
        reason: DisabledReason,
    },
}

/// A secret that was replaced, and signs a while longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousSecret {
    /// The secret.
    pub sealed: SealedSecret,
    /// It signs before this moment.
    pub until: DateTime<Utc>,
}

/// Where webhooks go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub id: EndpointId,
    /// What an admin says of it.
    pub settings: EndpointSettings,
    /// Whether events are delivered to it.
    pub state: EndpointState,
    /// Signs what is delivered.
    pub secret: SealedSecret,
    /// Signs as well, for a while.
    pub previous_secret: Option<PreviousSecret>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When an admin last changed it.
    pub updated_at: DateTime<Utc>,
    /// The time of its latest success.
    pub last_success_at: Option<DateTime<Utc>>,
    /// The time of the first failure that no success has followed.
    pub failing_since: Option<DateTime<Utc>>,
    /// The number of its newest event.
    pub last_event: u64,
}

impl Endpoint {
    /// A new endpoint, enabled.
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
            failing_since: None,
            last_event: 0,
        }
    }

    /// Whether events are delivered to it.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.state == EndpointState::Enabled
    }

    /// Whether an event of that type, about that subject, is to be delivered to it.
    #[must_use]
    pub fn wants(&self, event_type: EventType, subject: &Subject) -> bool {
        self.is_enabled() && self.chose(event_type, subject)
    }

    /// Likewise, whether or not it is enabled.
    #[must_use]
    pub fn chose(&self, event_type: EventType, subject: &Subject) -> bool {
        if event_type == EventType::EndpointTest {
            matches!(subject, Subject::Endpoint(id) if *id == self.id)
        } else {
            self.settings.events.has(event_type)
        }
    }

    /// Takes it out of use.
    pub(crate) fn disable(&mut self, reason: DisabledReason, now: DateTime<Utc>) {
        if self.is_enabled() {
            self.state = EndpointState::Disabled { since: now, reason };
        }
    }

    /// Notes an event about it.
    pub(crate) fn emit(
        &mut self,
        event_type: EventType,
        special: serde_json::Value,
        at: DateTime<Utc>,
    ) -> Event {
        self.last_event += 1;
        let subject = Subject::Endpoint(self.id.clone());
        let event = Event { subject, sequence: self.last_event, event_type, at, data: special };
        let mut data = Map::new();
        let described = json!({ "id": self.id.as_str(), "description": self.settings.description });
        data.insert("endpoint".to_owned(), described);
        event.completed(data)
    }
}

/// What can be asked of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointCommand {
    /// Replace what an admin says of it.
    Set(EndpointSettings),
    /// Deliver to it (again). What was waiting is due at once.
    Enable,
    /// Deliver nothing to it.
    Disable,
    /// Give it another secret; the old one signs for [`SECRET_OVERLAP`] beside it.
    RotateSecret(SealedSecret),
    /// Send it a `webhook_endpoint.test`. It has to be enabled.
    Test,
}

/// What a command makes of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointDecision {
    /// The endpoint as it becomes.
    pub endpoint: Endpoint,
    /// An event to append.
    pub event: Option<Event>,
}

/// Decides one command. Pure. `None`: it is refused, since the endpoint is disabled.
#[must_use]
pub fn decide_endpoint(
    mut endpoint: Endpoint,
    command: &EndpointCommand,
    now: DateTime<Utc>,
) -> Option<EndpointDecision> {
    let mut event = None;
    match command {
        EndpointCommand::Set(settings) => endpoint.settings.clone_from(settings),
        EndpointCommand::Enable => {
            endpoint.state = EndpointState::Enabled;
            endpoint.failing_since = None;
        }
        EndpointCommand::Disable => endpoint.disable(DisabledReason::Admin, now),
        EndpointCommand::RotateSecret(sealed) => {
            let before = std::mem::replace(&mut endpoint.secret, sealed.clone());
            endpoint.previous_secret = Some(PreviousSecret { sealed: before, until: now + SECRET_OVERLAP });
        }
        EndpointCommand::Test if endpoint.is_enabled() => {
            event = Some(endpoint.emit(EventType::EndpointTest, json!({}), now));
        }
        EndpointCommand::Test => return None,
    }
    if event.is_none() {
        endpoint.updated_at = now;
    }
    Some(EndpointDecision { endpoint, event })
}

#[cfg(test)]
mod tests;
