//! One store for SQL databases; a [`Dialect`] says what differs.

mod access;
mod chain;
mod dialect;
mod fault;
pub(crate) mod feed;
mod filing;
mod known;
mod migrations;
#[cfg(test)]
mod one_license;
mod outbox;
#[cfg(feature = "postgres")]
pub mod postgres;
mod retry;
mod rows;
mod seen;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod statements;
mod transfer;
mod turn;
mod usage;
mod writer;

use std::fmt;
use std::ops::{Deref, DerefMut};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::activation::{Activation, ActivationId, ActivationKind, Label};
use license_core::change::{Change, ChangeFeed, FeedState, Notice};
use license_core::command::{
    Changes, Command, CommandContext, Decision, Idempotency, NewLicense, Outcome, Reads, View, decide,
};
use license_core::event::{Event, Subject};
use license_core::figure::Figure;
use license_core::key::KeyDigest;
use license_core::license::{LicenseDetail, LicenseId};
use license_core::seen::{ActivationDetail, IdleQuery, SeenActivation, Unseen};
use license_core::store::{Created, LicenseFilter, LicenseStore, Page, PageRequest, StoreError};
use license_core::usage::{
    BatchId, Rollup, RollupFilter, RollupKey, UsageOverview, UsageQuery, UsageReport, UsageRetention,
    Validation,
};
use license_core::verdict::{Claim, Standing};
use serde_json::json;
use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool, SqlStr};
use std::time::Duration;

pub use dialect::{Columns, Dialect, Survives, Value};
pub use migrations::OpenError;

use access::AccessStatements;
use chain::Chain;
use dialect::values;
use fault::{is_taken, store_error};
use feed::Feed;
use filing::Filing;
use known::KnownLicenses;
use outbox::OutboxStatements;
use retry::Retry;
use rows::Reader;
use statements::Statements;
use transfer::TransferStatements;
use turn::{Turn, Turns};
use usage::UsageStatements;
use writer::Writer;

/// The longest that one waits for others of its process who do what is done one at a time.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A store in a database of SQL.
///
/// Commands and new licenses are committed so that they survive the loss of power; validations so that they survive the
/// end of the process by any means (on SQLite, a power cut may lose the last moments of counts, never a command).
pub struct SqlStore<D: Dialect> {
    writer: Writer<D::Db>,
    readers: Pool<D::Db>,
    background: Turns,
    /// Who gives positions out: those of one process would only overtake each other.
    publishing: Turns,
    overviews: Turns,
    statements: Statements,
    access: AccessStatements,
    retry: Retry,
    dialect: D,
    feed: Feed,
    filing: Filing,
    known: KnownLicenses,
    outbox: OutboxStatements,
    transfer: TransferStatements,
    usage: UsageStatements,
}

impl<D: Dialect> fmt::Debug for SqlStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("database", &<D::Db as Database>::NAME).finish_non_exhaustive()
    }
}

type Connection<D> = <<D as Dialect>::Db as Database>::Connection;
type Row<D> = <<D as Dialect>::Db as Database>::Row;
type Tx<D> = writer::Tx<<D as Dialect>::Db>;

impl<D: Dialect> SqlStore<D> {
    fn new(
        dialect: D,
        writer: Writer<D::Db>,
        readers: Pool<D::Db>,
        background: Turns,
        feed: Feed,
        filing: Filing,
    ) -> Self {
        Self {
            writer,
            readers,
            background,
            publishing: Turns::one_at_a_time(LONGEST_WAIT),
            overviews: Turns::one_at_a_time(LONGEST_WAIT),
            statements: Statements::new(&dialect),
            access: AccessStatements::new::<D>(),
            outbox: OutboxStatements::new::<D>(),
            transfer: TransferStatements::new(&dialect),
            usage: UsageStatements::new::<D>(),
            retry: Retry::default(),
            dialect,
            feed,
            filing,
            known: KnownLicenses::default(),
        }
    }

    /// Files what is recorded: the tables are as a reader who does not know of batches expects them. It is done all the time,
    /// a little later than it could be; no method of the store tells the difference.
    ///
    /// # Errors
    /// A fault of the database. What was filed before it stays so.
    pub async fn file(&self) -> Result<(), StoreError> {
        self.filing.run_all().await.map_err(store_error::<D>)
    }

    /// Closes the connections, after what runs on them. Later calls fail as unavailable.
    pub async fn close(&self) {
        self.filing.stop().await;
        self.dialect.close();
        // They may be of one pool.
        self.writer.let_go();
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn fetch(
        &self,
        connection: &mut Connection<D>,
        sql: &SqlStr,
        values: &[Value<'_>],
    ) -> Result<Vec<Row<D>>, StoreError> {
        self.dialect.fetch(connection, sql.clone(), values).await.map_err(store_error::<D>)
    }

    /// For reads of one statement each.
    async fn reader(&self) -> Result<Reading<D>, StoreError> {
        if self.dialect.reads_in_transactions() {
            self.begin_read().await.map(Reading::Within)
        } else {
            self.read_connection().await.map(Reading::Alone)
        }
    }

    async fn read_connection(&self) -> Result<PoolConnection<D::Db>, StoreError> {
        // They may be of one pool.
        self.writer.make_room();
        self.readers.acquire().await.map_err(store_error::<D>)
    }

    /// For reads of one moment. Dropped when read: its end is not waited for.
    async fn begin_read(&self) -> Result<Tx<D>, StoreError> {
        let connection = self.read_connection().await?;
        let begin = self.statements.begin_read.clone();
        Tx::<D>::begin_read(connection, begin).await.map_err(store_error::<D>)
    }

    async fn begin(&self, begin: &SqlStr) -> Result<Tx<D>, StoreError> {
        self.writer.begin(begin.clone()).await.map_err(store_error::<D>)
    }

    /// Runs a text that is a transaction, on the connection that writes. The caller has a turn.
    async fn run_at_once(&self, text: SqlStr, values: &[Value<'_>]) -> sqlx::Result<Vec<Row<D>>> {
        let mut unfinished = Unfinished::new(self.writer.take().await?);
        let connection = unfinished.connection()?;
        let result = self.dialect.fetch(connection, text, values).await;
        if result.is_err() && !D::ABANDON.is_empty() {
            // It may have failed before it began.
            let _ = self.dialect.fetch(connection, SqlStr::from_static(D::ABANDON), &[]).await;
        }
        if let Some(connection) = unfinished.finish()
            && result.is_ok()
        {
            self.writer.put_back(connection);
        }
        result
    }

    /// Waits for the turn of what no caller waits for.
    async fn enter_background(&self) -> Result<Turn, StoreError> {
        self.background.enter().await.map_err(store_error::<D>)
    }

    /// Runs a step with its chain, in a turn of the background. Gives the rows of its answer: none where it stopped, and then nothing
    /// was done.
    async fn run_step(&self, chain: &Chain, step: &Step<'_>) -> Result<Vec<Row<D>>, StoreError> {
        let _turn = self.enter_background().await?;
        let Step { values, least, begin, notice } = step;
        let notice = notice.clone();
        if let Some(text) = &chain.at_once {
            let _turn = self.writer.turn().await.map_err(store_error::<D>)?;
            let rows = self.run_at_once(text.clone(), values).await.map_err(store_error::<D>)?;
            if !rows.is_empty() {
                self.feed.tell(notice.into_iter().collect());
            }
            return Ok(rows);
        }
        let mut tx = self.begin(begin).await?;
        let mut answer = Vec::new();
        for (n, (statement, reads)) in chain.each.iter().zip(&chain.reads).enumerate() {
            let rows = self.fetch(&mut tx, statement, &values[..*reads]).await?;
            let last = n + 1 == chain.each.len();
            let is_answer = n == chain.answer;
            if (rows.is_empty() && !last) || (is_answer && rows.len() < *least) {
                return Ok(Vec::new());
            }
            if is_answer {
                answer = rows;
            }
        }
        self.commit_and_tell(tx, notice.into_iter().collect()).await?;
        Ok(answer)
    }

    async fn try_create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        let NewLicense { license, activations, events, idempotency, audit } = new;
        let mut tx = self.begin(&self.statements.durable).await?;
        if let Some(Idempotency { key, request }) = idempotency {
            // Inserted first: of callers that race, the others wait here, and then find the row of the one.
            let created_at = license.created_at.timestamp_micros();
            let values = values![key.as_str(), request.as_slice(), license.id.as_str(), created_at];
            if self.fetch(&mut tx, &self.statements.insert_idempotency, values).await?.is_empty() {
                let gone = || StoreError::Contended { source: "the row is gone".into() };
                return self.find_created(&mut tx, key.as_str(), request).await?.ok_or_else(gone);
            }
        }
        let metadata = json!(license.metadata).to_string();
        let values = rows::license_values(license, &metadata);
        if self.fetch(&mut tx, &self.statements.insert_license, &values).await?.is_empty() {
            return Err(StoreError::AlreadyExists { what: "the license id or key" });
        }
        self.insert_activations(&mut tx, &license.id, activations).await?;
        self.insert_events(&mut tx, events).await?;
        if let Some(audit) = audit {
            self.add_audit(&mut tx, audit).await?;
        }
        self.commit(tx, vec![new.notice()]).await?;
        Ok(Created::New)
    }

    async fn try_execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let mut tx = self.begin(&self.statements.durable).await?;
        let rows = self.fetch(&mut tx, &self.statements.lock_license, values![id.as_str()]).await?;
        let row = rows.first().ok_or_else(|| StoreError::NotFound { id: id.clone() })?;
        let license = reader::<D>(row, "licenses", id.as_str()).license()?;
        let before = license.key_digest;
        let activations = self.read(&mut tx, id, &command.reads()).await?;
        let unseen = match command.unseen(&license, context) {
            Some(unseen) => self.read_unseen(&mut tx, id, unseen).await?,
            None => Vec::new(),
        };
        let Decision { outcome, changes } = decide(View { license, activations, unseen }, command, context);
        if let Some(changes) = changes {
            // A claim goes through no validations that are not filed yet: it shows the counters of the last filing.
            let claims = matches!(command, Command::Activate(_));
            let shown = if claims { &self.statements.shown_filed } else { &self.statements.shown };
            self.write(&mut tx, id, &changes, shown).await?;
            self.commit(tx, changes.notices(&before)).await?;
        }
        Ok(outcome)
    }

    /// Commits, and tells of the changes: within the commit where other nodes listen, after it where none can.
    async fn commit(&self, tx: Tx<D>, changes: Vec<Change>) -> Result<(), StoreError> {
        self.commit_and_tell(tx, changes.into_iter().map(Notice::Changed).collect()).await
    }

    async fn commit_and_tell(&self, mut tx: Tx<D>, notices: Vec<Notice>) -> Result<(), StoreError> {
        let Some(notify) = &self.statements.notify else {
            tx.commit().await.map_err(store_error::<D>)?;
            self.feed.tell(notices);
            return Ok(());
        };
        for payload in notices.iter().filter_map(feed::payload) {
            self.fetch(&mut tx, notify, values![payload.as_str()]).await?;
        }
        tx.commit().await.map_err(store_error::<D>)
    }

    async fn try_record(&self, rows: &BatchRows<'_>, batch: Option<BatchId>) -> Result<(), StoreError> {
        let BatchRows { validations, history, latest } = rows;
        self.look_for(validations).await?;
        let recorder = batch.map_or([0; 16], |batch| *batch.recorder.as_bytes());
        let number = batch.map_or(0, |batch| rows::int(batch.number));
        let size = rows::int(validations.len() as u64);
        let values = values![recorder.as_slice(), number, *latest, size, history.as_str()];
        let record = self.statements.record.clone();
        if self.dialect.reads_in_transactions() {
            let mut tx = self.begin(&self.statements.quick).await?;
            self.fetch(&mut tx, &record, values).await?;
            tx.commit().await.map_err(store_error::<D>)?;
        } else {
            let _turn = self.writer.turn().await.map_err(store_error::<D>)?;
            if !self.dialect.record_here(values) {
                self.run_at_once(record, values).await.map_err(store_error::<D>)?;
            }
        }
        self.filing.wake();
        Ok(())
    }

    /// Looks whether the licenses of these are there.
    async fn look_for(&self, validations: &[Validation]) -> Result<(), StoreError> {
        let unknown = self.known.unknown(validations.iter().map(|validation| &validation.license_id));
        if unknown.is_empty() {
            return Ok(());
        }
        let ids = rows::json_rows(unknown.iter().map(|id| json!([id.as_str()])));
        let connection = &mut *self.reader().await?;
        let missing = self.fetch(connection, &self.statements.unknown_license, values![ids.as_str()]).await?;
        if let Some(row) = missing.first() {
            return Err(StoreError::NotFound { id: reader::<D>(row, "licenses", "").license_id("id")? });
        }
        self.known.add(&unknown);
        Ok(())
    }

    async fn try_keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut tx = self.begin(&self.statements.durable).await?;
        self.fetch(&mut tx, &self.statements.insert_kept, values![name, value]).await?;
        let rows = self.fetch(&mut tx, &self.statements.kept, values![name]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Contended { source: "the row is gone".into() })?;
        let kept = reader::<D>(row, "kept", name).bytes("value")?;
        tx.commit().await.map_err(store_error::<D>)?;
        Ok(kept)
    }

    async fn find_created(
        &self,
        connection: &mut Connection<D>,
        key: &str,
        request: &[u8; 32],
    ) -> Result<Option<Created>, StoreError> {
        let rows = self.fetch(connection, &self.statements.idempotency, values![key]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let row = reader::<D>(row, "idempotency_keys", key);
        Ok(Some(Created::again(request, &row.digest("request")?, row.license_id("license_id")?)))
    }

    /// What a decision looks at.
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

    /// One statement, so that what is filed meanwhile is seen in one of its two places.
    async fn read_unseen(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        Unseen { before, most }: Unseen,
    ) -> Result<Vec<SeenActivation>, StoreError> {
        let (license, most) = (id.as_str(), i64::from(most));
        let rows = match before.map(|before| before.timestamp_micros()) {
            None => self.fetch(tx, &self.statements.unseen, values![license, most]).await?,
            Some(before) => {
                let values = values![license, most, before, day(before)];
                self.fetch(tx, &self.statements.unseen_before, values).await?
            }
        };
        rows.iter().map(|row| reader::<D>(row, "activations", license).seen_activation()).collect()
    }

    /// Writes a decision down; its events with the license as `shown` reads it then.
    async fn write(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        changes: &Changes,
        shown: &SqlStr,
    ) -> Result<(), StoreError> {
        let Changes { license, added, released, labelled, events, audit, erased } = changes;
        let metadata = json!(license.metadata).to_string();
        let values = rows::license_values(license, &metadata);
        let updated = self.dialect.fetch(tx, self.statements.update_license.clone(), &values).await;
        updated.map_err(|error| {
            if is_taken(&error) {
                StoreError::AlreadyExists { what: "the license key" }
            } else {
                store_error::<D>(error)
            }
        })?;
        if !released.is_empty() {
            let ids = json!(released.iter().map(ActivationId::as_str).collect::<Vec<_>>()).to_string();
            self.fetch(tx, &self.statements.delete_activations, values![id.as_str(), ids.as_str()]).await?;
        }
        self.insert_activations(tx, id, added).await?;
        if let Some((activation, label)) = labelled {
            let label = label.as_ref().map(Label::as_str);
            let values = values![id.as_str(), activation.as_str(), label];
            self.fetch(tx, &self.statements.label_activation, values).await?;
        }
        if erased.is_some() {
            self.fetch(tx, &self.statements.forget_labels, values![id.as_str()]).await?;
        }
        let rows = self.fetch(tx, shown, values![id.as_str()]).await?;
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

    async fn insert_activations(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        activations: &[Activation],
    ) -> Result<(), StoreError> {
        if !activations.is_empty() {
            let rows = rows::activation_rows(id, activations);
            self.fetch(tx, &self.statements.insert_activations, values![rows.as_str()]).await?;
        }
        Ok(())
    }

    async fn insert_events(&self, tx: &mut Tx<D>, events: &[Event]) -> Result<(), StoreError> {
        let rows = rows::event_rows(events);
        self.fetch(tx, &self.statements.insert_events, values![rows.as_str()]).await?;
        Ok(())
    }

    async fn check_exists(&self, connection: &mut Connection<D>, id: &LicenseId) -> Result<(), StoreError> {
        let rows = self.fetch(connection, &self.statements.license_exists, values![id.as_str()]).await?;
        if rows.is_empty() { Err(StoreError::NotFound { id: id.clone() }) } else { Ok(()) }
    }
}

/// One of many writes of a chain.
struct Step<'a> {
    /// What its statements read.
    values: &'a [Value<'a>],
    /// So many rows its answer has, or nothing shall be done.
    least: usize,
    begin: &'a SqlStr,
    /// Told where something was done.
    notice: Option<Notice>,
}

/// What `record` writes of its validations.
struct BatchRows<'a> {
    validations: &'a [Validation],
    history: String,
    /// The time of the latest one, in microseconds.
    latest: i64,
}

impl<'a> BatchRows<'a> {
    fn new(validations: &'a [Validation]) -> Self {
        Self {
            validations,
            history: rows::validation_rows(validations),
            latest: validations.iter().map(|validation| validation.at.timestamp_micros()).max().unwrap_or(0),
        }
    }
}

/// A connection that runs a text with a transaction in it. Whoever drops it before the end leaves the transaction open, maybe:
/// then the connection is closed, which ends it.
struct Unfinished<Db: Database>(Option<PoolConnection<Db>>);

impl<Db: Database> Unfinished<Db> {
    fn new(connection: PoolConnection<Db>) -> Self {
        Self(Some(connection))
    }

    fn connection(&mut self) -> sqlx::Result<&mut Db::Connection> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    fn finish(mut self) -> Option<PoolConnection<Db>> {
        self.0.take()
    }
}

impl<Db: Database> Drop for Unfinished<Db> {
    fn drop(&mut self) {
        if let Some(mut connection) = self.0.take() {
            connection.close_on_drop();
        }
    }
}

/// A connection that reads, in a transaction where the dialect asks for it.
enum Reading<D: Dialect> {
    Alone(PoolConnection<D::Db>),
    Within(Tx<D>),
}

impl<D: Dialect> Deref for Reading<D> {
    type Target = Connection<D>;

    fn deref(&self) -> &Connection<D> {
        match self {
            Self::Alone(connection) => connection,
            Self::Within(tx) => tx,
        }
    }
}

impl<D: Dialect> DerefMut for Reading<D> {
    fn deref_mut(&mut self) -> &mut Connection<D> {
        match self {
            Self::Alone(connection) => connection,
            Self::Within(tx) => tx,
        }
    }
}

/// The day of a moment, both as databases keep them.
fn day(micros: i64) -> i64 {
    micros.div_euclid(86_400_000_000)
}

fn reader<'a, D: Dialect>(row: &'a Row<D>, table: &'static str, id: &'a str) -> Reader<'a, Row<D>> {
    Reader { row, table, id }
}

#[async_trait]
impl<D: Dialect> LicenseStore for SqlStore<D> {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        self.retry.run(|| self.try_create(new)).await
    }

    async fn created(
        &self,
        Idempotency { key, request }: &Idempotency,
    ) -> Result<Option<Created>, StoreError> {
        self.find_created(&mut *self.reader().await?, key.as_str(), request).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        self.retry.run(|| self.try_execute(id, command, context)).await
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        if validations.is_empty() {
            return Ok(());
        }
        let rows = BatchRows::new(validations);
        self.retry.run(|| self.try_record(&rows, batch)).await
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        let rows =
            self.fetch(&mut *self.reader().await?, &self.statements.license, values![id.as_str()]).await?;
        rows.first().map(|row| reader::<D>(row, "licenses", id.as_str()).detail()).transpose()
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        _: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        let domains = match &claim.domain {
            Some(domain) => json!(domain.covering_names()).to_string(),
            None => "[]".to_owned(),
        };
        let fingerprint = claim.fingerprint.as_ref().map(license_core::activation::Fingerprint::as_str);
        let values = values![digest.as_bytes().as_slice(), domains.as_str(), fingerprint];
        let rows = self.fetch(&mut *self.reader().await?, &self.statements.license_by_key, values).await?;
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
        let (sql, values) = self.statements.licenses(filter, now.timestamp_micros(), page);
        let rows = self.fetch(&mut *self.reader().await?, &sql, &values).await?;
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
        let mut connection = self.reader().await?;
        self.check_exists(&mut connection, id).await?;
        let after = page.after.as_ref().map_or("", ActivationId::as_str);
        let limit = i64::from(page.limit) + 1;
        let rows = match kind {
            None => {
                self.fetch(&mut connection, &self.statements.activations, values![id.as_str(), after, limit])
                    .await?
            }
            Some(kind) => {
                let values = values![id.as_str(), after, limit, kind.as_str()];
                self.fetch(&mut connection, &self.statements.activations_of_kind, values).await?
            }
        };
        let read = |row: &Row<D>| reader::<D>(row, "activations", id.as_str()).activation_detail();
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |held: &ActivationDetail| held.activation.id.clone()))
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        let IdleQuery { plan, before, limit } = *query;
        let before = before.timestamp_micros();
        let values = values![plan, day(before), before, i64::from(limit)];
        let rows = self.fetch(&mut *self.reader().await?, &self.statements.idle, values).await?;
        let mut idle: Vec<LicenseId> = Vec::new();
        for row in &rows {
            let id = reader::<D>(row, "activation_usage", "").license_id("license_id")?;
            if !idle.contains(&id) {
                idle.push(id);
            }
        }
        Ok(idle)
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let values = values![id.as_str(), rows::int(after), i64::from(limit)];
        let rows = self.fetch(&mut *self.reader().await?, &self.statements.events, values).await?;
        rows.iter()
            .map(|row| reader::<D>(row, "events", id.as_str()).event(Subject::License(id.clone())))
            .collect()
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.usage_of(id, query).await
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.overview(query).await
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        self.list_rollups(filter, page).await
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.retry.run(|| self.try_forget_usage(retention, now, limit)).await
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.fetch(&mut *self.reader().await?, &self.statements.plans_in_use, &[]).await?;
        rows.iter().map(|row| reader::<D>(row, "licenses", "").text("plan")).collect()
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.retry.run(|| self.try_keep_first(name, value)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.fetch(&mut *self.reader().await?, &self.statements.ping, &[]).await.map(drop)
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.feed.listen()
    }

    fn feed_state(&self) -> FeedState {
        self.feed.state()
    }

    fn figures(&self) -> Vec<Figure> {
        self.filing.figures()
    }
}
