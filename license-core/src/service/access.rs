//! API tokens and the audit log.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::clock_and_rng::ClockAndRng;
use crate::access::{
    Actor, ApiToken, AuditEntry, AuditFilter, Audited, NewToken, Principal, Scope, Scopes, SecretKind,
    TokenDigest, TokenId, TokenName, TokenSecret, TokenState,
};
use crate::clock::whole_micros;
use crate::error::{Resource, ServiceError};
use crate::license::LicenseId;
use crate::store::{AuditStore, LicenseStore, Page, PageRequest, StoreError, TokenStore};

/// Name of the setting that holds the digest of the first token.
const FIRST_TOKEN: &str = "admin_token";
const FIRST_TOKEN_NAME: &str = "first admin token";
/// Audit entries deleted in one transaction.
const PRUNE_BATCH: u32 = 500;

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Identity, for the audit log.
    pub principal: Principal,
    /// Scopes of the caller.
    pub scopes: Scopes,
}

/// A token to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSpec {
    /// Display name.
    pub name: TokenName,
    /// Scopes.
    pub scopes: Scopes,
    /// When it expires.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Creates, checks and revokes API tokens, and reads the audit log.
///
/// A caller cannot create or revoke a token with scopes it does not hold. Revocation is permanent. Every
/// method returns [`ServiceError::Store`] if the store fails.
#[derive(Clone, Debug)]
pub struct AccessService {
    pub(super) tokens: Arc<dyn TokenStore>,
    audit: Arc<dyn AuditStore>,
    settings: Arc<dyn LicenseStore>,
    pub(super) sources: Arc<ClockAndRng>,
}

impl AccessService {
    /// Creates the service.
    pub fn new(
        tokens: Arc<dyn TokenStore>,
        audit: Arc<dyn AuditStore>,
        settings: Arc<dyn LicenseStore>,
        sources: Arc<ClockAndRng>,
    ) -> Self {
        Self { tokens, audit, settings, sources }
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.sources.now()
    }

    /// Creates a token. The audit names `by`, and the scopes must be among `allowed`. Only this call
    /// returns the secret.
    ///
    /// # Errors
    /// Returns [`ServiceError::LacksScope`] if `allowed` lacks a scope, [`ServiceError::TokenWithoutScopes`]
    /// if there is none, and [`ServiceError::TokenExpiryInPast`] if `expires_at` is not in the future.
    pub async fn create(
        &self,
        spec: &TokenSpec,
        allowed: Scopes,
        by: &Actor,
    ) -> Result<(ApiToken, TokenSecret), ServiceError> {
        let now = self.now();
        let TokenSpec { name, scopes, expires_at } = spec;
        if scopes.is_empty() {
            return Err(ServiceError::TokenWithoutScopes);
        }
        if let Some(scope) = allowed.missing_scope(*scopes) {
            return Err(ServiceError::LacksScope(scope));
        }
        let expires_at = expires_at.map(whole_micros);
        if expires_at.is_some_and(|at| at <= now) {
            return Err(ServiceError::TokenExpiryInPast);
        }
        let (id, secret) =
            self.sources.with_rng(|rng| Ok((TokenId::generate(now, rng)?, TokenSecret::generate(rng)?)))?;
        let token = ApiToken::new(id, secret.digest(), name.clone(), *scopes, now);
        let token = ApiToken { expires_at, ..token };
        self.tokens.create_token(&NewToken::new(token.clone(), by)).await?;
        Ok((token, secret))
    }

    /// Creates the first token of a database, [`TokenId::first`] with the scope admin, unless it exists. A
    /// revoked one stays revoked. If several nodes start at once, one of them gets the secret.
    ///
    /// # Errors
    /// Returns [`ServiceError::Rng`] if the generator fails.
    pub async fn first_token(&self) -> Result<FirstToken, ServiceError> {
        let secret = self.sources.with_rng(|rng| TokenSecret::generate(rng))?;
        let stored = self.settings.put_if_absent(FIRST_TOKEN, secret.digest().as_bytes()).await?;
        let digest = <[u8; 32]>::try_from(stored).map_err(|_| StoreError::Corrupt {
            table: "settings",
            column: "value",
            id: FIRST_TOKEN.to_owned(),
            source: "not a digest".into(),
        })?;
        let digest = TokenDigest::from_bytes(digest);
        let created = digest == secret.digest();
        let name = TokenName::parse(FIRST_TOKEN_NAME)
            .map_err(|error| StoreError::Unavailable { source: error.into() })?;
        let token = ApiToken::new(TokenId::first(), digest, name, Scope::Admin.into(), self.now());
        match self.tokens.create_token(&NewToken::new(token, &Actor::new(Principal::System))).await {
            Ok(()) | Err(StoreError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(if created { FirstToken::Created(secret) } else { FirstToken::Existing })
    }

    /// Checks an API token as received. Malformed text is answered without a query. Sessions and links are
    /// unknown here.
    pub async fn check(&self, typed: &str) -> Result<Checked, StoreError> {
        self.check_kind(typed, SecretKind::Token).await
    }

    pub(super) async fn check_kind(&self, typed: &str, kind: SecretKind) -> Result<Checked, StoreError> {
        let Some(digest) = TokenSecret::digest_of_kind(kind, typed) else { return Ok(Checked::Unknown) };
        let now = self.now();
        let found = self.tokens.find_token_by_digest(&digest).await?;
        // Guards against a store that returns another token.
        let found = found.filter(|token| token.digest == digest && token.kind.secret() == kind);
        let Some(token) = found else { return Ok(Checked::Unknown) };
        Ok(match token.state(now) {
            TokenState::Active => Checked::Active(token),
            TokenState::Expired => Checked::Expired,
            TokenState::Revoked => Checked::Revoked,
        })
    }

    /// Returns the token with this id.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is none.
    pub async fn token(&self, id: &TokenId) -> Result<ApiToken, ServiceError> {
        self.tokens.get_token(id).await?.ok_or(ServiceError::NotFound(Resource::Token))
    }

    /// Lists all tokens, newest first.
    pub async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, ServiceError> {
        Ok(self.tokens.list_tokens(page).await?)
    }

    /// Revokes a token, permanently, and ends its sessions and links. After it returns, this node rejects
    /// them.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is none, and [`ServiceError::LacksScope`] if
    /// `allowed` lacks a scope of the token.
    pub async fn revoke(&self, id: &TokenId, allowed: Scopes, by: &Actor) -> Result<ApiToken, ServiceError> {
        // Scopes of a token never change, so reading them before the lock is safe.
        if let Some(scope) = allowed.missing_scope(self.token(id).await?.scopes) {
            return Err(ServiceError::LacksScope(scope));
        }
        self.tokens.revoke_token(id, by, self.now()).await?.ok_or(ServiceError::NotFound(Resource::Token))
    }

    /// Lists audit entries, newest first.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, ServiceError> {
        Ok(self.audit.list_audit(filter, page).await?)
    }

    /// Records that a person was shown the key of a license.
    pub async fn audit_shown_key(&self, id: &LicenseId, by: &Actor) -> Result<(), ServiceError> {
        Ok(self.audit.add_audit(&AuditEntry::of_shown_key(id, by, self.now())).await?)
    }

    /// Deletes audit entries older than `days`, a batch per call. Call repeatedly until it returns 0. Take
    /// `now` from [`ClockService::plausible_now`](super::ClockService::plausible_now).
    pub async fn prune_audit(&self, days: u32, now: DateTime<Utc>) -> Result<u64, ServiceError> {
        let before = now - TimeDelta::days(days.into());
        Ok(self.audit.prune_audit(before, PRUNE_BATCH).await?)
    }
}

/// Result of [`AccessService::first_token`].
#[derive(Debug)]
pub enum FirstToken {
    /// The token was created now. Show its secret once.
    Created(TokenSecret),
    /// The token was created by an earlier start or another node.
    Existing,
}

/// Result of checking a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The token is valid.
    Active(ApiToken),
    /// The token has expired.
    Expired,
    /// The token was revoked.
    Revoked,
    /// No such token exists.
    Unknown,
}
