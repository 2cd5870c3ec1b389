//! Domain names: what a caller typed, reduced to the one text that is stored, compared and counted.
//!
//! A name is compared label by label and never as a substring: `notexample.com` and
//! `example.com.evil.com` have nothing to do with `example.com`.
//!
//! ```
//! use license_core::domain::DomainName;
//!
//! let registered = DomainName::parse("https://www.Example.COM:8443/shop?item=1#top")?;
//! assert_eq!(registered.as_str(), "example.com");
//!
//! assert!(registered.covers(&DomainName::parse("example.com.")?));
//! assert!(!registered.covers(&DomainName::parse("notexample.com")?));
//! assert!(DomainName::parse("http://localhost:3000")?.is_exempt());
//! # Ok::<(), license_core::domain::DomainError>(())
//! ```

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use smol_str::SmolStr;

/// The longest text, in octets, that is looked at; anything longer is refused unread.
///
/// ```
/// use license_core::domain::{DomainError, DomainName, MAX_TYPED_LEN};
///
/// let url = "https://example.com/".to_owned() + &"x".repeat(MAX_TYPED_LEN);
/// assert_eq!(DomainName::parse(&url), Err(DomainError::TooLong));
/// ```
pub const MAX_TYPED_LEN: usize = 2048;

/// RFC 1035, without the root dot.
const MAX_NAME_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;

/// What a plan never counts. The leading dot keeps these to whole labels, and keeps the bare words out:
/// `test` alone is a machine on somebody's network.
const EXEMPT_BELOW: [&str; 4] = [".localhost", ".test", ".local", ".internal"];

/// The full stop and what UTS-46 maps to it.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{FF0E}', '\u{FF61}'];

/// A host name in its canonical form, or an exempt address, or (registered by an admin) a wildcard.
///
/// The canonical form is the UTS-46 ASCII form in lower case without the root dot, `xn--…` for an
/// internationalised name; an address is written the way [`std::net`] writes it, without brackets.
/// Equality, order and hash are those of this text.
///
/// # `www.`
///
/// A site and its `www.` are one domain: a leading `www.` is taken off, once, where at least two labels
/// remain. So `www.com` and `www.localhost` stay, and `www.www.example.com` becomes `www.example.com`,
/// which is another domain than `example.com`. Because of that last case read a stored name with
/// [`from_stored`](Self::from_stored) and not with [`parse`](Self::parse), which would fold it again.
///
/// A parsed name remembers that `www.` was there, for [`covers`](Self::covers) and
/// [`covering_names`](Self::covering_names) only: the host `www.example.com` is below `*.example.com`
/// although it folds into the apex. The stored text does not say it.
///
/// # What is not decided here
///
/// There is no list of public suffixes: `co.uk` is a name like others, and so is a single label such as
/// `intranet`, a host that people do have on their networks. Both are counted.
#[derive(Clone, Debug)]
pub struct DomainName {
    /// Most names fit in place: licenses in memory have several, and each recorded validation a copy of one.
    text: SmolStr,
    kind: Kind,
    had_www: bool,
}

/// Follows from the text; kept so that nobody has to guess it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Name,
    Address,
    Wildcard,
}

/// What stands in the place of the host, before it is normalised.
#[derive(Clone, Copy)]
enum Host<'a> {
    Text(&'a str),
    V6(Ipv6Addr),
}

impl DomainName {
    /// Reads a host from what a caller has: a host name, `host:port`, or an `http`, `https`, `ws` or `wss`
    /// URL, with white space around it or not. Scheme, port, path, query and fragment are dropped; a path
    /// may follow a host without a scheme too.
    ///
    /// IP addresses are not domains, except those that are [exempt](Self::is_exempt). An IPv6 address may
    /// stand in brackets or bare; with a port it needs them. An IPv4 address mapped into IPv6 is read as
    /// the IPv4 address that it is.
    ///
    /// # Errors
    ///
    /// A [`DomainError`] that says why this is not a host. Stricter than a browser on purpose: user names,
    /// escapes, backslashes, addresses in odd notations (`127.1`, `0x7f000001`), an empty port and inner
    /// white space are refused, because readers disagree about which host they mean.
    ///
    /// # Examples
    ///
    /// ```
    /// use license_core::domain::{DomainError, DomainName};
    ///
    /// assert_eq!(DomainName::parse("Bücher.DE:443")?.as_str(), "xn--bcher-kva.de");
    /// assert_eq!(DomainName::parse("http://[::1]:8080/")?.as_str(), "::1");
    /// assert_eq!(DomainName::parse("https://good.com@evil.com/"), Err(DomainError::UserInfo));
    /// assert_eq!(DomainName::parse("203.0.113.7"), Err(DomainError::PublicAddress));
    /// # Ok::<(), DomainError>(())
    /// ```
    pub fn parse(typed: &str) -> Result<Self, DomainError> {
        // What nearly every call has; a test holds this to the same answer as the long way.
        if is_plain(typed) {
            return Ok(Self::name(typed).fold_www());
        }
        Self::parse_any(typed)
    }

    /// Reads what an admin registers: as [`parse`](Self::parse), and `*.` before a host name of two labels or
    /// more. `*.www.example.com` is kept as it is. An exempt name or an address takes no wildcard: it is
    /// allowed without one.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse), and those that say what is wrong with the wildcard.
    ///
    /// # Examples
    ///
    /// ```
    /// use license_core::domain::{DomainError, DomainName};
    ///
    /// assert!(DomainName::parse_registered("*.Example.com")?.is_wildcard());
    /// assert_eq!(DomainName::parse_registered("*.com"), Err(DomainError::WildcardTooWide));
    /// # Ok::<(), DomainError>(())
    /// ```
    pub fn parse_registered(typed: &str) -> Result<Self, DomainError> {
        match split_host(typed)? {
            Host::Text(host) if host.contains('*') => {
                let base = host.strip_prefix('*').and_then(|rest| rest.strip_prefix(DOTS));
                Self::wildcard(base.ok_or(DomainError::MisplacedWildcard)?)
            }
            host => Ok(Self::from_host(host)?.fold_www()),
        }
    }

    /// Reads back exactly what [`as_str`](Self::as_str) gave, wildcards included.
    ///
    /// # Errors
    ///
    /// Any other text, also one that [`parse`](Self::parse) would accept, so that a damaged row is noticed.
    ///
    /// # Examples
    ///
    /// ```
    /// use license_core::domain::{DomainError, DomainName};
    ///
    /// let name = DomainName::parse_registered("*.example.com")?;
    /// assert_eq!(DomainName::from_stored(name.as_str())?, name);
    /// assert_eq!(DomainName::from_stored("Example.com"), Err(DomainError::NotCanonical));
    /// # Ok::<(), DomainError>(())
    /// ```
    pub fn from_stored(text: &str) -> Result<Self, DomainError> {
        if text.len() > MAX_TYPED_LEN {
            return Err(DomainError::TooLong);
        }
        let name = match (text.strip_prefix("*."), text.parse()) {
            (Some(base), _) => Self::wildcard(base)?,
            (None, Ok(address)) => Self::from_host(Host::V6(address))?,
            (None, Err(_)) => Self::from_host(Host::Text(text))?,
        };
        if name.as_str() == text { Ok(name) } else { Err(DomainError::NotCanonical) }
    }

    /// The canonical text.
    ///
    /// ```
    /// # use license_core::domain::{DomainError, DomainName};
    /// assert_eq!(DomainName::parse("WWW.Example.com.")?.as_str(), "example.com");
    /// # Ok::<(), DomainError>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is `*.` and a name, which only [`parse_registered`](Self::parse_registered) accepts.
    ///
    /// ```
    /// # use license_core::domain::{DomainError, DomainName};
    /// assert!(DomainName::parse_registered("*.example.com")?.is_wildcard());
    /// assert!(!DomainName::parse_registered("example.com")?.is_wildcard());
    /// # Ok::<(), DomainError>(())
    /// ```
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.kind == Kind::Wildcard
    }

    /// Whether this is a place for development, which is always allowed and never counted, unless a plan says
    /// otherwise: `localhost`, names below `localhost`, `test`, `local` and `internal`, and loopback,
    /// private, link-local and unspecified addresses (`127.0.0.0/8`, `10.0.0.0/8`, `172.16.0.0/12`,
    /// `192.168.0.0/16`, `169.254.0.0/16`, `0.0.0.0`, `::1`, `fc00::/7`, `fe80::/10`, `::`).
    ///
    /// Bare `test`, `local` and `internal` are ordinary host names. `0.0.0.0` and `::` are here because
    /// development servers print them as their own address.
    ///
    /// ```
    /// # use license_core::domain::{DomainError, DomainName};
    /// assert!(DomainName::parse("shop.test")?.is_exempt());
    /// assert!(DomainName::parse("192.168.1.20:8000")?.is_exempt());
    /// assert!(!DomainName::parse("localhost.example.com")?.is_exempt());
    /// # Ok::<(), DomainError>(())
    /// ```
    #[must_use]
    pub fn is_exempt(&self) -> bool {
        match self.kind {
            Kind::Address => true,
            Kind::Wildcard => false,
            Kind::Name => {
                self.as_str() == "localhost" || EXEMPT_BELOW.iter().any(|end| self.text.ends_with(end))
            }
        }
    }

    /// Whether a registration of `self` lets `host` in: the same name, or a wildcard that `host` is below, at
    /// any depth. A wildcard does not cover its apex, but it covers the apex typed with `www.`.
    ///
    /// Ask it of a `host` as parsed, not as stored, which no longer knows its `www.`. A wildcard as `host` is
    /// covered by itself only.
    ///
    /// ```
    /// # use license_core::domain::{DomainError, DomainName};
    /// let registered = DomainName::parse_registered("*.example.com")?;
    /// assert!(registered.covers(&DomainName::parse("a.b.example.com")?));
    /// assert!(registered.covers(&DomainName::parse("www.example.com")?));
    /// assert!(!registered.covers(&DomainName::parse("example.com")?));
    /// assert!(!registered.covers(&DomainName::parse("evilexample.com")?));
    /// # Ok::<(), DomainError>(())
    /// ```
    #[must_use]
    pub fn covers(&self, host: &Self) -> bool {
        if self == host {
            return true;
        }
        let (Kind::Name, Some(apex)) = (host.kind, self.text.strip_prefix("*.")) else { return false };
        match host.text.strip_suffix(apex) {
            Some("") => host.had_www,
            Some(above) => above.ends_with('.'),
            None => false,
        }
    }

    /// Every registered text that would cover this host, nearest first: what a store looks up by equality.
    ///
    /// `a.covers(&b)` and `b.covering_names()` containing `a.as_str()` are the same question. An exempt host
    /// or a wildcard is covered by itself only.
    ///
    /// ```
    /// # use license_core::domain::{DomainError, DomainName};
    /// let host = DomainName::parse("api.eu.example.com")?;
    /// assert_eq!(host.covering_names(), ["api.eu.example.com", "*.eu.example.com", "*.example.com"]);
    ///
    /// let host = DomainName::parse("www.example.com")?;
    /// assert_eq!(host.covering_names(), ["example.com", "*.example.com"]);
    /// # Ok::<(), DomainError>(())
    /// ```
    #[must_use]
    pub fn covering_names(&self) -> Vec<String> {
        let mut names = vec![self.as_str().to_owned()];
        if self.kind != Kind::Name || self.is_exempt() {
            return names;
        }
        let mut apex = if self.had_www { Some(self.as_str()) } else { parent(self.as_str()) };
        while let Some(name) = apex.filter(|name| name.contains('.')) {
            names.push(format!("*.{name}"));
            apex = parent(name);
        }
        names
    }

    fn parse_any(typed: &str) -> Result<Self, DomainError> {
        match split_host(typed)? {
            Host::Text(host) if host.contains('*') => Err(DomainError::Wildcard),
            host => Ok(Self::from_host(host)?.fold_www()),
        }
    }

    fn name(canonical: &str) -> Self {
        Self { text: canonical.into(), kind: Kind::Name, had_www: false }
    }

    fn from_host(host: Host<'_>) -> Result<Self, DomainError> {
        match host {
            Host::V6(address) => Self::address(address.to_canonical()),
            Host::Text(host) => {
                let name = normalise(host)?;
                if !ends_in_number(&name) {
                    return Ok(Self::name(&name));
                }
                // To a resolver this is an address, be it in an odd notation (`127.1`, `010.0.0.1`).
                let address: Ipv4Addr = name.parse().map_err(|_| DomainError::NumericTopLabel)?;
                Self::address(address.into())
            }
        }
    }

    fn address(address: IpAddr) -> Result<Self, DomainError> {
        let local = match address {
            IpAddr::V4(v4) => {
                v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
            }
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()
            }
        };
        if !local {
            return Err(DomainError::PublicAddress);
        }
        Ok(Self { text: address.to_string().into(), kind: Kind::Address, had_www: false })
    }

    fn wildcard(base: &str) -> Result<Self, DomainError> {
        if base.contains('*') {
            return Err(DomainError::MisplacedWildcard);
        }
        let base = Self::from_host(Host::Text(base))?;
        if base.is_exempt() {
            return Err(DomainError::WildcardOfExempt);
        }
        if !base.text.contains('.') {
            return Err(DomainError::WildcardTooWide);
        }
        let text = format!("*.{base}");
        // A longer one could cover no host: the shortest is one letter in place of the star.
        if text.len() > MAX_NAME_LEN {
            return Err(DomainError::NameTooLong);
        }
        Ok(Self { text: text.into(), kind: Kind::Wildcard, had_www: false })
    }

    fn fold_www(mut self) -> Self {
        if let Some(parent) = self.text.strip_prefix("www.").filter(|parent| parent.contains('.')) {
            self.text = SmolStr::new(parent);
            self.had_www = true;
        }
        self
    }
}

fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

/// Finds the host in what was typed. The authority ends at the first `/`, `?` or `#` and nowhere else.
fn split_host(typed: &str) -> Result<Host<'_>, DomainError> {
    if typed.len() > MAX_TYPED_LEN {
        return Err(DomainError::TooLong);
    }
    let typed = typed.trim();
    if typed.is_empty() {
        return Err(DomainError::Empty);
    }
    // Everywhere, not only in the host: browsers delete tabs and line ends before they look for it.
    match typed.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(c) if c.is_whitespace() => return Err(DomainError::Whitespace),
        Some(_) => return Err(DomainError::ControlCharacter),
        None => {}
    }
    let ends_authority = ['/', '?', '#'];
    let (before, after) = typed.split_at(typed.find(ends_authority).unwrap_or(typed.len()));
    let authority = match (before.strip_suffix(':'), after.strip_prefix("//")) {
        (Some(scheme), Some(rest)) => {
            if !["https", "http", "wss", "ws"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
                return Err(DomainError::Scheme);
            }
            rest.split(ends_authority).next().unwrap_or_default()
        }
        _ => before,
    };
    split_authority(authority)
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
    // Before the first colon is taken for the one before a port.
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

/// `None` where this is no IPv6 address at all.
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

/// Whether this is a host and nothing else, and UTS-46 has nothing to map, to decode or to refuse in it.
fn is_plain(typed: &str) -> bool {
    typed.len() <= MAX_NAME_LEN
        && !ends_in_number(typed)
        && typed.as_bytes().split(|&b| b == b'.').all(|label| {
            matches!(label, [b'a'..=b'z' | b'0'..=b'9', ..])
                && label.last() != Some(&b'-')
                && label.len() <= MAX_LABEL_LEN
                && !label.starts_with(b"xn--")
                && label.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        })
}

/// The UTS-46 ASCII form of a host, without the root dot.
fn normalise(host: &str) -> Result<Cow<'_, str>, DomainError> {
    // Punycode is quadratic (1 ms for MAX_TYPED_LEN octets). A longer name could fit only by letters that
    // UTS-46 drops or joins, which no real name has so many of. One more for the root dot.
    if host.chars().nth(MAX_NAME_LEN + 1).is_some() {
        return Err(DomainError::NameTooLong);
    }
    // Lengths are checked below, where the reason can be told. Third and fourth place hyphens stay legal:
    // `ab--cd.com` exists.
    let ascii = Uts46::new()
        .to_ascii(host.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| why_refused(host))?;
    // Taken off here and not before, where `a..` would become a good `a.` and `a。` would keep its full stop.
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
    Ok(name)
}

/// UTS-46 says only that it refuses; this finds the reasons that a person can see.
fn why_refused(host: &str) -> DomainError {
    let odd = |c: &char| c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.');
    if let Some(c) = host.chars().find(odd) {
        return DomainError::Character(c);
    }
    if host.split(DOTS).any(|label| label.starts_with('-') || label.ends_with('-')) {
        return DomainError::Hyphen;
    }
    DomainError::NotIdna
}

/// The rule of the WHATWG URL standard for "this is meant as an IPv4 address".
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => last.bytes().all(|b| b.is_ascii_digit()),
    }
}

impl DomainName {
    /// Whether the parsed text began with `www.`.
    #[must_use]
    pub fn had_www(&self) -> bool {
        self.had_www
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl PartialEq for DomainName {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for DomainName {}

impl PartialOrd for DomainName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DomainName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for DomainName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Why a text is not a domain. The sentence is meant for the person who typed it and never repeats the text.
///
/// ```
/// use license_core::domain::{DomainError, DomainName};
///
/// let refused = DomainName::parse("my_shop.com").unwrap_err();
/// assert_eq!(refused, DomainError::Character('_'));
/// assert_eq!(refused.to_string(), "the character '_' cannot be part of a host name");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// Nothing, or white space only.
    #[error("the domain is empty")]
    Empty,
    /// More than [`MAX_TYPED_LEN`] octets.
    #[error("the domain is longer than {MAX_TYPED_LEN} octets")]
    TooLong,
    /// A scheme, a port or a path, but no host.
    #[error("the host name is missing")]
    NoHost,
    /// White space between other characters.
    #[error("a domain cannot contain white space")]
    Whitespace,
    /// NUL and the like.
    #[error("a domain cannot contain control characters")]
    ControlCharacter,
    /// A scheme other than `http`, `https`, `ws` and `wss`.
    #[error("only http, https, ws and wss URLs are accepted")]
    Scheme,
    /// `user@host`: often an attempt to show one host and mean another.
    #[error("a domain cannot contain a user name (nothing before an '@')")]
    UserInfo,
    /// `\`, which some readers take for `/`.
    #[error("a host name cannot contain a backslash")]
    Backslash,
    /// `%41` in the host.
    #[error("a host name cannot contain percent escapes")]
    PercentEscape,
    /// No number from 0 to 65535 after the colon.
    #[error("what follows the colon is not a port number (0 to 65535)")]
    Port,
    /// An ASCII character other than letters, digits, hyphen and dot.
    #[error("the character {0:?} cannot be part of a host name")]
    Character(char),
    /// A label with a hyphen at an end.
    #[error("a part of a host name cannot begin or end with a hyphen")]
    Hyphen,
    /// Two dots in a row, or a dot at the beginning.
    #[error("a host name cannot have an empty part (a dot too many)")]
    EmptyLabel,
    /// A label of more than 63 octets in its ASCII form.
    #[error("a part of a host name cannot be longer than {MAX_LABEL_LEN} octets in its ASCII form")]
    LabelTooLong,
    /// More than 253 octets in its ASCII form.
    #[error("a host name cannot be longer than {MAX_NAME_LEN} octets in its ASCII form")]
    NameTooLong,
    /// A last label that is a number, and the whole is no IPv4 address of four decimal numbers.
    #[error("a host name cannot end in a number")]
    NumericTopLabel,
    /// Letters or an encoding that UTS-46 does not allow in a name.
    #[error("this is not a valid internationalised host name")]
    NotIdna,
    /// An IP address that is neither loopback nor private.
    #[error("an IP address is not a domain (only loopback and private addresses are accepted)")]
    PublicAddress,
    /// Brackets without an IPv6 address in them, or with something after them that is no port.
    #[error("this is not an IPv6 address in brackets")]
    MalformedAddress,
    /// `fe80::1%eth0`: the zone means something on one machine only.
    #[error("an IPv6 address cannot have a zone")]
    ZoneId,
    /// `*` where a host is expected.
    #[error("a wildcard is not a host; it can only be registered")]
    Wildcard,
    /// `*` elsewhere than in place of the first label.
    #[error("a wildcard is written '*.' and a domain, with one '*' only")]
    MisplacedWildcard,
    /// `*.com`.
    #[error("a wildcard needs a domain of at least two parts, as in '*.example.com'")]
    WildcardTooWide,
    /// `*.shop.test`, `*.127.0.0.1`.
    #[error("local names and addresses take no wildcard: they are allowed without one")]
    WildcardOfExempt,
    /// A stored text that is not what was once stored.
    #[error("the stored domain is not in its canonical form")]
    NotCanonical,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::DomainError as E;
    use super::*;

    #[track_caller]
    fn check(typed: &str, expect: Result<&str, E>) {
        let parsed = DomainName::parse(typed);
        assert_eq!(parsed.clone().map(|name| name.to_string()), expect.map(str::to_owned), "{typed:?}");
        // Where no wildcard is meant, an admin's text is read alike.
        if parsed != Err(E::Wildcard) {
            assert_eq!(DomainName::parse_registered(typed), parsed, "registered {typed:?}");
        }
    }

    #[track_caller]
    fn check_registered(typed: &str, expect: Result<&str, E>) {
        let parsed = DomainName::parse_registered(typed);
        assert_eq!(parsed.clone().map(|name| name.to_string()), expect.map(str::to_owned), "{typed:?}");
        assert_eq!(DomainName::parse(typed), Err(E::Wildcard), "{typed:?}");
    }

    #[track_caller]
    fn check_covers(registered: &str, host: &str, expect: bool) {
        let (registered, host) = (registered_name(registered), name(host));
        assert_eq!(registered.covers(&host), expect, "{registered} covers {host:?}");
        let listed = host.covering_names().iter().any(|text| text == registered.as_str());
        assert_eq!(listed, expect, "{registered} is in covering_names of {host:?}");
    }

    #[track_caller]
    fn check_exempt(typed: &str, expect: bool) {
        assert_eq!(name(typed).is_exempt(), expect, "{typed}");
    }

    fn words(text: &str) -> impl Iterator<Item = &str> {
        text.split_whitespace()
    }

    #[track_caller]
    fn name(typed: &str) -> DomainName {
        DomainName::parse(typed).expect(typed)
    }

    #[track_caller]
    fn registered_name(typed: &str) -> DomainName {
        DomainName::parse_registered(typed).expect(typed)
    }

    /// A name of exactly this many octets, of labels no longer than 49.
    fn name_of_len(octets: usize) -> String {
        let mut text = "a".repeat(octets);
        let mut at = octets.saturating_sub(4);
        while at > 0 {
            text.replace_range(at..=at, ".");
            at = at.saturating_sub(50);
        }
        text
    }

    #[test]
    fn what_callers_have_becomes_the_host() {
        for typed in words(
            "example.com Example.COM example.com. EXAMPLE.COM.:443 example.com:8443 example.com:0
             example.com:65535 example.com:00080 example.com/ example.com/../x example.com/x?y#z
             example.com?y example.com#z http://example.com https://example.com/x?y#z
             HTTPS://Example.com:443/ ws://example.com/socket wss://example.com https://example.com?x
             https://example.com#x",
        ) {
            check(typed, Ok("example.com"));
        }
        for typed in ["  example.com\r\n", "\u{a0}\u{3000}example.com\t", " https://example.com/ "] {
            check(typed, Ok("example.com"));
        }
        // After the authority nothing says which host is meant.
        for typed in words(
            r"https://example.com/@user https://example.com/a%20b\c example.com/https://evil.com
              https://example.com?next=https://user@evil.com:1/ https://example.com#@evil.com",
        ) {
            check(typed, Ok("example.com"));
        }
        check("intranet", Ok("intranet"));
        check("a.b-c.d1.example.co.uk", Ok("a.b-c.d1.example.co.uk"));
        check("1and1.com", Ok("1and1.com"));
        check("123.example.com", Ok("123.example.com"));
        check("ab--cd.com", Ok("ab--cd.com"));
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_reason() {
        for typed in ["", " ", "\t\r\n", "\u{3000}"] {
            check(typed, Err(E::Empty));
        }
        for typed in
            ["https://", "https:///x", "https://?x", "//example.com", "/example.com", ":8080", "?", "#x"]
        {
            check(typed, Err(E::NoHost));
        }
        for typed in ["exa mple.com", "exam\tple.com", "example.com\nevil.com", "https ://x", "https://x/a b"]
        {
            check(typed, Err(E::Whitespace));
        }
        check("exa\u{3000}mple.com", Err(E::Whitespace));
        for typed in ["example.com\0", "example.com\0.evil.com", "\u{1}example.com", "example.com/\u{7f}"] {
            check(typed, Err(E::ControlCharacter));
        }
        for typed in words(
            "ftp://example.com file:///etc/passwd ://example.com httpss://example.com example.com://evil.com
             javascript://example.com/%0aalert(1)",
        ) {
            check(typed, Err(E::Scheme));
        }
        for typed in words(
            r"user@example.com https://good.com@evil.com/ https://good.com:80@evil.com https://@example.com
              https://user:secret@example.com https://evil.com\@good.com mailto:user@example.com @",
        ) {
            check(typed, Err(E::UserInfo));
        }
        for typed in
            ["example.com\\x", "\\\\example.com", "https:\\\\example.com", "https://evil.com\\.good.com"]
        {
            check(typed, Err(E::Backslash));
        }
        for typed in
            ["%65xample.com", "example%2ecom", "example.com%00", "https://example.com%2f.evil.com", "%"]
        {
            check(typed, Err(E::PercentEscape));
        }
        for typed in words(
            "example.com: https://example.com:/ https://example.com:99999 example.com:65536 example.com:+80
             example.com:-1 example.com:80a example.com:80:80 example.com:٨ javascript:alert(1)
             data:text/html,x https:example.com https:/example.com http:",
        ) {
            check(typed, Err(E::Port));
        }
    }

    #[test]
    fn labels_are_those_of_host_names() {
        check("my_shop.com", Err(E::Character('_')));
        check("_dmarc.example.com", Err(E::Character('_')));
        check("example.com,evil.com", Err(E::Character(',')));
        check("exa'mple.com", Err(E::Character('\'')));
        check("<b>.com", Err(E::Character('<')));
        check("exa[mple].com", Err(E::Character('[')));
        check("bücher_.de", Err(E::Character('_')));
        for typed in words("-a.com a-.com - a.-b.com a.com- bücher-.de a-。com") {
            check(typed, Err(E::Hyphen));
        }
        for typed in ["a..b", ".a.com", "a.com..", ".", "..", "a.。b", "\u{ad}", "a.\u{ad}.com"] {
            check(typed, Err(E::EmptyLabel));
        }
        for typed in ["a.1", "example.123", "256.1.1.1", "1.2.3.4.5", "1", "a.0x", "a.0xF", "example.com.１"]
        {
            check(typed, Err(E::NumericTopLabel));
        }
        check("example.0xyz", Ok("example.0xyz"));
    }

    #[test]
    fn lengths_hold_at_the_edge_and_one_past_it() {
        let label = |octets| format!("{}.com", "a".repeat(octets));
        check(&label(63), Ok(&label(63)));
        check(&label(64), Err(E::LabelTooLong));
        check(&label(63).to_uppercase(), Ok(&label(63)));
        check(&label(64).to_uppercase(), Err(E::LabelTooLong));

        let (fits, too_long) = (name_of_len(253), name_of_len(254));
        assert_eq!((fits.len(), too_long.len()), (253, 254));
        check(&fits, Ok(&fits));
        check(&format!("{fits}."), Ok(&fits));
        check(&format!("https://{}.:8443/x", fits.to_uppercase()), Ok(&fits));
        check(&too_long, Err(E::NameTooLong));
        check(&format!("{too_long}."), Err(E::NameTooLong));

        // What counts is the ASCII form: 57 letters fit into a label, 58 do not.
        let umlauts = |letters| format!("{}.de", "ü".repeat(letters));
        assert_eq!(name(&umlauts(57)).as_str().len(), 63 + 3);
        check(&umlauts(58), Err(E::LabelTooLong));
        // 226 characters of which each label fits, but it takes more than 12 octets.
        let grows = "üüüüüü.".repeat(32) + "de";
        assert!(grows.chars().count() < MAX_NAME_LEN);
        check(&grows, Err(E::NameTooLong));

        check(&"a".repeat(MAX_TYPED_LEN), Err(E::NameTooLong));
        check(&"a".repeat(MAX_TYPED_LEN + 1), Err(E::TooLong));
        check(&" ".repeat(MAX_TYPED_LEN + 1), Err(E::TooLong));
        check(&format!("xn--{}", "a9".repeat(1000)), Err(E::NameTooLong));
        let path = format!("example.com/{}", "x".repeat(MAX_TYPED_LEN - 12));
        check(&path, Ok("example.com"));
        check(&(path + "x"), Err(E::TooLong));
    }

    #[test]
    fn internationalised_names_follow_uts_46() {
        for typed in ["bücher.de", "BÜCHER.DE", "bu\u{308}cher.de", "xn--bcher-kva.de", "XN--BCHER-KVA.de"]
        {
            check(typed, Ok("xn--bcher-kva.de"));
        }
        // Non-transitional: ß and the joiners are letters of their own.
        check("faß.de", Ok("xn--fa-hia.de"));
        check("fass.de", Ok("fass.de"));
        check("ශ්\u{200D}රී.com", Ok("xn--10cl1a0b660p.com"));
        check("نامه\u{200C}ای.com", Ok("xn--mgba3gch31f060k.com"));
        check("a\u{200D}b.com", Err(E::NotIdna));
        check("a\u{200C}b.com", Err(E::NotIdna));
        // Dropped by the mapping.
        check("exa\u{ad}mple\u{200B}.com", Ok("example.com"));
        // Full width and other full stops.
        for typed in
            ["ｅｘａｍｐｌｅ。com", "ＥＸＡＭＰＬＥ．ＣＯＭ", "example｡com", "example.com。", "ⓔxample.com"]
        {
            check(typed, Ok("example.com"));
        }
        check("ｗｗｗ。example。com", Ok("example.com"));
        check("example.com。。", Err(E::EmptyLabel));
        // What maps to ASCII is held to the rules of ASCII, and never splits a host.
        for typed in
            ["example.com／x", "good.com＠evil.com", "example.com：80", "good.com℀evil.com", "％65x.com"]
        {
            check(typed, Err(E::NotIdna));
        }
        check("good.com？evil.com", Err(E::NotIdna));
        check("good.com＃.evil.com", Err(E::NotIdna));
        // Right to left text has rules of direction.
        check("א0٠.com", Err(E::NotIdna));
        check("\u{202E}moc.elpmaxe", Err(E::NotIdna));
        check("\u{301}a.com", Err(E::NotIdna));
        check("\u{FFFD}.com", Err(E::NotIdna));
        check("aa--é.de", Ok("xn--aa---epa.de"));
        check("☃.net", Ok("xn--n3h.net"));
        check("💩.la", Ok("xn--ls8h.la"));
    }

    #[test]
    fn punycode_that_no_name_encodes_to_is_refused() {
        for typed in [
            "xn--a.com",
            "xn--.com",
            "xn--example-.com",
            "xn--apple-.com",
            "xn---.com",
            "xn--a-ä.com",
            "xn--99999999.com",
            // Upper case Ü, encoded: mapping would change what it decodes to.
            "xn--bcher-2pa.de",
            "xn--bücher.de",
            // "-é", and a joiner between "a" and "b", encoded.
            "xn----bga.de",
            "xn--ab-m1t.de",
        ] {
            let refused = DomainName::parse(typed).expect_err(typed);
            assert!(matches!(refused, E::NotIdna | E::Hyphen), "{typed}: {refused:?}");
        }
    }

    #[test]
    fn a_homograph_is_another_name() {
        let latin = name("apple.com");
        for (typed, ascii) in [
            ("\u{430}pple.com", "xn--pple-43d.com"),
            ("\u{430}\u{440}\u{440}\u{4cf}\u{435}.com", "xn--80ak6aa92e.com"),
            ("app\u{4cf}e.com", "xn--appe-xre.com"),
            ("αpple.com", "xn--pple-zld.com"),
        ] {
            check(typed, Ok(ascii));
            assert_ne!(name(typed), latin, "{typed}");
            check_covers("apple.com", typed, false);
            check_covers("*.apple.com", &format!("www.{typed}"), false);
        }
        check("paypa1.com", Ok("paypa1.com"));
    }

    #[test]
    fn local_addresses_are_accepted_in_one_spelling_and_exempt() {
        for (typed, text) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.255.255.254:3000", "127.255.255.254"),
            ("http://10.0.0.1/x", "10.0.0.1"),
            ("172.16.0.1", "172.16.0.1"),
            ("172.31.255.255", "172.31.255.255"),
            ("192.168.1.20:8000", "192.168.1.20"),
            ("169.254.1.1", "169.254.1.1"),
            ("0.0.0.0:8080", "0.0.0.0"),
            ("127.0.0.1.", "127.0.0.1"),
            ("１２７。0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::1]:8080", "::1"),
            ("https://[::1]:8080/x", "::1"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("[::]:80", "::"),
            ("fc00::", "fc00::"),
            ("[FD12:3456:0:0::A]", "fd12:3456::a"),
            ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::1", "fe80::1"),
            ("febf::1", "febf::1"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("[::ffff:7f00:1]:80", "127.0.0.1"),
            ("[::FFFF:192.168.0.1]", "192.168.0.1"),
        ] {
            check(typed, Ok(text));
            check_exempt(typed, true);
            assert_eq!(name(typed).covering_names(), [text], "{typed}");
        }
    }

    #[test]
    fn other_addresses_are_no_domains() {
        for typed in words(
            "8.8.8.8 203.0.113.7:443 https://1.1.1.1/ 126.255.255.255 128.0.0.1 11.0.0.1 172.15.255.255
             172.32.0.1 192.169.0.1 169.253.0.1 0.0.0.1 100.64.0.1 224.0.0.1 255.255.255.255
             [2001:db8::1] 2606:4700::1111 [2606:4700::1111]:443 ::2 fbff::1 fe00::1 fec0::1 ff02::1
             ::ffff:8.8.8.8",
        ) {
            check(typed, Err(E::PublicAddress));
        }
        // Forms that only some machines would lead to 127.0.0.1.
        for typed in ["::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"] {
            check(typed, Err(E::PublicAddress));
        }
        for typed in words(
            "127.1 127.0.1 0x7f000001 0x7f.0.0.1 127.0.0.0x1 010.0.0.1 127.0.0.01 0177.0.0.1 2130706433
             017700000001 10.0.0.256",
        ) {
            check(typed, Err(E::NumericTopLabel));
        }
        for typed in ["[fe80::1%eth0]", "fe80::1%eth0", "[fe80::1%25eth0]:80", "::1%", "http://[::1%lo]/"] {
            check(typed, Err(E::ZoneId));
        }
        for typed in words(
            "[] [ [::1 [::1]x [::1].example.com [127.0.0.1] [example.com] [1::2::3] [::1]] [[::1]] [::g]
             [*::1] [v1.x]",
        ) {
            check(typed, Err(E::MalformedAddress));
        }
        for typed in ["[::1]:", "[::1]:99999", "[::1]:x", "1::2::3", "::g", "::1]"] {
            check(typed, Err(E::Port));
        }
    }

    #[test]
    fn development_names_are_exempt_by_whole_labels() {
        for typed in words(
            "localhost LOCALHOST.:3000 app.localhost a.b.localhost shop.test www.shop.test printer.local
             api.internal x.ｌｏｃａｌ www.localhost www.test",
        ) {
            check_exempt(typed, true);
        }
        for typed in words(
            "test local internal example.com notlocalhost mylocalhost localhost.com localhost.example.com
             example.localhost.com test.com shop.test.com shop.mytest contest shop.contest xlocal a.xlocal
             a.local.evil.com internal.com a-internal localhost1 127.0.0.1.example.com 10.example.com
             192.168.0.1.nip.io fe80.com",
        ) {
            check_exempt(typed, false);
        }
        assert!(!registered_name("*.example.com").is_exempt());
    }

    #[test]
    fn www_folds_into_its_parent_once() {
        for (typed, text) in [
            ("www.example.com", "example.com"),
            ("WWW.Example.Com", "example.com"),
            ("https://www.example.com:443/", "example.com"),
            ("www.example.co.uk", "example.co.uk"),
            ("www.bücher.de", "xn--bcher-kva.de"),
            ("www.www.example.com", "www.example.com"),
            ("www.www.com", "www.com"),
            ("www.com", "www.com"),
            ("www.localhost", "www.localhost"),
            ("www", "www"),
            ("www.a.localhost", "a.localhost"),
            ("wwww.example.com", "wwww.example.com"),
            ("www1.example.com", "www1.example.com"),
            ("www-x.example.com", "www-x.example.com"),
            ("a.www.example.com", "a.www.example.com"),
        ] {
            check(typed, Ok(text));
        }
        // How it was typed makes no difference to who it is.
        let (with, without) = (name("www.example.com"), name("example.com"));
        assert!(with.had_www && !without.had_www);
        assert_eq!(with, without);
        assert_eq!(with.cmp(&without), Ordering::Equal);
        assert_eq!(HashSet::from([with.clone(), without.clone()]).len(), 1);
        assert_eq!(with.to_string(), without.to_string());
        assert!(name("a.com") < name("b.com"));
        assert_eq!(format!("{:>12}|{:<12}", name("a.com"), name("b.com")), "       a.com|b.com       ");
    }

    #[test]
    fn wildcards_are_registered_before_two_labels_or_more() {
        for (typed, text) in [
            ("*.example.com", "*.example.com"),
            ("*.Example.COM.", "*.example.com"),
            ("https://*.example.com:443/x", "*.example.com"),
            (" *.a.b.example.com ", "*.a.b.example.com"),
            ("*.bücher.de", "*.xn--bcher-kva.de"),
            ("*。ｅｘａｍｐｌｅ。com", "*.example.com"),
            ("*.www.example.com", "*.www.example.com"),
            ("*.co.uk", "*.co.uk"),
            ("*.www.com", "*.www.com"),
        ] {
            check_registered(typed, Ok(text));
            assert!(registered_name(typed).is_wildcard());
        }
        assert!(!name("example.com").is_wildcard());

        for typed in ["*.com", "*.intranet", "*.test", "*.com."] {
            check_registered(typed, Err(E::WildcardTooWide));
        }
        for typed in words(
            "* ** *.* *.*.com *.*.example.com **.example.com a.*.example.com *a.example.com a*.example.com
             *example.com example.* *-a.example.com www.*.example.com",
        ) {
            check_registered(typed, Err(E::MisplacedWildcard));
        }
        for typed in ["*.localhost", "*.shop.test", "*.a.local", "*.127.0.0.1", "*.10.0.0.1"] {
            check_registered(typed, Err(E::WildcardOfExempt));
        }
        check_registered("*.8.8.8.8", Err(E::PublicAddress));
        check_registered("*.127.1", Err(E::NumericTopLabel));
        check_registered("*.", Err(E::EmptyLabel));
        check_registered("*..example.com", Err(E::EmptyLabel));
        check_registered("*.-a.com", Err(E::Hyphen));
        check_registered("*.my_shop.com", Err(E::Character('_')));
        check("＊.example.com", Err(E::NotIdna));
        check("*@example.com", Err(E::UserInfo));

        let longest = format!("*.{}", name_of_len(251));
        check_registered(&longest, Ok(&longest));
        check_registered(&format!("*.{}", name_of_len(252)), Err(E::NameTooLong));
    }

    #[test]
    fn a_registration_covers_names_and_never_substrings() {
        for (registered, host, expect) in [
            ("example.com", "example.com", true),
            ("example.com", "EXAMPLE.com.:443", true),
            ("example.com", "www.example.com", true),
            ("www.example.com", "example.com", true),
            ("example.com", "a.example.com", false),
            ("a.example.com", "example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.c.example.com", true),
            ("*.example.com", "www.a.example.com", true),
            ("*.example.com", "www.www.example.com", true),
            ("*.example.com", "example.com", false),
            // Below the wildcard as typed, though it folds into the apex.
            ("*.example.com", "www.example.com", true),
            ("*.a.example.com", "www.a.example.com", true),
            ("*.a.example.com", "a.example.com", false),
            ("*.a.example.com", "b.example.com", false),
            ("*.a.example.com", "www.example.com", false),
            ("*.www.example.com", "a.www.example.com", true),
            ("*.www.example.com", "www.www.example.com", true),
            ("*.www.example.com", "www.example.com", false),
            ("*.www.com", "www.com", false),
            ("*.www.com", "www.www.com", true),
            ("*.bücher.de", "a.xn--bcher-kva.de", true),
            // Suffix and substring attacks.
            ("example.com", "notexample.com", false),
            ("example.com", "evilexample.com", false),
            ("example.com", "example.com.evil.com", false),
            ("example.com", "example.co", false),
            ("example.com", "example.comm", false),
            ("example.com", "example-com.evil.com", false),
            ("*.example.com", "notexample.com", false),
            ("*.example.com", "evilexample.com", false),
            ("*.example.com", "a.evilexample.com", false),
            ("*.example.com", "www.evilexample.com", false),
            ("*.example.com", "evil-example.com", false),
            ("*.example.com", "example.com.evil.com", false),
            ("*.example.com", "a.example.com.evil.com", false),
            ("*.example.com", "com", false),
            ("*.0.1.com", "127.0.0.1", false),
            ("localhost", "a.localhost", false),
            ("localhost", "localhost:3000", true),
            ("127.0.0.1", "[::ffff:127.0.0.1]", true),
            ("127.0.0.1", "::1", false),
        ] {
            check_covers(registered, host, expect);
        }
        // A wildcard is no host, not even to a wider one.
        let (wide, narrow) = (registered_name("*.example.com"), registered_name("*.a.example.com"));
        assert!(wide.covers(&wide) && !wide.covers(&narrow) && !narrow.covers(&wide));
        assert!(!name("example.com").covers(&wide));
    }

    #[test]
    fn covering_names_go_from_the_nearest_to_the_widest() {
        for (host, names) in [
            ("example.com", &["example.com"][..]),
            ("www.example.com", &["example.com", "*.example.com"]),
            ("a.example.com", &["a.example.com", "*.example.com"]),
            ("www.a.example.com", &["a.example.com", "*.a.example.com", "*.example.com"]),
            ("www.www.example.com", &["www.example.com", "*.www.example.com", "*.example.com"]),
            ("intranet", &["intranet"]),
            ("localhost", &["localhost"]),
            ("www.a.shop.test", &["a.shop.test"]),
        ] {
            assert_eq!(name(host).covering_names(), names, "{host}");
        }
        assert_eq!(registered_name("*.a.example.com").covering_names(), ["*.a.example.com"]);
        // As many as labels, so a lookup stays small.
        assert_eq!(name(&("a.".repeat(126) + "a")).covering_names().len(), 126);
    }

    #[test]
    fn what_was_not_stored_is_not_read() {
        for text in
            ["Example.com", "bücher.de", "*.Example.com", "::0001", "::ffff:127.0.0.1", "example.com."]
        {
            assert_eq!(DomainName::from_stored(text), Err(E::NotCanonical), "{text}");
        }
        for (text, expect) in [
            ("", E::EmptyLabel),
            ("https://example.com", E::Character(':')),
            ("example.com:80", E::Character(':')),
            (" example.com", E::Character(' ')),
            ("example.com\0", E::Character('\0')),
            ("[::1]", E::Character('[')),
            ("*", E::Character('*')),
            ("a.*.com", E::Character('*')),
            ("*.*.com", E::MisplacedWildcard),
            ("*.com", E::WildcardTooWide),
            ("*.shop.test", E::WildcardOfExempt),
            ("*.::1", E::Character(':')),
            ("8.8.8.8", E::PublicAddress),
            ("2001:db8::1", E::PublicAddress),
            ("127.1", E::NumericTopLabel),
        ] {
            assert_eq!(DomainName::from_stored(text), Err(expect), "{text:?}");
        }
        assert_eq!(DomainName::from_stored(&"a".repeat(MAX_TYPED_LEN + 1)), Err(E::TooLong));
        assert!(DomainName::from_stored("fe80::1").unwrap().is_exempt());
        assert!(DomainName::from_stored("*.example.com").unwrap().is_wildcard());
        assert!(!DomainName::from_stored("www.example.com").unwrap().had_www);
    }

    #[test]
    fn an_error_is_a_short_sentence_whatever_was_typed() {
        for typed in
            ["\u{202E}<script>alert(1)</script>", "ю".repeat(1000).as_str(), "secret@example.com", "a_b"]
        {
            let said = DomainName::parse(typed).unwrap_err().to_string();
            assert!(said.len() < 100 && said.is_ascii() && !said.contains("secret"), "{said}");
        }
        assert_eq!(E::Character('\0').to_string(), r"the character '\0' cannot be part of a host name");
        assert_eq!(
            E::LabelTooLong.to_string(),
            "a part of a host name cannot be longer than 63 octets in its ASCII form"
        );
    }

    /// Names above, below and beside each other.
    fn near_names() -> Vec<String> {
        let mut names = Vec::new();
        for prefix in ["", "*.", "www.", "www.www.", "*.www.", "www.*."] {
            for labels in ["", "a.", "ba.", "a.a.", "www.a.", "bücher."] {
                for base in ["a.com", "ba.com", "com", "a.test", "localhost", "127.0.0.1", "0.1"] {
                    names.push([prefix, labels, base].concat());
                }
            }
        }
        names
    }

    #[test]
    fn covers_and_covering_names_agree_on_every_pair() {
        let names: Vec<_> =
            near_names().iter().flat_map(|typed| DomainName::parse_registered(typed)).collect();
        for host in &names {
            let covering = host.covering_names();
            for registered in &names {
                let listed = covering.iter().any(|name| name == registered.as_str());
                assert_eq!(registered.covers(host), listed, "{registered} covers {host:?}");
            }
            for text in covering {
                let registered = DomainName::from_stored(&text).expect(&text);
                assert!(registered.covers(host), "{registered} covers {host:?}");
            }
        }
    }

    /// Texts that are nearly hosts: the letters, digits and marks that the rules are about.
    fn near_host() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c0-9.xn-]{0,12}",
            "(www\\.|xn--|0x|\\*\\.|https://)?[a-zA-Z0-9_.:%@/?#\\[\\]\\\\* -]{0,20}",
            "(\\*\\.)?[a-zü。ß\u{430}\u{200d}א١0-9-]{1,6}(\\.[a-züßא0-9-]{1,6}){0,3}",
            "\\[?[0-9a-f]{0,4}(:{1,2}[0-9a-f.]{0,5}){1,5}\\]?(:[0-9]{1,5})?",
            "[0-9]{1,3}(\\.[0-9]{1,3}){0,4}",
            prop::sample::select(near_names()),
        ]
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), near_host()]
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_accepted_reads_back(text in any_text()) {
            for parsed in [DomainName::parse(&text), DomainName::parse_registered(&text)] {
                let Ok(parsed) = parsed else { continue };
                prop_assert_eq!(DomainName::from_stored(parsed.as_str()), Ok(parsed.clone()));
                prop_assert!(parsed.as_str().len() <= MAX_NAME_LEN && parsed.as_str().is_ascii());
            }
            if let Ok(stored) = DomainName::from_stored(&text) {
                prop_assert_eq!(stored.as_str(), text);
            }
        }

        #[test]
        fn parsing_twice_is_parsing_once(text in any_text()) {
            if let Ok(once) = DomainName::parse_registered(&text) {
                let twice = DomainName::parse_registered(once.as_str());
                // Only `www.www.` leaves a `www.` that the second time takes off.
                let left = once.as_str().strip_prefix("www.").filter(|parent| parent.contains('.'));
                let expect = match left {
                    Some(parent) => DomainName::from_stored(parent),
                    None => Ok(once.clone()),
                };
                prop_assert_eq!(twice, expect);
            }
        }

        #[test]
        fn the_short_way_is_the_long_way(
            text in prop_oneof![
                "[ -~]{0,20}",
                "[a-c0-9.xn-]{0,12}",
                "(www\\.|xn--|0x)?[a-f0-9.-]{0,70}",
                "[a-c]{1,2}[ -~][a-c]{0,2}",
            ],
        ) {
            let (short, long) = (DomainName::parse(&text), DomainName::parse_any(&text));
            prop_assert_eq!(&short, &long);
            if let (Ok(short), Ok(long)) = (short, long) {
                prop_assert_eq!((short.kind, short.had_www), (long.kind, long.had_www));
            }
        }
    }
}
