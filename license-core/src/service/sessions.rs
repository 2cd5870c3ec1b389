//! Sessions of people: opened with a token or a one-time link.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

use super::access::{AccessService, Checked};
use crate::access::{
    Actor, ApiToken, NewLink, NewSession, Scopes, SecretKind, SessionOpener, TokenId, TokenSecret,
};
use crate::error::{Resource, ServiceError};
use crate::limits;
use crate::store::StoreError;

/// Sessions and links deleted in one transaction.
const PRUNE_BATCH: u32 = 500;

/// The request that opens a session, for the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignInRequest {
    /// The id of the request.
    pub request_id: Option<String>,
    /// The address of the caller. Personal data: give it only if the vendor stores addresses.
    pub address: Option<IpAddr>,
}

/// The answer to an attempt to open a session.
#[derive(Debug)]
pub enum SignIn {
    /// The session is open. Only this answer has the secret of the session.
    Opened(Box<ApiToken>, TokenSecret),
    /// The token or link has expired.
    Expired,
    /// The token is revoked, or the link was used.
    Revoked,
    /// There is no such token or link.
    Unknown,
}

impl AccessService {
    /// Creates a one-time link for a session of `parent`, which lasts for
    /// [`LINK_LIFETIME`](crate::access::LINK_LIFETIME). Only this call returns the secret.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if `parent` is no active API token, and
    /// [`ServiceError::LacksScope`] if `allowed` lacks a scope of it.
    pub async fn create_link(
        &self,
        parent: &TokenId,
        allowed: Scopes,
        by: &Actor,
    ) -> Result<(ApiToken, TokenSecret), ServiceError> {
        if let Some(scope) = allowed.missing_scope(self.token(parent).await?.scopes) {
            return Err(ServiceError::LacksScope(scope));
        }
        let (id, secret) = self.new_secret(SecretKind::Link)?;
        let (digest, parent, by, at) = (secret.digest(), parent.clone(), by.clone(), self.now());
        let link = self.tokens.create_link(&NewLink { id, digest, parent, by, at }).await?;
        Ok((link.ok_or(ServiceError::NotFound(Resource::Token))?, secret))
    }

    /// Checks a one-time link without using it up.
    pub async fn check_link(&self, typed: &str) -> Result<Checked, StoreError> {
        self.check_kind(typed, SecretKind::Link).await
    }

    /// Opens a session with an API token.
    pub async fn sign_in(&self, token: &str, request: SignInRequest) -> Result<SignIn, ServiceError> {
        let token = match self.check(token).await? {
            Checked::Active(token) => token,
            Checked::Expired => return Ok(SignIn::Expired),
            Checked::Revoked => return Ok(SignIn::Revoked),
            Checked::Unknown => return Ok(SignIn::Unknown),
        };
        let opened = self.open_session(SessionOpener::Token(token.id), request).await?;
        // The token was revoked after the check.
        Ok(opened.unwrap_or(SignIn::Revoked))
    }

    /// Opens a session with a one-time link, which is used up. Of several callers with one link, one gets a
    /// session.
    pub async fn sign_in_by_link(&self, link: &str, request: SignInRequest) -> Result<SignIn, ServiceError> {
        let link = match self.check_link(link).await? {
            Checked::Active(link) => link,
            Checked::Expired => return Ok(SignIn::Expired),
            Checked::Revoked => return Ok(SignIn::Revoked),
            Checked::Unknown => return Ok(SignIn::Unknown),
        };
        let opened = self.open_session(SessionOpener::Link(link.digest), request).await?;
        // Another caller used the link after the check, or its token was revoked.
        Ok(opened.unwrap_or(SignIn::Revoked))
    }

    /// Checks the secret of a session.
    pub async fn check_session(&self, secret: &str) -> Result<Checked, StoreError> {
        self.check_kind(secret, SecretKind::Session).await
    }

    /// Ends a session. After it returns, this node rejects the session.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is none.
    pub async fn sign_out(&self, session: &ApiToken, by: &Actor) -> Result<(), ServiceError> {
        let ended = self.tokens.revoke_token(&session.id, by, self.now()).await?;
        ended.map(drop).ok_or(ServiceError::NotFound(Resource::Token))
    }

    /// Deletes sessions and links that were created [`limits::SESSION_DAYS`] ago, a batch per call. All of
    /// them have ended. Call repeatedly until it returns 0. Take `now` from
    /// [`ClockService::plausible_now`](super::ClockService::plausible_now).
    pub async fn prune_sessions(&self, now: DateTime<Utc>) -> Result<u64, ServiceError> {
        let before = now - TimeDelta::days(limits::SESSION_DAYS.into());
        Ok(self.tokens.prune_sessions(before, PRUNE_BATCH).await?)
    }

    async fn open_session(
        &self,
        opener: SessionOpener,
        SignInRequest { request_id, address }: SignInRequest,
    ) -> Result<Option<SignIn>, ServiceError> {
        let (id, secret) = self.new_secret(SecretKind::Session)?;
        let new = NewSession { id, digest: secret.digest(), opener, request_id, address, at: self.now() };
        let session = self.tokens.open_session(&new).await?;
        Ok(session.map(|session| SignIn::Opened(Box::new(session), secret)))
    }

    fn new_secret(&self, kind: SecretKind) -> Result<(TokenId, TokenSecret), ServiceError> {
        let now = self.now();
        Ok(self
            .sources
            .with_rng(|rng| Ok((TokenId::generate(now, rng)?, TokenSecret::generate_kind(kind, rng)?)))?)
    }
}
