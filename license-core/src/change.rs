//! Changes: how a node learns what others changed, so that what it remembers of a license is never old for long.

use async_trait::async_trait;

use crate::key::KeyDigest;
use crate::license::LicenseId;
use crate::token::{TokenDigest, TokenId};

/// A license was made or changed. Validations are no changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which one.
    pub license_id: LicenseId,
    /// A key by which it may be remembered: after a rotation there is a change for the old one and one for the new.
    pub key_digest: KeyDigest,
    /// The version it has now. Who remembers this one or a later one knows already.
    pub version: u64,
}

/// An API token was made or revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChange {
    /// Which one.
    pub token_id: TokenId,
    /// What it may be remembered by.
    pub digest: TokenDigest,
}

/// What a feed tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A license changed.
    Changed(Change),
    /// A token changed.
    TokenChanged(TokenChange),
    /// Events were written that tell of no change, or deliveries are due: whoever reads the outbox looks again.
    Outbox,
    /// Changes may have been missed, on a lost connection or by a listener that was too slow: whatever is remembered may
    /// be old.
    Missed,
}

/// Whether a store hears of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    /// It hears of every change that it can hear of.
    Listening,
    /// The connection is lost and being made anew; changes of other nodes go unheard.
    Lost,
}

impl FeedState {
    /// `listening` or `lost`: the form of JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Lost => "lost",
        }
    }
}

/// One listener's stream of notices, from its making on; it never ends.
///
/// Notices come after the commit of what they tell of. Two of one license may come in either order: the version tells which
/// is newer.
#[async_trait]
pub trait ChangeFeed: Send {
    /// Waits for the next notice. Dropped while it waits, it loses none.
    async fn next(&mut self) -> Notice;
}

#[async_trait]
impl<F: ChangeFeed + ?Sized> ChangeFeed for Box<F> {
    async fn next(&mut self) -> Notice {
        (**self).next().await
    }
}
