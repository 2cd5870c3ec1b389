//! Errors, each with a stable code.

use crate::limits;

/// The reason why a token, a key, a file, a code or a state is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token is longer than its limit.
    #[error("the token is longer than {limit} bytes")]
    TokenTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The token is not a JWS in compact form with a header and claims in strict JSON.
    #[error("the token is malformed: {0}")]
    TokenMalformed(&'static str),
    /// The header names another algorithm than Ed25519.
    #[error("the token is not signed by Ed25519")]
    AlgorithmRefused,
    /// The token is of another type.
    #[error("the token must have the type \"{expected}\"")]
    WrongType {
        /// The type that is expected.
        expected: &'static str,
    },
    /// No trusted key has the key id of the token.
    #[error("the token is signed by a key that this software does not trust")]
    UnknownKey,
    /// The key that signed the token was revoked.
    #[error("the token is signed by a key that was revoked")]
    RevokedKey,
    /// The signature is not of this text and this key.
    #[error("the signature of the token is invalid")]
    BadSignature,
    /// A claim is missing or has a wrong form.
    #[error("the claims of the token are malformed: {0}")]
    ClaimsMalformed(&'static str),
    /// The token is for another product.
    #[error("the token is for another product")]
    WrongProduct,
    /// A key token or a list of revocations has expired.
    #[error("the token expired at {at}")]
    TokenExpired {
        /// The expiry, in Unix seconds.
        at: i64,
    },
    /// The token is valid from a later time.
    #[error("the token is valid from {from}")]
    NotYetValid {
        /// The first second of its validity, in Unix seconds.
        from: i64,
    },
    /// The clock of this machine is more than a day behind an earlier time that is certain.
    #[error("the clock of this machine is {behind} seconds behind: set the clock, or go online once")]
    ClockRolledBack {
        /// Seconds by which the clock is behind at least.
        behind: i64,
    },
    /// The lease has ended.
    #[error("the lease ended at {at}: go online, or ask for a new license file")]
    LeaseExpired {
        /// The end, in Unix seconds.
        at: i64,
    },
    /// The lease was revoked.
    #[error("the lease was revoked")]
    LeaseRevoked,
    /// The lease was handed back on this device.
    #[error("the lease was handed back")]
    LeaseReturned,
    /// The lease is older than the one in use.
    #[error("the lease is older than the one in use")]
    LeaseOutdated,
    /// The lease is for another device.
    #[error("the lease is for another device")]
    WrongDevice,
    /// The lease is for another domain.
    #[error("the lease is for another domain")]
    WrongDomain,
    /// This version of the software was released after the end of the updates.
    #[error("this version of the software was released after {until}, the end of the updates")]
    VersionNotCovered {
        /// The end of the updates, in Unix seconds.
        until: i64,
    },
    /// The verdict or the lease answers another question.
    #[error("the answer is for another request")]
    WrongNonce,
    /// The verdict answers another request body.
    #[error("the answer is for another request body")]
    WrongRequest,
    /// A newer list of revocations is known.
    #[error("a newer list of revocations is known")]
    RevocationsOutdated,
    /// The text is not a public key of Ed25519.
    #[error("the public key is malformed: {0}")]
    KeyMalformed(&'static str),
    /// The public key has a small order, so its signatures can be forged.
    #[error("the public key is weak")]
    WeakKey,
    /// A state cannot learn more keys.
    #[error(
        "more than {} key tokens are needed to trust this key: update the software",
        limits::LEARNED_KEY_TOKENS
    )]
    TooManyKeyTokens,
    /// The text has no license file.
    #[error("the license file is malformed: {0}")]
    FileMalformed(&'static str),
    /// The text is not a nonce of 128 bits or more.
    #[error("a nonce must be base64url of {} to {} bytes", limits::NONCE_MIN_BYTES, limits::NONCE_MAX_BYTES)]
    NonceMalformed,
    /// The text is not the code that is expected, or has a typo.
    #[error("the code is malformed: {0}")]
    CodeMalformed(&'static str),
    /// The stored state cannot be read.
    #[error("the stored state cannot be read: {0}")]
    StateMalformed(&'static str),
    /// The license has ended by the last answer of the server.
    #[error("the license ended at {at}: go online if it was renewed")]
    LicenseExpired {
        /// The end, in Unix seconds.
        at: i64,
    },
    /// The server has not answered for so long that the grace period is over.
    #[error("the license could not be checked, and the grace period ended at {at}: go online")]
    GraceEnded {
        /// The end of the grace period, in Unix seconds.
        at: i64,
    },
    /// Neither a verdict nor a lease is known.
    #[error("the license was never checked: go online, or load a license file")]
    NeverChecked,
}

impl Error {
    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TokenTooLong { .. } => "TOKEN_TOO_LONG",
            Self::TokenMalformed(_) => "TOKEN_MALFORMED",
            Self::AlgorithmRefused => "ALGORITHM_REFUSED",
            Self::WrongType { .. } => "WRONG_TYPE",
            Self::UnknownKey => "UNKNOWN_KEY",
            Self::RevokedKey => "REVOKED_KEY",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::ClaimsMalformed(_) => "CLAIMS_MALFORMED",
            Self::WrongProduct => "WRONG_PRODUCT",
            Self::TokenExpired { .. } => "TOKEN_EXPIRED",
            Self::NotYetValid { .. } => "NOT_YET_VALID",
            Self::ClockRolledBack { .. } => "CLOCK_ROLLED_BACK",
            Self::LeaseExpired { .. } => "LEASE_EXPIRED",
            Self::LeaseRevoked => "LEASE_REVOKED",
            Self::LeaseReturned => "LEASE_RETURNED",
            Self::LeaseOutdated => "LEASE_OUTDATED",
            Self::WrongDevice => "WRONG_DEVICE",
            Self::WrongDomain => "WRONG_DOMAIN",
            Self::VersionNotCovered { .. } => "VERSION_NOT_COVERED",
            Self::WrongNonce => "WRONG_NONCE",
            Self::WrongRequest => "WRONG_REQUEST",
            Self::RevocationsOutdated => "REVOCATIONS_OUTDATED",
            Self::KeyMalformed(_) => "KEY_MALFORMED",
            Self::WeakKey => "WEAK_KEY",
            Self::TooManyKeyTokens => "TOO_MANY_KEY_TOKENS",
            Self::FileMalformed(_) => "FILE_MALFORMED",
            Self::NonceMalformed => "NONCE_MALFORMED",
            Self::CodeMalformed(_) => "CODE_MALFORMED",
            Self::StateMalformed(_) => "STATE_MALFORMED",
            Self::LicenseExpired { .. } => "LICENSE_EXPIRED",
            Self::GraceEnded { .. } => "GRACE_ENDED",
            Self::NeverChecked => "NEVER_CHECKED",
        }
    }
}
