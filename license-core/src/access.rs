//! Access: API tokens with their scopes, and the audit log.

mod audit;
mod erasure;
mod scope;
mod secret;
mod token;

pub use crate::id::TokenId;
pub(crate) use audit::JOB_CREATED;
pub use audit::{Actor, AuditEntry, AuditFilter, Audited, Principal};
pub use erasure::Erasure;
pub use scope::{Scope, Scopes, ScopesError};
pub use secret::{TokenDigest, TokenSecret};
pub use token::{
    ApiToken, NewToken, TokenName, TokenNameError, TokenRevocation, TokenState, TokenUse, revoke,
};
