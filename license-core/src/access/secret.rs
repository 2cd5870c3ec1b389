//! The secret texts of API tokens, and their digests.

use crate::debug::opaque_debug;
use crate::id::stored_bytes;
use rand::TryCryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// 256 random bits in hex.
const RANDOM_DIGITS: usize = 64;
/// Check digits at the end. One typo in 2^32 is not detected.
const CHECK_DIGITS: usize = 8;

/// The kind of a secret, which its prefix shows. A secret is never accepted as one of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// Of an API token: `lkt_`.
    Token,
    /// Of a session: `lks_`.
    Session,
    /// Of a one-time link: `lkl_`.
    Link,
}

impl SecretKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Token => "lkt_",
            Self::Session => "lks_",
            Self::Link => "lkl_",
        }
    }
}

/// A new API token: `lkt_`, 256 random bits and 32 check bits, in hex. Stores have only the
/// [`digest`](Self::digest).
///
/// Wiped on drop; `Debug` shows nothing.
///
/// ```
/// use license_core::access::{TokenDigest, TokenSecret};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let token = TokenSecret::generate(&mut rng)?;
/// assert!(token.reveal().starts_with("lkt_"));
/// assert_eq!(TokenSecret::digest_of_typed(token.reveal()), Some(token.digest()));
/// # Ok::<(), std::convert::Infallible>(())
/// ```
pub struct TokenSecret(Zeroizing<String>);

impl TokenSecret {
    /// Generates a token with a cryptographic generator, normally that of the operating system.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        Self::generate_kind(SecretKind::Token, rng)
    }

    /// Generates the secret of a token, session or link.
    ///
    /// # Errors
    /// Returns the error of the generator.
    pub fn generate_kind<R: TryCryptoRng + ?Sized>(kind: SecretKind, rng: &mut R) -> Result<Self, R::Error> {
        let prefix = kind.prefix();
        let mut bytes = Zeroizing::new([0_u8; RANDOM_DIGITS / 2]);
        rng.try_fill_bytes(bytes.as_mut_slice())?;
        // Full capacity: a growing string would leave copies in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + RANDOM_DIGITS + CHECK_DIGITS));
        text.push_str(prefix);
        push_hex(&mut text, bytes.as_slice());
        let check = check(&text);
        push_hex(&mut text, &check);
        Ok(Self(text))
    }

    /// Returns the token, to show to its owner once. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the digest to store.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }

    /// Returns the digest of a typed token, or `None` for a text that cannot be a token, such as one with a
    /// typo, so that no lookup is needed. Tokens without check digits are accepted.
    #[must_use]
    pub fn digest_of_typed(text: &str) -> Option<TokenDigest> {
        Self::digest_of_kind(SecretKind::Token, text)
    }

    /// Returns the digest of a secret of this kind, as [`digest_of_typed`](Self::digest_of_typed).
    #[must_use]
    pub fn digest_of_kind(kind: SecretKind, text: &str) -> Option<TokenDigest> {
        let digits = text.strip_prefix(kind.prefix())?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return None;
        }
        let well_formed = match digits.len().checked_sub(RANDOM_DIGITS)? {
            0 => true,
            CHECK_DIGITS => {
                let (token, typed) = text.split_at(text.len() - CHECK_DIGITS);
                let mut expected = String::with_capacity(CHECK_DIGITS);
                push_hex(&mut expected, &check(token));
                expected == typed
            }
            _ => false,
        };
        well_formed.then(|| TokenDigest::of(text))
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)));
}

/// Returns the check digits. They reveal nothing about the stored digest, whose input includes them.
fn check(token: &str) -> [u8; CHECK_DIGITS / 2] {
    let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let mut check = [0; CHECK_DIGITS / 2];
    check.copy_from_slice(&digest[..CHECK_DIGITS / 2]);
    check
}

opaque_debug!(TokenSecret);

/// The SHA-256 digest of an API token. Tokens have 256 random bits, so a slow hash would add nothing. A
/// token that a person chose is only as strong as that choice.
///
/// Compared in constant time.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Returns the digest of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

stored_bytes!(TokenDigest, 32);

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for TokenDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

opaque_debug!(TokenDigest);

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn tokens_are_random_and_hidden() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (one, two) = (TokenSecret::generate(&mut rng).unwrap(), TokenSecret::generate(&mut rng).unwrap());
        let digits = one.reveal().strip_prefix("lkt_").unwrap();
        assert!(digits.len() == 72 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one.reveal(), two.reveal());
        assert_ne!(one.digest(), two.digest());
        assert_eq!(one.digest(), TokenDigest::of(one.reveal()));
        assert_eq!(TokenDigest::from_bytes(*one.digest().as_bytes()), one.digest());
        assert_eq!(format!("{one:?} {:?}", one.digest()), "TokenSecret(…) TokenDigest(…)");
    }

    #[test]
    fn mistyped_token_is_rejected() {
        let token = TokenSecret::generate(&mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        let text = token.reveal();
        assert_eq!(TokenSecret::digest_of_typed(text), Some(token.digest()));
        for index in 0..text.len() {
            let (head, tail) = text.split_at(index);
            let other = if tail.starts_with('0') { "1" } else { "0" };
            let changed = format!("{head}{other}{}", &tail[1..]);
            let dropped = format!("{head}{}", &tail[1..]);
            let upper = format!("{head}{}", tail.to_uppercase());
            let swapped = match tail.get(..2) {
                Some(two) if two.as_bytes()[0] != two.as_bytes()[1] => {
                    format!("{head}{}{}{}", &tail[1..2], &tail[..1], &tail[2..])
                }
                _ => dropped.clone(),
            };
            for wrong in [changed, dropped, swapped] {
                assert_eq!(TokenSecret::digest_of_typed(&wrong), None, "{wrong}");
            }
            if upper != text {
                assert_eq!(TokenSecret::digest_of_typed(&upper), None, "{upper}");
            }
        }
        for wrong in ["", "lkt_", "lkt", &format!("{text}0"), &text[4..], &format!("{text}ü")] {
            assert_eq!(TokenSecret::digest_of_typed(wrong), None, "{wrong}");
        }
        // Of another kind.
        for kind in [SecretKind::Session, SecretKind::Link] {
            assert_eq!(TokenSecret::digest_of_kind(kind, text), None, "{kind:?}");
            let other = TokenSecret::generate_kind(kind, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
            assert_eq!(TokenSecret::digest_of_kind(kind, other.reveal()), Some(other.digest()));
            assert_eq!(TokenSecret::digest_of_typed(other.reveal()), None, "{kind:?}");
        }
        // Without check digits.
        let old = format!("lkt_{}", "0123456789abcdef".repeat(4));
        assert_eq!(TokenSecret::digest_of_typed(&old), Some(TokenDigest::of(&old)));
    }
}
