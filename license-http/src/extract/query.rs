//! The parameters of a query string: each at most once, none unknown.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use license_core::limits;
use license_core::store::PageRequest;

use crate::problem::Problem;
use crate::wire;

/// The parameters of a request, decoded. Take what the call knows, then [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// A call that knows no parameters.
#[derive(Debug)]
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::from_request_parts(parts, state).await?.finish()?;
        Ok(Self)
    }
}

impl Query {
    fn parse(text: &str) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decode(name) else {
                let detail = "The query has a parameter whose name is not percent-encoded UTF-8.";
                return Err(Problem::bad_request("query", detail));
            };
            let Some(value) = decode(value) else {
                return Err(Problem::bad_request(name, "This parameter is not percent-encoded UTF-8."));
            };
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// A parameter as `read` understands it; `None` where it is absent. `wanted` says what it has to be.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        wanted: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(index) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(index);
        read(&value).map(Some).ok_or_else(|| Problem::bad_request(name, format!("This must be {wanted}.")))
    }

    pub(crate) fn time(&mut self, name: &'static str) -> Result<Option<DateTime<Utc>>, Problem> {
        self.take(name, "a time of RFC 3339, percent-encoded", wire::parse_time)
    }

    /// `limit` and `cursor`.
    pub(crate) fn page<C>(
        &mut self,
        cursor: impl FnOnce(&str) -> Option<C>,
    ) -> Result<PageRequest<C>, Problem> {
        let limit = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|limit| digits && (1..=limits::PAGE_ITEMS).contains(limit))
        };
        let limit = self.take("limit", LIMIT_WANTED, limit)?;
        let after = self.take("cursor", "the next_cursor of a page", cursor)?;
        Ok(PageRequest { after, limit: limit.unwrap_or(limits::PAGE_ITEMS_DEFAULT) })
    }

    /// Refuses the parameters that nobody took: unknown ones, and what [`take`](Self::take) leaves of repeated ones.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        match self.0.pop() {
            None => Ok(()),
            Some((name, _)) => {
                Err(Problem::bad_request(name, "There is no such parameter here, or it stands twice."))
            }
        }
    }
}

const LIMIT_WANTED: &str = "a whole number from 1 to 100";

/// Percent-decoding as forms have it; `None` for a broken escape or what is no UTF-8, where others guess.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        for (text, expected) in [
            ("", Some("")),
            ("a+b%20c", Some("a b c")),
            ("%C3%bC", Some("ü")),
            ("%2B", Some("+")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
            ("%FF", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_wanted_limit_is_the_limit() {
        assert!(LIMIT_WANTED.ends_with(&format!("1 to {}", limits::PAGE_ITEMS)));
    }
}
