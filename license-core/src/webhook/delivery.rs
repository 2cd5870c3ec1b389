//! Deliveries of events to webhook endpoints, and the outcome of each attempt.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::endpoint::{DisabledReason, Endpoint};
use super::failing::Failing;
use super::schedule::{MAX_RETRY_AFTER, Schedule};
use crate::clock::whole_micros;
use crate::event::{Event, EventId, EventType};
use crate::id::{EndpointId, random_id};
use crate::limits;
use crate::text_enum::text_enum;

/// An endpoint is disabled when its attempts have failed for this long, as [`Failing::lasted`] counts.
pub const DISABLE_AFTER: TimeDelta = TimeDelta::days(5);
/// Longest lease of a delivery. A lease that ends later was made by a clock that has been corrected, and has
/// lapsed.
pub const MAX_LEASE: TimeDelta = TimeDelta::minutes(5);

text_enum! {
    /// The status of a delivery.
    DeliveryStatus {
        /// Not delivered yet.
        Pending = "pending",
        /// Acknowledged by the receiver.
        Succeeded = "succeeded",
        /// Given up; can be replayed.
        Failed = "failed",
    }
}

/// The delivery of one event to one endpoint, over all attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The event.
    pub event_id: EventId,
    /// The position of the event among all events.
    pub position: u64,
    /// The status.
    pub status: DeliveryStatus,
    /// Attempts since creation or the last replay.
    pub tries: u32,
    /// When it is due, or when its lease ends during an attempt; `None` if it is settled.
    pub due_at: Option<DateTime<Utc>>,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

/// The result of an attempt.
#[derive(Clone, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver responded.
    Answered {
        /// The status code.
        status: u16,
        /// The requested pause (`Retry-After`).
        retry_after: Option<Duration>,
        /// The beginning of the response, at most [`limits::ANSWER_BYTES`].
        body: String,
    },
    /// There was no response.
    Failed {
        /// The error, for people.
        error: String,
    },
}

/// Hides the response body.
impl fmt::Debug for AttemptResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, retry_after, body: _ } => {
                let mut shown = f.debug_struct("Answered");
                shown.field("status", status).field("retry_after", retry_after).finish_non_exhaustive()
            }
            Self::Failed { error } => f.debug_struct("Failed").field("error", error).finish(),
        }
    }
}

/// An attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Start of the attempt.
    pub at: DateTime<Utc>,
    /// Duration, to the millisecond.
    pub duration: Duration,
    /// The result.
    pub result: AttemptResult,
}

impl Attempt {
    /// Returns whether the receiver acknowledged the event with a status of 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.result, AttemptResult::Answered { status: 200..=299, .. })
    }

    /// Returns the stored form: texts are cut and have no NUL characters, the duration is in milliseconds.
    #[must_use]
    pub fn to_stored(&self) -> Self {
        let result = match &self.result {
            AttemptResult::Answered { status, retry_after, body } => AttemptResult::Answered {
                status: *status,
                retry_after: retry_after.map(|pause| Duration::from_secs(pause.as_secs())),
                body: cut(body),
            },
            AttemptResult::Failed { error } => AttemptResult::Failed { error: cut(error) },
        };
        let millis = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        Self { at: self.at, duration: Duration::from_millis(millis), result }
    }
}

fn cut(text: &str) -> String {
    let text = text.replace('\0', "\u{fffd}");
    text[..text.floor_char_boundary(limits::ANSWER_BYTES)].to_owned()
}

random_id! {
    /// A random token that identifies the lease of a delivery.
    LeaseToken
}

/// Returns whether a lease until `until` holds at `now`.
#[must_use]
pub fn lease_holds(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now < until && until - now <= MAX_LEASE
}

/// A finished attempt, to be written by the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The event.
    pub event_id: EventId,
    /// The token of the lease.
    pub token: LeaseToken,
    /// The attempt.
    pub attempt: Attempt,
    /// Random jitter of the next try, 0 to 1000, so that failed deliveries do not retry together.
    pub jitter: u16,
    /// The retry schedule.
    pub schedule: Schedule,
    /// The current time.
    pub now: DateTime<Utc>,
    /// Whether the clock is plausible. If it is not, failures do not disable the endpoint.
    pub clock_is_plausible: bool,
}

/// The outcome of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Delivered.
    Succeeded,
    /// Retried at this time.
    Retry(DateTime<Utc>),
    /// Given up.
    Failed,
    /// Nothing was written, because the lease was taken over or the delivery is gone.
    Refused,
}

/// The changes to write after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct SettleDecision {
    /// The new delivery.
    pub delivery: Delivery,
    /// The new endpoint.
    pub endpoint: Endpoint,
    /// The event to append if the endpoint was disabled.
    pub event: Option<Event>,
}

impl SettleDecision {
    /// Returns the outcome of the delivery.
    #[must_use]
    pub fn settled(&self) -> Settled {
        match (self.delivery.status, self.delivery.due_at) {
            (DeliveryStatus::Succeeded, _) => Settled::Succeeded,
            (DeliveryStatus::Pending, Some(due_at)) => Settled::Retry(due_at),
            (DeliveryStatus::Pending, None) | (DeliveryStatus::Failed, _) => Settled::Failed,
        }
    }
}

/// Decides the outcome of an attempt. Pure. The store must check that the token still holds the lease.
#[must_use]
pub fn settle(mut delivery: Delivery, mut endpoint: Endpoint, settlement: &Settlement) -> SettleDecision {
    let Settlement { attempt, now, clock_is_plausible, .. } = settlement;
    let mut event = None;
    delivery.tries += 1;
    if attempt.is_success() {
        (delivery.status, delivery.due_at) = (DeliveryStatus::Succeeded, None);
        (endpoint.last_success_at, endpoint.failing) = (Some(*now), None);
        return SettleDecision { delivery, endpoint, event };
    }
    let failing = match endpoint.failing {
        None => Failing::new(*now),
        Some(failing) if *clock_is_plausible => failing.failed_again(*now),
        Some(failing) => failing,
    };
    endpoint.failing = Some(failing);
    let gone = matches!(attempt.result, AttemptResult::Answered { status: 410, .. });
    let reason = match gone {
        true => Some(DisabledReason::Gone),
        false if *clock_is_plausible && failing.lasted >= DISABLE_AFTER => Some(DisabledReason::Failing),
        false => None,
    };
    if let Some(reason) = reason.filter(|_| endpoint.is_enabled()) {
        endpoint.disable(reason, *now);
        event = Some(endpoint.emit(EventType::EndpointDisabled, json!({ "reason": reason.as_str() }), *now));
    }
    let next = if gone { None } else { next_try(&delivery, settlement) };
    delivery.status = if next.is_some() { DeliveryStatus::Pending } else { DeliveryStatus::Failed };
    delivery.due_at = next;
    SettleDecision { delivery, endpoint, event }
}

/// Returns the time of the next try: the scheduled pause plus up to 10 %, or a longer requested pause.
fn next_try(delivery: &Delivery, settlement: &Settlement) -> Option<DateTime<Utc>> {
    let Settlement { attempt, jitter, schedule, now, .. } = settlement;
    let pause = TimeDelta::from_std(schedule.pause(delivery.tries)?).ok()?;
    let pause = pause + pause / 10_000 * i32::from((*jitter).min(1_000));
    let asked = match attempt.result {
        AttemptResult::Answered { retry_after: Some(asked), .. } => TimeDelta::from_std(asked).ok(),
        _ => None,
    };
    Some(whole_micros(*now + pause.max(asked.unwrap_or_default().min(MAX_RETRY_AFTER))))
}

#[cfg(test)]
mod tests;
