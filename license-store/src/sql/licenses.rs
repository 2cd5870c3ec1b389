//! The license store of a SQL database. Reads that show counters wait for the compactor first.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{ActivationId, ActivationKind, Fingerprint};
use license_core::change::{ChangeFeed, FeedState};
use license_core::command::{Command, CommandContext, Idempotency, NewLicense, Outcome};
use license_core::event::{Event, Subject};
use license_core::figure::Figure;
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::seen::{ActivationDetail, IdleQuery};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, Day, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    Validation,
};
use license_core::verdict::{Claim, Standing};
use serde_json::json;

use super::commands::Request;
use super::database::{Row, reader};
use super::dialect::{Dialect, values};
use super::journal::{self, JournalBatch};
use super::{SqlStore, rows};

#[async_trait]
impl<D: Dialect> LicenseStore for SqlStore<D> {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.database.retry.run(|| self.database.try_create(new)).await
    }

    async fn created(
        &self,
        Idempotency { key, request }: &Idempotency,
    ) -> Result<Option<Created>, StoreError> {
        self.database.find_created(&mut *self.database.reader().await?, key.as_str(), request).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let (id, command, context) = (id.clone(), command.clone(), context.clone());
        let request = Request { id, command, context, caught_up: false };
        self.database.execute_command(&self.compaction, request).await
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        if validations.is_empty() {
            return Ok(());
        }
        if validations.len() as u64 > journal::SEQUENCES {
            let source = format!("a batch has at most {} validations", journal::SEQUENCES);
            return Err(StoreError::Unavailable { source: source.into() });
        }
        self.database.backlog.room().await?;
        let entries = JournalBatch::new(validations);
        self.database.retry.run(|| self.database.try_record(&entries, batch)).await?;
        self.compaction.recorded(&self.database, entries.size);
        Ok(())
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.catch_up().await;
        let database = &*self.database;
        let rows = database
            .fetch(&mut *database.reader().await?, &database.statements.license, values![id.as_str()])
            .await?;
        rows.first().map(|row| reader::<D>(row, "licenses", id.as_str()).detail()).transpose()
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        _: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        let database = &*self.database;
        let domains = match &claim.domain {
            Some(domain) => json!(domain.covering_names()).to_string(),
            None => "[]".to_owned(),
        };
        let fingerprint = claim.fingerprint.as_ref().map(Fingerprint::as_str);
        let values = values![digest.as_bytes().as_slice(), domains.as_str(), fingerprint];
        let rows = database
            .fetch(&mut *database.reader().await?, &database.statements.license_by_key, values)
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let id = reader::<D>(row, "licenses", "").text("id")?;
        let row = reader::<D>(row, "licenses", &id);
        Ok(Some(Standing::new(row.license()?.into(), row.bindings()?)))
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        // The one text here that no type of core has checked. No plan has such a name, and PostgreSQL takes no NUL.
        if filter.plan.as_ref().is_some_and(|plan| plan.contains('\0')) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        self.catch_up().await;
        let database = &*self.database;
        let (sql, values) = database.statements.licenses(filter, now.timestamp_micros(), page);
        let rows = database.fetch(&mut *database.reader().await?, &sql, &values).await?;
        let read = |row: &Row<D>| {
            let id = reader::<D>(row, "licenses", "").text("id")?;
            reader::<D>(row, "licenses", &id).detail()
        };
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |detail: &LicenseDetail| detail.license.id.clone()))
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        self.catch_up().await;
        let database = &*self.database;
        let mut connection = database.reader().await?;
        database.check_exists(&mut connection, id).await?;
        let after = page.after.as_ref().map_or("", ActivationId::as_str);
        let limit = i64::from(page.limit) + 1;
        let rows = match kind {
            None => {
                database
                    .fetch(
                        &mut connection,
                        &database.statements.activations,
                        values![id.as_str(), after, limit],
                    )
                    .await?
            }
            Some(kind) => {
                let values = values![id.as_str(), after, limit, kind.as_str()];
                database.fetch(&mut connection, &database.statements.activations_of_kind, values).await?
            }
        };
        let read = |row: &Row<D>| reader::<D>(row, "activations", id.as_str()).activation_detail();
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |held: &ActivationDetail| held.activation.id.clone()))
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        let IdleQuery { plan, before, limit } = *query;
        let database = &*self.database;
        let values = values![plan, Day::of(before).number(), before.timestamp_micros(), i64::from(limit)];
        let rows = database.fetch(&mut *database.reader().await?, &database.statements.idle, values).await?;
        let mut idle: Vec<LicenseId> = Vec::new();
        for row in &rows {
            let id = reader::<D>(row, "activations", "").license_id("license_id")?;
            if !idle.contains(&id) {
                idle.push(id);
            }
        }
        Ok(idle)
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let database = &*self.database;
        let values = values![id.as_str(), rows::int(after), i64::from(limit)];
        let rows =
            database.fetch(&mut *database.reader().await?, &database.statements.events, values).await?;
        rows.iter()
            .map(|row| reader::<D>(row, "events", id.as_str()).event(Subject::License(id.clone())))
            .collect()
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.catch_up().await;
        self.database.usage_of(id, query).await
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.catch_up().await;
        self.database.overview(query).await
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.catch_up().await;
        self.database.list_rollups(filter, page).await
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        // Late validations of days that go are removed as well.
        self.catch_up().await;
        self.database.retry.run(|| self.database.try_forget_usage(retention, now, limit)).await
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        let database = &*self.database;
        let rows =
            database.fetch(&mut *database.reader().await?, &database.statements.plans_in_use, &[]).await?;
        rows.iter().map(|row| reader::<D>(row, "licenses", "").text("plan")).collect()
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.database.retry.run(|| self.database.try_keep_first(name, value)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let database = &*self.database;
        database.fetch(&mut *database.reader().await?, &database.statements.ping, &[]).await.map(drop)
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.database.feed.listen()
    }

    fn feed_state(&self) -> FeedState {
        self.database.feed.state()
    }

    fn figures(&self) -> Vec<Figure> {
        self.database.backlog.figures()
    }
}
