//! Query parameters: each at most once, none unknown.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use license_core::limits;
use license_core::store::PageRequest;

use super::unknown_name::UnknownName;
use crate::problem::Problem;
use crate::wire;

/// Decoded query parameters. Take those that the call supports, then call [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<Pair>,
    /// Names of the parameters that were taken or could have been.
    known: Vec<&'static str>,
}

#[derive(Debug)]
struct Pair {
    name: String,
    value: String,
    /// Whether the value has a plus that is not percent-encoded, which means a space.
    has_plus: bool,
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// Refuses any parameter.
#[derive(Debug)]
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::check(&parts.uri)
    }
}

impl NoQuery {
    pub(super) fn check(uri: &Uri) -> Result<Self, Problem> {
        Query::parse(uri.query().unwrap_or_default())?.finish().map(|()| Self)
    }
}

impl Query {
    fn parse(text: &str) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decode(name) else {
                let detail = "The name of a parameter is not percent-encoded UTF-8.";
                return Err(Problem::bad_request("query", detail));
            };
            let Some(value) = decode(raw) else {
                return Err(Problem::bad_request(name, "This parameter is not percent-encoded UTF-8."));
            };
            pairs.push(Pair { name, value, has_plus: raw.contains('+') });
        }
        Ok(Self { pairs, known: Vec::new() })
    }

    /// Takes a parameter, if present, and parses it with `read`. `expected` describes valid values.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.known.push(name);
        let Some(index) = self.pairs.iter().position(|pair| pair.name == name) else { return Ok(None) };
        let Pair { value, has_plus, .. } = self.pairs.swap_remove(index);
        read(&value).map(Some).ok_or_else(|| {
            let plus = if has_plus { " A + in a query is a space: encode + as %2B." } else { "" };
            Problem::bad_request(name, format!("This must be {expected}.{plus}"))
        })
    }

    pub(crate) fn time_range(&mut self) -> Result<[Option<DateTime<Utc>>; 2], Problem> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Problem::bad_request("from", "This must not be later than to."));
        }
        Ok([from, to])
    }

    fn time(&mut self, name: &'static str) -> Result<Option<DateTime<Utc>>, Problem> {
        self.take(name, "a percent-encoded RFC 3339 time", wire::parse_time)
    }

    pub(crate) fn page<C>(
        &mut self,
        cursor: impl FnOnce(&str) -> Option<C>,
    ) -> Result<PageRequest<C>, Problem> {
        let limit = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|limit| digits && (1..=limits::PAGE_ITEMS).contains(limit))
        };
        let limit = self.take("limit", &format!("a whole number from 1 to {}", limits::PAGE_ITEMS), limit)?;
        let after = self.take("cursor", "the next_cursor of another page", cursor)?;
        Ok(PageRequest { after, limit: limit.unwrap_or(limits::PAGE_ITEMS_DEFAULT) })
    }

    /// Refuses the remaining parameters: unknown ones, and repetitions.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        match self.pairs.pop() {
            None => Ok(()),
            Some(Pair { name, .. }) if self.known.contains(&name.as_str()) => {
                Err(Problem::bad_request(name, "This parameter occurs twice."))
            }
            Some(Pair { name, .. }) => {
                let detail = UnknownName { kind: "parameter", name: &name, known: &self.known }.to_string();
                Err(Problem::bad_request(name, detail))
            }
        }
    }
}

/// Decodes form encoding. Returns `None` for a broken escape and for invalid UTF-8.
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
    fn value_is_decoded_or_refused() {
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
}
