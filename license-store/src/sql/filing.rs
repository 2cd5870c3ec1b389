//! The filing of recorded validations: from batches, as a commit puts them down in a moment, to where they are looked up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use license_core::figure::Figure;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::turn::Others;

/// Filing costs several times what recording does, so it waits until nothing was recorded for so long: a burst is answered
/// first and filed afterwards.
const QUIET: Duration = Duration::from_millis(500);
/// But no longer than this: batches are gone through by those who read counters, and shall not become more without end.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Between two calls of [`File::tidy`].
pub(super) const TIDIED_EVERY: Duration = Duration::from_millis(500);
/// Where nothing is recorded here, what others have recorded who may not file: nodes of the version before.
const LOOKED_EVERY: Duration = Duration::from_mins(1);
/// After a fault of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// What is recorded of a validation: columns of `unfiled` and of `validations` alike, and the order of it in a batch.
macro_rules! recorded {
    () => {
        "license_id, at, outcome, domain, fingerprint, country, region, client, covered_by"
    };
}
pub(super) use recorded;

/// The number of the day of `at`: division rounds towards zero in SQL, and days do not.
macro_rules! day {
    () => {
        "CASE WHEN at < 0 THEN (at - 86399999999) / 86400000000 ELSE at / 86400000000 END"
    };
}
pub(super) use day;

/// The key of a rollup.
macro_rules! rollup_key {
    () => {
        "day, license_id, outcome, domain, device, country"
    };
}
pub(super) use rollup_key;

/// Adds what is recorded in `$from`, with a condition in it, to the rollups: in the order of their keys.
macro_rules! roll_up {
    ($from:literal) => {
        concat!(
            "INSERT INTO rollups (",
            $crate::sql::filing::rollup_key!(),
            ", count, first_at, last_at) SELECT ",
            $crate::sql::filing::day!(),
            ", license_id, outcome, COALESCE(domain, ''), COALESCE(fingerprint, ''), COALESCE(country, ''), \
            COUNT(*), MIN(at), MAX(at) FROM ",
            $from,
            " GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6 ON CONFLICT (",
            $crate::sql::filing::rollup_key!(),
            ") DO UPDATE SET count = rollups.count + excluded.count, first_at = \
            CASE WHEN rollups.first_at < excluded.first_at THEN rollups.first_at ELSE excluded.first_at END, last_at = \
            CASE WHEN rollups.last_at > excluded.last_at THEN rollups.last_at ELSE excluded.last_at END"
        )
    };
}
pub(super) use roll_up;

/// Forgets recorders that are gone: none waits for a week to send a batch again.
pub(super) const FORGET_RECORDERS: &str =
    "DELETE FROM recorders WHERE at < (SELECT MAX(at) FROM recorders) - 604800000000";

/// Files what is recorded now. May be called by several nodes at once, and cut short anywhere: what is filed is counted
/// once.
pub(super) trait File: Send + Sync + 'static {
    /// Lets others write between its steps.
    fn file<'a>(&'a self, others: &'a Others) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + 'a>>;

    /// Called when all is filed: does for a while what makes filed figures quick to find; whether there is nothing left of it.
    fn gather<'a>(
        &'a self,
        others: &'a Others,
    ) -> Pin<Box<dyn Future<Output = sqlx::Result<bool>> + Send + 'a>>;

    /// Called now and then while batches are recorded and nothing is filed: does what would else delay a commit, where it is much.
    fn tidy(&self) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>>;

    /// Closes connections that are its own.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Files in a task of its own, as long as it lives.
pub(super) struct Filing {
    file: Arc<dyn File>,
    work: Arc<Work>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What there is to do.
#[derive(Default)]
struct Work {
    /// Whether whoever files is to be woken for what is recorded. Else it looks by itself.
    waits: AtomicBool,
    wake: Notify,
    /// Batches that were recorded here, and how many of them were when the last filing began that has ended. One more to
    /// begin with: what an earlier process left.
    recorded: Others,
    filed: AtomicU64,
}

impl Work {
    fn add(&self) {
        self.recorded.note();
        // Of a load the first batch wakes it, and no other.
        if self.waits.load(Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    fn is_filed(&self) -> bool {
        self.filed.load(Ordering::SeqCst) >= self.recorded.batches()
    }

    /// Waits until something is recorded, or it is time to look for what others have.
    async fn begun(&self) {
        // Before the look at what is recorded, as `add` looks at it after having added: one of the two sees the other.
        self.waits.store(true, Ordering::SeqCst);
        if self.is_filed() {
            let _ = timeout(LOOKED_EVERY, self.wake.notified()).await;
        }
        self.waits.store(false, Ordering::SeqCst);
    }

    /// Waits until nothing was recorded for a while, or this goes on for too long.
    async fn quiet(&self, file: &dyn File) {
        let begun = Instant::now();
        let mut tidied = begun;
        while begun.elapsed() < LONGEST_WAIT
            && let Some(left) = QUIET.checked_sub(self.recorded.since_last())
            && !left.is_zero()
        {
            sleep(left).await;
            if tidied.elapsed() >= TIDIED_EVERY {
                // A fault of it is one of the commit that would have had to do it.
                let _ = file.tidy().await;
                tidied = Instant::now();
            }
        }
    }

    async fn file(&self, file: &dyn File) -> sqlx::Result<()> {
        let recorded = self.recorded.batches();
        file.file(&self.recorded).await?;
        self.filed.fetch_max(recorded, Ordering::SeqCst);
        Ok(())
    }

    async fn file_and_gather(&self, file: &dyn File) -> sqlx::Result<()> {
        self.file(file).await?;
        while !file.gather(&self.recorded).await? {
            self.file(file).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Filing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filing").finish_non_exhaustive()
    }
}

impl Filing {
    pub(super) fn new(file: impl File) -> Self {
        let (file, work): (Arc<dyn File>, _) = (Arc::new(file), Arc::new(Work::default()));
        let (filer, todo) = (Arc::clone(&file), Arc::clone(&work));
        work.add();
        let task = tokio::spawn(async move {
            loop {
                todo.begun().await;
                todo.quiet(&*filer).await;
                if todo.file_and_gather(&*filer).await.is_err() {
                    // It is still in its batch, and counted. What is wrong, callers are told.
                    todo.wake.notify_one();
                    sleep(PAUSE).await;
                }
            }
        });
        Self { file, work, task: Mutex::new(Some(task)) }
    }

    /// Something was recorded.
    pub(super) fn wake(&self) {
        self.work.add();
    }

    /// Those who record here.
    pub(super) fn recorded(&self) -> &Others {
        &self.work.recorded
    }

    /// Files now.
    pub(super) async fn run(&self) -> sqlx::Result<()> {
        self.work.file(&*self.file).await
    }

    /// Does all that there is to do, now.
    pub(super) async fn run_all(&self) -> sqlx::Result<()> {
        self.work.file_and_gather(&*self.file).await
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let waits = !self.work.is_filed();
        let help =
            "Whether this node has recorded validations that wait to be filed into histories and counters";
        vec![Figure::gauge("filing_waits", help, waits.into())]
    }

    /// Ends the task, wherever it is, and closes its connections.
    pub(super) async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // Cut short is what it was told to be.
            let _ = task.await;
        }
        self.file.close().await;
    }
}

impl Drop for Filing {
    fn drop(&mut self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;

    /// Says when it is called. So many times something is recorded meanwhile.
    struct Calls(UnboundedSender<Instant>, AtomicU64);

    impl File for Calls {
        fn file<'a>(
            &'a self,
            others: &'a Others,
        ) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + 'a>> {
            let _ = self.0.send(Instant::now());
            if self.1.load(Ordering::Relaxed) > 0 {
                self.1.fetch_sub(1, Ordering::Relaxed);
                others.note();
            }
            Box::pin(std::future::ready(Ok(())))
        }

        fn gather<'a>(
            &'a self,
            _: &'a Others,
        ) -> Pin<Box<dyn Future<Output = sqlx::Result<bool>> + Send + 'a>> {
            Box::pin(std::future::ready(Ok(true)))
        }

        fn tidy(&self) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::ready(()))
        }
    }

    /// Nodes of the version before record, and do not file.
    #[tokio::test(start_paused = true)]
    async fn who_records_nothing_files_for_others() {
        let (sender, mut calls) = unbounded_channel();
        let _filing = Filing::new(Calls(sender, AtomicU64::new(0)));
        // What an earlier process left is filed first.
        let mut last = calls.recv().await.expect("a call");
        for _ in 0..3 {
            let next = timeout(LOOKED_EVERY * 2, calls.recv()).await.expect("now and then").expect("a call");
            let waited = next - last;
            assert!(waited >= LOOKED_EVERY && waited <= LOOKED_EVERY + QUIET * 2, "after {waited:?}");
            last = next;
        }
    }

    /// Nobody is woken for it, and it does not wait for the next that is recorded.
    #[tokio::test(start_paused = true)]
    async fn what_is_recorded_meanwhile_is_filed_next() {
        let (sender, mut calls) = unbounded_channel();
        let filing = Filing::new(Calls(sender, AtomicU64::new(2)));
        let mut last = calls.recv().await.expect("a call");
        for _ in 0..2 {
            let next = calls.recv().await.expect("a call");
            let waited = next - last;
            assert!(waited >= QUIET && waited < QUIET * 2, "after {waited:?}");
            last = next;
        }
        // Then it waits to be woken.
        sleep(QUIET * 4).await;
        assert!(calls.is_empty());
        let recorded = Instant::now();
        filing.wake();
        let waited = calls.recv().await.expect("a call") - recorded;
        assert!(waited >= QUIET && waited < QUIET * 2, "after {waited:?}");
    }

    /// A load is filed when it ends, or goes on for too long.
    #[tokio::test(start_paused = true)]
    async fn a_load_is_filed_afterwards() {
        let (sender, mut calls) = unbounded_channel();
        let filing = Filing::new(Calls(sender, AtomicU64::new(0)));
        calls.recv().await.expect("what was there");
        let begun = Instant::now();
        let pause = QUIET / 5;
        while begun.elapsed() < LONGEST_WAIT * 2 + QUIET * 2 {
            filing.wake();
            sleep(pause).await;
        }
        let end = Instant::now();
        let first = calls.recv().await.expect("a call") - begun;
        let second = calls.recv().await.expect("a call") - begun;
        assert!(first >= LONGEST_WAIT && first < LONGEST_WAIT + QUIET, "after {first:?}");
        assert!(second >= LONGEST_WAIT * 2 && second < LONGEST_WAIT * 2 + QUIET * 2, "after {second:?}");
        let last = calls.recv().await.expect("a call");
        assert!(last > end && last < end + QUIET, "{last:?}");
    }
}
