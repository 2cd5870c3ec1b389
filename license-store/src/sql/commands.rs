//! Executes commands on licenses. On a database with one writer, waiting commands share a transaction.

use std::sync::Arc;
use std::time::Duration;

use license_core::command::{Command, CommandOutcome};
use license_core::store::ChangeNotice;
use license_core::validation::Denial;
use tokio::time::Instant;

use super::command_queue::{CommandRequest, QueuedCommand, TaskGuard};
use super::compaction::Compaction;
use super::decisions::{EXTERNAL_ID, Execution};
use super::prelude::*;

/// Maximum number of commands in one transaction.
const BATCH: usize = 64;
/// After this time, a transaction begins no other command, because recorders wait for it.
const BATCH_TIME: Duration = Duration::from_millis(10);

/// Why a batch was not committed.
enum BatchFault {
    /// The writer was not available: no command was begun.
    Begin(StoreError),
    /// A command failed: nothing was written.
    Command,
    /// The commit failed, but may have taken effect.
    Commit(StoreError),
}

impl<D: Dialect> SqlDatabase<D> {
    /// Executes a command, together with others if the database has one writer.
    pub(super) async fn execute_command(
        self: &Arc<Self>,
        compaction: &Arc<Compaction>,
        request: CommandRequest,
    ) -> Result<CommandOutcome> {
        if !D::SINGLE_WRITER {
            return self.execute_alone(compaction, request).await;
        }
        let (answered, needs_task) = self.commands.push(request);
        if needs_task {
            let (database, compaction) = (Arc::clone(self), Arc::clone(compaction));
            // A separate task, because a cancelled caller must not cancel the commands of others.
            tokio::spawn(async move {
                let _guard = TaskGuard(&database.commands);
                while !database.commands.end_if_empty() {
                    database.execute_batch(&compaction).await;
                }
            });
        }
        let ended = |_| StoreError::Unavailable { source: "the store was shut down".into() };
        answered.await.map_err(ended)?
    }

    /// Executes a command in its own transaction. Retries if the lock is not free.
    async fn execute_alone(
        &self,
        compaction: &Compaction,
        mut request: CommandRequest,
    ) -> Result<CommandOutcome> {
        loop {
            let attempt = async || {
                let mut tx = self.begin(Durability::PowerLoss).await?;
                let execution = self.execute_in(&mut tx, &request).await?;
                if let Execution::Done(_, changes) = &execution
                    && !changes.is_empty()
                {
                    let changes = changes.iter().cloned().map(ChangeNotice::LicenseChanged);
                    self.commit_and_notify(tx, changes.collect()).await?;
                }
                Ok(execution)
            };
            match retry(attempt).await {
                // Another transaction committed the same external id since it was looked up.
                Err(StoreError::AlreadyExists { what: EXTERNAL_ID }) => {
                    return Ok(CommandOutcome::Denied(Denial::ExternalIdTaken));
                }
                executed => match executed? {
                    Execution::Done(outcome, _) => return Ok(outcome),
                    Execution::NeedsCatchUp => {
                        self.catch_up_for(compaction, &request.command).await?;
                        request.caught_up = true;
                    }
                },
            }
        }
    }

    /// Waits for the compactor, for a command that needs to know when devices were last seen. If that takes
    /// too long, an eviction uses what is compacted, because the new device must not wait. Idle
    /// devices can be released later.
    async fn catch_up_for(&self, compaction: &Compaction, command: &Command) -> Result<()> {
        let complete = compaction.catch_up(self).await?;
        if !complete && matches!(command, Command::ReleaseIdle) {
            return Err(StoreError::Contended { source: "validations wait to be compacted".into() });
        }
        Ok(())
    }

    /// Executes waiting commands in one transaction, and answers them after its commit.
    async fn execute_batch(self: &Arc<Self>, compaction: &Arc<Compaction>) {
        let mut batch = Vec::new();
        match self.try_batch(&mut batch).await {
            Ok(results) => {
                for (command, result) in batch.into_iter().zip(results) {
                    match result {
                        Ok(Execution::Done(outcome, _)) => command.answer(Ok(outcome)),
                        Ok(Execution::NeedsCatchUp) => self.spawn_alone(compaction, command),
                        Err(error) => command.answer(Err(error)),
                    }
                }
            }
            // In transactions of their own, only the command that caused the failure fails.
            Err(BatchFault::Command) => {
                for command in batch {
                    let result = self.execute_alone(compaction, command.request.clone()).await;
                    command.answer(result);
                }
            }
            Err(BatchFault::Begin(error) | BatchFault::Commit(error)) => {
                let error = Arc::new(error);
                for command in batch.into_iter().chain(std::iter::from_fn(|| self.commands.pop())) {
                    command.answer(Err(StoreError::shared(&error)));
                }
            }
        }
    }

    /// Executes a command that has to wait, without blocking the commands after it.
    fn spawn_alone(self: &Arc<Self>, compaction: &Arc<Compaction>, command: QueuedCommand) {
        let (database, compaction) = (Arc::clone(self), Arc::clone(compaction));
        tokio::spawn(async move {
            let result = database.execute_alone(&compaction, command.request.clone()).await;
            command.answer(result);
        });
    }

    async fn try_batch(&self, batch: &mut Vec<QueuedCommand>) -> Result<Vec<Result<Execution>>, BatchFault> {
        let mut tx = retry(|| self.begin(Durability::PowerLoss)).await.map_err(BatchFault::Begin)?;
        let (begun, mut results, mut changes) = (Instant::now(), Vec::new(), Vec::new());
        while batch.len() < BATCH
            && begun.elapsed() < BATCH_TIME
            && let Some(command) = self.commands.pop()
        {
            batch.push(command);
            let Some(QueuedCommand { request, .. }) = batch.last() else { break };
            match self.execute_in(&mut tx, request).await {
                Ok(execution) => {
                    if let Execution::Done(_, changed) = &execution {
                        changes.extend(changed.iter().cloned().map(ChangeNotice::LicenseChanged));
                    }
                    results.push(Ok(execution));
                }
                Err(error @ StoreError::NotFound { .. }) => results.push(Err(error)),
                Err(_) => return Err(BatchFault::Command),
            }
        }
        if !changes.is_empty() {
            self.commit_and_notify(tx, changes).await.map_err(BatchFault::Commit)?;
        }
        Ok(results)
    }
}
