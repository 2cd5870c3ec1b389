//! Entries of the audit log, written in the same commit as the change.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::erasure::Erasure;
use crate::id::{EndpointId, LicenseId, TokenId};
use crate::key::ImportedKeyFormat;
use crate::license::Reason;

/// The action of entries about new bulk jobs.
pub(crate) const JOB_CREATED: &str = "job.create";

/// The identity of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The holder of a token.
    Token {
        /// The id of the token.
        id: TokenId,
        /// The name of the token at that time.
        name: String,
    },
    /// The holder of a license key.
    Customer,
    /// The server itself.
    System,
    /// A program on the server's machine.
    CommandLine,
    /// A user known to the embedding program by this name.
    Named(String),
}

impl Principal {
    /// Returns `token`, `customer`, `system`, `command_line` or `named`, as in databases and JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Customer => "customer",
            Self::System => "system",
            Self::CommandLine => "command_line",
            Self::Named(_) => "named",
        }
    }

    /// Returns the id of the token, if any.
    #[must_use]
    pub fn token_id(&self) -> Option<&TokenId> {
        if let Self::Token { id, .. } = self { Some(id) } else { None }
    }

    /// Returns the name, if any.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Token { name, .. } | Self::Named(name) => Some(name),
            Self::Customer | Self::System | Self::CommandLine => None,
        }
    }

    /// Parses the stored form. Returns `None` if the parts do not match.
    #[must_use]
    pub fn from_stored(kind: &str, token_id: Option<&str>, name: Option<String>) -> Option<Self> {
        match (kind, token_id, name) {
            ("token", Some(id), Some(name)) => Some(Self::Token { id: TokenId::parse(id).ok()?, name }),
            ("customer", None, None) => Some(Self::Customer),
            ("system", None, None) => Some(Self::System),
            ("command_line", None, None) => Some(Self::CommandLine),
            ("named", None, Some(name)) => Some(Self::Named(name)),
            _ => None,
        }
    }
}

/// An actor and its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The identity.
    pub principal: Principal,
    /// The id of the request, as in logs.
    pub request_id: Option<String>,
    /// The address of the caller. Personal data: stored only if configured.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Creates an actor without a request.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        Self { principal, request_id: None, address: None }
    }
}

/// An audit entry.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// The time.
    pub at: DateTime<Utc>,
    /// The actor.
    pub actor: Actor,
    /// The action: `noun.verb`.
    pub action: String,
    /// The license, if any.
    pub license_id: Option<LicenseId>,
    /// The token, if any.
    pub token_id: Option<TokenId>,
    /// The webhook endpoint, if any.
    pub endpoint_id: Option<EndpointId>,
    /// The changed fields, each `{"before": …, "after": …}`. Never a key, secret or digest.
    pub changes: Map<String, Value>,
    /// The changed metadata, or a label. Separate, because erasing a customer removes it.
    pub metadata: Option<Value>,
    /// The reason that the actor gave. Erasing a customer removes it.
    pub reason: Option<Reason>,
}

impl AuditEntry {
    /// Creates an entry without a resource and changes.
    pub(crate) fn new(action: &str, actor: &Actor, at: DateTime<Utc>) -> Self {
        Self {
            at,
            actor: actor.clone(),
            action: action.to_owned(),
            license_id: None,
            token_id: None,
            endpoint_id: None,
            changes: Map::new(),
            metadata: None,
            reason: None,
        }
    }

    /// Creates the entry of an action on a token.
    pub(crate) fn of_token(
        action: &str,
        id: &TokenId,
        changes: Value,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Self {
        Self { token_id: Some(id.clone()), changes: object(changes), ..Self::new(action, actor, at) }
    }

    /// Creates the entry of an action on a webhook endpoint.
    pub(crate) fn of_endpoint(
        action: &str,
        id: &EndpointId,
        changes: Map<String, Value>,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Self {
        Self { endpoint_id: Some(id.clone()), changes, ..Self::new(action, actor, at) }
    }

    /// Creates the entry of an export. `keys` says how license keys are written.
    pub(crate) fn of_export(keys: &str, actor: &Actor, at: DateTime<Utc>) -> Self {
        let changes = json!({ "keys": { "before": null, "after": keys } });
        Self { changes: object(changes), ..Self::new("licenses.export", actor, at) }
    }

    /// Creates the entry of an imported batch: the number of licenses and the first id.
    pub(crate) fn of_import(first: &LicenseId, count: usize, actor: &Actor, at: DateTime<Utc>) -> Self {
        let changes = json!({
            "licenses": { "before": null, "after": count },
            "first": { "before": null, "after": first.as_str() },
        });
        Self { changes: object(changes), ..Self::new("licenses.import", actor, at) }
    }

    /// Creates the entry of imported rollups.
    pub(crate) fn of_rollups(count: usize, actor: &Actor, at: DateTime<Utc>) -> Self {
        let changes = json!({ "rollups": { "before": null, "after": count } });
        Self { changes: object(changes), ..Self::new("usage.import", actor, at) }
    }

    /// Creates the entry of imported trial claims.
    pub(crate) fn of_trial_claims(count: u64, actor: &Actor, at: DateTime<Utc>) -> Self {
        let changes = json!({ "trial_claims": { "before": null, "after": count } });
        Self { changes: object(changes), ..Self::new("trial_claims.import", actor, at) }
    }

    /// Creates the entry of a new format of imported keys.
    pub(crate) fn of_key_format(format: &ImportedKeyFormat, actor: &Actor, at: DateTime<Utc>) -> Self {
        let changes = json!({
            "name": { "before": null, "after": format.name() },
            "pattern": { "before": null, "after": format.pattern() },
        });
        Self { changes: object(changes), ..Self::new("key_format.declare", actor, at) }
    }

    /// Creates the entry of a clock that an operator accepts.
    #[must_use]
    pub fn of_clock(before: Option<DateTime<Utc>>, at: DateTime<Utc>, actor: &Actor) -> Self {
        let changes = json!({ "heartbeat": { "before": before, "after": at } });
        Self { changes: object(changes), ..Self::new("clock.accept", actor, at) }
    }

    /// Creates the entry of a rotation of the secret. It does not contain the secret.
    pub(crate) fn of_secret(actor: &Actor, at: DateTime<Utc>) -> Self {
        Self::new("secret.rotate", actor, at)
    }

    /// Creates the entry of an action on a bulk job.
    pub(crate) fn of_job(action: &str, changes: Value, actor: &Actor, at: DateTime<Utc>) -> Self {
        Self { changes: object(changes), ..Self::new(action, actor, at) }
    }

    /// Returns the id of the bulk job of which this is the [entry](crate::bulk::NewBulkJob::audit).
    #[must_use]
    pub fn created_job(&self) -> Option<&str> {
        self.changes.get("job").filter(|_| self.action == JOB_CREATED)?["after"].as_str()
    }

    /// Creates the entry of a change of the signing keys.
    pub(crate) fn of_signing_keys(
        action: &str,
        changes: Map<String, Value>,
        actor: &Actor,
        at: DateTime<Utc>,
    ) -> Self {
        Self { changes, ..Self::new(action, actor, at) }
    }

    /// Creates the entry of a license key that a person was shown.
    #[must_use]
    pub fn of_shown_key(id: &LicenseId, actor: &Actor, at: DateTime<Utc>) -> Self {
        Self { license_id: Some(id.clone()), ..Self::new("license.key_shown", actor, at) }
    }

    /// Creates the entry of an erasure, without the erased address.
    #[must_use]
    pub fn of_erasure(erasure: &Erasure, licenses: u64, actor: &Actor, at: DateTime<Utc>) -> Self {
        let changes = json!({
            "customer_email": { "before": null, "after": erasure.pseudonym.as_str() },
            "licenses": { "before": null, "after": licenses },
        });
        Self { changes: object(changes), ..Self::new("customer.erase", actor, at) }
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

/// A stored entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited {
    /// The number given by the store; later entries have higher numbers.
    pub sequence: u64,
    /// The entry.
    pub entry: AuditEntry,
}

/// A filter of audit entries. All given conditions must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Entries of this license.
    pub license_id: Option<LicenseId>,
    /// Entries by this token, or about it.
    pub token_id: Option<TokenId>,
    /// Entries of this webhook endpoint.
    pub endpoint_id: Option<EndpointId>,
    /// Entries of this action.
    pub action: Option<String>,
    /// Entries from this time on.
    pub from: Option<DateTime<Utc>>,
    /// Entries before this time.
    pub to: Option<DateTime<Utc>>,
}

impl AuditFilter {
    /// Returns whether an entry matches.
    #[must_use]
    pub fn matches(&self, entry: &AuditEntry) -> bool {
        let Self { license_id, token_id, endpoint_id, action, from, to } = self;
        let by_or_of = |id: &TokenId| {
            entry.token_id.as_ref() == Some(id) || entry.actor.principal.token_id() == Some(id)
        };
        license_id.as_ref().is_none_or(|id| entry.license_id.as_ref() == Some(id))
            && token_id.as_ref().is_none_or(by_or_of)
            && endpoint_id.as_ref().is_none_or(|id| entry.endpoint_id.as_ref() == Some(id))
            && action.as_ref().is_none_or(|action| entry.action == *action)
            && from.is_none_or(|from| entry.at >= from)
            && to.is_none_or(|to| entry.at < to)
    }
}
