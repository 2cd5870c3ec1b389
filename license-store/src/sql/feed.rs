//! What a node hears of changes: its own, and where the database passes them on, those of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use license_core::change::{Change, ChangeFeed, FeedState, Notice, TokenChange};
use license_core::key::KeyDigest;
use license_core::license::LicenseId;
use license_core::token::{TokenDigest, TokenId};

use crate::local_feed::LocalFeed;

/// The listeners of one store, and who feeds them.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    local: LocalFeed,
    lost: Arc<AtomicBool>,
    #[cfg(feature = "postgres")]
    task: Option<tokio::task::AbortHandle>,
}

impl Feed {
    pub(super) fn tell(&self, notices: Vec<Notice>) {
        for notice in notices {
            self.local.notify(notice);
        }
    }

    pub(super) fn listen(&self) -> Box<dyn ChangeFeed> {
        self.local.listen()
    }

    pub(super) fn state(&self) -> FeedState {
        if self.lost.load(Ordering::SeqCst) { FeedState::Lost } else { FeedState::Listening }
    }
}

#[cfg(feature = "postgres")]
impl Feed {
    /// A feed that `task` fills, which listens already; it ends with the store.
    pub(super) fn fed_by<F>(task: impl FnOnce(Filler) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (local, lost) = (LocalFeed::default(), Arc::new(AtomicBool::new(false)));
        let filler = Filler { local: local.clone(), lost: Arc::clone(&lost) };
        Self { local, lost, task: Some(tokio::spawn(task(filler)).abort_handle()) }
    }
}

#[cfg(feature = "postgres")]
impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Fills a feed.
#[cfg(feature = "postgres")]
pub(super) struct Filler {
    local: LocalFeed,
    lost: Arc<AtomicBool>,
}

#[cfg(feature = "postgres")]
impl Filler {
    /// Listening (again): what was committed before may have been missed.
    pub(super) fn listening(&self) {
        self.lost.store(false, Ordering::SeqCst);
        self.local.notify(Notice::Missed);
    }

    /// The connection is gone.
    pub(super) fn lost(&self) {
        self.lost.store(true, Ordering::SeqCst);
        self.local.notify(Notice::Missed);
    }

    /// A notice of a node; one that can't be read is one that was missed.
    pub(super) fn heard(&self, payload: &str) {
        self.local.notify(read_payload(payload).unwrap_or(Notice::Missed));
    }
}

/// What stands before the id of a token, where others have the id of a license. A node of before there were tokens can't read it,
/// and takes it for a change that it missed.
const TOKEN: &str = "token";
const OUTBOX: &str = "outbox";

/// A notice as text: id, version, digest in hex; of a token the word, id and digest. Short and plain: a notice holds less than
/// 8000 bytes. That some were missed is nothing to pass on.
pub(super) fn payload(notice: &Notice) -> Option<String> {
    let (mut text, digest) = match notice {
        Notice::Changed(Change { license_id, key_digest, version }) => {
            (format!("{license_id} {version} "), key_digest.as_bytes())
        }
        Notice::TokenChanged(TokenChange { token_id, digest }) => {
            (format!("{TOKEN} {token_id} "), digest.as_bytes())
        }
        Notice::Outbox => return Some(OUTBOX.to_owned()),
        Notice::Missed => return None,
    };
    for byte in digest {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(half.into(), 16));
        }
    }
    Some(text)
}

#[cfg_attr(not(any(feature = "postgres", test)), expect(dead_code, reason = "read where others write"))]
fn read_payload(text: &str) -> Option<Notice> {
    if text == OUTBOX {
        return Some(Notice::Outbox);
    }
    let mut parts = text.split(' ');
    let (first, second, hex) = (parts.next()?, parts.next()?, parts.next()?);
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() || parts.next().is_some() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[pair..pair + 2], 16).ok()?;
    }
    if first == TOKEN {
        let (token_id, digest) = (TokenId::parse(second)?, TokenDigest::from_bytes(digest));
        return Some(Notice::TokenChanged(TokenChange { token_id, digest }));
    }
    Some(Notice::Changed(Change {
        license_id: LicenseId::parse(first).ok()?,
        key_digest: KeyDigest::from_bytes(digest),
        version: second.parse().ok()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_come_back() {
        let change = Change {
            license_id: LicenseId::parse("lic_a1").expect("an id"),
            key_digest: KeyDigest::from_bytes(std::array::from_fn(|n| u8::try_from(n * 8).expect("a byte"))),
            version: 17,
        };
        let token = Notice::TokenChanged(TokenChange {
            token_id: TokenId::parse("tok_a1").expect("an id"),
            digest: TokenDigest::from_bytes([0xa7; 32]),
        });
        let text = payload(&token).expect("a text");
        assert_eq!(read_payload(&text), Some(token));
        assert_eq!(read_payload(&text.replace("tok_", "lic_")), None);
        assert_eq!(payload(&Notice::Outbox).as_deref().and_then(read_payload), Some(Notice::Outbox));
        assert_eq!(payload(&Notice::Missed), None);
        let change = Notice::Changed(change);
        let text = payload(&change).expect("a text");
        assert_eq!(read_payload(&text), Some(change));
        let (shorter, other) = (&text[..text.len() - 1], text.replace("17", "x"));
        for broken in
            ["", "lic_a1", "lic_a1 1 zz", shorter, &format!("{text} x"), &other, &text.replace("lic", "cil")]
        {
            assert_eq!(read_payload(broken), None, "{broken:?}");
        }
    }
}
