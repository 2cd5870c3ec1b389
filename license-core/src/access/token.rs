//! API tokens for administrative access: names, scopes and states.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::audit::{Actor, AuditEntry};
use super::scope::{Scope, Scopes};
use super::secret::TokenDigest;
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
        Self { id, digest, name, scopes, created_at: now, last_used_at, expires_at, revoked_at }
    }

    /// Returns the state at `now`. The token is expired from `expires_at` on.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> TokenState {
        if self.revoked_at.is_some() {
            TokenState::Revoked
        } else if self.expires_at.is_some_and(|at| at <= now) {
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
    let audit = AuditEntry::of_token("token.revoke", &token.id, changes, by, now);
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
