//! Commands on one endpoint, and the pure decision for each.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::endpoint::{
    DisabledReason, Endpoint, EndpointSettings, EndpointState, PreviousSecret, SECRET_OVERLAP,
};
use crate::access::{Actor, AuditEntry};
use crate::command::{Idempotency, UsedKey};
use crate::event::{Event, EventId, EventType};
use crate::id::EndpointId;
use crate::key::SealedSecret;

/// A command on one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointCommand {
    /// Replaces the settings.
    Set(EndpointSettings),
    /// Enables the endpoint. Queued deliveries are due at once.
    Enable,
    /// Disables the endpoint.
    Disable,
    /// Replaces the secret; the old one also signs for [`SECRET_OVERLAP`].
    RotateSecret(SealedSecret),
    /// Sends a `webhook_endpoint.test`. The endpoint must be enabled.
    Test,
}

/// The inputs of a decision other than the endpoint and the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointContext {
    /// The time of the call.
    pub now: DateTime<Utc>,
    /// The actor for the audit; `None` writes no entry.
    pub by: Option<Arc<Actor>>,
    /// The idempotency key of the request, if any. It must be stored in the commit of the change.
    pub idempotency: Option<Idempotency>,
}

/// The outcome of an endpoint command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointOutcome {
    /// Done; the endpoint after the command.
    Done(Box<Endpoint>),
    /// Done by an earlier request with the same idempotency key, which caused this event.
    Repeated(EventId),
    /// Refused, because the endpoint is disabled.
    Disabled,
    /// Refused, because the idempotency key was used for another request.
    KeyReused,
    /// No endpoint has this id.
    NotFound,
}

/// The result of an endpoint decision.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointDecision {
    /// The answer.
    pub outcome: EndpointOutcome,
    /// Changes to write before answering, if any.
    pub changes: Option<EndpointChanges>,
}

/// The changes of one endpoint command, written in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointChanges {
    /// The new endpoint.
    pub endpoint: Endpoint,
    /// The event to append, if any.
    pub event: Option<Event>,
    /// Whether pending deliveries, except leased ones, become due.
    pub makes_due: bool,
    /// The audit entry to add.
    pub audit: Option<AuditEntry>,
    /// The idempotency key to add, with the event.
    pub idempotency: Option<Idempotency>,
}

/// An endpoint to create, with the audit entry for the same commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The audit entry to add.
    pub audit: Option<AuditEntry>,
}

impl NewEndpoint {
    /// Creates an endpoint on behalf of `by`. Pure.
    #[must_use]
    pub fn new(endpoint: Endpoint, by: Option<&Actor>) -> Self {
        let audit = by.map(|by| {
            let changes =
                fields(&endpoint).into_iter().map(|(name, after)| change(name, &Value::Null, &after));
            let changes = changes.collect();
            let action = "webhook_endpoint.create";
            AuditEntry::of_endpoint(action, &endpoint.id, changes, by, endpoint.created_at)
        });
        Self { endpoint, audit }
    }
}

/// Returns the audit entry of a deletion.
#[must_use]
pub fn endpoint_deleted(id: &EndpointId, by: &Actor, at: DateTime<Utc>) -> AuditEntry {
    AuditEntry::of_endpoint("webhook_endpoint.delete", id, Map::new(), by, at)
}

/// Returns the audit entry of a replay: of one event, or of all events since a time.
#[must_use]
pub fn events_replayed(id: &EndpointId, what: &ReplayedEvents, by: &Actor, at: DateTime<Utc>) -> AuditEntry {
    let replayed = match what {
        ReplayedEvents::One(event) => change("event_id", &Value::Null, &event.to_string().into()),
        ReplayedEvents::Since(since) => change("since", &Value::Null, &json!(since)),
    };
    AuditEntry::of_endpoint("webhook_endpoint.replay", id, [replayed].into_iter().collect(), by, at)
}

/// The events of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayedEvents {
    /// One event.
    One(EventId),
    /// All events at or after a time.
    Since(DateTime<Utc>),
}

/// Decides a command. Pure. `used_key` is the earlier request with the key of the context, if any.
#[must_use]
pub fn decide_endpoint(
    mut endpoint: Endpoint,
    used_key: Option<&UsedKey>,
    command: &EndpointCommand,
    context: &EndpointContext,
) -> EndpointDecision {
    let refused = |outcome| EndpointDecision { outcome, changes: None };
    if let (Some(asked), Some(used)) = (&context.idempotency, used_key) {
        return refused(if asked.request == used.request {
            EndpointOutcome::Repeated(used.event.clone())
        } else {
            EndpointOutcome::KeyReused
        });
    }
    let (now, before) = (context.now, endpoint.clone());
    let mut event = None;
    match command {
        EndpointCommand::Set(settings) => endpoint.settings.clone_from(settings),
        EndpointCommand::Enable => {
            endpoint.state = EndpointState::Enabled;
            endpoint.failing = None;
        }
        EndpointCommand::Disable => endpoint.disable(DisabledReason::Admin, now),
        EndpointCommand::RotateSecret(sealed) => {
            let before = std::mem::replace(&mut endpoint.secret, sealed.clone());
            endpoint.previous_secret = Some(PreviousSecret { sealed: before, until: now + SECRET_OVERLAP });
        }
        EndpointCommand::Test if endpoint.is_enabled() => {
            event = Some(endpoint.emit(EventType::EndpointTest, json!({}), now));
        }
        EndpointCommand::Test => return refused(EndpointOutcome::Disabled),
    }
    let audit = context.by.as_ref().and_then(|by| audit(&before, &endpoint, command, by, now));
    if event.is_none() {
        endpoint.updated_at = now;
    }
    let makes_due = endpoint.is_enabled() && !before.is_enabled();
    let (outcome, idempotency) = (EndpointOutcome::Done(Box::new(endpoint.clone())), context.idempotency);
    let changes = EndpointChanges { endpoint, event, makes_due, audit, idempotency };
    EndpointDecision { outcome, changes: Some(changes) }
}

/// Creates the entry of a command, unless it changed nothing.
fn audit(
    before: &Endpoint,
    after: &Endpoint,
    command: &EndpointCommand,
    by: &Actor,
    at: DateTime<Utc>,
) -> Option<AuditEntry> {
    let action = match command {
        EndpointCommand::Set(_) => "webhook_endpoint.change",
        EndpointCommand::Enable => "webhook_endpoint.enable",
        EndpointCommand::Disable => "webhook_endpoint.disable",
        EndpointCommand::RotateSecret(_) => "webhook_endpoint.rotate_secret",
        EndpointCommand::Test => "webhook_endpoint.test",
    };
    let pairs = fields(before).into_iter().zip(fields(after));
    let changes = pairs.filter(|(before, after)| before != after);
    let mut changes: Map<_, _> =
        changes.map(|((name, before), (_, after))| change(name, &before, &after)).collect();
    let (before_url, url) = (&before.settings.url, &after.settings.url);
    if before_url != url {
        changes.extend([change("url", &shown_url(before_url), &shown_url(url))]);
    }
    (before != after).then(|| AuditEntry::of_endpoint(action, &after.id, changes, by, at))
}

/// Returns the audited fields. Secrets are left out.
fn fields(endpoint: &Endpoint) -> [(&'static str, Value); 5] {
    let EndpointSettings { url, events, description, skip_job_events } = &endpoint.settings;
    [
        ("url", shown_url(url)),
        ("events", json!(events.as_strs())),
        ("description", json!(description)),
        ("enabled", json!(endpoint.is_enabled())),
        ("skip_job_events", json!(skip_job_events)),
    ]
}

fn change(name: &str, before: &Value, after: &Value) -> (String, Value) {
    (name.to_owned(), json!({ "before": before, "after": after }))
}

/// Returns scheme, host and port of a URL. The rest is left out, because for many receivers the user, the
/// path or the query is a credential.
fn shown_url(url: &str) -> Value {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_not_shown() {
        for (url, shown) in [
            ("https://example.com/hook", "https://example.com"),
            ("https://me:pass@example.com:8443/T0/B0/token?key=s#x", "https://example.com:8443"),
            ("https://me:p@ss@example.com?key=s", "https://example.com"),
            ("https://example.com\\@secret", "https://example.com"),
            ("http://[::1]:80#secret", "http://[::1]:80"),
            ("me:secret@host", "://host"),
        ] {
            assert_eq!(shown_url(url), shown, "{url}");
        }
    }
}
