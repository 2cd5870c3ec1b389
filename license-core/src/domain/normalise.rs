//! The UTS-46 ASCII form of a host.

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::error::{DomainError, MAX_LABEL_LEN, MAX_NAME_LEN};

/// Denies what STD3 denies, except the underscore, which DNS and browsers accept.
const DENIED: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

/// Words that are part of an address and not a host. A text such as `https//example.com` would otherwise
/// register the host `https`.
const NO_HOSTS: [&str; 5] = ["http", "https", "ws", "wss", "www"];

/// The full stop, and the characters that UTS-46 maps to it.
pub(super) const DOTS: [char; 4] = ['.', '\u{3002}', '\u{FF0E}', '\u{FF61}'];

/// Returns whether this is a bare host in which UTS-46 has nothing to map, decode or reject.
pub(super) fn is_plain(typed: &str) -> bool {
    typed.len() <= MAX_NAME_LEN
        && !ends_in_number(typed)
        && !NO_HOSTS.contains(&typed)
        && typed.as_bytes().split(|&b| b == b'.').all(|label| {
            matches!(label, [b'a'..=b'z' | b'0'..=b'9' | b'_', ..])
                && label.last() != Some(&b'-')
                && label.len() <= MAX_LABEL_LEN
                && !label.starts_with(b"xn--")
                && label.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        })
}

/// Returns the UTS-46 ASCII form of a host, without the root dot.
pub(super) fn normalise(host: &str) -> Result<Cow<'_, str>, DomainError> {
    // Punycode is quadratic (1 ms for MAX_TYPED_LEN bytes), and real names are short. `+ 1`: the root dot.
    if host.chars().nth(MAX_NAME_LEN + 1).is_some() {
        return Err(DomainError::NameTooLong);
    }
    // Lengths are checked below, for a better error. `ab--cd.com` with its hyphens is legal.
    let ascii = Uts46::new()
        .to_ascii(host.as_bytes(), DENIED, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| why_refused(host))?;
    // The root dot is removed after the mapping. Before it, `a。` would keep its dot, and `a..` would pass.
    let name = match ascii {
        Cow::Borrowed(name) => Cow::Borrowed(name.strip_suffix('.').unwrap_or(name)),
        Cow::Owned(mut name) => {
            if name.ends_with('.') {
                name.pop();
            }
            Cow::Owned(name)
        }
    };
    if name.split('.').any(str::is_empty) {
        return Err(DomainError::EmptyLabel);
    }
    if name.split('.').any(|label| label.len() > MAX_LABEL_LEN) {
        return Err(DomainError::LabelTooLong);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(DomainError::NameTooLong);
    }
    if NO_HOSTS.contains(&&*name) {
        return Err(DomainError::NoHost);
    }
    Ok(name)
}

/// Returns the reason why UTS-46 rejects the host, which its error does not name.
fn why_refused(host: &str) -> DomainError {
    let odd = |c: &char| c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_');
    if let Some(c) = host.chars().find(odd) {
        return DomainError::Character(c);
    }
    if host.split(DOTS).any(|label| label.starts_with('-') || label.ends_with('-')) {
        return DomainError::Hyphen;
    }
    DomainError::NotIdna
}

/// The test of the WHATWG URL standard for IPv4 addresses.
pub(super) fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => last.bytes().all(|b| b.is_ascii_digit()),
    }
}
