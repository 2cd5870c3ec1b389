//! The validations that wait for a commit, in the order of their calls.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use license_core::store::StoreError;
use license_core::usage::Validation;
use tokio::sync::{Notify, oneshot};

/// The buffer of a batch is reused if it has at most this many times the capacity that the batch needed.
/// Larger buffers grew while the store was down, and are freed.
const MAX_SPARE_FACTOR: usize = 4;
/// Smaller batches count as this large, so that their buffers are reused.
const MIN_BATCH: usize = 64;

/// Answer to a call.
pub(super) type RecordResult = Result<(), StoreError>;

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// Number of its validations.
    pub(super) validations: usize,
    /// The caller; `None` if it was answered before.
    pub(super) waiter: Option<oneshot::Sender<RecordResult>>,
}

impl Call {
    /// Answers the caller, if it still waits.
    pub(super) fn answer(&mut self, result: RecordResult) {
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.send(result);
        }
    }
}

/// Calls in order, and the validations of all calls in one buffer, as a commit needs them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) calls: VecDeque<Call>,
    pub(super) validations: VecDeque<Validation>,
}

impl Batch {
    /// Answers all callers that still wait.
    pub(super) fn answer_all(&mut self) {
        for call in &mut self.calls {
            call.answer(Ok(()));
        }
    }

    /// Splits off calls from the front: up to `limit` validations, but at least one call.
    fn split(&mut self, limit: usize) -> Self {
        let (mut count, mut validations) = (0, 0);
        for call in &self.calls {
            if count > 0 && validations + call.validations > limit {
                break;
            }
            count += 1;
            validations += call.validations;
        }
        Self {
            calls: self.calls.drain(..count).collect(),
            validations: self.validations.drain(..validations).collect(),
        }
    }

    /// Drops the oldest call. Returns the number of its validations.
    fn drop_oldest(&mut self) -> Option<usize> {
        let call = self.calls.pop_front()?;
        self.validations.drain(..call.validations);
        Some(call.validations)
    }
}

/// Calls in order.
#[derive(Debug, Default)]
pub(super) struct CallQueue {
    state: Mutex<QueueState>,
    has_calls: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: Batch,
    /// An empty batch with the buffers of an earlier one.
    spare: Batch,
    /// Number of validations that wait, or were taken and are not finished.
    validations: usize,
    /// Number of validations that were taken and are not finished.
    taken: usize,
    /// The store is down, so callers are answered at once. Guarded by the lock of the calls, so that all
    /// committers see the same state.
    down: bool,
    closed: bool,
}

/// Result of adding a call.
#[derive(Debug)]
pub(super) enum PushOutcome {
    /// The call waits for its commit.
    Queued,
    /// The store is down: the call was answered, and its validations wait in memory. Has the number of older
    /// validations that were dropped.
    Buffered { dropped: usize },
    /// The queue is closed.
    Closed,
}

impl CallQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of validations that are not recorded yet.
    pub(super) fn depth(&self) -> usize {
        self.state().validations
    }

    /// Returns the number of validations that no committer has taken.
    pub(super) fn not_taken(&self) -> usize {
        let state = self.state();
        state.validations - state.taken
    }

    pub(super) fn is_down(&self) -> bool {
        self.state().down
    }

    /// Adds a call. While the store is down it is answered at once, and beyond `limit` validations the oldest
    /// are dropped.
    pub(super) fn push(
        &self,
        validations: &[Validation],
        waiter: Option<oneshot::Sender<RecordResult>>,
        limit: usize,
    ) -> PushOutcome {
        let mut call = Call { validations: validations.len(), waiter };
        let mut state = self.state();
        if state.closed {
            return PushOutcome::Closed;
        }
        let mut outcome = PushOutcome::Queued;
        if state.down {
            call.answer(Ok(()));
            outcome = PushOutcome::Buffered { dropped: state.make_room(call.validations, limit) };
        }
        let was_empty = state.waiting.calls.is_empty();
        state.validations += call.validations;
        state.waiting.validations.extend(validations.iter().cloned());
        state.waiting.calls.push_back(call);
        drop(state);
        if was_empty {
            self.has_calls.notify_one();
        }
        outcome
    }

    /// Waits until there is a call, or the queue is closed.
    pub(super) async fn wait_for_calls(&self) {
        loop {
            let notified = self.has_calls.notified();
            {
                let state = self.state();
                if state.closed || !state.waiting.calls.is_empty() {
                    return;
                }
            }
            notified.await;
        }
    }

    /// Takes calls from the front: up to `limit` validations, but at least one call. The caller must
    /// [`finish`](Self::finish) them. Returns `None` if the queue is closed and empty.
    pub(super) fn take(&self, limit: usize) -> Option<Batch> {
        let mut state = self.state();
        let QueueState { waiting, spare, .. } = &mut *state;
        let taken = if waiting.validations.len() <= limit {
            mem::replace(waiting, mem::take(spare))
        } else {
            waiting.split(limit)
        };
        state.taken += taken.validations.len();
        let more = state.closed || !state.waiting.calls.is_empty();
        let ended = state.closed && taken.calls.is_empty();
        drop(state);
        if more {
            // Wake another committer for the rest.
            self.has_calls.notify_one();
        }
        if ended { None } else { Some(taken) }
    }

    /// Ends the commit of validations that were taken, whether they are recorded or given up.
    pub(super) fn finish(&self, validations: usize) {
        let mut state = self.state();
        state.validations -= validations;
        state.taken -= validations;
    }

    /// Reuses the buffers of a batch, unless they are far too large.
    pub(super) fn recycle(&self, mut batch: Batch) {
        let max = MAX_SPARE_FACTOR * batch.validations.len().max(MIN_BATCH);
        batch.calls.clear();
        batch.validations.clear();
        let capacity = batch.validations.capacity();
        let mut state = self.state();
        if capacity <= max && capacity > state.spare.validations.capacity() {
            state.spare = batch;
        }
    }

    /// Sets whether the store is down. While it is, waiting and later callers are answered at once. Returns
    /// whether this changed.
    pub(super) fn set_down(&self, down: bool) -> bool {
        let mut state = self.state();
        let changed = mem::replace(&mut state.down, down) != down;
        if changed && down {
            state.waiting.answer_all();
        }
        changed
    }

    /// Rejects later calls.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.has_calls.notify_one();
    }
}

impl QueueState {
    /// Drops the oldest calls until `more` validations fit. Returns the number of dropped validations.
    fn make_room(&mut self, more: usize, limit: usize) -> usize {
        let before = self.validations;
        while self.validations + more > limit
            && let Some(dropped) = self.waiting.drop_oldest()
        {
            self.validations -= dropped;
        }
        before - self.validations
    }
}

#[cfg(test)]
mod tests {
    use license_core::license::LicenseId;
    use license_core::usage::ValidationOutcome;
    use license_core::validation::Claim;

    use super::*;

    /// Takes a batch. Returns its calls, its numbers and its capacity.
    fn taken(queue: &CallQueue, limit: usize) -> (usize, Vec<i64>, usize) {
        let batch = queue.take(limit).expect("it is open");
        let numbers = batch.validations.iter().map(|validation| validation.at.timestamp()).collect();
        let result = (batch.calls.len(), numbers, batch.validations.capacity());
        queue.finish(batch.validations.len());
        queue.recycle(batch);
        result
    }

    fn push(queue: &CallQueue, numbers: std::ops::Range<i64>) {
        let id = LicenseId::parse("lic_1").expect("an id");
        let validation = |number| {
            let at = chrono::DateTime::from_timestamp(number, 0).expect("a time");
            Validation::new(id.clone(), at, ValidationOutcome::Valid, Claim::default())
        };
        let outcome = queue.push(&numbers.map(validation).collect::<Vec<_>>(), None, usize::MAX);
        assert!(matches!(outcome, PushOutcome::Queued));
    }

    #[test]
    fn calls_are_taken_whole_and_in_order() {
        let queue = CallQueue::default();
        for numbers in [0..2, 2..5, 5..6, 6..12] {
            push(&queue, numbers);
        }
        let numbers = |(calls, numbers, _): (usize, Vec<i64>, usize)| (calls, numbers);
        assert_eq!(numbers(taken(&queue, 4)), (1, vec![0, 1]));
        assert_eq!(numbers(taken(&queue, 4)), (2, vec![2, 3, 4, 5]));
        assert_eq!(numbers(taken(&queue, 4)), (1, (6..12).collect()), "one call is never divided");
        assert_eq!((numbers(taken(&queue, 4)), queue.depth()), ((0, vec![]), 0));
    }

    #[test]
    fn buffer_is_reused_unless_far_too_large() {
        let queue = CallQueue::default();
        push(&queue, 0..10_000);
        let (_, _, large) = taken(&queue, usize::MAX);
        // The next batch has its own buffer.
        push(&queue, 0..1);
        let (_, _, small) = taken(&queue, usize::MAX);
        assert!(large >= 10_000 && small < 10_000);
        push(&queue, 0..9_000);
        let (_, _, again) = taken(&queue, usize::MAX);
        assert_eq!(again, large);
        for _ in 0..3 {
            push(&queue, 0..1);
            taken(&queue, usize::MAX);
        }
        let state = queue.state();
        let capacity = state.waiting.validations.capacity() + state.spare.validations.capacity();
        assert!(capacity < 2 * MAX_SPARE_FACTOR * MIN_BATCH, "a capacity of {capacity} for a batch of one");
    }
}
