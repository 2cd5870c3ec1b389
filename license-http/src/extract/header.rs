//! Heads of admin calls.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use license_core::access::Actor;
use license_core::command::IdempotencyKey;
use license_core::license::LicenseId;
use license_core::service::Services;

use super::path::LicensePath;
use crate::auth::Authenticated;
use crate::problem::{Code, Problem, sentence};
use crate::state::HttpState;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The `Idempotency-Key`, if sent.
#[derive(Debug)]
pub(crate) struct IdempotencyHeader(pub(crate) Option<IdempotencyKey>);

impl<S: Sync> FromRequestParts<S> for IdempotencyHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let refuse = |detail: String| Problem::bad_request("Idempotency-Key", detail);
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            // A value that is not text becomes an empty key, which the parser refuses.
            (Some(value), None) => match IdempotencyKey::parse(value.to_str().unwrap_or_default()) {
                Ok(key) => Ok(Self(Some(key))),
                Err(error) => Err(refuse(sentence(&error))),
            },
            (Some(_), Some(_)) => Err(refuse("This header must occur only once.".to_owned())),
        }
    }
}

/// Refuses an `Idempotency-Key`, for calls whose answer shows a secret once: a repeated call could not show it
/// again.
#[derive(Debug)]
pub(crate) struct NoIdempotencyKey;

impl<S: Sync> FromRequestParts<S> for NoIdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.headers.contains_key(IDEMPOTENCY_KEY) {
            return Err(Problem::from(Code::IdempotencyKeyUnsupported).at("Idempotency-Key"));
        }
        Ok(Self)
    }
}

/// `If-Match`: the version that the license or plan must have, or `None` for any.
#[derive(Debug, PartialEq)]
pub(crate) struct IfMatch(pub(crate) Option<u64>);

/// A version that nothing has, since versions start at 1.
const NEVER: u64 = 0;

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IF_MATCH).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => Self::parse(value.as_bytes()),
            (Some(_), Some(_)) => Err(multiple_tags()),
        }
    }
}

impl IfMatch {
    fn parse(value: &[u8]) -> Result<Self, Problem> {
        let malformed = || Problem::bad_request("If-Match", "This must be * or an entity tag such as \"3\".");
        let value = value.trim_ascii();
        if value == b"*" {
            return Ok(Self(None));
        }
        // Proxies that compress answers make the tag weak. A tag is a version either way.
        let tag = value.strip_prefix(b"W/").unwrap_or(value);
        let rest = tag.strip_prefix(b"\"").ok_or_else(malformed)?;
        let end = rest.iter().position(|&byte| byte == b'"').ok_or_else(malformed)?;
        let (tag, rest) = (&rest[..end], rest[end + 1..].trim_ascii());
        if rest.starts_with(b",") {
            return Err(multiple_tags());
        }
        // RFC 9110's etagc: no white space, no control characters.
        if !rest.is_empty() || tag.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(malformed());
        }
        let version = std::str::from_utf8(tag).ok().and_then(|text| {
            let version: u64 = text.parse().ok()?;
            // Tags are compared as text: "03" is not "3".
            (version.to_string() == text).then_some(version)
        });
        Ok(Self(Some(version.unwrap_or(NEVER))))
    }
}

fn multiple_tags() -> Problem {
    Problem::bad_request("If-Match", "This must have only one entity tag.")
}

/// The target of a command, with its actor and the version that the license must have.
#[derive(Debug)]
pub(crate) struct LicenseCommand {
    pub(crate) services: Arc<Services>,
    pub(crate) actor: Arc<Actor>,
    pub(crate) license: LicenseId,
    pub(crate) version: Option<u64>,
}

impl FromRequestParts<HttpState> for LicenseCommand {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let Authenticated { actor, .. } = Authenticated::from_request_parts(parts, state).await?;
        let LicensePath(license) = LicensePath::from_request_parts(parts, state).await?;
        let IfMatch(version) = IfMatch::from_request_parts(parts, state).await?;
        Ok(Self { services: Arc::clone(&state.services), actor, license, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_parsed_or_refused() {
        for (text, expected) in [
            ("*", Some(None)),
            ("\"3\"", Some(Some(3))),
            (" \"18446744073709551615\" ", Some(Some(u64::MAX))),
            ("\"18446744073709551616\"", Some(Some(NEVER))),
            ("W/\"3\"", Some(Some(3))),
            ("W/\"x\"", Some(Some(NEVER))),
            ("\"03\"", Some(Some(NEVER))),
            ("\"+3\"", Some(Some(NEVER))),
            ("\"\"", Some(Some(NEVER))),
            ("\"abc\"", Some(Some(NEVER))),
            ("\"ü\"", Some(Some(NEVER))),
            ("", None),
            ("3", None),
            ("\"3", None),
            ("\"3\" x", None),
            ("\"a b\"", None),
            ("w/\"3\"", None),
            ("\"3\", \"4\"", None),
            ("W/\"3\",", None),
        ] {
            assert_eq!(IfMatch::parse(text.as_bytes()).ok(), expected.map(IfMatch), "{text:?}");
        }
    }
}
