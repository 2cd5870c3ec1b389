//! Rows of API tokens.

use license_core::access::{ApiToken, Scopes, TokenDigest, TokenId, TokenName};

use super::reader::{Reader, micros};
use crate::Result;
use crate::sql::dialect::{SqlRow, Value};

/// The parameters of a token, in the order of the columns.
pub(crate) fn token_values(token: &ApiToken) -> [Value<'_>; 8] {
    let ApiToken { id, digest, name, scopes, created_at, last_used_at, expires_at, revoked_at } = token;
    [
        id.as_str().into(),
        digest.as_bytes().as_slice().into(),
        name.as_str().into(),
        scopes.to_string().into(),
        created_at.timestamp_micros().into(),
        micros(*last_used_at).into(),
        micros(*expires_at).into(),
        micros(*revoked_at).into(),
    ]
}

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn token(&self) -> Result<ApiToken> {
        Ok(ApiToken {
            id: self.parsed("id", TokenId::parse)?,
            digest: TokenDigest::from_bytes(self.digest("digest")?),
            name: self.parsed("name", TokenName::parse)?,
            scopes: self.parsed("scopes", Scopes::parse)?,
            created_at: self.time("created_at")?,
            last_used_at: self.maybe_time("last_used_at")?,
            expires_at: self.maybe_time("expires_at")?,
            revoked_at: self.maybe_time("revoked_at")?,
        })
    }
}
