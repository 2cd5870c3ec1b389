//! Implements `LicenseStore`. Reads that show counters wait for the compactor first.

use std::num::NonZero;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::command::{Command, CommandContext, CommandOutcome, Idempotency, NewLicense, UsedKey};
use license_core::key::KeyDigest;
use license_core::license::{Fingerprint, LicenseDetail, LicenseId};
use license_core::store::{
    ChangeStream, Created, LicenseQuery, LicenseStore, Page, StoreProfile, StreamState,
};
use license_core::usage::{BatchId, Validation};
use license_core::validation::{Claim, LicenseSnapshot};

use super::command_queue::CommandRequest;
use super::decisions::not_found;
use super::journal::{self, JournalBatch};
use super::prelude::*;
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn check_exists(&self, connection: &mut Connection<D>, id: &LicenseId) -> Result<()> {
        let rows = self.fetch(connection, &self.sql.licenses.exists, values![id.as_str()]).await?;
        if rows.is_empty() { Err(not_found(id)) } else { Ok(()) }
    }
}

#[async_trait]
impl<D: Dialect> LicenseStore for SqlStore<D> {
    async fn create_all(&self, new: &[NewLicense]) -> Result<Created> {
        retry(|| self.database.try_create_all(new)).await
    }

    async fn find_used_key(&self, asked: &Idempotency) -> Result<Option<UsedKey>> {
        self.database.find_used_key(&mut *self.database.reader().await?, asked).await
    }

    async fn prune_used_keys(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        retry(|| self.database.try_prune_used_keys(before, limit)).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome> {
        let (id, command, context) = (id.clone(), command.clone(), context.clone());
        let request = CommandRequest { id, command, context, caught_up: false };
        self.database.execute_command(&self.compaction, request).await
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<()> {
        if validations.is_empty() {
            return Ok(());
        }
        if validations.len() as u64 > journal::MAX_BATCH {
            let source = format!("a batch has at most {} validations", journal::MAX_BATCH);
            return Err(StoreError::Unavailable { source: source.into() });
        }
        self.database.backlog.wait_for_room().await?;
        let entries = JournalBatch::new(validations);
        retry(|| self.database.try_record(&entries, batch)).await?;
        self.compaction.recorded(&self.database, entries.size);
        Ok(())
    }

    async fn get(&self, id: &LicenseId) -> Result<Option<LicenseDetail>> {
        self.catch_up().await;
        let rows = self.database.read(&self.database.sql.licenses.detail, values![id.as_str()]).await?;
        rows.first("licenses", id.as_str(), Reader::detail)
    }

    async fn find_by_key(&self, digest: &KeyDigest, claim: &Claim) -> Result<Option<LicenseSnapshot>> {
        let domains = match &claim.domain {
            Some(domain) => json!(domain.covering_names()).to_string(),
            None => "[]".to_owned(),
        };
        let fingerprint = claim.fingerprint.as_ref().map(Fingerprint::as_str);
        let values = values![digest.as_bytes().as_slice(), domains, fingerprint];
        let rows = self.database.read(&self.database.sql.licenses.find_by_key, values).await?;
        rows.first("licenses", "", Reader::snapshot)
    }

    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>> {
        // The filter is any text. No plan has a NUL in its name, and PostgreSQL rejects NUL.
        if query.filter.plan.as_ref().is_some_and(|plan| plan.contains('\0')) {
            return Ok(Page::default());
        }
        self.catch_up().await;
        let (sql, values) = self.database.sql.licenses.list(query);
        let rows = self.database.list(&sql, &values).await?;
        let items = rows.all("licenses", "", Reader::detail)?;
        Ok(Page::from_one_more(items, query.page.limit, |detail: &LicenseDetail| detail.license.id.clone()))
    }

    async fn put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>> {
        retry(|| self.database.try_put_if_absent(name, value, None)).await
    }

    async fn ping(&self) -> Result<()> {
        self.database.check_files()?;
        self.database.read(&self.database.sql.settings.ping, &[]).await.map(drop)
    }

    fn changes(&self) -> Box<dyn ChangeStream> {
        self.database.feed.listen()
    }

    fn stream_state(&self) -> StreamState {
        self.database.feed.state()
    }

    fn profile(&self) -> StoreProfile {
        // A database server works on one commit while another waits for the disk. SQLite has one writer, and
        // announces nothing to other processes.
        let concurrent_commits =
            if D::SINGLE_WRITER { NonZero::<usize>::MIN } else { const { NonZero::new(2).unwrap() } };
        StoreProfile { concurrent_commits, hears_other_processes: !D::SINGLE_WRITER }
    }

    async fn close(&self) {
        self.compaction.stop().await;
        self.database.close().await;
    }
}
