//! Rows of endpoints and deliveries.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::event::EventId;
use license_core::limits;
use license_core::store::DeliveryDetail;
use license_core::webhook::{
    Attempt, AttemptResult, Delivery, DeliveryStatus, DisabledReason, Endpoint, EndpointId, EndpointSettings,
    EndpointState, EventSelection, Failing, LeaseToken, PreviousSecret, SealedSecret,
};
use serde_json::{Value as Json, json};

use super::reader::{Reader, int, json_rows, micros, time, unknown};
use crate::Result;
use crate::sql::dialect::{SqlRow, Value};

impl<R: SqlRow> Reader<'_, R> {
    fn endpoint_id(&self, column: &'static str) -> Result<EndpointId> {
        self.parsed(column, EndpointId::parse)
    }

    pub(crate) fn endpoint(&self) -> Result<Endpoint> {
        let types: Vec<String> = self.json("event_types")?;
        let types = types.iter().map(String::as_str);
        let state = match self.maybe_time("disabled_at")? {
            None => EndpointState::Enabled,
            Some(since) => EndpointState::Disabled {
                since,
                reason: self.known("disabled_reason", DisabledReason::parse)?,
            },
        };
        let previous = |bytes| {
            let until = self.time("previous_secret_until")?;
            Ok(PreviousSecret { sealed: SealedSecret::from_bytes(bytes), until })
        };
        let failing = |since| {
            let lasted = TimeDelta::microseconds(self.int("failing_lasted")?);
            Ok(Failing { since, last_at: self.time("failing_last_at")?, lasted })
        };
        let previous_secret = self.maybe_bytes("previous_secret")?.map(previous).transpose()?;
        Ok(Endpoint {
            id: self.endpoint_id("id")?,
            settings: EndpointSettings {
                url: self.text("url")?,
                events: self
                    .parse("event_types", types, |types| EventSelection::parse(types).map_err(unknown))?,
                description: self.maybe_text("description")?,
                skip_job_events: self.int("skip_job_events")? != 0,
            },
            state,
            secret: SealedSecret::from_bytes(self.bytes("secret")?),
            previous_secret,
            created_at: self.time("created_at")?,
            updated_at: self.time("updated_at")?,
            last_success_at: self.maybe_time("last_success_at")?,
            failing: self.maybe_time("failing_since")?.map(failing).transpose()?,
            last_event: self.count("last_event")?,
        })
    }

    pub(crate) fn delivery(&self) -> Result<Delivery> {
        let tries = self.int("tries")?;
        Ok(Delivery {
            endpoint_id: self.endpoint_id("endpoint_id")?,
            event_id: EventId::new(self.subject()?, self.count("sequence")?),
            position: self.count("position")?,
            status: self.known("status", DeliveryStatus::parse)?,
            tries: self.parse("tries", tries, u32::try_from)?,
            due_at: self.maybe_time("due_at")?,
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn is_leased_to(&self, token: &LeaseToken) -> Result<bool> {
        Ok(self.maybe_bytes("token")?.as_deref() == Some(token.as_bytes()))
    }

    pub(crate) fn attempts(&self) -> Result<Vec<Attempt>> {
        let rows: Vec<AttemptRow> = self.json("attempts")?;
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

    pub(crate) fn delivery_detail(&self) -> Result<DeliveryDetail> {
        let (delivery, attempts) = (self.delivery()?, self.attempts()?);
        Ok(DeliveryDetail { delivery, event_type: self.event_type()?, attempts })
    }
}

/// Time, duration in milliseconds, status code, `Retry-After` in seconds, and the body or the error.
type AttemptRow = (i64, u64, Option<u16>, Option<u64>, String);

/// The newest attempts as JSON rows.
pub(crate) fn attempt_rows(attempts: &[Attempt]) -> String {
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
    json_rows(attempts[old..].iter().map(row))
}

/// The parameters of an endpoint, in the order of the columns.
pub(crate) fn endpoint_values(endpoint: &Endpoint) -> [Value<'_>; 17] {
    let Endpoint {
        id,
        settings: EndpointSettings { url, events: _, description, skip_job_events },
        state,
        secret,
        previous_secret,
        created_at,
        updated_at,
        last_success_at,
        failing,
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
        event_types(endpoint).into(),
        description.as_deref().into(),
        micros(disabled_at).into(),
        reason.into(),
        secret.as_bytes().into(),
        previous.map(|previous| previous.sealed.as_bytes()).into(),
        micros(previous.map(|previous| previous.until)).into(),
        created_at.timestamp_micros().into(),
        updated_at.timestamp_micros().into(),
        micros(*last_success_at).into(),
        micros(failing.map(|failing| failing.since)).into(),
        micros(failing.map(|failing| failing.last_at)).into(),
        failing.map(|failing| failing.lasted.num_microseconds().unwrap_or(i64::MAX)).into(),
        int(*last_event).into(),
        i64::from(*skip_job_events).into(),
    ]
}

/// The event types that an endpoint has chosen, as JSON.
pub(crate) fn event_types(endpoint: &Endpoint) -> String {
    json!(endpoint.settings.events.as_strs()).to_string()
}

/// A new delivery as a JSON row.
pub(crate) fn delivery_row(
    endpoint: &EndpointId,
    position: u64,
    event: &EventId,
    due: DateTime<Utc>,
) -> Json {
    json!([endpoint.as_str(), position, event.subject().as_str(), event.sequence(), due.timestamp_micros()])
}
