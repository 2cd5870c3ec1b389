//! Rows of API tokens.

use license_core::access::{ApiToken, Scopes, TokenDigest, TokenId, TokenKind, TokenName};

use super::reader::{Reader, micros};
use crate::Result;
use crate::sql::dialect::{SqlRow, Value};

/// The parameters of a token, in the order of the columns.
pub(crate) fn token_values(token: &ApiToken) -> [Value<'_>; 10] {
    let ApiToken { id, digest, name, scopes, created_at, last_used_at, expires_at, revoked_at, kind } = token;
    [
        id.as_str().into(),
        digest.as_bytes().as_slice().into(),
        name.as_str().into(),
        scopes.to_string().into(),
        created_at.timestamp_micros().into(),
        micros(*last_used_at).into(),
        micros(*expires_at).into(),
        micros(*revoked_at).into(),
        kind.as_str().into(),
        kind.parent().map(TokenId::as_str).into(),
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
            kind: self.token_kind()?,
        })
    }

    fn token_kind(&self) -> Result<TokenKind> {
        let (kind, parent) = (self.text("kind")?, self.maybe_parsed("parent_id", TokenId::parse)?);
        let unknown = || self.corrupt("kind", format!("{kind:?} with this parent is no kind of token"));
        TokenKind::from_stored(&kind, parent).ok_or_else(unknown)
    }
}
