//! A change stream within one process.

use async_trait::async_trait;
use license_core::store::{ChangeNotice, ChangeStream, LicenseChanged};
use tokio::sync::broadcast;

/// A listener that falls further behind gets [`ChangeNotice::Missed`].
const CAPACITY: usize = 1024;

/// Sends changes to any number of listeners. Clones share the listeners.
#[derive(Clone, Debug)]
pub struct LocalFeed(broadcast::Sender<ChangeNotice>);

impl Default for LocalFeed {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl LocalFeed {
    /// Announces changes of licenses. Call it after their commit.
    pub fn notify_licenses(&self, changes: impl IntoIterator<Item = LicenseChanged>) {
        for change in changes {
            self.notify(ChangeNotice::LicenseChanged(change));
        }
    }

    /// Announces any change. Call it after the commit.
    pub fn notify(&self, change: ChangeNotice) {
        // An error means that there are no listeners.
        let _ = self.0.send(change);
    }

    /// Starts a stream of the changes from now on.
    #[must_use]
    pub fn listen(&self) -> Box<dyn ChangeStream> {
        Box::new(FeedListener { changes: self.0.subscribe(), _sender: self.0.clone() })
    }
}

struct FeedListener {
    changes: broadcast::Receiver<ChangeNotice>,
    /// Keeps the channel open, so that the stream never ends.
    _sender: broadcast::Sender<ChangeNotice>,
}

#[async_trait]
impl ChangeStream for FeedListener {
    async fn next(&mut self) -> ChangeNotice {
        self.changes.recv().await.unwrap_or(ChangeNotice::Missed)
    }
}
