//! All limits on input, in one place. A value at the limit is accepted, and one past it is rejected.

/// Longest token in bytes, except for a list of revocations.
pub const TOKEN_BYTES: usize = 256 * 1024;
/// Longest token with a list of revocations, in bytes: about 100,000 leases with the longest ids.
pub const REVOCATIONS_BYTES: usize = 8 * 1024 * 1024;
/// Longest license file, in bytes, with the text around it.
pub const LICENSE_FILE_BYTES: usize = 1024 * 1024;
/// Key tokens in one license file.
pub const FILE_KEY_TOKENS: usize = 4;
/// Longest JSON form of a public key, in bytes.
pub const JWK_BYTES: usize = 4 * 1024;
/// Keys in one key token.
pub const TOKEN_KEYS: usize = 16;
/// Revoked keys in one key token.
pub const TOKEN_REVOKED_KEYS: usize = 256;
/// Key tokens that a state keeps: how often a client can learn a key by a key that it learned before.
pub const LEARNED_KEY_TOKENS: usize = 16;
/// Leases that were handed back and that a state remembers.
pub const RETURNED_LEASES: usize = 16;
/// Fewest bytes of a nonce: 128 bits.
pub const NONCE_MIN_BYTES: usize = 16;
/// Most bytes of a nonce.
pub const NONCE_MAX_BYTES: usize = 64;
/// Longest answer of a server that is read, in bytes.
pub const ANSWER_BYTES: usize = 512 * 1024;
/// Longest fingerprint of a device in a request code, in bytes.
pub const CODE_FINGERPRINT_BYTES: usize = 64;
/// Longest other part of a code, in bytes: the product, the key, the nonce or the id of a lease.
pub const CODE_PART_BYTES: usize = 255;
/// Longest code, in bytes, with the spaces and dashes in it.
pub const CODE_BYTES: usize = 4 * 1024;
/// Longest state as JSON, in bytes: the largest list of revocations, and room for the rest.
pub const STATE_BYTES: usize = 16 * 1024 * 1024;
/// Last second of the year 9999, the largest time.
pub const LAST_SECOND: i64 = 253_402_300_799;
