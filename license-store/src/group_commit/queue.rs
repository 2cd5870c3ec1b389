//! The validations that wait for a commit, in the order in which they came.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use license_core::store::StoreError;
use license_core::usage::Validation;
use tokio::sync::{Notify, oneshot};

/// What a call is told when its validations are recorded.
pub(super) type Told = Result<(), StoreError>;

/// What one call records, in one commit.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) validations: Vec<Validation>,
    /// Who waits for the commit; nobody where the answer was given before.
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

/// Calls in their order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    calls: VecDeque<Call>,
    /// Those of these calls, and of the ones that were taken and are not finished.
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
    /// The queue is closed; here it is again.
    Refused(Call),
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

    /// Adds a call. While the store is down it is answered at once, and beyond `most` validations the oldest go.
    pub(super) fn push(&self, mut call: Call, most: usize) -> Pushed {
        let mut state = self.state();
        if state.closed {
            return Pushed::Refused(call);
        }
        let mut pushed = Pushed::Queued;
        if state.down {
            call.tell(Ok(()));
            pushed = Pushed::Kept(state.make_room(call.validations.len(), most));
        }
        let was_empty = state.calls.is_empty();
        state.validations += call.validations.len();
        state.calls.push_back(call);
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
                if state.closed || !state.calls.is_empty() {
                    return;
                }
            }
            filled.await;
        }
    }

    /// Takes calls from the front: as many as have `most` validations together, but one at least; they are to be
    /// [`finished`](Self::finished). `None`: there is nothing, and nothing more will come.
    pub(super) fn take(&self, most: usize) -> Option<Vec<Call>> {
        let mut state = self.state();
        let (mut taken, mut validations) = (Vec::new(), 0);
        while let Some(call) = state.calls.front() {
            if !taken.is_empty() && validations + call.validations.len() > most {
                break;
            }
            validations += call.validations.len();
            taken.extend(state.calls.pop_front());
        }
        state.taken += validations;
        let more = state.closed || !state.calls.is_empty();
        let ended = state.closed && taken.is_empty();
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

    /// While the store is down, all who wait and all who come are answered at once. Whether that is news.
    pub(super) fn set_down(&self, down: bool) -> bool {
        let mut state = self.state();
        let news = std::mem::replace(&mut state.down, down) != down;
        if news && down {
            for call in &mut state.calls {
                call.tell(Ok(()));
            }
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
            && let Some(call) = self.calls.pop_front()
        {
            self.validations -= call.validations.len();
        }
        before - self.validations
    }
}
