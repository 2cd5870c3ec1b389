//! Events as a stream within the process, without HTTP.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use license_core::error::ServiceError;
use license_core::service::EventService;
use license_core::store::{ChangeStream, SequencedEvent};
use tokio::time::timeout;

/// Events per read.
const BATCH: u32 = 100;
/// Without a notification, the store is polled at this interval: processes that share an SQLite file cannot
/// notify each other.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// A named reader of all events, in order, at least once each.
///
/// The store keeps the last position that was [acknowledged](Self::acknowledge) under the name. Events after
/// it are delivered again when the subscription is opened again, in any process. Use a name for one reader at
/// a time: two readers would each get all events.
///
/// ```
/// # use license_core::service::EventService;
/// # use license_store::subscription::Subscription;
/// # async fn example(service: EventService) -> Result<(), Box<dyn std::error::Error>> {
/// let mut events = Subscription::open(service, "billing").await?;
/// loop {
///     let next = events.next().await?;
///     println!("{} {}", next.event.id(), next.event.event_type);
///     events.acknowledge(next.position).await?;
/// }
/// # }
/// ```
pub struct Subscription {
    events: EventService,
    name: String,
    feed: Box<dyn ChangeStream>,
    position: u64,
    buffer: VecDeque<SequencedEvent>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, position, .. } = self;
        f.debug_struct("Subscription").field("name", name).field("position", position).finish_non_exhaustive()
    }
}

impl Subscription {
    /// Continues after the last event that was acknowledged under this name, or starts at the first event.
    ///
    /// # Errors
    /// Returns [`ServiceError::SubscriptionName`] if the name is not valid, and the store's error if it
    /// fails.
    pub async fn open(events: EventService, name: impl Into<String> + Send) -> Result<Self, ServiceError> {
        // Listens before the first read, so that no later event is missed.
        let (name, feed) = (name.into(), events.changes());
        let position = events.acknowledged(&name).await?;
        Ok(Self { events, name, feed, position, buffer: VecDeque::new() })
    }

    /// Waits for the next event. Cancel safe: no event is lost.
    ///
    /// # Errors
    /// Returns the store's error. The next call continues at the same event.
    pub async fn next(&mut self) -> Result<SequencedEvent, ServiceError> {
        loop {
            if let Some(event) = self.buffer.pop_front() {
                self.position = event.position;
                return Ok(event);
            }
            self.buffer = self.events.after(self.position, BATCH).await?.into();
            if self.buffer.is_empty() && timeout(POLL_INTERVAL, self.feed.next()).await.is_ok() {
                // One read answers a burst of notifications.
                while timeout(Duration::ZERO, self.feed.next()).await.is_ok() {}
            }
        }
    }

    /// Records that all events up to this position are processed.
    ///
    /// # Errors
    /// Returns the store's error. The events may then be delivered again.
    pub async fn acknowledge(&mut self, position: u64) -> Result<(), ServiceError> {
        self.events.acknowledge(&self.name, position).await
    }
}
