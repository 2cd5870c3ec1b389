//! What the cases import.

pub(super) use std::collections::{BTreeMap, BTreeSet, HashSet};
pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(super) use std::time::Duration;

pub(super) use chrono::{DateTime, TimeDelta, Utc};
pub(super) use license_core::access::{Actor, AuditEntry, AuditFilter, Audited, Erasure, Who};
pub(super) use license_core::access::{
    ApiToken, NewToken, Scopes, TokenDigest, TokenId, TokenName, TokenUse,
};
pub(super) use license_core::catalog::Limit;
pub(super) use license_core::command::{
    Command, CommandContext, CommandOutcome, Decision, Idempotency, IdempotencyKey, LicensePatch,
    LimitReached, NewLicense, TargetState, View, decide,
};
pub(super) use license_core::domain::DomainName;
pub(super) use license_core::event::{Event, EventId, EventType, Subject};
pub(super) use license_core::json::LicenseJson;
pub(super) use license_core::key::SealedKey;
pub(super) use license_core::license::CustomerEmail;
pub(super) use license_core::license::Metadata;
pub(super) use license_core::license::{Activation, ActivationId, ActivationKind, Binding, Label};
pub(super) use license_core::license::{
    Counters, Expiry, ExpiryNotified, License, LicenseDetail, LicenseId, LicenseState, Status,
};
pub(super) use license_core::limits;
pub(super) use license_core::store::{
    AnomalyScan, AuditStore, Created, EndpointOutcome, EventFilter, EventRetention, EventStore, ExpiryScan,
    LeaseRequest, LeasedDeliveries, LeasedDelivery, LicenseFilter, LicenseQuery, PageRequest, Replay,
    SequencedEvent, StoreError,
};
pub(super) use license_core::store::{ChangeNotice, ChangeStream, LicenseChanged, StreamState, TokenChanged};
pub(super) use license_core::transfer::{ImportBatch, Imported, ImportedLicense, ImportedRollup};
pub(super) use license_core::usage::Client;
pub(super) use license_core::usage::{ActivationDetail, IdleQuery, LastSeen};
pub(super) use license_core::usage::{
    BatchId, Day, Interval, LicenseUsage, PlanUsage, RetainedUsage, Rollup, RollupFilter, RollupKey,
    UsageGroup, UsageQuery, UsageReport, UsageRetention, UsageShare, UsageSum, UsageTally, Validation,
    ValidationOutcome, WriterId, roll_up,
};
pub(super) use license_core::usage::{Country, Location, Region};
pub(super) use license_core::validation::{Claim, DenialCode, HeldSlots, LicenseSnapshot, without_key};
pub(super) use license_core::webhook::{
    Attempt, AttemptResult, DeliveryStatus, LeaseToken, Schedule, Settled, Settlement,
};
pub(super) use license_core::webhook::{
    DisabledReason, Endpoint, EndpointCommand, EndpointId, EndpointSettings, EndpointState, EventSelection,
    SealedSecret,
};
pub(super) use serde_json::json;

pub(super) use super::fixture::*;
pub(super) use super::{Handle, Harness, NOTICE_TIMEOUT, StreamScope};
