//! Compaction that fails, is cut short, or races: every validation is counted once.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::license::{Fingerprint, LicenseId};
use license_core::store::{
    ActivationStore, LicenseFilter, LicenseQuery, LicenseStore, PageRequest, StoreError, UsageStore,
};
use license_core::usage::{RollupFilter, UsageQuery, Validation, roll_up};
use license_core::validation::Claim;
use sqlx::{Database, SqlStr};

use crate::sql::SqlStore;
use crate::sql::database::{SqlDatabase, reader};
use crate::sql::dialect::{Dialect, Durability, Value, values};
use crate::sql::fault::store_error;
use crate::sql::feed::Feed;
use crate::sql::journal::JournalBatch;
use crate::sql::rows::int;
use crate::sql::test_fixture::issue;

/// A dialect whose statements fail as asked.
#[derive(Debug)]
struct Faulty<D> {
    dialect: D,
    /// So many more statements succeed. Negative: all do.
    left: AtomicI64,
    /// Whether the statement that fails was executed all the same.
    after: bool,
}

impl<D> Faulty<D> {
    fn new(dialect: D, left: i64, after: bool) -> Self {
        Self { dialect, left: AtomicI64::new(left), after }
    }
}

impl<D: Dialect> Dialect for Faulty<D> {
    type Db = D::Db;
    const FOR_UPDATE: &'static str = D::FOR_UPDATE;
    const SKIP_LOCKED: &'static str = D::SKIP_LOCKED;
    const SINGLE_WRITER: bool = D::SINGLE_WRITER;
    const STEP_ROWS: u32 = D::STEP_ROWS;
    const NOTIFY: Option<&'static str> = D::NOTIFY;
    const RECORD: &'static str = D::RECORD;
    const LOCK_COMPACTION: Option<&'static str> = D::LOCK_COMPACTION;

    fn begin_write(&self, durability: Durability) -> SqlStr {
        self.dialect.begin_write(durability)
    }
    fn begin_read(&self) -> SqlStr {
        self.dialect.begin_read()
    }
    fn begin_snapshot(&self) -> SqlStr {
        self.dialect.begin_snapshot()
    }
    fn needs_transactions(&self) -> bool {
        self.dialect.needs_transactions()
    }
    fn items(n: u8) -> String {
        D::items(n)
    }
    fn items_of(n: u8, name: &str) -> String {
        D::items_of(n, name)
    }
    fn is_one_of(column: &str, n: u8) -> String {
        D::is_one_of(column, n)
    }
    fn is_one_of_hex(column: &str, n: u8) -> String {
        D::is_one_of_hex(column, n)
    }
    fn unhex(text: &str) -> String {
        D::unhex(text)
    }
    fn json_rows(columns: &str, select: &str) -> String {
        D::json_rows(columns, select)
    }
    fn looked_up(each: &str, table: &str, columns: &str, condition: &str) -> String {
        D::looked_up(each, table, columns, condition)
    }
    fn is_contended(code: &str) -> bool {
        D::is_contended(code)
    }
    async fn close(&self) {
        self.dialect.close().await;
    }

    async fn fetch(
        &self,
        connection: &mut <Self::Db as Database>::Connection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> sqlx::Result<Vec<<Self::Db as Database>::Row>> {
        let fails = self.left.fetch_sub(1, Ordering::SeqCst) == 0;
        let fault = || sqlx::Error::Io(std::io::Error::other("a fault of the test"));
        if fails && !self.after {
            return Err(fault());
        }
        let rows = self.dialect.fetch(connection, sql, values).await?;
        if fails { Err(fault()) } else { Ok(rows) }
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time in range")
}

/// Validations of three licenses around midnight, some late, some denied; recorded in several batches.
async fn record<D: Dialect>(store: &SqlStore<D>, ids: &[LicenseId], round: i64) -> Vec<Validation> {
    let mut all = Vec::new();
    for batch in 0..3_i64 {
        let validations: Vec<_> = (0..400_i64)
            .map(|n| {
                let claim =
                    Claim { domain: None, fingerprint: Some(Fingerprint::parse("one").expect("one")) };
                let id = &ids[usize::try_from(n * n + batch).expect("small") % ids.len()];
                let outcome = if n % 5 == 0 {
                    license_core::usage::ValidationOutcome::Denied(
                        license_core::validation::DenialCode::LicenseExpired,
                    )
                } else {
                    license_core::usage::ValidationOutcome::Valid
                };
                let at = now() + TimeDelta::hours(7 * batch) + TimeDelta::microseconds(round * 1_000 + n);
                Validation::new(id.clone(), at, outcome, claim)
            })
            .collect();
        store.database.try_record(&JournalBatch::new(&validations), None).await.expect("recorded");
        all.extend(validations);
    }
    all
}

/// Every figure is that of the validations recorded so far.
async fn check<D: Dialect>(store: &SqlStore<D>, ids: &[LicenseId], recorded: &[Validation], when: &str) {
    store.compact().await.expect("compacted");
    let page = PageRequest { after: None, limit: 1_000 };
    let rollups = store.list_rollups(&RollupFilter::default(), &page).await.expect("rollups").items;
    let found: std::collections::BTreeMap<_, _> = rollups.into_iter().map(|one| (one.key, one.sum)).collect();
    assert_eq!(found, roll_up(recorded), "rollups {when}");
    let fold = license_core::usage::fold(recorded);
    for id in ids {
        let detail = store.get(id).await.expect("a license").expect("it exists");
        assert_eq!(detail.counters, fold.counters[id], "counters of {id} {when}");
        let activations =
            store.list_activations(id, None, &PageRequest::default()).await.expect("activations");
        let seen = &fold.sightings[id][&activations.items[0].activation.binding];
        assert_eq!(
            activations.items[0].last_seen.validations,
            seen.len() as u64,
            "the device of {id} {when}"
        );
        let mut query = UsageQuery::default();
        query.page.limit = 100_000;
        let history = store.report(id, &query).await.expect("usage").recent.items.len();
        let expected = recorded.iter().filter(|one| one.license_id == *id).count();
        assert_eq!(history, expected, "the history of {id} {when}");
    }
}

async fn licenses<D: Dialect>(store: &SqlStore<D>) -> Vec<LicenseId> {
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(issue(store, number, now() - TimeDelta::days(1)).await);
    }
    ids
}

async fn compact_once<D: Dialect>(database: &SqlDatabase<D>) -> Result<(), StoreError> {
    if D::SINGLE_WRITER { database.compact_slices().await } else { database.compact_step().await }
}

/// Compacts what is left, as a process does that starts afterwards.
async fn compact_the_rest<D: Dialect>(database: &SqlDatabase<D>) {
    for _ in 0..100 {
        let connection = &mut *database.reader().await.expect("a connection");
        let waiting = database.fetch(connection, &database.sql.journal.any, &[]).await.expect("rows");
        if waiting.is_empty() {
            return;
        }
        compact_once(database).await.expect("compacted");
    }
    panic!("compaction does not end");
}

/// A fault before or after each statement loses nothing and counts nothing twice.
async fn check_faults<D: Dialect>(store: SqlStore<D>, dialect: impl Fn() -> D) {
    let ids = licenses(&store).await;
    store.compaction.stop().await;
    let mut recorded = Vec::new();
    for after in [false, true] {
        for statement in 0.. {
            assert!(statement < 100, "a pass of so many statements");
            recorded.extend(record(&store, &ids, statement * 2 + i64::from(after)).await);
            let faulty = Faulty::new(dialect(), statement, after);
            let (writer, readers) = store.database.pools();
            let faulty = SqlDatabase::new(faulty, writer, readers, Feed::default());
            let failed = compact_once(&faulty).await.is_err();
            assert!(statement > 5 || failed, "statement {statement} is executed");
            if !failed {
                break;
            }
        }
        compact_the_rest(&store.database).await;
        check_without_task(&store, &ids, &recorded).await;
    }
}

/// As [`check`], of a store whose task was stopped.
async fn check_without_task<D: Dialect>(store: &SqlStore<D>, ids: &[LicenseId], recorded: &[Validation]) {
    let fold = license_core::usage::fold(recorded);
    for id in ids {
        let detail = store.get(id).await.expect("a license").expect("it exists");
        assert_eq!(detail.counters, fold.counters[id], "counters of {id} after faults");
    }
    let page = PageRequest { after: None, limit: 1_000 };
    let rollups = store.list_rollups(&RollupFilter::default(), &page).await.expect("rollups").items;
    let found: std::collections::BTreeMap<_, _> = rollups.into_iter().map(|one| (one.key, one.sum)).collect();
    assert_eq!(found, roll_up(recorded), "rollups after faults");
}

/// Polls a future so many times, then drops it.
async fn cut_short(polls: usize, work: impl Future<Output = Result<(), StoreError>>) {
    let mut work = Box::pin(work);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        match work.as_mut().poll(context) {
            Poll::Ready(result) => {
                result.expect("no fault");
                Poll::Ready(())
            }
            Poll::Pending => {
                left -= 1;
                Poll::Pending
            }
        }
    })
    .await;
}

/// A compaction that is cut short at any await goes on where it was.
async fn check_cuts<D: Dialect>(store: SqlStore<D>) {
    let ids = licenses(&store).await;
    store.compaction.stop().await;
    let mut recorded = Vec::new();
    for polls in 1..=160 {
        if polls % 8 == 1 {
            recorded.extend(record(&store, &ids, polls).await);
        }
        cut_short(usize::try_from(polls).expect("small"), compact_once(&*store.database)).await;
    }
    compact_the_rest(&store.database).await;
    check_without_task(&store, &ids, &recorded).await;
}

/// Two compactors at the same time, and readers that wait for either.
async fn check_races<D: Dialect>(first: SqlStore<D>, second: SqlStore<D>) {
    let ids = licenses(&first).await;
    let mut recorded = Vec::new();
    for round in 0..6 {
        recorded.extend(record(if round % 2 == 0 { &first } else { &second }, &ids, round).await);
        let (one, other) = tokio::join!(first.compact(), second.compact());
        one.and(other).expect("compacted");
        check(if round % 2 == 0 { &second } else { &first }, &ids, &recorded, "after a race").await;
    }
}

/// A row that cannot be read is set aside with its reason; those before and behind it are counted.
async fn check_rejected<D: Dialect>(store: SqlStore<D>) {
    let ids = licenses(&store).await;
    let mut recorded = record(&store, &ids, 0).await;
    let insert = SqlStr::from_static("INSERT INTO journal (at, size, entries) VALUES (1, 7, 'rubbish')");
    let mut tx = store.database.begin(Durability::ProcessCrash).await.expect("a transaction");
    store.database.fetch(&mut tx, &insert, &[]).await.expect("a row");
    tx.commit().await.map_err(store_error::<D>).expect("committed");
    recorded.extend(record(&store, &ids, 1).await);
    check(&store, &ids, &recorded, "beside a row that cannot be read").await;
    let rejected = SqlStr::from_static("SELECT reason, entries FROM journal_rejected");
    let rows = store.database.fetch(&mut *store.database.reader().await.expect("one"), &rejected, &[]).await;
    let rows = rows.expect("rows");
    assert_eq!(rows.len(), 1);
    let row = reader::<D>(&rows[0], "journal_rejected", "");
    assert_eq!(row.text("entries").expect("a text"), "rubbish");
    assert!(row.text("reason").expect("a text").contains("expected value"));
}

/// While validations wait, readers are answered with what is compacted, and told how far that reaches.
async fn check_as_of<D: Dialect>(store: SqlStore<D>) {
    let ids = licenses(&store).await;
    let recorded = record(&store, &ids, 0).await;
    check(&store, &ids, &recorded, "on a quiet system").await;
    store.compaction.stop().await;
    let waiting = record(&store, &ids, 1).await;
    let oldest = waiting.iter().take(400).map(|one| one.at).min();
    let fold = license_core::usage::fold(&recorded);
    let detail = store.get(&ids[0]).await.expect("a license").expect("it exists");
    let expected = license_core::license::Counters { as_of: oldest, ..fold.counters[&ids[0]] };
    assert_eq!(detail.counters, expected);
    let query = LicenseQuery { filter: LicenseFilter::default(), at: now(), page: PageRequest::default() };
    let page = store.list(&query).await.expect("list");
    assert!(page.items.iter().all(|one| one.counters.as_of == oldest));
    let activations =
        store.list_activations(&ids[0], None, &PageRequest::default()).await.expect("activations");
    assert!(activations.items.iter().all(|one| one.last_seen.as_of == oldest));
    let report = store.report(&ids[0], &UsageQuery::default()).await.expect("usage");
    assert_eq!((report.as_of, report.total()), (oldest, expected.validation_count));
    let overview = store.overview(&UsageQuery::default()).await.expect("an overview");
    assert_eq!(overview.usage.as_of, oldest);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;
    use crate::sql::sqlite::{Sqlite, SqliteStore};

    async fn open(folder: &tempfile::TempDir) -> SqliteStore {
        SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database")
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[tokio::test]
    async fn fault_of_a_statement_is_made_up_for() {
        let folder = folder();
        check_faults(open(&folder).await, Sqlite::without_checkpoints).await;
    }

    #[tokio::test]
    async fn compaction_cut_short_is_resumed() {
        let folder = folder();
        check_cuts(open(&folder).await).await;
    }

    /// A process that was held up must not start a fold again that others have finished: a third one, which
    /// still has its rows in memory, would count them twice.
    #[tokio::test]
    async fn finished_fold_is_not_started_again() {
        let folder = folder();
        let store = open(&folder).await;
        let ids = licenses(&store).await;
        store.compaction.stop().await;
        record(&store, &ids, 0).await;
        let database = &store.database;
        let rows =
            database.oldest_rows(&mut *database.reader().await.expect("one"), u64::MAX).await.expect("ids");
        compact_the_rest(database).await;
        let mut tx = database.begin(Durability::ProcessCrash).await.expect("a transaction");
        let values = values![int(rows[0]), int(rows[rows.len() - 1])];
        database.fetch(&mut tx, &database.sql.compaction.start, values).await.expect("no fault");
        let marker = database.fetch(&mut tx, &database.sql.compaction.marker, &[]).await.expect("a row");
        assert_eq!(reader::<Sqlite>(&marker[0], "compaction", "").count("last").expect("a number"), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn racing_compactors_count_once() {
        let folder = folder();
        check_races(open(&folder).await, open(&folder).await).await;
    }

    #[tokio::test]
    async fn unreadable_row_is_set_aside() {
        let folder = folder();
        check_rejected(open(&folder).await).await;
    }

    #[tokio::test]
    async fn readers_are_told_how_far_counters_reach() {
        let folder = folder();
        check_as_of(open(&folder).await).await;
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    use crate::sql::postgres::{Postgres, PostgresOptions, PostgresStore};
    use test_database::TestDatabase;

    async fn connect(database: &TestDatabase) -> PostgresStore {
        PostgresStore::connect(&database.url(), &PostgresOptions::default()).await.expect("a store")
    }

    #[tokio::test]
    async fn fault_of_a_statement_is_made_up_for() {
        let Some(database) = TestDatabase::new().await else { return };
        check_faults(connect(&database).await, || Postgres::new(&PostgresOptions::default())).await;
    }

    #[tokio::test]
    async fn compaction_cut_short_is_resumed() {
        let Some(database) = TestDatabase::new().await else { return };
        check_cuts(connect(&database).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn racing_compactors_count_once() {
        let Some(database) = TestDatabase::new().await else { return };
        check_races(connect(&database).await, connect(&database).await).await;
    }

    #[tokio::test]
    async fn unreadable_row_is_set_aside() {
        let Some(database) = TestDatabase::new().await else { return };
        check_rejected(connect(&database).await).await;
    }

    #[tokio::test]
    async fn readers_are_told_how_far_counters_reach() {
        let Some(database) = TestDatabase::new().await else { return };
        check_as_of(connect(&database).await).await;
    }

    /// Another node holds the lock of the compactor for longer than a reader waits.
    #[tokio::test]
    async fn held_lock_fails_no_reader() {
        let Some(database) = TestDatabase::new().await else { return };
        let store = connect(&database).await;
        let ids = licenses(&store).await;
        store.compact().await.expect("compacted");
        let mut other = database.connect().await;
        let lock = format!("BEGIN; {}", Postgres::LOCK_COMPACTION.expect("a lock"));
        sqlx::Executor::execute(&mut other, sqlx::AssertSqlSafe(lock)).await.expect("the lock");
        let recorded = record(&store, &ids, 0).await;
        let detail = store.get(&ids[0]).await.expect("a reader is answered").expect("it exists");
        assert_eq!((detail.counters.validation_count, detail.counters.as_of), (0, Some(recorded[0].at)));
        sqlx::Executor::execute(&mut other, "ROLLBACK").await.expect("released");
        check(&store, &ids, &recorded, "when the lock is free").await;
    }
}
