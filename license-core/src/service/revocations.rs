//! Signed lists of revoked leases.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::leases::LeaseService;
use crate::catalog_command::{CatalogDenial, CatalogResource};
use crate::error::ServiceError;
use crate::license::LeaseId;
use crate::signing::{RevocationClaims, TokenType};

/// A signed list of the leases of a product that software may still accept, but must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// The signed token.
    pub token: String,
    /// A text that is equal for lists with the same leases and the same signing key.
    pub version: String,
    /// The number of leases.
    pub count: usize,
}

impl LeaseService {
    /// Signs the list of leases of a product that software may still accept, but must not: they were revoked
    /// or handed back, or their license is suspended or revoked.
    ///
    /// # Errors
    /// Returns [`CatalogDenial::NotFound`] as [`ServiceError::Catalog`] if there is no such product.
    pub async fn revocations(&self, product: &str) -> Result<RevocationList, ServiceError> {
        if self.context.plans().product(product).is_none() {
            let (what, name) = (CatalogResource::Product, product.to_owned());
            return Err(ServiceError::Catalog(CatalogDenial::NotFound { what, name }));
        }
        let now = self.context.now();
        let revoked = self.leases.revoked_leases(product, now).await?;
        let key = self.signing.active_key()?.id();
        let version = version(key.as_str(), &revoked);
        // After the read: of two lists, the one that was read later must have the higher time.
        let iat = self.list_times.next(product, &version, now);
        let revoked: Vec<_> = revoked.iter().map(|id| id.as_str().to_owned()).collect();
        let count = revoked.len();
        let claims = RevocationClaims::new(self.signing.issuer(), product, revoked, iat);
        let token = self.signing.sign_by(&key, TokenType::Revocations, &claims).await?;
        Ok(RevocationList { token, version, count })
    }
}

fn version(key: &str, revoked: &[LeaseId]) -> String {
    let mut hasher = Sha256::new_with_prefix(key);
    for id in revoked {
        hasher.update(" ");
        hasher.update(id.as_str());
    }
    URL_SAFE_NO_PAD.encode(&hasher.finalize()[..16])
}
