//! API tokens for administrative access: names, scopes and states.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::audit::{Actor, AuditEntry};
use super::scope::{Scope, Scopes};
use super::secret::{SecretKind, TokenDigest};
use crate::id::TokenId;
use crate::limits;
use crate::text_enum::text_enum;
use crate::text_value::text_value;

/// The name of a token, for people: 1 to 100 bytes without control characters and surrounding spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenName(String);

impl TokenName {
    /// Parses a name.
    ///
    /// # Errors
    /// Returns [`TokenNameError`] if the form is wrong.
    pub fn parse(text: &str) -> Result<Self, TokenNameError> {
        let well_formed = (1..=limits::TOKEN_NAME_BYTES).contains(&text.len())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(TokenNameError) }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(TokenName, TokenNameError);

/// The text is not a token name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token name must have 1 to {} bytes, no control characters and no surrounding spaces",
    limits::TOKEN_NAME_BYTES
)]
pub struct TokenNameError;

/// A session ends after this time without a request, which is measured to about a minute.
pub const SESSION_IDLE: TimeDelta = TimeDelta::hours(1);

/// What a stored token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An API token, sent with each call.
    Api,
    /// The session of a person, opened with the API token that has this id.
    Session(TokenId),
    /// A link that opens one session of the API token that has this id.
    Link(TokenId),
}

impl TokenKind {
    /// Returns `api`, `session` or `link`, as in databases and JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Session(_) => "session",
            Self::Link(_) => "link",
        }
    }

    /// Returns the id of the API token to which a session or link belongs.
    #[must_use]
    pub fn parent(&self) -> Option<&TokenId> {
        match self {
            Self::Api => None,
            Self::Session(parent) | Self::Link(parent) => Some(parent),
        }
    }

    /// Parses the stored form. Returns `None` if the parts do not match.
    #[must_use]
    pub fn from_stored(kind: &str, parent: Option<TokenId>) -> Option<Self> {
        match (kind, parent) {
            ("api", None) => Some(Self::Api),
            ("session", Some(parent)) => Some(Self::Session(parent)),
            ("link", Some(parent)) => Some(Self::Link(parent)),
            _ => None,
        }
    }

    /// Returns the kind of its secret.
    pub(crate) fn secret(&self) -> SecretKind {
        match self {
            Self::Api => SecretKind::Token,
            Self::Session(_) => SecretKind::Session,
            Self::Link(_) => SecretKind::Link,
        }
    }
}

/// Stored data of a token, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// The id.
    pub id: TokenId,
    /// The digest that finds the token.
    pub digest: TokenDigest,
    /// The name.
    pub name: TokenName,
    /// The scopes.
    pub scopes: Scopes,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of the last use, to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Expired from this time on; `None` is never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Time of revocation, which is permanent.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Whether it is an API token, a session or a link.
    pub kind: TokenKind,
}

text_enum! {
    /// The state of a token.
    TokenState {
        /// It grants access.
        Active = "active",
        /// It has expired.
        Expired = "expired",
        /// It was revoked.
        Revoked = "revoked",
    }
}

impl ApiToken {
    /// Creates an unused token that never expires.
    #[must_use]
    pub fn new(
        id: TokenId,
        digest: TokenDigest,
        name: TokenName,
        scopes: Scopes,
        now: DateTime<Utc>,
    ) -> Self {
        let (last_used_at, expires_at, revoked_at) = (None, None, None);
        let kind = TokenKind::Api;
        Self { id, digest, name, scopes, created_at: now, last_used_at, expires_at, revoked_at, kind }
    }

    /// Returns whether a session had no request for [`SESSION_IDLE`] before `now`.
    #[must_use]
    pub fn is_idle(&self, now: DateTime<Utc>) -> bool {
        let last_used = self.last_used_at.unwrap_or(self.created_at);
        matches!(self.kind, TokenKind::Session(_)) && last_used + SESSION_IDLE <= now
    }

    /// Returns the state at `now`. The token is expired from `expires_at` on, and a session also when it is
    /// idle.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> TokenState {
        if self.revoked_at.is_some() {
            TokenState::Revoked
        } else if self.expires_at.is_some_and(|at| at <= now) || self.is_idle(now) {
            TokenState::Expired
        } else {
            TokenState::Active
        }
    }
}

/// A token to create, with the audit entry for the same commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewToken {
    /// The token.
    pub token: ApiToken,
    /// The audit entry.
    pub audit: AuditEntry,
}

impl NewToken {
    /// Creates a token on behalf of `by`. Pure.
    #[must_use]
    pub fn new(token: ApiToken, by: &Actor) -> Self {
        let ApiToken { id, name, scopes, expires_at, .. } = &token;
        let changes = json!({
            "name": { "before": null, "after": name.as_str() },
            "scopes": { "before": null, "after": scopes.iter().map(Scope::as_str).collect::<Vec<_>>() },
            "expires_at": { "before": null, "after": expires_at },
        });
        let audit = AuditEntry::of_token("token.create", id, changes, by, token.created_at);
        Self { token, audit }
    }
}

/// The changes of a revocation.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRevocation {
    /// The revoked token.
    pub token: ApiToken,
    /// The audit entry.
    pub audit: AuditEntry,
}

/// Decides a revocation. Pure. Returns `None` if the token is already revoked, so that callers can retry.
#[must_use]
pub fn revoke(token: &ApiToken, by: &Actor, now: DateTime<Utc>) -> Option<TokenRevocation> {
    if token.revoked_at.is_some() {
        return None;
    }
    let token = ApiToken { revoked_at: Some(now), ..token.clone() };
    let changes = json!({ "revoked_at": { "before": null, "after": now } });
    let action = match token.kind {
        TokenKind::Api => "token.revoke",
        TokenKind::Session(_) => "session.end",
        TokenKind::Link(_) => "link.revoke",
    };
    let audit = AuditEntry::of_token(action, &token.id, changes, by, now);
    Some(TokenRevocation { token, audit })
}

/// A use of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// The token.
    pub id: TokenId,
    /// The time of the use.
    pub at: DateTime<Utc>,
}

impl TokenUse {
    /// Maximum time until a use reaches the store. A stored use that is later by more was recorded by a wrong
    /// clock.
    pub const MAX_DELAY: TimeDelta = TimeDelta::hours(1);

    /// Returns the time of the last use after this one, if the stored one is `last`.
    #[must_use]
    pub fn or_later(&self, last: Option<DateTime<Utc>>) -> DateTime<Utc> {
        last.filter(|last| *last > self.at && *last - self.at <= Self::MAX_DELAY).unwrap_or(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let longest = "x".repeat(limits::TOKEN_NAME_BYTES);
        for good in ["a", "CI für Büro 7", &longest] {
            assert_eq!(TokenName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", " a", "a ", "a\n", "a\0", &format!("{longest}x")] {
            assert_eq!(TokenName::parse(bad), Err(TokenNameError), "{bad:?}");
        }
    }
}
