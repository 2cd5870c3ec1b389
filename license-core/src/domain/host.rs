//! The host part of a text that a caller typed.

use std::net::Ipv6Addr;

use super::error::{DomainError, MAX_TYPED_LEN};

/// The host part of the input, before normalisation.
#[derive(Clone, Copy)]
pub(super) enum Host<'a> {
    Text(&'a str),
    V6(Ipv6Addr),
}

/// Finds the host in the input. The authority ends at the first `/`, `?` or `#`.
pub(super) fn split_host(typed: &str) -> Result<Host<'_>, DomainError> {
    if typed.len() > MAX_TYPED_LEN {
        return Err(DomainError::TooLong);
    }
    let typed = typed.trim();
    if typed.is_empty() {
        return Err(DomainError::Empty);
    }
    // Checked in the whole text: browsers delete tabs and line ends before they look for the host.
    match typed.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(c) if c.is_whitespace() => return Err(DomainError::Whitespace),
        Some(_) => return Err(DomainError::ControlCharacter),
        None => {}
    }
    let rest = strip_scheme(typed)?;
    split_authority(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// Removes a scheme: `https://`, also with its colon or slashes missing, or `//` alone.
fn strip_scheme(typed: &str) -> Result<&str, DomainError> {
    let word_len = typed.find(['/', '?', '#', ':']).unwrap_or(typed.len());
    let (word, rest) = typed.split_at(word_len);
    let is_web = ["https", "http", "wss", "ws"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let (colon, after) = rest.strip_prefix(':').map_or((false, rest), |after| (true, after));
    match after.strip_prefix("//") {
        Some(host) if is_web || rest == after && word.is_empty() => Ok(host),
        // Without a colon, only a name without dots is taken for a scheme: `example.com//shop` has a path.
        Some(_) if colon || !word.contains('.') => Err(DomainError::Scheme),
        None if is_web && colon => Ok(after.strip_prefix('/').unwrap_or(after)),
        _ => Ok(typed),
    }
}

fn split_authority(authority: &str) -> Result<Host<'_>, DomainError> {
    if authority.contains('@') {
        return Err(DomainError::UserInfo);
    }
    if authority.contains('\\') {
        return Err(DomainError::Backslash);
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(DomainError::MalformedAddress)?;
        match after.strip_prefix(':') {
            Some(port) => check_port(port)?,
            None if after.is_empty() => {}
            None => return Err(DomainError::MalformedAddress),
        }
        return parse_v6(address).unwrap_or(Err(DomainError::MalformedAddress));
    }
    // IPv6 comes first, because its first colon does not begin a port.
    if let Some(address) = parse_v6(authority) {
        return address;
    }
    let host = match authority.split_once(':') {
        Some((host, port)) => {
            check_port(port)?;
            host
        }
        None => authority,
    };
    if host.is_empty() {
        return Err(DomainError::NoHost);
    }
    if host.contains('%') {
        return Err(DomainError::PercentEscape);
    }
    Ok(Host::Text(host))
}

/// Returns `None` if the text is not an IPv6 address.
fn parse_v6(text: &str) -> Option<Result<Host<'_>, DomainError>> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let address = address.parse().ok()?;
    Some(if zone.is_some() { Err(DomainError::ZoneId) } else { Ok(Host::V6(address)) })
}

fn check_port(port: &str) -> Result<(), DomainError> {
    // `u16` alone would let `+80` pass.
    let number = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if number { Ok(()) } else { Err(DomainError::Port) }
}
