//! Commands that wait for the one writer of a database.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use license_core::command::{Command, CommandContext, CommandOutcome};
use license_core::license::LicenseId;
use tokio::sync::oneshot;

use crate::Result;

/// One command and what its decision needs.
#[derive(Clone, Debug)]
pub(super) struct CommandRequest {
    pub(super) id: LicenseId,
    pub(super) command: Command,
    pub(super) context: CommandContext,
    /// Whether validations were compacted for it, so that the least recently seen devices are known.
    pub(super) caught_up: bool,
}

#[derive(Debug)]
pub(super) struct QueuedCommand {
    pub(super) request: CommandRequest,
    answer: oneshot::Sender<Result<CommandOutcome>>,
}

impl QueuedCommand {
    /// Answers the caller, if it still waits.
    pub(super) fn answer(self, result: Result<CommandOutcome>) {
        let _ = self.answer.send(result);
    }
}

/// Commands in the order of their calls, taken by one task at a time.
#[derive(Debug, Default)]
pub(super) struct CommandQueue(Mutex<QueuedCommands>);

#[derive(Debug, Default)]
struct QueuedCommands {
    commands: VecDeque<QueuedCommand>,
    /// Whether a task takes commands from the queue.
    has_task: bool,
}

impl CommandQueue {
    fn queue(&self) -> MutexGuard<'_, QueuedCommands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a command. Returns its answer, and whether the caller must start a task.
    pub(super) fn push(&self, request: CommandRequest) -> (oneshot::Receiver<Result<CommandOutcome>>, bool) {
        let (answer, answered) = oneshot::channel();
        let mut queue = self.queue();
        queue.commands.push_back(QueuedCommand { request, answer });
        (answered, !std::mem::replace(&mut queue.has_task, true))
    }

    pub(super) fn pop(&self) -> Option<QueuedCommand> {
        self.queue().commands.pop_front()
    }

    /// Returns whether the queue is empty, so that the task must end.
    pub(super) fn end_if_empty(&self) -> bool {
        let mut queue = self.queue();
        queue.has_task = !queue.commands.is_empty();
        !queue.has_task
    }
}

/// Held by the task. If the task panics, the next command starts another task.
pub(super) struct TaskGuard<'a>(pub(super) &'a CommandQueue);

impl Drop for TaskGuard<'_> {
    fn drop(&mut self) {
        self.0.queue().has_task = false;
    }
}
