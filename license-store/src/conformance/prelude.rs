//! Imports shared by the cases.

pub(super) use std::collections::{BTreeMap, BTreeSet, HashSet};
pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(super) use std::time::Duration;

pub(super) use chrono::{DateTime, TimeDelta, Utc};
pub(super) use license_core::access::*;
pub(super) use license_core::catalog::{FeatureValue, Limit, TermStart};
pub(super) use license_core::command::*;
pub(super) use license_core::domain::DomainName;
pub(super) use license_core::event::*;
pub(super) use license_core::json::LicenseJson;
pub(super) use license_core::key::SealedKey;
pub(super) use license_core::license::*;
pub(super) use license_core::limits;
pub(super) use license_core::store::*;
pub(super) use license_core::transfer::*;
pub(super) use license_core::trial::*;
pub(super) use license_core::usage::*;
pub(super) use license_core::validation::*;
pub(super) use license_core::webhook::*;
pub(super) use serde_json::json;

pub(super) use super::calls::*;
pub(super) use super::fixture::*;
pub(super) use super::{Handle, Handles, NOTICE_TIMEOUT, StreamScope};
