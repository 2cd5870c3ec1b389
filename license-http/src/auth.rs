//! Who may administer: API tokens, known by their digests.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use rand::TryCryptoRng;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::problem::Problem;

const TOKEN_PREFIX: &str = "lkt_";
const TOKEN_BYTES: usize = 32;

/// A new API token: `lkt_` and 256 random bits in hex. Kept by nobody but its owner; a server keeps the [`digest`](Self::digest).
///
/// Wiped on drop; `Debug` shows nothing.
///
/// ```
/// use license_http::{AdminAuth, ApiToken};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha20Rng::seed_from_u64(1); // a program passes `rand::rngs::SysRng`
/// let token = ApiToken::generate(&mut rng)?;
/// assert!(token.reveal().starts_with("lkt_"));
/// let auth = AdminAuth::new([token.digest()]);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
pub struct ApiToken(Zeroizing<String>);

impl ApiToken {
    /// Draws a token from a cryptographic generator, normally the operating system's.
    ///
    /// # Errors
    /// That of the generator.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = Zeroizing::new([0_u8; TOKEN_BYTES]);
        rng.try_fill_bytes(bytes.as_mut_slice())?;
        // Sized at once: a growing string would leave copies in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_PREFIX.len() + 2 * TOKEN_BYTES));
        text.push_str(TOKEN_PREFIX);
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        text.extend(nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)));
        Ok(Self(text))
    }

    /// The token itself, to be shown to its owner once. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What a server keeps of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

/// SHA-256 of an API token. A token has 256 random bits, so a slow hash would add nothing; one that people think up
/// themselves is as strong as they make it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// A digest as it was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

/// The API tokens that are let in. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct AdminAuth(Arc<[TokenDigest]>);

impl AdminAuth {
    /// Lets in whoever has one of these tokens; where there are none, nobody.
    #[must_use]
    pub fn new(digests: impl IntoIterator<Item = TokenDigest>) -> Self {
        Self(digests.into_iter().collect())
    }

    /// Looks at every digest in full, so that the time taken tells nothing.
    fn admits(&self, token: &str) -> bool {
        let digest = TokenDigest::of(token);
        let found = self
            .0
            .iter()
            .fold(Choice::from(0), |found, known| found | known.0.as_slice().ct_eq(digest.0.as_slice()));
        found.into()
    }
}

/// Refuses a request without a token that is let in, before any of its body is read.
pub(crate) async fn require_token(
    State(auth): State<AdminAuth>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if bearer_token(request.headers()).is_some_and(|token| auth.admits(token)) {
        return Ok(next.run(request).await);
    }
    let detail = "This call needs one Authorization header: Bearer and an API token.";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", detail))
}

/// The token of `Authorization: Bearer <token>`, where there is exactly one such header: of two, a proxy may have checked
/// the other one.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
