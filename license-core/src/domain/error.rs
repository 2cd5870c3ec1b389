//! Errors and length limits of domain names.

/// Maximum length of an input text, in bytes. Longer texts are rejected without being parsed.
pub const MAX_TYPED_LEN: usize = 2048;
/// Limits of RFC 1035, without the root dot.
pub(super) const MAX_NAME_LEN: usize = 253;
pub(super) const MAX_LABEL_LEN: usize = 63;

/// The reason why a text is not a domain. Messages are for users and never repeat the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// Empty, or white space only.
    #[error("the domain is empty")]
    Empty,
    /// More than [`MAX_TYPED_LEN`] bytes.
    #[error("the domain is longer than {MAX_TYPED_LEN} bytes")]
    TooLong,
    /// A scheme, `www`, port or path without a host.
    #[error("the host name is missing")]
    NoHost,
    /// White space inside the text.
    #[error("a domain cannot contain white space")]
    Whitespace,
    /// A control character, such as NUL.
    #[error("a domain cannot contain control characters")]
    ControlCharacter,
    /// A scheme other than `http`, `https`, `ws` and `wss`.
    #[error("only http, https, ws and wss URLs are accepted")]
    Scheme,
    /// `user@host`, often used to show one host and mean another.
    #[error("a domain cannot contain a user name (nothing before an '@')")]
    UserInfo,
    /// `\`, which some parsers read as `/`.
    #[error("a host name cannot contain a backslash")]
    Backslash,
    /// A percent escape in the host.
    #[error("a host name cannot contain percent escapes")]
    PercentEscape,
    /// Not a number from 0 to 65535 after the colon.
    #[error("the text after the colon is not a port number (0 to 65535)")]
    Port,
    /// An ASCII character other than letters, digits, hyphen, underscore and dot.
    #[error("the character {0:?} cannot be part of a host name")]
    Character(char),
    /// A label that begins or ends with a hyphen.
    #[error("a part of a host name cannot begin or end with a hyphen")]
    Hyphen,
    /// Two dots in a row, or a leading dot.
    #[error("a host name cannot have an empty part (a dot too many)")]
    EmptyLabel,
    /// A label of more than 63 bytes in its ASCII form.
    #[error("a part of a host name cannot be longer than {MAX_LABEL_LEN} bytes in its ASCII form")]
    LabelTooLong,
    /// More than 253 bytes in its ASCII form.
    #[error("a host name cannot be longer than {MAX_NAME_LEN} bytes in its ASCII form")]
    NameTooLong,
    /// The last label is a number, but the name is not an IPv4 address of four decimal numbers.
    #[error("a host name cannot end in a number")]
    NumericTopLabel,
    /// Characters or an encoding that UTS-46 does not allow.
    #[error("this is not a valid internationalised host name")]
    NotIdna,
    /// An IP address that is neither loopback nor private.
    #[error("an IP address is not a domain (only loopback and private addresses are accepted)")]
    PublicAddress,
    /// Brackets that do not hold an IPv6 address, or are followed by something other than a port.
    #[error("this is not an IPv6 address in brackets")]
    MalformedAddress,
    /// `fe80::1%eth0`: a zone has a meaning on one machine only.
    #[error("an IPv6 address cannot have a zone")]
    ZoneId,
    /// `*` in a host.
    #[error("a wildcard is not a host; it can only be registered")]
    Wildcard,
    /// `*` elsewhere than as the first label.
    #[error("a wildcard is written '*.' and a domain, with one '*' only")]
    MisplacedWildcard,
    /// `*.com`: a wildcard of a single label.
    #[error("a wildcard needs a domain of at least two parts, as in '*.example.com'")]
    WildcardTooWide,
    /// `*.shop.test` or `*.127.0.0.1`: a wildcard of an exempt name or address.
    #[error("local names and addresses take no wildcard: they are allowed without one")]
    WildcardOfExempt,
    /// `*.co.uk` or `*.github.io`: a wildcard of a public suffix, which would cover domains of many owners.
    #[error("a wildcard of a public suffix such as '*.co.uk' would cover domains of other owners")]
    WildcardOfPublicSuffix,
    /// A stored text that is not canonical.
    #[error("the stored domain is not in its canonical form")]
    NotCanonical,
}
