//! Signs tokens.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

use super::context::ServiceContext;
use super::signing_keys::SigningKeyService;
use crate::command::LeaseSigner;
use crate::error::{Resource, ServiceError};
use crate::limits;
use crate::signing::{
    KeyTokenClaims, ProofRequest, ProvenAnswer, PublicKey, SignerError, SigningKey, SigningKeyId,
    SigningKeyPair, SigningKeySet, SigningKeyState, TokenAlgorithm, TokenSigner, TokenType, VerdictClaims,
    sign_claims,
};

/// A signed verdict, with the tokens by which software learns its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The token of the verdict.
    pub proof: String,
    /// Key tokens in the order in which software learns; empty unless a key is retiring.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_tokens: Vec<String>,
}

/// Signs tokens, by the active key of the database or by the [signer](TokenSigner) of the options. Clones
/// share everything.
///
/// Every method that signs returns [`ServiceError::Signer`] if the signer fails, and
/// [`ServiceError::SealedSigningKey`] if the row of the key was altered.
#[derive(Clone)]
pub struct SigningService {
    keys: SigningKeyService,
    context: Arc<ServiceContext>,
    /// Opened keys: to unseal a key costs more than to sign.
    opened: Arc<RwLock<HashMap<SigningKeyId, Arc<SigningKeyPair>>>>,
}

impl fmt::Debug for SigningService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningService").field("tokens", &self.context.tokens).finish_non_exhaustive()
    }
}

impl SigningService {
    pub(super) fn new(keys: SigningKeyService, context: Arc<ServiceContext>) -> Self {
        Self { keys, context, opened: Arc::default() }
    }

    /// Returns the issuer of tokens, their claim `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.context.tokens.issuer
    }

    /// Returns the JSON Web Key Set of RFC 7517 with all keys that verify tokens.
    #[must_use]
    pub fn jwks(&self) -> Value {
        match &self.context.tokens.signer {
            Some(signer) => json!({ "keys": [signer.public_key().to_jwk()] }),
            None => self.keys.current().to_jwks(),
        }
    }

    /// Returns the key that signs, as this node knows it.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if there is none.
    pub fn active_key(&self) -> Result<PublicKey, ServiceError> {
        match &self.context.tokens.signer {
            Some(signer) => Ok(signer.public_key()),
            None => Ok(active(&self.keys.current())?.public),
        }
    }

    /// Signs a token by the active key. The claims must serialize as a JSON object.
    pub async fn sign(
        &self,
        token_type: TokenType,
        claims: &(impl Serialize + Sync),
    ) -> Result<String, ServiceError> {
        self.sign_by(&self.active_key()?.id(), token_type, claims).await
    }

    /// Signs a token by the key with this id, which need not be active. The claims must serialize as a JSON
    /// object.
    ///
    /// # Errors
    /// Returns [`ServiceError::NotFound`] if no key has this id, or it was revoked.
    pub async fn sign_by(
        &self,
        key: &SigningKeyId,
        token_type: TokenType,
        claims: &(impl Serialize + Sync),
    ) -> Result<String, ServiceError> {
        let claims = serde_json::to_vec(claims).map_err(SignerError::new)?;
        self.sign_claims(key, self.context.tokens.algorithm, token_type, &claims).await
    }

    /// Signs a token with the JSON object `claims`, as it is, by the key with this id.
    pub(super) async fn sign_claims(
        &self,
        key: &SigningKeyId,
        algorithm: TokenAlgorithm,
        token_type: TokenType,
        claims: &[u8],
    ) -> Result<String, ServiceError> {
        let signer = self.signer(key)?;
        let token = sign_claims(&*signer, algorithm, token_type, claims).await?;
        if self.context.tokens.signer.is_some() {
            verify_signature(&token, &signer.public_key())?;
        }
        Ok(token)
    }

    /// Returns the name of the algorithm in new tokens.
    pub(super) fn algorithm(&self) -> TokenAlgorithm {
        self.context.tokens.algorithm
    }

    /// Returns the key that signs a lease, as this node knows it.
    pub(super) fn lease_signer(&self) -> Result<LeaseSigner, ServiceError> {
        let key = self.active_key()?.id();
        let is_foreign = self.context.tokens.signer.is_some();
        Ok(if is_foreign { LeaseSigner::Foreign(key) } else { LeaseSigner::Stored(key) })
    }

    /// Reads the keys again, because another node replaced one.
    pub(super) async fn reload(&self) -> Result<(), ServiceError> {
        Ok(self.keys.load().await.map(drop)?)
    }

    /// Signs key tokens of a product, from which software that trusts their signers learns: one by the active
    /// key and, while a key is retiring, also by the retiring keys and by the next one. They are in the order
    /// in which software learns, at most [`limits::KEY_TOKENS`].
    pub async fn key_tokens(&self, product: &str) -> Result<Vec<String>, ServiceError> {
        let set = self.keys.current();
        let revoked =
            set.keys().iter().filter(|key| key.state == SigningKeyState::Revoked).map(|key| &key.id);
        let now = self.context.now();
        let (signers, keys) = self.signers_and_keys(&set);
        let claims = KeyTokenClaims::new(self.issuer(), product, keys, revoked, now);
        let mut tokens = Vec::new();
        // After many forced rotations, the newest keys matter most.
        for key in &signers[signers.len().saturating_sub(limits::KEY_TOKENS)..] {
            tokens.push(self.sign_by(key, TokenType::Keys, &claims).await?);
        }
        Ok(tokens)
    }

    /// Signs the answer to a validation. `product` is the one that the request names.
    pub async fn prove(
        &self,
        request: &ProofRequest,
        product: Option<&str>,
        answer: &ProvenAnswer<'_>,
    ) -> Result<Proof, ServiceError> {
        let plans = self.context.plans();
        let plan = answer.license.and_then(|license| plans.version(&license.plan, license.plan_version));
        let claims = VerdictClaims::new(self.issuer(), request, product, answer, plan.map(AsRef::as_ref));
        let proof = self.sign(TokenType::Verdict, &claims).await?;
        let is_rotated = self.context.tokens.signer.is_none() && is_rotated(&self.keys.current());
        let key_tokens = if is_rotated { self.key_tokens(&claims.aud).await? } else { Vec::new() };
        Ok(Proof { proof, key_tokens })
    }

    /// Returns the keys that sign key tokens, and the keys in them, in the order in which software learns.
    fn signers_and_keys(&self, set: &SigningKeySet) -> (Vec<SigningKeyId>, Vec<PublicKey>) {
        if let Some(signer) = &self.context.tokens.signer {
            return (vec![signer.public_key().id()], vec![signer.public_key()]);
        }
        let in_order = [SigningKeyState::Retiring, SigningKeyState::Active, SigningKeyState::Next];
        let of_state = |state| set.keys().iter().filter(move |key| key.state == state);
        let published: Vec<_> = in_order.into_iter().flat_map(of_state).collect();
        let is_rotated = is_rotated(set);
        let signs = |key: &&&SigningKey| key.state == SigningKeyState::Active || is_rotated;
        let signers = published.iter().filter(signs).map(|key| key.id.clone()).collect();
        (signers, published.iter().map(|key| key.public).collect())
    }

    fn signer(&self, id: &SigningKeyId) -> Result<Arc<dyn TokenSigner>, ServiceError> {
        if let Some(signer) = &self.context.tokens.signer {
            let is_known = signer.public_key().id() == *id;
            return is_known.then(|| Arc::clone(signer)).ok_or(ServiceError::NotFound(Resource::SigningKey));
        }
        let set = self.keys.current();
        let key = set.get(id).filter(|key| key.state != SigningKeyState::Revoked);
        let key = key.ok_or(ServiceError::NotFound(Resource::SigningKey))?;
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = opened.get(id) {
            return Ok(Arc::clone(pair) as _);
        }
        drop(opened);
        let pair = Arc::new(self.keys.open(key)?);
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|opened, _| set.get(opened).is_some_and(SigningKey::is_published));
        opened.insert(id.clone(), Arc::clone(&pair));
        Ok(pair)
    }
}

fn active(set: &SigningKeySet) -> Result<&SigningKey, ServiceError> {
    set.active().ok_or(ServiceError::NotFound(Resource::SigningKey))
}

/// Returns whether software may know only a key that signs no more.
fn is_rotated(set: &SigningKeySet) -> bool {
    set.keys().iter().any(|key| key.state == SigningKeyState::Retiring)
}

/// Checks a foreign signer: software would take a wrong signature for a forged answer.
fn verify_signature(token: &str, key: &PublicKey) -> Result<(), SignerError> {
    let verified = token.rsplit_once('.').is_some_and(|(message, signature)| {
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().and_then(|bytes| bytes.try_into().ok());
        signature.is_some_and(|signature| key.verifies(message.as_bytes(), &signature))
    });
    if verified { Ok(()) } else { Err(SignerError::new("the signature does not fit the public key")) }
}
