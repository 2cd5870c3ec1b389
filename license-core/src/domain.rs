//! Domain names: parsing, the canonical text that is stored and compared, and wildcards.
//!
//! Names are compared label by label, never as substrings: `notexample.com` and `example.com.evil.com` do
//! not match `example.com`.
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
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use smol_str::SmolStr;

use self::error::MAX_NAME_LEN;
pub use self::error::{DomainError, MAX_TYPED_LEN};
use self::host::{Host, split_host};
use self::normalise::{DOTS, ends_in_number, is_plain, normalise};
use crate::text_value::text_value;

mod cover;
mod error;
mod host;
mod normalise;

/// Suffixes of exempt names. The leading dot matches whole labels only, and does not match the bare word:
/// `test` alone may be a machine on a network.
const EXEMPT_BELOW: [&str; 4] = [".localhost", ".test", ".local", ".internal"];

/// A host name in canonical form, an exempt address, or a wildcard registered by an admin.
///
/// The canonical form is the UTS-46 ASCII form in lower case without the root dot: `xn--…` for an
/// internationalised name. An address is written as [`std::net`] writes it, without brackets. Equality,
/// order and hash are those of this text.
///
/// # `www.`
///
/// Each leading `www.` is removed if at least two labels remain: `www.www.example.com` is `example.com`, and
/// `www.com` and `www.localhost` stay. So parsing a canonical text returns the same name.
///
/// A parsed name remembers the removed `www.` for [`covers`](Self::covers) and
/// [`covering_names`](Self::covering_names): the host `www.example.com` is below `*.example.com`. The stored
/// text does not contain it.
///
/// # Public suffixes
///
/// A wildcard of a public suffix, such as `*.co.uk` or `*.github.io`, would cover domains of many owners. It
/// cannot be registered. A name without a wildcard is not checked: `co.uk` and a single label such as
/// `intranet` are names like any other, and are counted.
#[derive(Clone, Debug)]
pub struct DomainName {
    /// Inline for most names: each license in memory has several, and each recorded validation has a copy.
    text: SmolStr,
    kind: DomainKind,
    had_www: bool,
}

/// Derived from the text. Stored so that it is computed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DomainKind {
    Name,
    Address,
    Wildcard,
}

impl DomainName {
    /// Parses a host name, `host:port`, or an `http`, `https`, `ws` or `wss` URL.
    ///
    /// Surrounding white space, scheme, port, path, query and fragment are dropped, also a scheme whose colon
    /// or slashes are missing (`https//example.com`). IP addresses are
    /// rejected unless they are [exempt](Self::is_exempt). An IPv6 address may be in brackets, and needs
    /// them if a port follows. An IPv4 address mapped into IPv6 is read as IPv4.
    ///
    /// # Errors
    /// Returns a [`DomainError`] with the reason why the text is not a host. Parsing is stricter than in a
    /// browser: user names, escapes, backslashes, addresses in unusual notations (`127.1`, `0x7f000001`),
    /// empty ports and inner white space are rejected, since parsers disagree about the host they mean. So are
    /// `www` and the names of the four schemes, which are left over where a host is missing.
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
        // Fast path for nearly every call. A property test compares it with the full parser.
        if is_plain(typed) {
            return Ok(Self::name(typed).fold_www());
        }
        Self::parse_any(typed)
    }

    /// Parses a domain that an admin registers: as [`parse`](Self::parse), or `*.` and at least two labels.
    ///
    /// `*.www.example.com` keeps its `www.`. Exempt names, addresses and public suffixes take no wildcard.
    ///
    /// # Errors
    /// Returns a [`DomainError`] with the reason why the host or the wildcard is invalid.
    ///
    /// ```
    /// use license_core::domain::{DomainError, DomainName};
    ///
    /// assert!(DomainName::parse_registered("*.Example.com")?.is_wildcard());
    /// assert_eq!(DomainName::parse_registered("*.com"), Err(DomainError::WildcardTooWide));
    /// assert_eq!(DomainName::parse_registered("*.co.uk"), Err(DomainError::WildcardOfPublicSuffix));
    /// # Ok::<(), DomainError>(())
    /// ```
    pub fn parse_registered(typed: &str) -> Result<Self, DomainError> {
        match split_host(typed)? {
            Host::Text(host) if host.contains('*') => {
                let base = host.strip_prefix('*').and_then(|rest| rest.strip_prefix(DOTS));
                let wildcard = Self::wildcard(base.ok_or(DomainError::MisplacedWildcard)?)?;
                if wildcard.is_above_public_suffix() {
                    return Err(DomainError::WildcardOfPublicSuffix);
                }
                Ok(wildcard)
            }
            host => Ok(Self::from_host(host)?.fold_www()),
        }
    }

    /// Parses exactly what [`as_str`](Self::as_str) returned, wildcards included.
    ///
    /// # Errors
    /// Returns a [`DomainError`] for any other text, even one that [`parse`](Self::parse) accepts, so that
    /// damaged rows are detected.
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
            (None, Err(_)) => Self::from_host(Host::Text(text))?.fold_www(),
        };
        if name.as_str() == text { Ok(name) } else { Err(DomainError::NotCanonical) }
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the parsed text began with `www.`.
    #[must_use]
    pub fn had_www(&self) -> bool {
        self.had_www
    }

    /// Returns whether this is a wildcard, which only [`parse_registered`](Self::parse_registered) accepts.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.kind == DomainKind::Wildcard
    }

    /// Returns whether this is a development host, which most plans allow and never count.
    ///
    /// These are `localhost`, names below `localhost`, `test`, `local` and `internal`, and loopback,
    /// private, link-local and unspecified addresses (`127.0.0.0/8`, `10.0.0.0/8`, `172.16.0.0/12`,
    /// `192.168.0.0/16`, `169.254.0.0/16`, `0.0.0.0`, `::1`, `fc00::/7`, `fe80::/10`, `::`). `0.0.0.0` and
    /// `::` are included because development servers print them as their own address.
    ///
    /// Bare `test`, `local` and `internal` are ordinary host names.
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
            DomainKind::Address => true,
            DomainKind::Wildcard => false,
            DomainKind::Name => {
                self.as_str() == "localhost" || EXEMPT_BELOW.iter().any(|end| self.text.ends_with(end))
            }
        }
    }

    fn parse_any(typed: &str) -> Result<Self, DomainError> {
        match split_host(typed)? {
            Host::Text(host) if host.contains('*') => Err(DomainError::Wildcard),
            host => Ok(Self::from_host(host)?.fold_www()),
        }
    }

    fn name(canonical: &str) -> Self {
        Self { text: canonical.into(), kind: DomainKind::Name, had_www: false }
    }

    fn from_host(host: Host<'_>) -> Result<Self, DomainError> {
        match host {
            Host::V6(address) => Self::address(address.to_canonical()),
            Host::Text(host) => {
                let name = normalise(host)?;
                if !ends_in_number(&name) {
                    return Ok(Self::name(&name));
                }
                // Resolvers read this as an address, in any notation (`127.1`, `010.0.0.1`).
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
        Ok(Self { text: address.to_string().into(), kind: DomainKind::Address, had_www: false })
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
        // A longer wildcard could cover no host: a covered host has a letter or more in place of the star.
        if text.len() > MAX_NAME_LEN {
            return Err(DomainError::NameTooLong);
        }
        Ok(Self { text: text.into(), kind: DomainKind::Wildcard, had_www: false })
    }

    /// Returns whether this is a wildcard of a public suffix. Stored wildcards are not checked: the list grows,
    /// and a license with an old wildcard must stay readable.
    fn is_above_public_suffix(&self) -> bool {
        self.text.strip_prefix("*.").is_some_and(|base| psl::suffix_str(base) == Some(base))
    }

    fn fold_www(mut self) -> Self {
        while let Some(parent) = self.text.strip_prefix("www.").filter(|parent| parent.contains('.')) {
            self.text = SmolStr::new(parent);
            self.had_www = true;
        }
        self
    }
}

/// Returns the canonical form of a host name: the UTS-46 ASCII form in lower case, without the root dot. A
/// leading `www.` stays.
pub(crate) fn canonical_host(typed: &str) -> Result<Cow<'_, str>, DomainError> {
    normalise(typed)
}

text_value!(DomainName, DomainError);

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

#[cfg(test)]
mod tests;
