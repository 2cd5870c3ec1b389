//! Idempotency keys: a repeated request has its effect once.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::event::EventId;
use crate::limits;
use crate::text_value::text_value;

/// A caller's key for one request: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses a key.
    ///
    /// # Errors
    /// Returns [`IdempotencyKeyError`] if the form is wrong.
    pub fn parse(text: &str) -> Result<Self, IdempotencyKeyError> {
        let well_formed = (1..=limits::IDEMPOTENCY_KEY_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(IdempotencyKeyError) }
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_value!(IdempotencyKey, IdempotencyKeyError);

/// The text is not an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key must be 1 to {} printable ASCII characters", limits::IDEMPOTENCY_KEY_BYTES)]
pub struct IdempotencyKeyError;

/// The keyed digest of an idempotency key with its operation, its target and its caller. Databases store the
/// digest instead of the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyDigest([u8; 32]);

impl IdempotencyDigest {
    /// Wraps stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for IdempotencyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyDigest(…)")
    }
}

/// Identifies a repeated request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The digest of the caller's key.
    pub key: IdempotencyDigest,
    /// The keyed digest of the request's content, to compare requests with the same key.
    pub request: [u8; 32],
}

impl Idempotency {
    /// Wraps two keyed digests: of the key and of the content.
    pub(crate) fn new(key: [u8; 32], request: [u8; 32]) -> Self {
        Self { key: IdempotencyDigest::from_bytes(key), request }
    }
}

/// A request that used an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedKey {
    /// [`Idempotency::request`] of the request.
    pub request: [u8; 32],
    /// The first event that the request caused.
    pub event: EventId,
    /// The time of the request.
    pub at: DateTime<Utc>,
}
