//! The change stream: notices of changes by other nodes, which keep the caches of a node current.

use async_trait::async_trait;

use crate::access::{TokenDigest, TokenId};
use crate::license::LicenseChanged;
use crate::text_enum::text_enum;

/// An API token was created or revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChanged {
    /// The token.
    pub token_id: TokenId,
    /// Its digest, by which caches find it.
    pub digest: TokenDigest,
}

/// An item of a change stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeNotice {
    /// A license changed.
    LicenseChanged(LicenseChanged),
    /// A token changed.
    TokenChanged(TokenChanged),
    /// Events were written without a change of a license, or deliveries became due.
    Events,
    /// The catalog of products and plans changed.
    CatalogChanged,
    /// The signing keys changed.
    SigningKeysChanged,
    /// Notices may have been lost, with a connection or because the listener was too slow. Cached data may
    /// be stale.
    Missed,
}

text_enum! {
    /// Whether notices arrive.
    StreamState {
        /// All changes that the store can observe are announced.
        Listening = "listening",
        /// The connection is lost and being restored. Changes of other nodes do not arrive.
        Lost = "lost",
    }
}

/// The endless stream of notices of one listener.
///
/// Notices are sent after the commit that they announce. Two notices about one license may arrive in either
/// order; their versions tell which is newer.
#[async_trait]
pub trait ChangeStream: Send {
    /// Waits for the next notice. Cancel safe: a dropped call loses no notice.
    async fn next(&mut self) -> ChangeNotice;
}
