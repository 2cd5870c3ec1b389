//! XChaCha20-Poly1305 with the nonce before the ciphertext and the owner as associated data.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryCryptoRng;
use zeroize::Zeroizing;

pub(super) const NONCE_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 16;

/// Encrypts for one owner, with a random nonce.
pub(super) fn seal<R: TryCryptoRng + ?Sized>(
    key: &[u8; 32],
    clear: &[u8],
    owner: &str,
    rng: &mut R,
) -> Result<Vec<u8>, R::Error> {
    // 24 random bytes never repeat, so no counter is needed.
    let mut nonce = [0; NONCE_BYTES];
    rng.try_fill_bytes(&mut nonce)?;
    Ok(seal_with_nonce(key, nonce, clear, owner))
}

pub(super) fn seal_with_nonce(
    key: &[u8; 32],
    nonce: [u8; NONCE_BYTES],
    clear: &[u8],
    owner: &str,
) -> Vec<u8> {
    let payload = Payload { msg: clear, aad: owner.as_bytes() };
    let ciphertext = XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(nonce), payload);
    let ciphertext = ciphertext.expect("it is shorter than 256 GiB");
    [nonce.as_slice(), &ciphertext].concat()
}

/// Decrypts; `None` if it was altered, or sealed with another key or for another owner.
pub(super) fn open(key: &[u8; 32], sealed: &[u8], owner: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: ciphertext, aad: owner.as_bytes() };
    XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

/// Returns `sealed` with each bit flipped, cut to each shorter length, and extended by a byte.
#[cfg(test)]
pub(super) fn damaged(sealed: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..sealed.len() * 8).map(|bit| {
        let mut bytes = sealed.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let cut = (0..sealed.len()).map(|length| sealed[..length].to_vec());
    flipped.chain(cut).chain([[sealed, &[0]].concat()])
}
