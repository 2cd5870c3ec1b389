//! Rows of the outbox as nouns, and nouns as parameters.

use std::time::Duration;

use license_core::delivery::{Attempt, AttemptResult, ClaimToken, Delivery, DeliveryStatus};
use license_core::endpoint::{
    DisabledReason, Endpoint, EndpointId, EndpointSettings, EndpointState, EventSelection, PreviousSecret,
    SealedSecret,
};
use license_core::event::{EventId, Subject};
use license_core::limits;
use license_core::outbox::{DeliveryDetail, Published};
use license_core::store::StoreError;
use serde_json::{Value as Json, json};

use crate::sql::dialect::{Columns, Value};
use crate::sql::rows::{Reader, int, micros, time};

impl<R: Columns> Reader<'_, R> {
    pub(super) fn subject(&self) -> Result<Subject, StoreError> {
        let text = self.text("license_id")?;
        self.parse("license_id", text.as_str(), |text| Subject::from_stored(text).ok_or("no known id"))
    }

    pub(super) fn published(&self) -> Result<Published, StoreError> {
        Ok(Published { position: self.count("position")?, event: self.event(self.subject()?)? })
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, StoreError> {
        let (id, types) = (self.text("id")?, self.text("event_types")?);
        let types: Vec<String> = self.parse("event_types", types.as_str(), serde_json::from_str)?;
        let types = types.iter().map(String::as_str);
        let state = match self.maybe_time("disabled_at")? {
            None => EndpointState::Enabled,
            Some(since) => {
                let reason = self.text("disabled_reason")?;
                let reason = self.parse("disabled_reason", reason.as_str(), |text| {
                    DisabledReason::from_stored(text).ok_or("no known reason")
                })?;
                EndpointState::Disabled { since, reason }
            }
        };
        let sealed = |bytes| SealedSecret::from_bytes(bytes);
        let previous_secret = match self.maybe_bytes("previous_secret")? {
            None => None,
            Some(bytes) => {
                Some(PreviousSecret { sealed: sealed(bytes), until: self.time("previous_secret_until")? })
            }
        };
        Ok(Endpoint {
            id: self.parse("id", id.as_str(), EndpointId::parse)?,
            settings: EndpointSettings {
                url: self.text("url")?,
                events: self.parse("event_types", types, |types| {
                    EventSelection::parse(types).map_err(|text| format!("{text:?} is no known type"))
                })?,
                description: self.maybe_text("description")?,
            },
            state,
            secret: sealed(self.bytes("secret")?),
            previous_secret,
            created_at: self.time("created_at")?,
            updated_at: self.time("updated_at")?,
            last_success_at: self.maybe_time("last_success_at")?,
            failing_since: self.maybe_time("failing_since")?,
            last_event: self.count("last_event")?,
        })
    }

    pub(super) fn delivery(&self) -> Result<Delivery, StoreError> {
        let (endpoint, status) = (self.text("endpoint_id")?, self.text("status")?);
        let tries = self.int("tries")?;
        Ok(Delivery {
            endpoint_id: self.parse("endpoint_id", endpoint.as_str(), EndpointId::parse)?,
            event_id: EventId::new(self.subject()?, self.count("sequence")?),
            position: self.count("position")?,
            status: self.parse("status", status.as_str(), |text| {
                DeliveryStatus::from_stored(text).ok_or("no known status")
            })?,
            tries: self.parse("tries", tries, u32::try_from)?,
            due_at: self.maybe_time("due_at")?,
            created_at: self.time("created_at")?,
        })
    }

    pub(super) fn is_claimed_by(&self, token: &ClaimToken) -> Result<bool, StoreError> {
        Ok(self.maybe_bytes("token")?.as_deref() == Some(token.as_bytes()))
    }

    pub(super) fn attempts(&self) -> Result<Vec<Attempt>, StoreError> {
        let text = self.text("attempts")?;
        let rows: Vec<AttemptRow> = self.parse("attempts", text.as_str(), serde_json::from_str)?;
        let read = |(at, millis, status, retry_after, text): AttemptRow| {
            let at = self.parse("attempts", at, time)?;
            let result = match status {
                Some(status) => {
                    let retry_after = retry_after.map(Duration::from_secs);
                    AttemptResult::Answered { status, retry_after, body: text }
                }
                None => AttemptResult::Failed { error: text },
            };
            Ok(Attempt { at, duration: Duration::from_millis(millis), result })
        };
        rows.into_iter().map(read).collect()
    }

    pub(super) fn delivery_detail(&self) -> Result<DeliveryDetail, StoreError> {
        let (delivery, attempts) = (self.delivery()?, self.attempts()?);
        Ok(DeliveryDetail { delivery, event_type: self.event_type()?, attempts })
    }
}

/// When, for how many milliseconds, the status code, the seconds of `Retry-After`, the answer or the error.
type AttemptRow = (i64, u64, Option<u16>, Option<u64>, String);

/// The newest attempts as JSON.
pub(super) fn attempt_rows(attempts: &[Attempt]) -> String {
    let row = |attempt: &Attempt| {
        let Attempt { at, duration, result } = attempt;
        let (status, retry_after, text) = match result {
            AttemptResult::Answered { status, retry_after, body } => (Some(*status), *retry_after, body),
            AttemptResult::Failed { error } => (None, None, error),
        };
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        json!([at.timestamp_micros(), millis, status, retry_after.map(|pause| pause.as_secs()), text])
    };
    let old = attempts.len().saturating_sub(limits::LISTED_ATTEMPTS as usize);
    Json::Array(attempts[old..].iter().map(row).collect()).to_string()
}

/// The parameters of an endpoint, in the order of the columns. Destructured whole, so that no field is forgotten.
pub(super) fn endpoint_values<'a>(endpoint: &'a Endpoint, types: &'a str) -> [Value<'a>; 14] {
    let Endpoint {
        id,
        settings: EndpointSettings { url, events: _, description },
        state,
        secret,
        previous_secret,
        created_at,
        updated_at,
        last_success_at,
        failing_since,
        last_event,
    } = endpoint;
    let (disabled_at, reason) = match state {
        EndpointState::Enabled => (None, None),
        EndpointState::Disabled { since, reason } => (Some(*since), Some(reason.as_str())),
    };
    let previous = previous_secret.as_ref();
    [
        id.as_str().into(),
        url.as_str().into(),
        types.into(),
        description.as_deref().into(),
        micros(disabled_at).into(),
        reason.into(),
        secret.as_bytes().into(),
        previous.map(|previous| previous.sealed.as_bytes()).into(),
        micros(previous.map(|previous| previous.until)).into(),
        created_at.timestamp_micros().into(),
        updated_at.timestamp_micros().into(),
        micros(*last_success_at).into(),
        micros(*failing_since).into(),
        int(*last_event).into(),
    ]
}

/// The types that an endpoint has chosen, as JSON.
pub(super) fn types(endpoint: &Endpoint) -> String {
    json!(endpoint.settings.events.as_strs()).to_string()
}

/// What decides on the events that an endpoint gets, as the row of JSON that it is compared with.
pub(super) fn chosen(endpoint: &Endpoint) -> serde_json::Value {
    json!([endpoint.id.as_str(), types(endpoint), i64::from(endpoint.is_enabled())])
}
