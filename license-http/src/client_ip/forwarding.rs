//! Parsers of `X-Forwarded-For` and `Forwarded`.

use std::net::{IpAddr, SocketAddr};

/// Entries from right to left; `None` for one that is not an address.
pub(super) type Addresses<'a> = Box<dyn Iterator<Item = Option<IpAddr>> + 'a>;

pub(super) fn list_addresses(line: &str) -> Addresses<'_> {
    Box::new(line.rsplit(',').map(|entry| address(entry.trim())))
}

/// Splits and counts quotes from the right, so that quotes sent by the caller cannot hide a proxy's entry.
pub(super) fn forwarded_addresses(line: &str) -> Addresses<'_> {
    let mut rest = Some(line);
    Box::new(std::iter::from_fn(move || {
        let line = rest?;
        let Some(start) = last_outside_quotes(line, b',') else {
            rest = None;
            return Some(None);
        };
        rest = (start > 0).then(|| &line[..start - 1]);
        Some(address_of_element(&line[start..]))
    }))
}

/// Returns the index after the last unquoted `separator`, or 0 without one; `None` if quotes are unbalanced.
fn last_outside_quotes(text: &str, separator: u8) -> Option<usize> {
    let mut quoted = false;
    for (index, byte) in text.bytes().enumerate().rev() {
        match byte {
            b'"' => quoted = !quoted,
            byte if byte == separator && !quoted => return Some(index + 1),
            _ => {}
        }
    }
    (!quoted).then_some(0)
}

/// Returns the address of the only `for`. Escapes are refused, since they would break the quote counting.
fn address_of_element(element: &str) -> Option<IpAddr> {
    if element.contains('\\') {
        return None;
    }
    let (mut rest, mut found) = (element, None);
    loop {
        let start = last_outside_quotes(rest, b';')?;
        if let Some((name, value)) = rest[start..].split_once('=')
            && name.trim().eq_ignore_ascii_case("for")
        {
            if found.is_some() {
                return None;
            }
            let value = value.trim();
            let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            found = Some(address(bare)?);
        }
        if start == 0 {
            return found;
        }
        rest = &rest[..start - 1];
    }
}

/// Parses an address with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().map(IpAddr::V6).ok();
    let address = text.parse::<IpAddr>().ok().or_else(bracketed);
    address
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address| address.to_canonical())
}
