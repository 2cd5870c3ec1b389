//! The storage port of API tokens.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::access::{Actor, ApiToken, NewToken, TokenDigest, TokenId, TokenUse};

/// Stores API tokens. A program with its own authorisation does not need this port.
///
/// A created or revoked token is announced by the [change stream](crate::store::ChangeNotice::TokenChanged)
/// after the commit.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a new token and its audit entry.
    ///
    /// # Errors
    /// Returns [`StoreError::AlreadyExists`] if the id or the digest is taken; nothing is written.
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError>;

    /// Revokes a token, as [`revoke`](crate::access::revoke) decides, and writes the audit entry. Returns the
    /// token, or `None` if there is none with this id.
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
}
