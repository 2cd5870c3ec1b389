//! API tokens: who may administer, as what, and until when.

mod scope;
mod secret;

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rand::TryCryptoRng;

use crate::audit::{Actor, AuditEntry};
use crate::license::ordered_symbols;
use crate::limits;
use crate::store::{Page, PageRequest, StoreError};

pub use scope::{Scope, Scopes, ScopesError};
pub use secret::{TokenDigest, TokenSecret};

/// Names one token: `tok_` and 1 to 40 of `a–z 0–9`. Made ids are ordered by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(String);

const ID_PREFIX: &str = "tok_";

impl TokenId {
    /// A new id of the time `now`.
    ///
    /// # Errors
    /// That of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(now: DateTime<Utc>, rng: &mut R) -> Result<Self, R::Error> {
        let symbols = ordered_symbols(now, rng)?;
        Ok(Self(
            symbols.iter().fold(ID_PREFIX.to_owned(), |text, symbol| {
                text + char::from(*symbol).encode_utf8(&mut [0; 4])
            }),
        ))
    }

    /// The id of the token that the first start makes, which every database has one of at most.
    #[must_use]
    pub fn first() -> Self {
        Self(format!("{ID_PREFIX}first"))
    }

    /// Reads an id; `None` for a text of another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(ID_PREFIX)?;
        let well_formed = (1..=40).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a token is called, so that people know it again: 1 to 100 bytes without control characters, no spaces around.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenName(String);

impl TokenName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`TokenNameError`] when it is of another form.
    pub fn parse(text: &str) -> Result<Self, TokenNameError> {
        let well_formed = (1..=limits::TOKEN_NAME_BYTES).contains(&text.len())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(TokenNameError) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no name of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token's name has 1 to {} bytes, no control characters and no spaces around it",
    limits::TOKEN_NAME_BYTES
)]
pub struct TokenNameError;

/// What is known of a token. Not the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// Finds it.
    pub digest: TokenDigest,
    /// What it is called.
    pub name: TokenName,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<DateTime<Utc>>,
    /// From when on it lets nobody in; `None`: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked. For good.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Whether a token lets its owner in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It does.
    Active,
    /// Its time has passed.
    Expired,
    /// It was withdrawn.
    Revoked,
}

impl TokenState {
    /// `active`, `expired` or `revoked`: the form of JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl ApiToken {
    /// Whether it lets its owner in at `now`: expired from `expires_at` on, to the microsecond.
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

/// A token to keep, with the entry of the audit that goes into the same commit.
#[derive(Clone, Debug, PartialEq)]
pub struct NewToken {
    /// The token.
    pub token: ApiToken,
    /// Who made it.
    pub audit: AuditEntry,
}

impl NewToken {
    /// A token that `by` makes. Pure.
    #[must_use]
    pub fn new(token: ApiToken, by: &Actor) -> Self {
        let audit = AuditEntry::of_token("token.create", &token, by, token.created_at);
        Self { token, audit }
    }
}

/// What revoking a token writes.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRevocation {
    /// The token as it becomes.
    pub token: ApiToken,
    /// Who revoked it.
    pub audit: AuditEntry,
}

/// Decides a revocation; `None` where the token was revoked before: a caller who is not sure asks twice. Pure.
#[must_use]
pub fn revoke(token: &ApiToken, by: &Actor, now: DateTime<Utc>) -> Option<TokenRevocation> {
    if token.revoked_at.is_some() {
        return None;
    }
    let token = ApiToken { revoked_at: Some(now), ..token.clone() };
    let audit = AuditEntry::of_token("token.revoke", &token, by, now);
    Some(TokenRevocation { token, audit })
}

/// A use of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// The token.
    pub id: TokenId,
    /// When.
    pub at: DateTime<Utc>,
}

/// Keeps tokens. A port of its own: who brings an authorisation of his own needs none.
///
/// As with [`LicenseStore`](crate::store::LicenseStore), each method is one atomic operation, what was acknowledged stays, and
/// every later read sees it, on every handle to the same data. A token that was made or revoked is told by the store's change
/// feed, after the commit ([`Notice::TokenChanged`](crate::change::Notice)).
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps a new token and its entry of the audit, in one commit.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when the id or the digest is taken; nothing is written.
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError>;

    /// Revokes a token as [`revoke`] decides, exclusively, and writes the entry of the audit in the same commit. The token as it is
    /// then; `None`: there is none of that id.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError>;

    /// The token of that digest, also one that is expired or revoked. `now` is the time of the call; a store that remembers what it
    /// has read tells by it how old that is.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn token_by_digest(
        &self,
        digest: &TokenDigest,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError>;

    /// The token of that id.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError>;

    /// All tokens, also those that are expired or revoked, newest first (by id, downwards). The cursor is the last id of a page.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError>;

    /// Notes when tokens were last used; moves forward only, and of unknown tokens nothing is noted.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn note_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names() {
        for good in ["tok_a", "tok_first", &format!("tok_{}", "0".repeat(40))] {
            assert_eq!(TokenId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "tok_", "lic_a", "tok_A", "tok_a b", "tok_a\0", &format!("tok_{}", "0".repeat(41))] {
            assert_eq!(TokenId::parse(bad), None, "{bad:?}");
        }
        let longest = "x".repeat(limits::TOKEN_NAME_BYTES);
        for good in ["a", "CI für Büro 7", &longest] {
            assert_eq!(TokenName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", " a", "a ", "a\n", "a\0", &format!("{longest}x")] {
            assert_eq!(TokenName::parse(bad), Err(TokenNameError), "{bad:?}");
        }
    }
}
