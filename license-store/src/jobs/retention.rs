//! Deletes old data.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use license_core::job::{BackgroundJob, JobReport, Shutdown};
use license_core::service::{
    AccessService, BulkService, ClockService, EventService, LicenseService, UsageService,
};
use license_core::{store, usage};

use super::rounds::repeat;

/// Interval between deletions of usage, audit entries and idempotency keys, which are kept for days.
pub(super) const INTERVAL: Duration = Duration::from_mins(10);
/// Interval between deletions of events and deliveries.
const EVENTS_INTERVAL: Duration = Duration::from_hours(1);
/// Usage rows deleted per transaction.
pub(super) const USAGE_BATCH: u32 = 500;
/// Events and deliveries per transaction.
const EVENTS_BATCH: u32 = 250;

/// Deletes old usage.
#[derive(Debug)]
pub struct UsageRetentionJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the usage.
    pub usage: UsageService,
    /// How long usage is kept.
    pub retention: usage::UsageRetention,
}

#[async_trait]
impl BackgroundJob for UsageRetentionJob {
    fn name(&self) -> &'static str {
        "usage retention"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, usage, retention } = *self;
        let prune = |now| usage.prune(&retention, now, USAGE_BATCH);
        repeat(&clock, (shutdown, report), INTERVAL, ("the deletion of old usage", Some(3)), prune).await;
    }
}

/// Deletes old events and settled deliveries.
#[derive(Debug)]
pub struct EventRetentionJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the events.
    pub events: EventService,
    /// How long settled deliveries are kept.
    pub keep_deliveries: TimeDelta,
    /// How long events are kept; longer if a subscription has not read them. `None` keeps all events.
    pub keep_events: Option<TimeDelta>,
}

#[async_trait]
impl BackgroundJob for EventRetentionJob {
    fn name(&self) -> &'static str {
        "event retention"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, events, keep_deliveries, keep_events } = *self;
        let events = &events;
        let prune = |now: DateTime<Utc>| {
            let before = |kept| now.checked_sub_signed(kept).unwrap_or_default();
            let retention = store::EventRetention {
                deliveries_before: before(keep_deliveries),
                events_before: keep_events.map(before),
                limit: EVENTS_BATCH,
            };
            async move { events.prune(&retention).await }
        };
        repeat(&clock, (shutdown, report), EVENTS_INTERVAL, ("the deletion of old events", Some(0)), prune)
            .await;
    }
}

/// Deletes old idempotency keys.
#[derive(Debug)]
pub struct IdempotencyRetentionJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the licenses.
    pub licenses: LicenseService,
}

#[async_trait]
impl BackgroundJob for IdempotencyRetentionJob {
    fn name(&self) -> &'static str {
        "idempotency retention"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, licenses } = *self;
        let prune = |now| licenses.prune_idempotency_keys(now);
        repeat(
            &clock,
            (shutdown, report),
            INTERVAL,
            ("the deletion of old idempotency keys", Some(3)),
            prune,
        )
        .await;
    }
}

/// Deletes sessions and links that ended long ago.
#[derive(Debug)]
pub struct SessionRetentionJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the tokens.
    pub access: AccessService,
}

#[async_trait]
impl BackgroundJob for SessionRetentionJob {
    fn name(&self) -> &'static str {
        "session retention"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, access } = *self;
        let prune = |now| access.prune_sessions(now);
        repeat(&clock, (shutdown, report), INTERVAL, ("the deletion of old sessions", Some(3)), prune).await;
    }
}

/// Deletes bulk jobs that finished long ago.
#[derive(Debug)]
pub struct BulkJobRetentionJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the bulk jobs.
    pub bulk: BulkService,
}

#[async_trait]
impl BackgroundJob for BulkJobRetentionJob {
    fn name(&self) -> &'static str {
        "bulk job retention"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, bulk } = *self;
        let prune = |now| bulk.prune(now);
        repeat(&clock, (shutdown, report), INTERVAL, ("the deletion of old bulk jobs", Some(3)), prune).await;
    }
}

/// Deletes old entries of the audit log.
#[derive(Debug)]
pub struct AuditRetentionJob {
    /// Time for the job, while the clock is plausible.
    pub clock: ClockService,
    /// Service of the audit log.
    pub access: AccessService,
    /// How many days entries are kept.
    pub days: u32,
}

#[async_trait]
impl BackgroundJob for AuditRetentionJob {
    fn name(&self) -> &'static str {
        "audit retention"
    }

    async fn run(self: Box<Self>, shutdown: Shutdown, report: JobReport) {
        let Self { clock, access, days } = *self;
        let prune = |now| access.prune_audit(days, now);
        repeat(&clock, (shutdown, report), INTERVAL, ("the deletion of old audit entries", Some(3)), prune)
            .await;
    }
}
