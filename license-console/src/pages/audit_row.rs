//! An entry of the audit as a row.

use chrono::{DateTime, Utc};
use license_core::access::{Audited, Principal};
use serde_json::Value;

use crate::moment::Moment;

/// An entry of the audit as a row.
pub(super) struct AuditRow {
    pub(super) at: Moment,
    pub(super) who: String,
    pub(super) action: String,
    pub(super) license_id: Option<String>,
    /// The changed token or webhook.
    pub(super) other_id: Option<String>,
    /// Such as `plan: starter → team`.
    pub(super) changes: Vec<String>,
    pub(super) reason: String,
}

impl AuditRow {
    pub(super) fn new(Audited { entry, .. }: &Audited, now: DateTime<Utc>) -> Self {
        let change = |(name, change): (&String, &Value)| {
            let side = |side: &str| change.get(side).map_or_else(|| "none".to_owned(), text);
            let (before, after) = (side("before"), side("after"));
            (before != after).then(|| format!("{name}: {before} → {after}"))
        };
        let token = entry.token_id.as_ref().map(ToString::to_string);
        Self {
            at: Moment::new(entry.at, now),
            who: who(&entry.actor.principal),
            action: entry.action.clone(),
            license_id: entry.license_id.as_ref().map(ToString::to_string),
            other_id: token.or_else(|| entry.endpoint_id.as_ref().map(ToString::to_string)),
            changes: entry.changes.iter().filter_map(change).collect(),
            reason: entry.reason.as_ref().map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        }
    }
}

fn who(principal: &Principal) -> String {
    let kind = match principal {
        Principal::Token { name, .. } | Principal::Named(name) => return name.clone(),
        Principal::Customer => "the customer",
        Principal::System => "the server",
        Principal::CommandLine => "the command line",
    };
    kind.to_owned()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
