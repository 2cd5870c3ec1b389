//! Tells listeners of this process what a store changed.

use async_trait::async_trait;
use license_core::change::{Change, ChangeFeed, Notice};
use tokio::sync::broadcast;

/// How far a listener may fall behind before it is told that it missed some.
const BACKLOG: usize = 1024;

/// Passes notices on to any number of listeners. Clones share the listeners.
#[derive(Clone, Debug)]
pub struct LocalFeed(broadcast::Sender<Notice>);

impl Default for LocalFeed {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl LocalFeed {
    /// Tells of changes, after their commit.
    pub fn tell(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.notify(Notice::Changed(change));
        }
    }

    /// Passes any notice on.
    pub fn notify(&self, notice: Notice) {
        // No listener is no fault.
        let _ = self.0.send(notice);
    }

    /// Begins to listen.
    #[must_use]
    pub fn listen(&self) -> Box<dyn ChangeFeed> {
        Box::new(Listener(self.0.subscribe(), self.0.clone()))
    }
}

/// Holds the sender as well, so that the feed never ends while somebody listens.
struct Listener(
    broadcast::Receiver<Notice>,
    #[expect(dead_code, reason = "held, not used")] broadcast::Sender<Notice>,
);

#[async_trait]
impl ChangeFeed for Listener {
    async fn next(&mut self) -> Notice {
        match self.0.recv().await {
            Ok(notice) => notice,
            Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => {
                Notice::Missed
            }
        }
    }
}
