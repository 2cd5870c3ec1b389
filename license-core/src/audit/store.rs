//! The port of the audit.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Actor;
use super::{AuditEntry, AuditFilter, Audited, Erasure};
use crate::store::{Page, PageRequest, StoreError};
use crate::token::{ApiToken, NewToken, TokenDigest, TokenId, TokenStore, TokenUse};

/// Reads the audit. It is written by others: with the license
/// ([`Changes::audit`](crate::command::Changes), [`NewLicense::audit`](crate::command::NewLicense)) and with the token, in one
/// commit each. Nothing changes an entry but [`erase_customer`](Self::erase_customer), and nothing removes one but its age.
#[async_trait]
pub trait AuditStore: fmt::Debug + Send + Sync + 'static {
    /// Entries that pass the filter, newest first (by number, downwards). The cursor is the last number of a page.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError>;

    /// Removes entries of before that moment, `limit` of them at most, oldest first; how many.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn forget_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;

    /// Replaces a customer's address in all entries, and in the events of licenses that entries with it are of; metadata goes from
    /// the entries of those licenses up to the last one with the address. Adds `entry`, in the same commit.
    ///
    /// What the customer's licenses themselves have is erased by [`Command::Anonymise`](crate::command::Command) of each.
    ///
    /// # Errors
    /// As all methods: [`StoreError`].
    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError>;
}

/// Tokens and the audit: what knows who may call, and what they did.
pub trait AccessStore: TokenStore + AuditStore {}

impl<S: TokenStore + AuditStore + ?Sized> AccessStore for S {}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    async fn create_token(&self, new: &NewToken) -> Result<(), StoreError> {
        (**self).create_token(new).await
    }
    async fn revoke_token(
        &self,
        id: &TokenId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        (**self).revoke_token(id, by, now).await
    }
    async fn token_by_digest(
        &self,
        digest: &TokenDigest,
        now: DateTime<Utc>,
    ) -> Result<Option<ApiToken>, StoreError> {
        (**self).token_by_digest(digest, now).await
    }
    async fn token(&self, id: &TokenId) -> Result<Option<ApiToken>, StoreError> {
        (**self).token(id).await
    }
    async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, StoreError> {
        (**self).tokens(page).await
    }
    async fn note_token_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        (**self).note_token_uses(uses).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: AuditStore + ?Sized> AuditStore for Arc<S> {
    async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, StoreError> {
        (**self).audit(filter, page).await
    }
    async fn forget_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        (**self).forget_audit(before, limit).await
    }
    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<(), StoreError> {
        (**self).erase_customer(erasure, entry).await
    }
}
