//! Webhooks: endpoints, their secrets, deliveries and the schedule of attempts.

mod delivery;
mod endpoint;
mod failing;
mod schedule;

pub use crate::id::EndpointId;
pub use crate::key::{SealedSecret, WebhookSecret, WebhookSecretError};
pub use delivery::{
    Attempt, AttemptResult, DISABLE_AFTER, Delivery, DeliveryStatus, LeaseToken, MAX_LEASE, SettleDecision,
    Settled, Settlement, lease_holds, settle,
};
pub use endpoint::{
    DisabledReason, Endpoint, EndpointCommand, EndpointDecision, EndpointSettings, EndpointSettingsError,
    EndpointState, EventSelection, PreviousSecret, SECRET_OVERLAP, decide_endpoint,
};
pub use failing::{Failing, MAX_FAILING_GAP};
pub use schedule::{MAX_RETRY_AFTER, SCHEDULE, Schedule, ScheduleError};
