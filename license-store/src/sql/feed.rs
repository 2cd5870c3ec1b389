//! The change stream of a node: its own changes, and those of other nodes if the database announces them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use license_core::access::{TokenDigest, TokenId};
use license_core::key::KeyDigest;
use license_core::license::LicenseId;
use license_core::store::{ChangeNotice, ChangeStream, LicenseChanged, StreamState, TokenChanged};
use serde::{Deserialize, Serialize};

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

    /// A change was received. A payload that cannot be read counts as a missed change.
    pub(super) fn received(&self, payload: &str) {
        self.local.notify(read_payload(payload).unwrap_or(ChangeNotice::Missed));
    }
}

/// A change as JSON text. PostgreSQL allows less than 8000 bytes.
#[derive(Serialize, Deserialize)]
enum Payload {
    License(String, u64, [u8; 32]),
    Token(String, [u8; 32]),
    Events,
    Catalog,
    SigningKeys,
}

/// The payload of a change. `None` for missed changes, which are not announced.
pub(super) fn payload(notice: &ChangeNotice) -> Option<String> {
    let payload = match notice {
        ChangeNotice::LicenseChanged(LicenseChanged { license_id, key_digest, version }) => {
            Payload::License(license_id.to_string(), *version, *key_digest.as_bytes())
        }
        ChangeNotice::TokenChanged(TokenChanged { token_id, digest }) => {
            Payload::Token(token_id.to_string(), *digest.as_bytes())
        }
        ChangeNotice::Events => Payload::Events,
        ChangeNotice::CatalogChanged => Payload::Catalog,
        ChangeNotice::SigningKeysChanged => Payload::SigningKeys,
        ChangeNotice::Missed => return None,
    };
    serde_json::to_string(&payload).ok()
}

#[cfg_attr(
    not(any(feature = "postgres", test)),
    expect(dead_code, reason = "only PostgreSQL has changes of other nodes")
)]
fn read_payload(text: &str) -> Option<ChangeNotice> {
    Some(match serde_json::from_str(text).ok()? {
        Payload::License(id, version, digest) => {
            let (license_id, key_digest) = (LicenseId::parse(&id).ok()?, KeyDigest::from_bytes(digest));
            ChangeNotice::LicenseChanged(LicenseChanged { license_id, key_digest, version })
        }
        Payload::Token(id, digest) => {
            let (token_id, digest) = (TokenId::parse(&id).ok()?, TokenDigest::from_bytes(digest));
            ChangeNotice::TokenChanged(TokenChanged { token_id, digest })
        }
        Payload::Events => ChangeNotice::Events,
        Payload::Catalog => ChangeNotice::CatalogChanged,
        Payload::SigningKeys => ChangeNotice::SigningKeysChanged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_is_parsed_back() {
        let license = ChangeNotice::LicenseChanged(LicenseChanged {
            license_id: LicenseId::parse("lic_a1").expect("an id"),
            key_digest: KeyDigest::from_bytes(std::array::from_fn(|n| u8::try_from(n * 8).expect("a byte"))),
            version: 17,
        });
        let token = ChangeNotice::TokenChanged(TokenChanged {
            token_id: TokenId::parse("tok_a1").expect("an id"),
            digest: TokenDigest::from_bytes([0xa7; 32]),
        });
        let keys = ChangeNotice::SigningKeysChanged;
        let notices = [license, token, ChangeNotice::Events, ChangeNotice::CatalogChanged, keys];
        let [license_text, token_text, ..] = notices.map(|notice| {
            let text = payload(&notice).expect("a text");
            assert_eq!(read_payload(&text), Some(notice), "{text}");
            text
        });
        assert_eq!(payload(&ChangeNotice::Missed), None);
        let (shorter, longer) =
            (license_text.replace("[0,8,", "[8,"), license_text.replace("[0,8,", "[0,0,8,"));
        let (other, no_id) = (license_text.replace("17", "\"x\""), license_text.replace("lic", "cil"));
        let no_token = token_text.replace("tok_", "lic_");
        for broken in ["", "lic_a1", &license_text[1..], &shorter, &longer, &other, &no_id, &no_token] {
            assert_eq!(read_payload(broken), None, "{broken:?}");
        }
    }
}
