//! Whose turn it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, timeout};

/// Turns of those who do something one at a time, in the order in which they come: who writes, where a database has one writer; and
/// what no caller waits for, so that whoever writes waits for one of that at most.
#[derive(Clone, Debug)]
pub(super) struct Turns(Option<(Arc<Mutex<()>>, Duration)>);

/// Between two writes in the background others write, if they do: at least so long, and so many times as long as the write took.
const PAUSE: Duration = Duration::from_millis(1);
const SHARE: u32 = 4;
/// Rows in a second while others write, of what there is much of: a hundred thousand terms that end at once are told of within a
/// minute, and no faster than they need to be.
const PACE: u32 = 2_000;
/// They do, when one has done so since. Not only since the last step: between two calls there may well be none, and in a row of
/// steps without a pause the next ones would wait.
const RECENTLY: Duration = Duration::from_millis(250);

/// Those who write while others wait for it, as far as whoever writes in the background need know of them.
#[derive(Debug)]
pub(super) struct Others {
    batches: AtomicU64,
    began: Instant,
    /// When the last one was, in microseconds since then.
    last: AtomicU64,
}

impl Default for Others {
    fn default() -> Self {
        Self { batches: AtomicU64::default(), began: Instant::now(), last: AtomicU64::default() }
    }
}

impl Others {
    fn micros(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// One has written a batch.
    pub(super) fn note(&self) {
        self.last.store(self.micros().max(1), Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::SeqCst);
    }

    /// How long ago the last one was.
    pub(super) fn since_last(&self) -> Duration {
        Duration::from_micros(self.micros().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    /// How many batches were written.
    pub(super) fn batches(&self) -> u64 {
        self.batches.load(Ordering::SeqCst)
    }

    fn write(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last > 0 && u128::from(self.micros().saturating_sub(last)) < RECENTLY.as_micros()
    }

    /// Lets them write, where they do, after a step in the background that took so long.
    #[cfg(feature = "sqlite")]
    pub(super) async fn let_write(&self, took: Duration) {
        if self.write() {
            sleep((took * SHARE).max(PAUSE)).await;
        }
    }
}

/// Many rows that are written in short steps, while others write at a pace that leaves most of the time to them.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    others: &'a Others,
    /// When the next one is due.
    due: Instant,
}

impl<'a> Steps<'a> {
    /// Before they are read: to read takes part of the time, too.
    pub(super) fn begin(others: &'a Others) -> Self {
        Self { others, due: Instant::now() }
    }

    /// After a step of so many rows, which took so long.
    pub(super) async fn let_write(&mut self, took: Duration, rows: u32) {
        let now = Instant::now();
        self.due += Duration::from_secs(1) * rows / PACE;
        if self.others.write() {
            sleep((took * SHARE).max(PAUSE).max(self.due.saturating_duration_since(now))).await;
        }
        // What comes late is not made up for.
        self.due = self.due.max(now);
    }
}

/// Held as long as it is; nothing where all go at once.
pub(super) type Turn = Option<OwnedMutexGuard<()>>;

impl Turns {
    /// Nobody waits for a turn for longer than `longest`.
    pub(super) fn one_at_a_time(longest: Duration) -> Self {
        Self(Some((Arc::default(), longest)))
    }

    /// All go at once: of a database whose writers wait for rows only.
    #[cfg(feature = "postgres")]
    pub(super) fn at_once() -> Self {
        Self(None)
    }

    /// Where nobody else has one, and nobody waits.
    pub(super) fn enter_if_free(&self) -> Option<Turn> {
        let Some((turn, _)) = &self.0 else { return Some(None) };
        Arc::clone(turn).try_lock_owned().ok().map(Some)
    }

    /// Waits until nobody else has one.
    pub(super) async fn enter(&self) -> sqlx::Result<Turn> {
        let Some((turn, longest)) = &self.0 else { return Ok(None) };
        let entered = timeout(*longest, Arc::clone(turn).lock_owned()).await;
        entered.map(Some).map_err(|_| sqlx::Error::PoolTimedOut)
    }
}
