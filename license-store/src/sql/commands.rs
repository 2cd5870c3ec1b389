//! Commands on licenses: each is read, decided and written under a lock. On a database with one writer, waiting commands share a
//! transaction.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use license_core::activation::{Activation, ActivationId, Label};
use license_core::change::{Change, Notice};
use license_core::command::{Changes, Command, CommandContext, Decision, Outcome, Reads, View, decide};
use license_core::event::Event;
use license_core::license::{License, LicenseId};
use license_core::seen::{ActivationUsage, SeenActivation, Unseen};
use license_core::store::StoreError;
use license_core::usage::Day;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::compaction::Compaction;
use super::database::{SqlDatabase, Tx, reader};
use super::dialect::{Dialect, Durability, values};
use super::fault::{is_taken, store_error};
use super::rows;

/// Commands of one transaction, at most ...
const BATCH: usize = 64;
/// ... and no other is begun after so long: recorders wait meanwhile.
const BATCH_TIME: Duration = Duration::from_millis(10);

/// One command and what its decision needs.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: LicenseId,
    pub(super) command: Command,
    pub(super) context: CommandContext,
    /// Whether validations were compacted for it, so that the least recently seen devices are known.
    pub(super) caught_up: bool,
}

/// What became of a command within its transaction.
enum Executed {
    Done(Outcome, Vec<Change>),
    /// It looks at when devices were last seen, and validations wait to be compacted. Nothing was written.
    NeedsCatchUp,
}

/// Commands that wait for the writer.
#[derive(Debug, Default)]
pub(super) struct CommandQueue(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether a task takes commands from the queue.
    running: bool,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

impl CommandQueue {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a command; whether a task has to be started for it.
    fn push(&self, waiting: Waiting) -> bool {
        let mut queue = self.queue();
        queue.waiting.push_back(waiting);
        !std::mem::replace(&mut queue.running, true)
    }

    fn pop(&self) -> Option<Waiting> {
        self.queue().waiting.pop_front()
    }

    /// Whether the task ends, since nothing waits.
    fn is_done(&self) -> bool {
        let mut queue = self.queue();
        queue.running = !queue.waiting.is_empty();
        !queue.running
    }
}

/// Lets the next command start a task if this one panics.
struct Running<'a>(&'a CommandQueue);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.queue().running = false;
    }
}

/// Why a batch was not committed.
enum BatchFault {
    /// The writer could not be had: no command was begun.
    Begin(StoreError),
    /// A command failed: nothing was written.
    Command,
    /// The commit failed: it may have happened.
    Commit(StoreError),
}

impl<D: Dialect> SqlDatabase<D> {
    /// Executes a command, with others of its kind if the database has one writer.
    pub(super) async fn execute_command(
        self: &Arc<Self>,
        compaction: &Arc<Compaction>,
        request: Request,
    ) -> Result<Outcome, StoreError> {
        if !D::SINGLE_WRITER {
            return self.execute_alone(compaction, request).await;
        }
        let (answer, answered) = oneshot::channel();
        if self.commands.push(Waiting { request, answer }) {
            let (database, compaction) = (Arc::clone(self), Arc::clone(compaction));
            // A task of its own: a caller that goes away does not take the others' commands with it.
            tokio::spawn(async move {
                let _running = Running(&database.commands);
                while !database.commands.is_done() {
                    database.execute_batch(&compaction).await;
                }
            });
        }
        let gone = |_| StoreError::Unavailable { source: "the store was shut down".into() };
        answered.await.map_err(gone)?
    }

    /// Executes a command in a transaction of its own, again if the lock was not granted.
    async fn execute_alone(
        &self,
        compaction: &Compaction,
        mut request: Request,
    ) -> Result<Outcome, StoreError> {
        loop {
            let attempt = async || {
                let mut tx = self.begin(Durability::PowerLoss).await?;
                let executed = self.execute_in(&mut tx, &request).await?;
                if let Executed::Done(_, changes) = &executed
                    && !changes.is_empty()
                {
                    self.commit(tx, changes.clone()).await?;
                }
                Ok(executed)
            };
            match self.retry.run(attempt).await? {
                Executed::Done(outcome, _) => return Ok(outcome),
                Executed::NeedsCatchUp => {
                    self.catch_up_for(compaction, &request.command).await?;
                    request.caught_up = true;
                }
            }
        }
    }

    /// Compacts what waits, for a command that looks at when devices were last seen. An eviction goes on with what is known if that
    /// takes too long: the new device must not wait. Idle devices can be released later.
    async fn catch_up_for(&self, compaction: &Compaction, command: &Command) -> Result<(), StoreError> {
        let complete = compaction.catch_up(self).await?;
        if !complete && matches!(command, Command::ReleaseIdle) {
            return Err(StoreError::Contended { source: "validations wait to be compacted".into() });
        }
        Ok(())
    }

    /// Executes what waits in one transaction, and answers after its commit.
    async fn execute_batch(self: &Arc<Self>, compaction: &Arc<Compaction>) {
        let mut batch = Vec::new();
        match self.try_batch(&mut batch).await {
            Ok(results) => {
                for (waiting, executed) in batch.into_iter().zip(results) {
                    match executed {
                        Ok(Executed::Done(outcome, _)) => drop(waiting.answer.send(Ok(outcome))),
                        Ok(Executed::NeedsCatchUp) => self.execute_apart(compaction, waiting),
                        Err(error) => drop(waiting.answer.send(Err(error))),
                    }
                }
            }
            // One of them is to blame: each gets a transaction of its own.
            Err(BatchFault::Command) => {
                for waiting in batch {
                    let result = self.execute_alone(compaction, waiting.request).await;
                    drop(waiting.answer.send(result));
                }
            }
            Err(BatchFault::Begin(error) | BatchFault::Commit(error)) => {
                let error = Arc::new(error);
                for waiting in batch.into_iter().chain(std::iter::from_fn(|| self.commands.pop())) {
                    drop(waiting.answer.send(Err(StoreError::shared(&error))));
                }
            }
        }
    }

    /// Executes a command that has to wait, without holding up those behind it.
    fn execute_apart(self: &Arc<Self>, compaction: &Arc<Compaction>, waiting: Waiting) {
        let (database, compaction) = (Arc::clone(self), Arc::clone(compaction));
        tokio::spawn(async move {
            let result = database.execute_alone(&compaction, waiting.request).await;
            drop(waiting.answer.send(result));
        });
    }

    async fn try_batch(
        &self,
        batch: &mut Vec<Waiting>,
    ) -> Result<Vec<Result<Executed, StoreError>>, BatchFault> {
        let mut tx = self.retry.run(|| self.begin(Durability::PowerLoss)).await.map_err(BatchFault::Begin)?;
        let (begun, mut results, mut notices) = (Instant::now(), Vec::new(), Vec::new());
        while batch.len() < BATCH
            && begun.elapsed() < BATCH_TIME
            && let Some(waiting) = self.commands.pop()
        {
            batch.push(waiting);
            let request = batch.last().map(|waiting| &waiting.request);
            let Some(request) = request else { break };
            match self.execute_in(&mut tx, request).await {
                Ok(executed) => {
                    if let Executed::Done(_, changes) = &executed {
                        notices.extend(changes.iter().cloned().map(Notice::Changed));
                    }
                    results.push(Ok(executed));
                }
                Err(error @ StoreError::NotFound { .. }) => results.push(Err(error)),
                Err(_) => return Err(BatchFault::Command),
            }
        }
        if !notices.is_empty() {
            self.commit_and_notify(tx, notices).await.map_err(BatchFault::Commit)?;
        }
        Ok(results)
    }

    /// Reads, decides and writes, within a transaction.
    async fn execute_in(&self, tx: &mut Tx<D>, request: &Request) -> Result<Executed, StoreError> {
        let Request { id, command, context, caught_up } = request;
        let rows = self.fetch(tx, &self.statements.lock_license, values![id.as_str()]).await?;
        let row = rows.first().ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
        let license = reader::<D>(row, "licenses", id.as_str()).license()?;
        let unseen = command.unseen(&license, context);
        if unseen.is_some() && !caught_up && !self.fetch(tx, &self.statements.waiting, &[]).await?.is_empty()
        {
            return Ok(Executed::NeedsCatchUp);
        }
        let activations = self.read(tx, id, &command.reads()).await?;
        let unseen = match unseen {
            Some(unseen) => self.read_least_recently_seen(tx, id, unseen).await?,
            None => Vec::new(),
        };
        let before = license.clone();
        let Decision { outcome, changes } = decide(View { license, activations, unseen }, command, context);
        let Some(changes) = changes else { return Ok(Executed::Done(outcome, Vec::new())) };
        self.write(tx, &before, &changes).await?;
        Ok(Executed::Done(outcome, changes.notices(&before.key_digest)))
    }

    /// The activations that a decision looks at.
    async fn read(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        reads: &Reads,
    ) -> Result<Vec<Activation>, StoreError> {
        let license = id.as_str();
        let rows = match reads {
            Reads::Nothing => return Ok(Vec::new()),
            Reads::One(activation) => {
                self.fetch(tx, &self.statements.activation, values![license, activation.as_str()]).await?
            }
            Reads::Domains => self.fetch(tx, &self.statements.domains, values![license]).await?,
            Reads::Claim { domains, fingerprint } => {
                let domains = json!(domains).to_string();
                let values = values![license, domains.as_str(), fingerprint.as_deref()];
                self.fetch(tx, &self.statements.activations_of_claim, values).await?
            }
        };
        rows.iter().map(|row| reader::<D>(row, "activations", license).activation()).collect()
    }

    async fn read_least_recently_seen(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        Unseen { before, most }: Unseen,
    ) -> Result<Vec<SeenActivation>, StoreError> {
        let (license, most) = (id.as_str(), i64::from(most));
        let rows = match before {
            None => self.fetch(tx, &self.statements.least_recently_seen, values![license, most]).await?,
            Some(before) => {
                let values = values![license, most, before.timestamp_micros(), Day::of(before).number()];
                self.fetch(tx, &self.statements.least_recently_seen_before, values).await?
            }
        };
        rows.iter().map(|row| reader::<D>(row, "activations", license).seen_activation()).collect()
    }

    /// Writes a decision on the license that was `before`.
    pub(super) async fn write(
        &self,
        tx: &mut Tx<D>,
        before: &License,
        changes: &Changes,
    ) -> Result<(), StoreError> {
        let Changes { license, added, released, labelled, events, audit, erased } = changes;
        let id = &license.id;
        self.update_license(tx, before, license).await?;
        if !released.is_empty() {
            let ids = json!(released.iter().map(ActivationId::as_str).collect::<Vec<_>>()).to_string();
            self.fetch(tx, &self.statements.delete_activations, values![id.as_str(), ids.as_str()]).await?;
        }
        self.insert_activations(tx, license, added).await?;
        if let Some((activation, label)) = labelled {
            let label = label.as_ref().map(Label::as_str);
            let values = values![id.as_str(), activation.as_str(), label];
            self.fetch(tx, &self.statements.label_activation, values).await?;
        }
        if erased.is_some() {
            self.fetch(tx, &self.statements.clear_labels, values![id.as_str()]).await?;
        }
        let rows = self.fetch(tx, &self.statements.license_of_event, values![id.as_str()]).await?;
        let row = rows.first().ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
        let detail = reader::<D>(row, "licenses", id.as_str()).detail()?;
        self.insert_events(tx, &events.complete(&detail)).await?;
        if let Some(audit) = audit {
            self.add_audit(tx, audit).await?;
        }
        match erased {
            Some(erasure) => self.erase(tx, id, erasure).await,
            None => Ok(()),
        }
    }

    async fn update_license(
        &self,
        tx: &mut Tx<D>,
        before: &License,
        license: &License,
    ) -> Result<(), StoreError> {
        let (old_metadata, metadata) =
            (json!(before.metadata).to_string(), json!(license.metadata).to_string());
        let (old, new) =
            (rows::license_values(before, &old_metadata), rows::license_values(license, &metadata));
        let indexed = rows::INDEXED_COLUMNS.iter().any(|column| old[*column] != new[*column]);
        let sql = if indexed { &self.statements.update_license } else { &self.statements.update_unindexed };
        let updated = self.dialect.fetch(tx, sql.clone(), &new).await;
        updated.map_err(|error| {
            if is_taken(&error) {
                StoreError::AlreadyExists { what: "the license key" }
            } else {
                store_error::<D>(error)
            }
        })?;
        let plan = rows::idle_plan(license);
        if plan != rows::idle_plan(before) && before.devices_used > 0 {
            self.fetch(tx, &self.statements.move_devices, values![license.id.as_str(), plan]).await?;
        }
        Ok(())
    }

    pub(super) async fn insert_activations(
        &self,
        tx: &mut Tx<D>,
        license: &License,
        activations: &[Activation],
    ) -> Result<(), StoreError> {
        if activations.is_empty() {
            return Ok(());
        }
        let unseen = ActivationUsage::default();
        let rows = activations
            .iter()
            .map(|activation| rows::activation_row(license, activation, &unseen, activation.created_at));
        let rows = rows::json_rows(rows);
        self.fetch(tx, &self.statements.insert_activations, values![rows.as_str()]).await.map(drop)
    }

    pub(super) async fn insert_events(&self, tx: &mut Tx<D>, events: &[Event]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let rows = rows::event_rows(events);
        self.fetch(tx, &self.statements.insert_events, values![rows.as_str()]).await.map(drop)
    }
}
