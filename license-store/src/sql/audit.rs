//! Implements `AuditStore`, and erases a customer's address.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::{AuditEntry, AuditFilter, Audited, Erasure};
use license_core::command::FormerCustomer;
use license_core::event::Subject;
use license_core::license::LicenseId;
use license_core::store::{AuditStore, Page, PageRequest};

use super::prelude::*;
use super::rows::audit_row;
use super::statements::AuditStatements;
use super::store::SqlStore;

/// Events that an erasure reads in one statement.
const ERASED_EVENTS: i64 = 500;

impl<D: Dialect> SqlDatabase<D> {
    /// Adds an entry, in the commit of the change that it describes.
    pub(super) async fn insert_audit(&self, tx: &mut Tx<D>, entry: &AuditEntry) -> Result<()> {
        self.insert_rows(tx, &self.sql.audit.insert, vec![audit_row(entry)]).await.map(drop)
    }

    /// Replaces a customer's address in the audit entries and events of a license.
    pub(super) async fn erase_from_license(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        erasure: &Erasure,
    ) -> Result<()> {
        let (email, pseudonym) = erasure.replacement();
        let values = values![email.as_str(), pseudonym.as_str(), id.as_str()];
        self.fetch(tx, &self.sql.audit.erase_of_license, values).await?;
        self.erase_job_reasons(tx, id, i64::MAX).await?;
        self.erase_from_events(tx, id, erasure).await
    }

    /// Adds a former customer, in the commit of the change.
    pub(super) async fn insert_former_customer(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        FormerCustomer { email, until }: &FormerCustomer,
    ) -> Result<()> {
        let values = values![email.as_str(), id.as_str(), until.timestamp_micros()];
        self.fetch(tx, &self.sql.audit.insert_former_customer, values).await.map(drop)
    }

    /// Works in steps: there may be many events, and each is read and written as JSON.
    async fn erase_from_events(&self, tx: &mut Tx<D>, id: &LicenseId, erasure: &Erasure) -> Result<()> {
        let mut after = 0;
        loop {
            let values = values![id.as_str(), int(after), ERASED_EVENTS];
            let rows = self.fetch(tx, &self.sql.events.of_license, values).await?;
            let mut erased = Vec::new();
            for row in rows.iter("events", id.as_str()) {
                let mut event = row.event(Subject::License(id.clone()))?;
                after = event.sequence;
                if erasure.erase_from_event(&mut event.data) {
                    erased.push(json!([event.sequence, event.data.to_string()]));
                }
            }
            if !erased.is_empty() {
                let rows = json_rows(erased.into_iter());
                let values = values![rows, id.as_str()];
                self.fetch(tx, &self.sql.events.update_data, values).await?;
                // Receivers may have answered with the data that they got.
                self.fetch(tx, &self.sql.webhooks.erase_attempts, values).await?;
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn try_prune_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        let values = values![before.timestamp_micros(), i64::from(limit)];
        let deleted = self.fetch(&mut tx, &self.sql.audit.prune, values).await?.len();
        self.commit(tx).await?;
        Ok(deleted as u64)
    }

    async fn try_add_audit(&self, entry: &AuditEntry) -> Result<()> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.insert_audit(&mut tx, entry).await?;
        self.commit(tx).await
    }

    async fn try_erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<()> {
        let (email, pseudonym) = erasure.replacement();
        let (mut tx, sql) = (self.begin(Durability::PowerLoss).await?, &self.sql.audit);
        let former = values![erasure.email.as_str()];
        let rows = self.fetch(&mut tx, &sql.former_licenses, former).await?;
        let licenses =
            rows.all("former_customers", "", |row| Ok((row.license_id("license_id")?, row.time("until")?)))?;
        for (id, until) in licenses {
            let until = until.timestamp_micros();
            let values = values![email.as_str(), pseudonym.as_str(), id.as_str(), until];
            self.fetch(&mut tx, &sql.erase_former, values).await?;
            self.erase_job_reasons(&mut tx, &id, until).await?;
            self.erase_from_events(&mut tx, &id, erasure).await?;
        }
        self.fetch(&mut tx, &sql.delete_former_customer, former).await?;
        self.insert_audit(&mut tx, entry).await?;
        self.commit(tx).await
    }
}

#[async_trait]
impl<D: Dialect> AuditStore for SqlStore<D> {
    async fn list_audit(&self, filter: &AuditFilter, page: &PageRequest<u64>) -> Result<Page<Audited, u64>> {
        let (sql, values) = AuditStatements::list(filter, page);
        let rows = self.database.list(&sql, &values).await?;
        let items = rows.all("audit", "", Reader::audited)?;
        Ok(Page::from_one_more(items, page.limit, |audited: &Audited| audited.sequence))
    }

    async fn add_audit(&self, entry: &AuditEntry) -> Result<()> {
        retry(|| self.database.try_add_audit(entry)).await
    }

    async fn prune_audit(&self, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        retry(|| self.database.try_prune_audit(before, limit)).await
    }

    async fn erase_customer(&self, erasure: &Erasure, entry: &AuditEntry) -> Result<()> {
        retry(|| self.database.try_erase_customer(erasure, entry)).await?;
        self.database.dialect.erased().await;
        Ok(())
    }
}
