//! Tokens: JWS in compact form (RFC 7515), signed by Ed25519 (RFC 8037).
//!
//! `clients/vectors/README.md` is the contract of every token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::{SignerError, SigningKeyId, TokenSigner};
use crate::text_enum::text_enum;

text_enum! {
    /// The type of a token, its header `typ`. A token is never accepted as another type.
    TokenType {
        /// Licensed software may run until a time.
        Lease = "license-lease+jwt",
        /// The answer to one validation.
        Verdict = "license-verdict+jwt",
        /// The list of revoked leases.
        Revocations = "license-revocations+jwt",
        /// New signing keys, and revoked ones.
        Keys = "license-keys+jwt",
    }
}

text_enum! {
    /// The name of the algorithm in the header `alg`. The signatures are the same.
    TokenAlgorithm {
        /// The name of RFC 8037, which most JWT libraries know.
        EdDsa = "EdDSA",
        /// The name of RFC 9864.
        Ed25519 = "Ed25519",
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

/// Makes a token with these claims, which must serialize as a JSON object.
///
/// ```
/// use license_core::signing::{SigningKeyPair, TokenAlgorithm, TokenType, sign_token};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let pair = SigningKeyPair::from_seed(&[7; 32]);
/// let claims = serde_json::json!({ "aud": "editor" });
/// let token = sign_token(&pair, TokenAlgorithm::EdDsa, TokenType::Lease, &claims).await?;
/// assert_eq!(token.split('.').count(), 3);
/// # Ok::<(), license_core::signing::SignerError>(()) }).unwrap();
/// ```
///
/// # Errors
/// Returns the error of the signer.
pub async fn sign_token(
    signer: &dyn TokenSigner,
    algorithm: TokenAlgorithm,
    token_type: TokenType,
    claims: &(impl Serialize + Sync),
) -> Result<String, SignerError> {
    let claims = serde_json::to_vec(claims).map_err(SignerError::new)?;
    sign_claims(signer, algorithm, token_type, &claims).await
}

/// Makes a token with the JSON object `claims`, as it is.
pub(crate) async fn sign_claims(
    signer: &dyn TokenSigner,
    algorithm: TokenAlgorithm,
    token_type: TokenType,
    claims: &[u8],
) -> Result<String, SignerError> {
    let kid: SigningKeyId = signer.public_key().id();
    let header = Header { alg: algorithm.as_str(), kid: kid.as_str(), typ: token_type.as_str() };
    let header = serde_json::to_vec(&header).map_err(SignerError::new)?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = signer.sign(token.as_bytes()).await?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}
