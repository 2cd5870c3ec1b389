//! What a node hears of changes: its own, and where the database passes them on, those of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use license_core::change::{Change, ChangeFeed, FeedState, Notice};
use license_core::key::KeyDigest;
use license_core::license::LicenseId;

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

const OUTBOX: &str = "outbox";
const MISSED: &str = "missed";

/// A notice as text; of a change: id, version, digest in hex. Short and plain: a notice holds less than 8000 bytes.
pub(super) fn payload(notice: &Notice) -> String {
    let Change { license_id, key_digest, version } = match notice {
        Notice::Changed(change) => change,
        Notice::Outbox => return OUTBOX.to_owned(),
        Notice::Missed => return MISSED.to_owned(),
    };
    let mut text = format!("{license_id} {version} ");
    for byte in key_digest.as_bytes() {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(half.into(), 16));
        }
    }
    text
}

#[cfg_attr(not(any(feature = "postgres", test)), expect(dead_code, reason = "read where others write"))]
fn read_payload(text: &str) -> Option<Notice> {
    if text == OUTBOX {
        return Some(Notice::Outbox);
    }
    let mut parts = text.split(' ');
    let (id, version, hex) = (parts.next()?, parts.next()?, parts.next()?);
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() || parts.next().is_some() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[pair..pair + 2], 16).ok()?;
    }
    Some(Notice::Changed(Change {
        license_id: LicenseId::parse(id).ok()?,
        key_digest: KeyDigest::from_bytes(digest),
        version: version.parse().ok()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_come_back() {
        let change = Notice::Changed(Change {
            license_id: LicenseId::parse("lic_a1").expect("an id"),
            key_digest: KeyDigest::from_bytes(std::array::from_fn(|n| u8::try_from(n * 8).expect("a byte"))),
            version: 17,
        });
        let text = payload(&change);
        assert_eq!(read_payload(&text), Some(change));
        assert_eq!(read_payload(&payload(&Notice::Outbox)), Some(Notice::Outbox));
        let (shorter, other) = (&text[..text.len() - 1], text.replace("17", "x"));
        for broken in
            ["", "lic_a1", "lic_a1 1 zz", shorter, &format!("{text} x"), &other, &text.replace("lic", "cil")]
        {
            assert_eq!(read_payload(broken), None, "{broken:?}");
        }
    }
}
