//! Who may call: the tokens of the database, and how long the audit is kept.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use license_core::access::AccessService;
use license_core::clock::{SystemClock, SystemRng};
use license_core::store::LicenseStore;
use license_core::token::{TokenDigest, TokenId, TokenName, TokenSecret};
use license_http::{AdminAuth, TokenAuth};
use license_store::cache::{CacheOptions, TokenCache};
use tokio::task::AbortHandle;

use crate::banner::AdminToken;
use crate::database::Opened;

/// The name under which a database keeps the digest of its first token.
const FIRST_TOKEN: &str = "admin_token";
/// Between two looks for entries of the audit that are too old.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// Between two of its commits, so that others come between.
const SWEEP_PAUSE: Duration = Duration::from_millis(50);
/// Where other processes change the same file and no notice tells of it, a token is read again after so long.
const UNHEARD_TTL: Duration = Duration::from_secs(1);
/// How long a stop waits for the last uses of tokens to be written down.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// What is kept of those who call.
#[derive(Debug, Args)]
pub(crate) struct AuditFlags {
    /// Days for which the audit is kept
    #[arg(long, env = "LICENSE_AUDIT_DAYS", value_name = "DAYS", default_value_t = 400,
        value_parser = clap::value_parser!(u32).range(1..=36_525))]
    audit_days: u32,

    /// Keeps in the audit the address that each change came from. It is personal data
    #[arg(long, env = "LICENSE_STORE_ADDRESSES")]
    pub(crate) store_addresses: bool,
}

/// Tokens and the audit of a running server.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) service: Arc<AccessService>,
    tokens: Arc<TokenCache>,
    sweeper: AbortHandle,
}

impl Access {
    /// Over an opened database; `listens` is a store of it that hears of changes.
    pub(crate) fn new(opened: &Opened, flags: &AuditFlags, options: CacheOptions) -> Self {
        let ttl = if opened.hears_other_processes { options.ttl } else { options.ttl.min(UNHEARD_TTL) };
        let options = CacheOptions { ttl, ..options };
        let tokens = TokenCache::new(Arc::clone(&opened.access), Arc::clone(&opened.store), options);
        let tokens = Arc::new(tokens);
        let service = Arc::new(AccessService::new(Arc::clone(&tokens) as _, SystemClock, SystemRng));
        let (sweeps, days) = (Arc::clone(&service), flags.audit_days);
        let sweeper = tokio::spawn(async move {
            loop {
                match sweeps.forget_audit(days).await {
                    Ok(true) => tokio::time::sleep(SWEEP_PAUSE).await,
                    Ok(false) => tokio::time::sleep(SWEEP_EVERY).await,
                    Err(error) => {
                        tracing::warn!(%error, "old entries of the audit could not be removed; they will be");
                        tokio::time::sleep(SWEEP_EVERY).await;
                    }
                }
            }
        });
        Self { service, tokens, sweeper: sweeper.abort_handle() }
    }

    /// Who is let in: by the tokens of the database; with a token that is given for this run, by that in the place of the first one.
    pub(crate) async fn auth(
        &self,
        store: &dyn LicenseStore,
        given: Option<String>,
    ) -> Result<(TokenAuth, AdminToken), String> {
        let auth = TokenAuth::new(Arc::clone(&self.service));
        match given {
            Some(token) => {
                let given = AdminAuth::new([TokenDigest::of(&token)]);
                Ok((auth.beside(given).except(TokenId::first()), AdminToken::Given))
            }
            None => Ok((auth, self.first_token(store).await?)),
        }
    }

    /// The token of the first start on this database: made now, or known by its digest. One of a version that had no other tokens
    /// becomes one of them here.
    async fn first_token(&self, store: &dyn LicenseStore) -> Result<AdminToken, String> {
        let token = TokenSecret::generate(&mut SystemRng).map_err(|error| error.to_string())?;
        let made = token.digest();
        let kept = store.keep_first(FIRST_TOKEN, made.as_bytes()).await.map_err(|error| error.to_string())?;
        let kept = <[u8; 32]>::try_from(kept).map_err(|_| "the kept admin token can't be read".to_owned())?;
        let kept = TokenDigest::from_bytes(kept);
        let name = TokenName::parse("first admin token").map_err(|error| error.to_string())?;
        self.service.adopt_first(kept, name).await.map_err(|error| error.to_string())?;
        Ok(if kept == made { AdminToken::Made(token) } else { AdminToken::Kept })
    }

    /// Writes down when tokens were last used.
    pub(crate) async fn close(&self) {
        self.sweeper.abort();
        if !matches!(tokio::time::timeout(CLOSE_TIME, self.tokens.flush_uses()).await, Ok(Ok(()))) {
            tracing::warn!("the last uses of tokens could not be written down");
        }
    }
}
