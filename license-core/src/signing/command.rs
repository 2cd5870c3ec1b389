//! Commands on the signing keys, and the pure decision for each.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

use super::{KEY_TOKEN_LIFETIME, PublicKey, SigningKey, SigningKeyId, SigningKeySet, SigningKeyState};
use crate::access::{Actor, AuditEntry};
use crate::key::SealedSecret;

/// A key that a command adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSigningKey {
    /// The public key.
    pub public: PublicKey,
    /// The private key, sealed for the id of the public key.
    pub sealed: SealedSecret,
}

/// A command on the signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SigningKeyCommand {
    /// Adds the first two keys, if there are none. Not audited.
    Start {
        /// The key that signs.
        active: NewSigningKey,
        /// The key that follows it.
        next: NewSigningKey,
    },
    /// Makes the next key active, and the active one retiring.
    Rotate {
        /// The new next key.
        next: NewSigningKey,
        /// Whether to rotate although tokens of an earlier key are in use.
        force: bool,
    },
    /// Revokes a key. If it is the active one, the next key becomes active.
    Revoke {
        /// The id of the key.
        id: SigningKeyId,
        /// The new next key, if the active or the next one is revoked.
        next: NewSigningKey,
    },
    /// Makes a key from elsewhere the next one, in place of the present one.
    Import(NewSigningKey),
    /// Retires the keys whose tokens have all ended. Not audited.
    Retire,
}

/// The inputs of a decision other than the keys and the command.
#[derive(Clone, Debug)]
pub struct SigningKeyContext {
    /// The time of the call, in whole microseconds.
    pub now: DateTime<Utc>,
    /// The actor for the audit; `None` writes no entry.
    pub by: Option<Arc<Actor>>,
}

/// The reason why a command on the signing keys is denied. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyDenial {
    /// No key has this id.
    #[error("There is no signing key {id}.")]
    NotFound {
        /// The id.
        id: SigningKeyId,
    },
    /// Tokens of an earlier key are in use.
    #[error(
        "Tokens of the retiring key {id} are in use until {}. Software that was offline since the last rotation \
         may not know the key that would become active.",
        until.to_rfc3339_opts(SecondsFormat::Secs, true)
    )]
    StillRetiring {
        /// The id of the earlier key.
        id: SigningKeyId,
        /// The end of its last token.
        until: DateTime<Utc>,
    },
    /// The imported key is there already.
    #[error("The signing key {id} is there already; it is {state}.")]
    Exists {
        /// The id.
        id: SigningKeyId,
        /// Its state.
        state: SigningKeyState,
    },
}

/// The outcome of a command on the signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKeyOutcome {
    /// Executed; the keys as they are now, possibly unchanged.
    Done(Arc<SigningKeySet>),
    /// Denied by a rule; nothing changed.
    Denied(SigningKeyDenial),
}

/// The result of a decision on the signing keys.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKeyDecision {
    /// The answer.
    pub outcome: SigningKeyOutcome,
    /// Changes to write before answering, if any.
    pub changes: Option<SigningKeyChanges>,
}

/// The changes of one command, written in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKeyChanges {
    /// The keys after the command.
    pub set: Arc<SigningKeySet>,
    /// The keys to add or to replace.
    pub keys: Vec<SigningKey>,
    /// The audit entry to add.
    pub audit: Option<AuditEntry>,
}

/// Decides a command. Pure.
#[must_use]
pub fn decide_signing_keys(
    before: &Arc<SigningKeySet>,
    command: &SigningKeyCommand,
    context: &SigningKeyContext,
) -> SigningKeyDecision {
    let mut draft = Draft { before, context, changed: Vec::new() };
    if let Err(denial) = draft.run(command) {
        return SigningKeyDecision { outcome: SigningKeyOutcome::Denied(denial), changes: None };
    }
    if draft.changed.is_empty() {
        return SigningKeyDecision { outcome: SigningKeyOutcome::Done(Arc::clone(before)), changes: None };
    }
    let set = Arc::new(before.with(&draft.changed));
    let audit = draft.audit(command);
    let changes = SigningKeyChanges { set: Arc::clone(&set), keys: draft.changed, audit };
    SigningKeyDecision { outcome: SigningKeyOutcome::Done(set), changes: Some(changes) }
}

struct Draft<'a> {
    before: &'a SigningKeySet,
    context: &'a SigningKeyContext,
    changed: Vec<SigningKey>,
}

impl Draft<'_> {
    fn run(&mut self, command: &SigningKeyCommand) -> Result<(), SigningKeyDenial> {
        match command {
            SigningKeyCommand::Start { active, next } => {
                if self.before.keys().is_empty() {
                    self.add(active);
                    self.activate_added();
                    self.add(next);
                }
            }
            SigningKeyCommand::Rotate { next, force } => {
                self.retire_ended();
                if !force {
                    self.refuse_while_retiring()?;
                }
                self.replace(SigningKeyState::Active, SigningKeyState::Retiring);
                self.keep_for_learners();
                self.activate_next();
                self.add(next);
            }
            SigningKeyCommand::Revoke { id, next } => self.revoke(id, next)?,
            SigningKeyCommand::Import(key) => {
                let id = key.public.id();
                if let Some(SigningKey { state, .. }) = self.before.get(&id) {
                    return Err(SigningKeyDenial::Exists { id, state: *state });
                }
                self.replace(SigningKeyState::Next, SigningKeyState::Retired);
                self.add(key);
            }
            SigningKeyCommand::Retire => self.retire_ended(),
        }
        Ok(())
    }

    fn revoke(&mut self, id: &SigningKeyId, next: &NewSigningKey) -> Result<(), SigningKeyDenial> {
        let key = self.before.get(id).ok_or_else(|| SigningKeyDenial::NotFound { id: id.clone() })?;
        let state = key.state;
        if state == SigningKeyState::Revoked {
            return Ok(());
        }
        let replaced_at = key.replaced_at.or(Some(self.context.now));
        self.put(SigningKey { state: SigningKeyState::Revoked, replaced_at, ..key.clone() });
        match state {
            SigningKeyState::Active => {
                self.activate_next();
                self.add(next);
            }
            SigningKeyState::Next => self.add(next),
            SigningKeyState::Retiring | SigningKeyState::Retired | SigningKeyState::Revoked => {}
        }
        Ok(())
    }

    fn refuse_while_retiring(&self) -> Result<(), SigningKeyDenial> {
        let now = self.context.now;
        let retiring = |key: &&SigningKey| key.state == SigningKeyState::Retiring && key.has_tokens(now);
        match self.before.keys().iter().filter(retiring).max_by_key(|key| key.signed_until) {
            Some(SigningKey { id, signed_until: Some(until), .. }) => {
                Err(SigningKeyDenial::StillRetiring { id: id.clone(), until: *until })
            }
            _ => Ok(()),
        }
    }

    fn retire_ended(&mut self) {
        let now = self.context.now;
        let ended = |key: &&SigningKey| key.state == SigningKeyState::Retiring && !key.has_tokens(now);
        for key in self.before.keys().iter().filter(ended) {
            self.put(SigningKey { state: SigningKeyState::Retired, ..key.clone() });
        }
    }

    /// Moves the keys of one state to another, in which they sign no more.
    fn replace(&mut self, from: SigningKeyState, to: SigningKeyState) {
        for key in self.before.keys().iter().filter(|key| key.state == from) {
            self.put(SigningKey { state: to, replaced_at: Some(self.context.now), ..key.clone() });
        }
    }

    /// Keeps the keys that were replaced retiring for as long as software learns from their key tokens.
    fn keep_for_learners(&mut self) {
        let until = self.context.now + KEY_TOKEN_LIFETIME;
        for key in self.changed.iter_mut().filter(|key| key.state == SigningKeyState::Retiring) {
            key.signed_until = key.signed_until.max(Some(until));
        }
    }

    fn activate_next(&mut self) {
        let next = self.before.keys().iter().find(|key| key.state == SigningKeyState::Next);
        if let Some(key) = next {
            let (state, activated_at) = (SigningKeyState::Active, Some(self.context.now));
            self.put(SigningKey { state, activated_at, ..key.clone() });
        }
    }

    fn activate_added(&mut self) {
        if let Some(added) = self.changed.last_mut() {
            (added.state, added.activated_at) = (SigningKeyState::Active, Some(self.context.now));
        }
    }

    fn add(&mut self, NewSigningKey { public, sealed }: &NewSigningKey) {
        self.put(SigningKey {
            id: public.id(),
            public: *public,
            sealed: sealed.clone(),
            state: SigningKeyState::Next,
            created_at: self.context.now,
            activated_at: None,
            replaced_at: None,
            signed_until: None,
        });
    }

    fn put(&mut self, key: SigningKey) {
        self.changed.retain(|changed| changed.id != key.id);
        self.changed.push(key);
    }

    /// The states before and after, by the id of the key.
    fn audit(&self, command: &SigningKeyCommand) -> Option<AuditEntry> {
        let action = match command {
            SigningKeyCommand::Rotate { .. } => "signing_key.rotate",
            SigningKeyCommand::Revoke { .. } => "signing_key.revoke",
            SigningKeyCommand::Import(_) => "signing_key.import",
            SigningKeyCommand::Start { .. } | SigningKeyCommand::Retire => return None,
        };
        let state = |key: &SigningKey| key.state.as_str();
        let changes = self.changed.iter().map(|key| {
            let before = self.before.get(&key.id).map(state);
            (key.id.to_string(), json!({ "before": before, "after": state(key) }))
        });
        let by = self.context.by.as_ref()?;
        Some(AuditEntry::of_signing_keys(action, changes.collect(), by, self.context.now))
    }
}

#[cfg(test)]
mod tests;
