//! The storage port of API tokens.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::access::{Actor, ApiToken, NewLink, NewSession, NewToken, TokenDigest, TokenId, TokenUse};

/// Stores API tokens, their sessions and their one-time links. A program with its own authorisation does not
/// need this port.
///
/// A created or revoked token, session or link is announced by the [change
/// stream](crate::store::ChangeNotice::TokenChanged) after the commit.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a new token and its audit entry.
    ///
    /// # Errors
    /// Returns [`StoreError::AlreadyExists`] if the id or the digest is taken; nothing is written.
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError>;

    /// Revokes a token, as [`revoke`](crate::access::revoke) decides, and writes the audit entry. Sessions
    /// and links of the token that are not revoked are revoked in the same commit, at the same time. Returns
    /// the token, or `None` if there is none with this id.
    async fn revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError>;

    /// Finds a token by its digest, also if it is expired or revoked.
    async fn find_token_by_digest(&self, digest: &TokenDigest) -> Result<Option<ApiToken>, StoreError>;

    /// Returns the token with this id.
    async fn get_token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError>;

    /// Lists all tokens, newest first (by descending id). The cursor is the last id of a page.
    async fn list_tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError>;

    /// Records when tokens were last used. [`TokenUse::or_later`] decides which time is stored.
    /// Unknown tokens are ignored.
    async fn record_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError>;

    /// Creates a one-time link, as [`NewLink::decide`] decides while its parent is locked, and writes the
    /// audit entry. Returns the link, or `None` if nothing was created.
    ///
    /// # Errors
    /// Returns [`StoreError::AlreadyExists`] if the id or the digest is taken; nothing is written.
    async fn create_link(&self, new: &NewLink) -> Result<Option<ApiToken>, StoreError>;

    /// Opens a session, as [`NewSession::decide`] decides while its parent and the link are locked, uses up
    /// the link, and writes the audit entry. Returns the session, or `None` if nothing was opened.
    ///
    /// # Errors
    /// Returns [`StoreError::AlreadyExists`] if the id or the digest is taken; nothing is written.
    async fn open_session(&self, new: &NewSession) -> Result<Option<ApiToken>, StoreError>;

    /// Deletes sessions and links that were created before a moment, at most `limit`, and returns their
    /// number. API tokens are not deleted.
    async fn prune_sessions(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
}
