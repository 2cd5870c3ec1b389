//! Deliveries: one event to one endpoint, and what follows from each attempt.

mod schedule;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::TryCryptoRng;
use serde_json::json;

use crate::clock::whole_micros;
use crate::endpoint::{DisabledReason, Endpoint, EndpointId};
use crate::event::{Event, EventId, EventType};
use crate::limits;

pub use schedule::{Schedule, ScheduleError};

/// When a delivery is tried: at once, and after each failure so many seconds later.
pub const SCHEDULE: [u32; 10] =
    [0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];
/// An endpoint without a success for so long is disabled.
pub const GIVEN_UP_AFTER: TimeDelta = TimeDelta::days(5);
/// The longest pause that a receiver may ask for.
pub const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(24);

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// Not delivered yet.
    Pending,
    /// Answered with success.
    Succeeded,
    /// Given up; it can be replayed.
    Failed,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Succeeded, Self::Failed];

    /// `pending`, `succeeded` or `failed`: the form of databases and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Reads the form of databases; `None` for any other text.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One event to one endpoint: the two name it, over all its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where to.
    pub endpoint_id: EndpointId,
    /// What.
    pub event_id: EventId,
    /// The place of the event in the order of all.
    pub position: u64,
    /// How it stands.
    pub status: DeliveryStatus,
    /// Attempts since it was made, or since it was last replayed.
    pub tries: u32,
    /// When it is due; of one that is under way, when its lease lapses. `None`: it is settled.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver answered.
    Answered {
        /// The status code.
        status: u16,
        /// How long it asks to be left alone (`Retry-After`).
        retry_after: Option<Duration>,
        /// The beginning of the answer, at most [`limits::ANSWER_BYTES`].
        body: String,
    },
    /// No answer came: refused, not found, too late, not allowed. The text says which.
    Failed {
        /// What happened, for a person.
        error: String,
    },
}

/// Leaves the receiver's words out.
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

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, to the millisecond.
    pub duration: Duration,
    /// How it ended.
    pub result: AttemptResult,
}

impl Attempt {
    /// Whether the receiver has it: any answer of 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.result, AttemptResult::Answered { status: 200..=299, .. })
    }

    /// As it is kept: texts without NUL characters and cut to their limit, the duration in whole milliseconds.
    #[must_use]
    pub fn kept(&self) -> Self {
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

/// Who has claimed a delivery: random, another one for each claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimToken([u8; 16]);

impl ClaimToken {
    /// A new one.
    ///
    /// # Errors
    /// That of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = [0; 16];
        rng.try_fill_bytes(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads the form of databases.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The form of databases.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The end of an attempt, for the store to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Where to.
    pub endpoint_id: EndpointId,
    /// What.
    pub event_id: EventId,
    /// Who tried.
    pub token: ClaimToken,
    /// How it went.
    pub attempt: Attempt,
    /// Spreads the next try, so that those who failed together do not come again together: 0 to 1000, a random number.
    pub jitter: u16,
    /// When to try again.
    pub schedule: Schedule,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Delivered.
    Succeeded,
    /// Tried again at that moment.
    Retry(DateTime<Utc>),
    /// Given up.
    Failed,
    /// Nothing was written: the lease has lapsed and another has taken it over, or it is gone.
    Refused,
}

/// What to write after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct SettleDecision {
    /// The delivery as it becomes.
    pub delivery: Delivery,
    /// Its endpoint as it becomes.
    pub endpoint: Endpoint,
    /// The event to append where the endpoint was disabled.
    pub event: Option<Event>,
}

impl SettleDecision {
    /// What became of the delivery.
    #[must_use]
    pub fn settled(&self) -> Settled {
        match (self.delivery.status, self.delivery.due_at) {
            (DeliveryStatus::Succeeded, _) => Settled::Succeeded,
            (DeliveryStatus::Pending, Some(due_at)) => Settled::Retry(due_at),
            (DeliveryStatus::Pending, None) | (DeliveryStatus::Failed, _) => Settled::Failed,
        }
    }
}

/// Decides what follows from an attempt. Pure. Whether the token is still the owner's, the store has seen.
#[must_use]
pub fn settle(mut delivery: Delivery, mut endpoint: Endpoint, settlement: &Settlement) -> SettleDecision {
    let Settlement { attempt, now, .. } = settlement;
    let mut event = None;
    delivery.tries += 1;
    if attempt.is_success() {
        (delivery.status, delivery.due_at) = (DeliveryStatus::Succeeded, None);
        endpoint.last_success_at = endpoint.last_success_at.max(Some(*now));
        endpoint.failing_since = None;
        return SettleDecision { delivery, endpoint, event };
    }
    let failing_since = *endpoint.failing_since.get_or_insert(*now);
    let gone = matches!(attempt.result, AttemptResult::Answered { status: 410, .. });
    let reason = match gone {
        true => Some(DisabledReason::Gone),
        false if *now - failing_since >= GIVEN_UP_AFTER => Some(DisabledReason::Failing),
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

/// When to try again: as the schedule says, up to a tenth later, or when the receiver asks, if that is later still.
fn next_try(delivery: &Delivery, settlement: &Settlement) -> Option<DateTime<Utc>> {
    let Settlement { attempt, jitter, schedule, now, .. } = settlement;
    let pause = TimeDelta::from_std(schedule.pause(delivery.tries)?).ok()?;
    let pause = pause + pause / 10_000 * i32::from((*jitter).min(1_000));
    let asked = match attempt.result {
        AttemptResult::Answered { retry_after: Some(asked), .. } => TimeDelta::from_std(asked).ok(),
        _ => None,
    };
    Some(whole_micros(*now + pause.max(asked.unwrap_or_default().min(LONGEST_PAUSE))))
}

#[cfg(test)]
mod tests;
