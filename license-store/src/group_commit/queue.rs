//! The validations that wait for a commit, in the order in which they came.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use license_core::store::StoreError;
use license_core::usage::Validation;
use tokio::sync::{Notify, oneshot};

/// A batch leaves room for one of so many times its size, and for one of a few: what gathers while a store is down is more, and
/// is not kept.
const ROOM: usize = 4;
const FEW: usize = 64;

/// What a call is told when its validations are recorded.
pub(super) type Told = Result<(), StoreError>;

/// One call: how many validations are its own, and who waits for their commit.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) validations: usize,
    /// Nobody where the answer was given before.
    pub(super) waiter: Option<oneshot::Sender<Told>>,
}

impl Call {
    /// Answers the caller, if one waits still.
    pub(super) fn tell(&mut self, told: Told) {
        if let Some(waiter) = self.waiter.take() {
            // A caller that went away needs no answer.
            let _ = waiter.send(told);
        }
    }
}

/// Calls in their order, and in the same order their validations: those of all calls in one piece, so that a commit takes them
/// as they are.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) calls: VecDeque<Call>,
    pub(super) validations: VecDeque<Validation>,
}

impl Batch {
    /// Answers all who wait still.
    pub(super) fn tell_all(&mut self) {
        for call in &mut self.calls {
            call.tell(Ok(()));
        }
    }

    /// Splits off calls from the front: as many as have `most` validations together, but one at least.
    fn split(&mut self, most: usize) -> Self {
        let (mut count, mut validations) = (0, 0);
        for call in &self.calls {
            if count > 0 && validations + call.validations > most {
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

    /// Drops the oldest call; how many validations went.
    fn drop_oldest(&mut self) -> Option<usize> {
        let call = self.calls.pop_front()?;
        self.validations.drain(..call.validations);
        Some(call.validations)
    }
}

/// Calls in their order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// Empty; the room of one that was taken before.
    spare: Batch,
    /// Those that wait, and those that were taken and are not finished.
    validations: usize,
    /// Of them, those that were taken.
    taken: usize,
    /// Nobody is made to wait: the store is down. With the calls under one lock, so that of several committers none leaves
    /// this and what it tells others in disagreement.
    down: bool,
    closed: bool,
}

/// What became of a call.
#[derive(Debug)]
pub(super) enum Pushed {
    /// It waits for its commit.
    Queued,
    /// It is kept until the store answers, and so many that came before were dropped for it.
    Kept(usize),
    /// The queue is closed.
    Refused,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Validations that are not recorded yet.
    pub(super) fn depth(&self) -> usize {
        self.state().validations
    }

    /// Validations that nobody has taken.
    pub(super) fn gathered(&self) -> usize {
        let state = self.state();
        state.validations - state.taken
    }

    pub(super) fn is_down(&self) -> bool {
        self.state().down
    }

    /// Adds a call of these. While the store is down it is answered at once, and beyond `most` validations the oldest go.
    pub(super) fn push(
        &self,
        validations: &[Validation],
        waiter: Option<oneshot::Sender<Told>>,
        most: usize,
    ) -> Pushed {
        let mut call = Call { validations: validations.len(), waiter };
        let mut state = self.state();
        if state.closed {
            return Pushed::Refused;
        }
        let mut pushed = Pushed::Queued;
        if state.down {
            call.tell(Ok(()));
            pushed = Pushed::Kept(state.make_room(call.validations, most));
        }
        let was_empty = state.waiting.calls.is_empty();
        state.validations += call.validations;
        state.waiting.validations.extend(validations.iter().cloned());
        state.waiting.calls.push_back(call);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
        pushed
    }

    /// Waits until there is something, or nothing more will come.
    pub(super) async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            {
                let state = self.state();
                if state.closed || !state.waiting.calls.is_empty() {
                    return;
                }
            }
            filled.await;
        }
    }

    /// Takes calls from the front: as many as have `most` validations together, but one at least; they are to be
    /// [`finished`](Self::finished). `None`: there is nothing, and nothing more will come.
    pub(super) fn take(&self, most: usize) -> Option<Batch> {
        let mut state = self.state();
        let State { waiting, spare, .. } = &mut *state;
        let taken = if waiting.validations.len() <= most {
            mem::replace(waiting, mem::take(spare))
        } else {
            waiting.split(most)
        };
        state.taken += taken.validations.len();
        let more = state.closed || !state.waiting.calls.is_empty();
        let ended = state.closed && taken.calls.is_empty();
        drop(state);
        if more {
            // For the next committer; this one has its hands full.
            self.filled.notify_one();
        }
        if ended { None } else { Some(taken) }
    }

    /// So many that were taken are recorded, or will never be.
    pub(super) fn finished(&self, validations: usize) {
        let mut state = self.state();
        state.validations -= validations;
        state.taken -= validations;
    }

    /// Of a batch whose calls are answered only the room for another is left, where that is not far too much.
    pub(super) fn reuse(&self, mut batch: Batch) {
        let most = ROOM * batch.validations.len().max(FEW);
        batch.calls.clear();
        batch.validations.clear();
        let room = batch.validations.capacity();
        let mut state = self.state();
        if room <= most && room > state.spare.validations.capacity() {
            state.spare = batch;
        }
    }

    /// While the store is down, all who wait and all who come are answered at once. Whether that is news.
    pub(super) fn set_down(&self, down: bool) -> bool {
        let mut state = self.state();
        let news = mem::replace(&mut state.down, down) != down;
        if news && down {
            state.waiting.tell_all();
        }
        news
    }

    /// Lets no more calls in.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }
}

impl State {
    /// Drops the oldest calls until `more` fit below `most`; how many validations went.
    fn make_room(&mut self, more: usize, most: usize) -> usize {
        let before = self.validations;
        while self.validations + more > most
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
    use license_core::verdict::Claim;

    use super::*;

    /// The numbers of those of a batch, and its room.
    fn taken(queue: &Queue, most: usize) -> (usize, Vec<i64>, usize) {
        let batch = queue.take(most).expect("it is open");
        let numbers = batch.validations.iter().map(|validation| validation.at.timestamp()).collect();
        let told = (batch.calls.len(), numbers, batch.validations.capacity());
        queue.finished(batch.validations.len());
        queue.reuse(batch);
        told
    }

    fn push(queue: &Queue, numbers: std::ops::Range<i64>) {
        let id = LicenseId::parse("lic_1").expect("an id");
        let validation = |number| {
            let at = chrono::DateTime::from_timestamp(number, 0).expect("a time");
            Validation::new(id.clone(), at, ValidationOutcome::Valid, Claim::default())
        };
        let pushed = queue.push(&numbers.map(validation).collect::<Vec<_>>(), None, usize::MAX);
        assert!(matches!(pushed, Pushed::Queued));
    }

    #[test]
    fn calls_are_taken_whole_and_in_order() {
        let queue = Queue::default();
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
    fn room_is_used_again_where_it_is_not_far_too_much() {
        let queue = Queue::default();
        push(&queue, 0..10_000);
        let (_, _, large) = taken(&queue, usize::MAX);
        // The next one gathers in its own room meanwhile.
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
        let room = state.waiting.validations.capacity() + state.spare.validations.capacity();
        assert!(room < 2 * ROOM * FEW, "{room} of a batch of one");
    }
}
