//! The change stream of a node: its own changes, and those of other nodes if the database announces them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use license_core::access::{TokenDigest, TokenId};
use license_core::key::KeyDigest;
use license_core::license::LicenseId;
use license_core::store::{ChangeNotice, ChangeStream, LicenseChanged, StreamState, TokenChanged};

use super::rows::hex;
use crate::local_feed::LocalFeed;

/// The listeners of a store, and the task that receives changes of other nodes.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    local: LocalFeed,
    lost: Arc<AtomicBool>,
    #[cfg(feature = "postgres")]
    task: Option<tokio::task::AbortHandle>,
}

impl Feed {
    pub(super) fn notify(&self, changes: Vec<ChangeNotice>) {
        for change in changes {
            self.local.notify(change);
        }
    }

    pub(super) fn listen(&self) -> Box<dyn ChangeStream> {
        self.local.listen()
    }

    pub(super) fn state(&self) -> StreamState {
        if self.lost.load(Ordering::SeqCst) { StreamState::Lost } else { StreamState::Listening }
    }
}

#[cfg(feature = "postgres")]
impl Feed {
    /// Starts a task that receives changes of other nodes. It ends with the store.
    pub(super) fn with_receiver<F>(task: impl FnOnce(RemoteChanges) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (local, lost) = (LocalFeed::default(), Arc::new(AtomicBool::new(false)));
        let changes = RemoteChanges { local: local.clone(), lost: Arc::clone(&lost) };
        Self { local, lost, task: Some(tokio::spawn(task(changes)).abort_handle()) }
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

/// Passes changes of other nodes to the listeners of this one.
#[cfg(feature = "postgres")]
pub(super) struct RemoteChanges {
    local: LocalFeed,
    lost: Arc<AtomicBool>,
}

#[cfg(feature = "postgres")]
impl RemoteChanges {
    /// The connection is established. Changes that were committed before may have been missed.
    pub(super) fn listening(&self) {
        self.lost.store(false, Ordering::SeqCst);
        self.local.notify(ChangeNotice::Missed);
    }

    /// The connection was lost.
    pub(super) fn lost(&self) {
        self.lost.store(true, Ordering::SeqCst);
        self.local.notify(ChangeNotice::Missed);
    }

    /// A change was received. One that cannot be read counts as missed.
    pub(super) fn received(&self, payload: &str) {
        self.local.notify(read_payload(payload).unwrap_or(ChangeNotice::Missed));
    }
}

/// First word of the payload of a token; that of a license begins with its id.
const TOKEN: &str = "token";
/// The payload of new events.
const EVENTS: &str = "events";

/// A change as text: a license as id, version and digest in hex; a token as [`TOKEN`], id and digest.
/// PostgreSQL allows less than 8000 bytes. `None` for missed changes, which are not announced.
pub(super) fn payload(notice: &ChangeNotice) -> Option<String> {
    let (text, digest) = match notice {
        ChangeNotice::LicenseChanged(LicenseChanged { license_id, key_digest, version }) => {
            (format!("{license_id} {version} "), key_digest.as_bytes())
        }
        ChangeNotice::TokenChanged(TokenChanged { token_id, digest }) => {
            (format!("{TOKEN} {token_id} "), digest.as_bytes())
        }
        ChangeNotice::Events => return Some(EVENTS.to_owned()),
        ChangeNotice::Missed => return None,
    };
    Some(text + &hex(digest))
}

#[cfg_attr(
    not(any(feature = "postgres", test)),
    expect(dead_code, reason = "only PostgreSQL has changes of other nodes")
)]
fn read_payload(text: &str) -> Option<ChangeNotice> {
    if text == EVENTS {
        return Some(ChangeNotice::Events);
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
        let (token_id, digest) = (TokenId::parse(second).ok()?, TokenDigest::from_bytes(digest));
        return Some(ChangeNotice::TokenChanged(TokenChanged { token_id, digest }));
    }
    Some(ChangeNotice::LicenseChanged(LicenseChanged {
        license_id: LicenseId::parse(first).ok()?,
        key_digest: KeyDigest::from_bytes(digest),
        version: second.parse().ok()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_parsed_back() {
        let change = LicenseChanged {
            license_id: LicenseId::parse("lic_a1").expect("an id"),
            key_digest: KeyDigest::from_bytes(std::array::from_fn(|n| u8::try_from(n * 8).expect("a byte"))),
            version: 17,
        };
        let token = ChangeNotice::TokenChanged(TokenChanged {
            token_id: TokenId::parse("tok_a1").expect("an id"),
            digest: TokenDigest::from_bytes([0xa7; 32]),
        });
        let text = payload(&token).expect("a text");
        assert_eq!(read_payload(&text), Some(token));
        assert_eq!(read_payload(&text.replace("tok_", "lic_")), None);
        assert_eq!(
            payload(&ChangeNotice::Events).as_deref().and_then(read_payload),
            Some(ChangeNotice::Events)
        );
        assert_eq!(payload(&ChangeNotice::Missed), None);
        let change = ChangeNotice::LicenseChanged(change);
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
