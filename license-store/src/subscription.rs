//! Events in process: a stream from the outbox, for programs that need no HTTP to learn what happened.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use license_core::change::ChangeFeed;
use license_core::error::ServiceError;
use license_core::outbox::Published;
use license_core::service::LicenseService;
use tokio::time::timeout;

/// Events that are read at once.
const READ: u32 = 100;
/// Who was told nothing for so long looks anyway: another process may write the same file, of which nobody tells.
const QUIET: Duration = Duration::from_secs(2);

/// A named reader of all events, in their order, at least once each.
///
/// How far it has come is kept in the store under its name, when it says so: what it has not [acknowledged](Self::acknowledge)
/// it is told again when it is opened the next time, in whatever process. One name is for one reader at a time: two would each
/// be told all.
///
/// ```
/// # use std::sync::Arc;
/// # use license_core::service::LicenseService;
/// # use license_store::subscription::Subscription;
/// # async fn example(service: Arc<LicenseService>) -> Result<(), Box<dyn std::error::Error>> {
/// let mut events = Subscription::open(service, "billing").await?;
/// loop {
///     let published = events.next().await?;
///     println!("{} {}", published.event.id(), published.event.event_type);
///     events.acknowledge(published.position).await?;
/// }
/// # }
/// ```
pub struct Subscription {
    service: Arc<LicenseService>,
    name: String,
    feed: Box<dyn ChangeFeed>,
    position: u64,
    read: VecDeque<Published>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, position, .. } = self;
        f.debug_struct("Subscription").field("name", name).field("position", position).finish_non_exhaustive()
    }
}

impl Subscription {
    /// Goes on behind the last event that was acknowledged under this name; at the first event there is where none was.
    ///
    /// # Errors
    /// [`ServiceError::NoOutbox`], [`ServiceError::SubscriptionName`], or a fault of the store.
    pub async fn open(
        service: Arc<LicenseService>,
        name: impl Into<String> + Send,
    ) -> Result<Self, ServiceError> {
        // Listening first: of what is written after the first read, it is told.
        let (name, feed) = (name.into(), service.changes());
        let position = service.acknowledged(&name).await?;
        Ok(Self { service, name, feed, position, read: VecDeque::new() })
    }

    /// Waits for the next event. Dropped while it waits, it loses none.
    ///
    /// # Errors
    /// A fault of the store; called again, it goes on where it was.
    pub async fn next(&mut self) -> Result<Published, ServiceError> {
        loop {
            if let Some(published) = self.read.pop_front() {
                self.position = published.position;
                return Ok(published);
            }
            self.read = self.service.events_after(self.position, READ).await?.into();
            if self.read.is_empty() && timeout(QUIET, self.feed.next()).await.is_ok() {
                // A burst is one reason to look.
                while timeout(Duration::ZERO, self.feed.next()).await.is_ok() {}
            }
        }
    }

    /// Notes that all up to this position is done with.
    ///
    /// # Errors
    /// A fault of the store; then it may be told of again.
    pub async fn acknowledge(&self, position: u64) -> Result<(), ServiceError> {
        self.service.acknowledge(&self.name, position).await
    }
}
