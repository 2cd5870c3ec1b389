//! Who may call, and what they did: tokens and the audit, for who administers through them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use rand::TryCryptoRng;

use crate::audit::{AccessStore, Actor, AuditEntry, AuditFilter, Audited, Erasure, Who};
use crate::clock::{Clock, ErasedRng, RngError, whole_micros};
use crate::store::{Page, PageRequest, StoreError};
use crate::token::{
    ApiToken, NewToken, Scope, Scopes, TokenDigest, TokenId, TokenName, TokenSecret, TokenState,
};

/// Entries of the audit that are removed in one commit.
const FORGOTTEN_AT_ONCE: u32 = 500;

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is, for the audit.
    pub who: Who,
    /// What it may do.
    pub scopes: Scopes,
}

/// What a new token shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSpec {
    /// What it is called.
    pub name: TokenName,
    /// What it may do.
    pub scopes: Scopes,
    /// From when on it lets nobody in.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Something of tokens or of the audit was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The caller lacks a scope that the token has or shall have; nothing changed.
    #[error("this needs the scope {0}")]
    Lacks(Scope),
    /// A token without scopes may nothing; nothing was made.
    #[error("a token has at least one scope")]
    NoScopes,
    /// It would be expired from the start; nothing was made.
    #[error("a token expires in the future")]
    Expired,
    /// There is no such token.
    #[error("there is no such token")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness; nothing was made.
    #[error(transparent)]
    Rng(#[from] RngError),
}

/// Makes, checks and revokes tokens, and reads the audit.
///
/// Rules: nobody makes or revokes a token of more scopes than he has. A token that is revoked stays so.
pub struct AccessService {
    store: Arc<dyn AccessStore>,
    clock: Box<dyn Clock>,
    rng: Mutex<Box<dyn TryCryptoRng<Error = RngError> + Send>>,
}

impl fmt::Debug for AccessService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, clock, rng: _ } = self;
        f.debug_struct("AccessService").field("store", store).field("clock", clock).finish_non_exhaustive()
    }
}

impl AccessService {
    /// Over a store, with the sources of time and randomness.
    pub fn new(
        store: Arc<dyn AccessStore>,
        clock: impl Clock,
        rng: impl TryCryptoRng + Send + 'static,
    ) -> Self {
        Self { store, clock: Box::new(clock), rng: Mutex::new(Box::new(ErasedRng(rng))) }
    }

    /// The time by the service's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Makes a token for `by`, who has at least `allowed`. The secret is shown here, and never again.
    ///
    /// # Errors
    /// [`AccessError::Lacks`], [`AccessError::NoScopes`], [`AccessError::Expired`], or a fault of store or generator.
    pub async fn create(
        &self,
        spec: &TokenSpec,
        allowed: Scopes,
        by: &Actor,
    ) -> Result<(ApiToken, TokenSecret), AccessError> {
        let now = self.clock.now();
        let TokenSpec { name, scopes, expires_at } = spec;
        if scopes.is_empty() {
            return Err(AccessError::NoScopes);
        }
        if let Some(scope) = allowed.lacks_of(*scopes) {
            return Err(AccessError::Lacks(scope));
        }
        let expires_at = expires_at.map(whole_micros);
        if expires_at.is_some_and(|at| at <= now) {
            return Err(AccessError::Expired);
        }
        let (id, secret) = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            (TokenId::generate(now, &mut **rng)?, TokenSecret::generate(&mut **rng)?)
        };
        let token = ApiToken {
            id,
            digest: secret.digest(),
            name: name.clone(),
            scopes: *scopes,
            created_at: now,
            last_used_at: None,
            expires_at,
            revoked_at: None,
        };
        self.store.create_token(&NewToken::new(token.clone(), by)).await?;
        Ok((token, secret))
    }

    /// Makes sure that the first token of a database is among its tokens: [`TokenId::first`], of scope admin. Where it is there,
    /// revoked or not, nothing is done.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn adopt_first(&self, digest: TokenDigest, name: TokenName) -> Result<(), AccessError> {
        let token = ApiToken {
            id: TokenId::first(),
            digest,
            name,
            scopes: Scope::Admin.into(),
            created_at: self.clock.now(),
            last_used_at: None,
            expires_at: None,
            revoked_at: None,
        };
        match self.store.create_token(&NewToken::new(token, &Actor::new(Who::System))).await {
            Ok(()) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whoever has this token, as typed, where it lets somebody in now; else whether it ever did. A text that can be no token ends
    /// here, and no store is asked.
    ///
    /// # Errors
    /// A fault of the store: nobody knows.
    pub async fn check(&self, typed: &str) -> Result<Checked, StoreError> {
        let Some(digest) = TokenSecret::digest_of_typed(typed) else { return Ok(Checked::Unknown) };
        let now = self.clock.now();
        let Some(token) = self.store.token_by_digest(&digest, now).await? else {
            return Ok(Checked::Unknown);
        };
        // Looked up by its digest, it is of this one; a store that errs lets nobody in.
        if token.digest != digest {
            return Ok(Checked::Unknown);
        }
        Ok(match token.state(now) {
            TokenState::Active => Checked::Active(token),
            TokenState::Expired => Checked::Expired,
            TokenState::Revoked => Checked::Revoked,
        })
    }

    /// The token of that id.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] or a fault of the store.
    pub async fn token(&self, id: &TokenId) -> Result<ApiToken, AccessError> {
        self.store.token(id).await?.ok_or(AccessError::NotFound)
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn tokens(&self, page: &PageRequest<TokenId>) -> Result<Page<ApiToken, TokenId>, AccessError> {
        Ok(self.store.tokens(page).await?)
    }

    /// Revokes a token, for good; again: no change. When it returns, no call that begins here is let in by it.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], [`AccessError::Lacks`] where it has a scope that `allowed` has not, or a fault of the store.
    pub async fn revoke(&self, id: &TokenId, allowed: Scopes, by: &Actor) -> Result<ApiToken, AccessError> {
        // Scopes of a token never change: what was read before the lock holds.
        if let Some(scope) = allowed.lacks_of(self.token(id).await?.scopes) {
            return Err(AccessError::Lacks(scope));
        }
        self.store.revoke_token(id, by, self.clock.now()).await?.ok_or(AccessError::NotFound)
    }

    /// Entries of the audit, newest first.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest<u64>,
    ) -> Result<Page<Audited, u64>, AccessError> {
        Ok(self.store.audit(filter, page).await?)
    }

    /// Removes some entries that are older than so many days; whether there may be more.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn forget_audit(&self, days: u32) -> Result<bool, AccessError> {
        let before = self.clock.now() - TimeDelta::days(days.into());
        Ok(self.store.forget_audit(before, FORGOTTEN_AT_ONCE).await? == u64::from(FORGOTTEN_AT_ONCE))
    }

    /// Removes a customer's address from what is told of others' licenses too, and notes who asked for it. `licenses`: how many
    /// were made anonymous before.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn erase_customer(
        &self,
        erasure: &Erasure,
        licenses: u64,
        by: &Actor,
    ) -> Result<(), AccessError> {
        let entry = AuditEntry::of_erasure(erasure, licenses, by, self.clock.now());
        Ok(self.store.erase_customer(erasure, &entry).await?)
    }
}

/// What is known of a token that somebody sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It lets its owner in.
    Active(ApiToken),
    /// Its time has passed.
    Expired,
    /// It was withdrawn.
    Revoked,
    /// There is no such token.
    Unknown,
}
