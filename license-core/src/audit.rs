//! The audit: who changed what, kept in the same commit as the change.

mod changes;
mod store;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::license::LicenseId;
use crate::token::{ApiToken, TokenId};

pub use changes::Erasure;
pub(crate) use changes::{created, decided};
pub use store::{AccessStore, AuditStore};

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever has that token.
    Token {
        /// Its id.
        id: TokenId,
        /// Its name as it was then.
        name: String,
    },
    /// Whoever has the key of the license.
    Customer,
    /// The server itself.
    System,
    /// Whoever runs programs on the server's machine.
    CommandLine,
    /// Somebody whom the program that embeds the engine knows by that name.
    Named(String),
}

impl Who {
    /// `token`, `customer`, `system`, `command_line` or `named`: the form of databases and JSON.
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

    /// The id of the token.
    #[must_use]
    pub fn token_id(&self) -> Option<&TokenId> {
        if let Self::Token { id, .. } = self { Some(id) } else { None }
    }

    /// The name, where there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Token { name, .. } | Self::Named(name) => Some(name),
            Self::Customer | Self::System | Self::CommandLine => None,
        }
    }

    /// Reads the form of databases; `None` where the parts do not fit.
    #[must_use]
    pub fn from_stored(kind: &str, token_id: Option<&str>, name: Option<String>) -> Option<Self> {
        match (kind, token_id, name) {
            ("token", Some(id), Some(name)) => Some(Self::Token { id: TokenId::parse(id)?, name }),
            ("customer", None, None) => Some(Self::Customer),
            ("system", None, None) => Some(Self::System),
            ("command_line", None, None) => Some(Self::CommandLine),
            ("named", None, Some(name)) => Some(Self::Named(name)),
            _ => None,
        }
    }
}

/// Who acts, and by which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub who: Who,
    /// The id of the request, as the log has it.
    pub request_id: Option<String>,
    /// From where. Personal data: only where somebody decided to keep it.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Somebody who acts without a request.
    #[must_use]
    pub fn new(who: Who) -> Self {
        Self { who, request_id: None, address: None }
    }
}

/// One change, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What was asked: `noun.verb`.
    pub action: String,
    /// Of which license.
    pub license_id: Option<LicenseId>,
    /// Of which token.
    pub token_id: Option<TokenId>,
    /// The fields that changed, each `{"before": …, "after": …}`. Never a key, a secret or a digest.
    pub changes: Map<String, Value>,
    /// The metadata likewise. Apart, since all of it goes when a customer is made anonymous.
    pub metadata: Option<Value>,
}

impl AuditEntry {
    /// What was done to a token.
    pub(crate) fn of_token(action: &str, token: &ApiToken, actor: &Actor, at: DateTime<Utc>) -> Self {
        let ApiToken { id, digest: _, name, scopes, created_at: _, last_used_at: _, expires_at, revoked_at } =
            token;
        let changes = match revoked_at {
            Some(at) => json!({ "revoked_at": { "before": null, "after": at } }),
            None => json!({
                "name": { "before": null, "after": name.as_str() },
                "scopes": { "before": null, "after": scopes.iter().map(super::token::Scope::as_str).collect::<Vec<_>>() },
                "expires_at": { "before": null, "after": expires_at },
            }),
        };
        Self {
            at,
            actor: actor.clone(),
            action: action.to_owned(),
            license_id: None,
            token_id: Some(id.clone()),
            changes: object(changes),
            metadata: None,
        }
    }

    /// That licenses were imported in one commit: how many, and the first of them.
    pub(crate) fn of_import(first: &LicenseId, count: usize, actor: &Actor, at: DateTime<Utc>) -> Self {
        let changes = json!({
            "licenses": { "before": null, "after": count },
            "first": { "before": null, "after": first.as_str() },
        });
        Self {
            at,
            actor: actor.clone(),
            action: "licenses.import".to_owned(),
            license_id: None,
            token_id: None,
            changes: object(changes),
            metadata: None,
        }
    }

    /// That all traces of a customer were removed. The address itself is not said.
    #[must_use]
    pub fn of_erasure(erasure: &Erasure, licenses: u64, actor: &Actor, at: DateTime<Utc>) -> Self {
        let changes = json!({
            "customer_email": { "before": null, "after": erasure.anonymous.as_str() },
            "licenses": { "before": null, "after": licenses },
        });
        Self {
            at,
            actor: actor.clone(),
            action: "customer.anonymise".to_owned(),
            license_id: None,
            token_id: None,
            changes: object(changes),
            metadata: None,
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

/// An entry, and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited {
    /// Its number, given by the store; later ones are higher.
    pub sequence: u64,
    /// The entry.
    pub entry: AuditEntry,
}

/// Which entries to list. Every part that is there must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this license.
    pub license_id: Option<LicenseId>,
    /// By this token, or of it.
    pub token_id: Option<TokenId>,
    /// Of this action.
    pub action: Option<String>,
    /// From this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub to: Option<DateTime<Utc>>,
}

impl AuditFilter {
    /// Whether an entry passes.
    #[must_use]
    pub fn admits(&self, entry: &AuditEntry) -> bool {
        let Self { license_id, token_id, action, from, to } = self;
        let by_or_of =
            |id: &TokenId| entry.token_id.as_ref() == Some(id) || entry.actor.who.token_id() == Some(id);
        license_id.as_ref().is_none_or(|id| entry.license_id.as_ref() == Some(id))
            && token_id.as_ref().is_none_or(by_or_of)
            && action.as_ref().is_none_or(|action| entry.action == *action)
            && from.is_none_or(|from| entry.at >= from)
            && to.is_none_or(|to| entry.at < to)
    }
}
