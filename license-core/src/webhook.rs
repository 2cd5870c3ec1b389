//! Webhooks: endpoints, their secrets, deliveries and the schedule of attempts.

mod command;
mod delivery;
mod destination;
mod endpoint;
mod failing;
mod schedule;

pub use crate::id::EndpointId;
pub use crate::key::{SealedSecret, WebhookSecret, WebhookSecretError};
pub use command::{
    EndpointChanges, EndpointCommand, EndpointContext, EndpointDecision, EndpointOutcome, NewEndpoint,
    ReplayedEvents, decide_endpoint, endpoint_deleted, events_replayed,
};
pub use delivery::{
    Attempt, AttemptResult, DISABLE_AFTER, Delivery, DeliveryStatus, LeaseToken, MAX_LEASE, SettleDecision,
    Settled, Settlement, lease_holds, settle,
};
pub use destination::DestinationRule;
pub use endpoint::{
    DisabledReason, Endpoint, EndpointSettings, EndpointSettingsError, EndpointState, EventSelection,
    PreviousSecret, SECRET_OVERLAP,
};
pub use failing::{Failing, MAX_FAILING_GAP};
pub use schedule::{MAX_RETRY_AFTER, SCHEDULE, Schedule, ScheduleError};
