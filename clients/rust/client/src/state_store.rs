//! The state in memory and on disk.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::state_error::StateError;
use crate::state_file::{StateFile, Stored};

/// Seconds after which a step that only moves the time is written to disk.
const TIME_SAVED_EVERY: i64 = 600;

/// Keeps the state. Each change reads the file, changes it and writes it under a lock that other processes honour.
#[derive(Debug)]
pub(crate) struct StateStore {
    file: Option<StateFile>,
    key: Option<String>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    stored: Stored,
    /// Whether the memory has what the file could not take.
    is_ahead: bool,
}

/// Whether a change is written to disk at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Save {
    /// At once.
    Now,
    /// Now and then: only the time has moved.
    Sometimes,
}

impl StateStore {
    pub(crate) fn new(file: Option<StateFile>, key: Option<String>) -> Self {
        Self { file, key, memory: Mutex::default() }
    }

    /// Changes the state, and returns the result of `change` and what was wrong with the file.
    pub(crate) fn update<T>(
        &self,
        now: i64,
        change: impl FnOnce(&mut Stored) -> (T, Save),
    ) -> (T, Option<StateError>) {
        let mut memory = self.lock_memory();
        let _lock = self.file.as_ref().and_then(StateFile::lock);
        let mut problem = self.load(&mut memory);
        let (result, save) = change(&mut memory.stored);
        if self.key.is_some() {
            memory.stored.key.clone_from(&self.key);
        }
        let since = now.saturating_sub(memory.stored.saved_at);
        let is_due = save == Save::Now || memory.is_ahead || !(0..TIME_SAVED_EVERY).contains(&since);
        if is_due && let Some(file) = &self.file {
            memory.stored.saved_at = now;
            let saved = file.save(&memory.stored);
            memory.is_ahead = saved.is_err();
            problem = problem.or(saved.err());
        }
        (result, problem)
    }

    fn load(&self, memory: &mut Memory) -> Option<StateError> {
        let mut problem = None;
        if let Some(file) = &self.file
            && !memory.is_ahead
        {
            match file.load() {
                Ok(stored) => memory.stored = stored.unwrap_or_default(),
                Err(error) => {
                    // A file that cannot be read at the moment says nothing against the memory.
                    if !matches!(error, StateError::Unreadable(_)) {
                        memory.stored = Stored::default();
                    }
                    problem = Some(error);
                }
            }
        }
        // A verdict for one key says nothing about another. A client without a key only reads.
        if let (Some(of), Some(key)) = (&memory.stored.key, &self.key)
            && of != key
        {
            memory.stored = Stored::default();
            problem = Some(StateError::OtherKey);
        }
        problem
    }

    fn lock_memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
