//! Access: API tokens with their scopes and sessions, and the audit log.

mod audit;
mod erasure;
mod scope;
mod secret;
mod session;
mod token;

pub use crate::id::TokenId;
pub(crate) use audit::JOB_CREATED;
pub use audit::{Actor, AuditEntry, AuditFilter, Audited, Principal};
pub use erasure::Erasure;
pub use scope::{Scope, Scopes, ScopesError};
pub use secret::{SecretKind, TokenDigest, TokenSecret};
pub use session::{LINK_LIFETIME, NewLink, NewSession, OpenedSession, SESSION_MAX, SessionOpener};
pub use token::{
    ApiToken, NewToken, SESSION_IDLE, TokenKind, TokenName, TokenNameError, TokenRevocation, TokenState,
    TokenUse, revoke,
};
