//! Compaction counts every validation once, even if it fails, is cancelled, or runs concurrently.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::task::Poll;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::license::{Counters, Fingerprint, LicenseId};
use license_core::store::{
    ActivationStore, ClockStore, HeartbeatChange, LicenseFilter, LicenseQuery, LicenseStore, PageRequest,
    UsageStore,
};
use license_core::usage::{
    BatchId, RollupFilter, UsageQuery, Validation, ValidationOutcome, WriterId, fold, roll_up,
};
use license_core::validation::{Claim, DenialCode};
use sqlx::SqlStr;

use crate::sql::SqlStore;
use crate::sql::fault::store_error;
use crate::sql::journal::JournalBatch;
use crate::sql::prelude::*;
#[cfg(feature = "postgres")]
use crate::sql::test_fixture::connect;
use crate::sql::test_fixture::{issue, test_each_database};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time in range")
}

/// Records three batches of validations around midnight, some late and some denied. Returns all of them.
async fn record<D: Dialect>(store: &SqlStore<D>, ids: &[LicenseId], round: i64) -> Vec<Validation> {
    let mut all = Vec::new();
    for batch in 0..3_i64 {
        let validations: Vec<_> = (0..400_i64)
            .map(|n| {
                let claim = Claim { fingerprint: Fingerprint::parse("one").ok(), ..Claim::default() };
                let id = &ids[usize::try_from(n * n + batch).expect("small") % ids.len()];
                let denied = ValidationOutcome::Denied(DenialCode::LicenseExpired);
                let outcome = if n % 5 == 0 { denied } else { ValidationOutcome::Valid };
                let at = now() + TimeDelta::hours(7 * batch) + TimeDelta::microseconds(round * 1_000 + n);
                Validation::new(id.clone(), at, outcome, claim)
            })
            .collect();
        store.database.try_record(&JournalBatch::new(&validations), None).await.expect("recorded");
        all.extend(validations);
    }
    all
}

/// Asserts that rollups and counters match the recorded validations.
async fn check_totals<D: Dialect>(store: &SqlStore<D>, recorded: &[Validation], when: &str) {
    let page = PageRequest { after: None, limit: 1_000 };
    let rollups = store.list_rollups(&RollupFilter::default(), &page).await.expect("rollups").items;
    let found: BTreeMap<_, _> = rollups.into_iter().map(|one| (one.key, one.sum)).collect();
    assert_eq!(found, roll_up(recorded), "rollups {when}");
    for (id, counters) in fold(recorded).counters {
        let detail = store.get(&id).await.expect("a license").expect("it exists");
        assert_eq!(detail.counters, counters, "counters of {id} {when}");
    }
}

/// Compacts, and asserts that rollups, counters, activations and reports match the recorded validations.
async fn check<D: Dialect>(store: &SqlStore<D>, ids: &[LicenseId], recorded: &[Validation], when: &str) {
    store.compact().await.expect("compacted");
    check_totals(store, recorded, when).await;
    let fold = fold(recorded);
    for id in ids {
        let activations = store.list_activations(id, None, &PageRequest::default()).await.expect("a page");
        let seen = &fold.sightings[id][&activations.items[0].activation.binding];
        assert_eq!(
            activations.items[0].last_seen.validations,
            seen.len() as u64,
            "validations of the device of {id} {when}"
        );
        let mut query = UsageQuery::default();
        query.page.limit = 100_000;
        let history = store.report(id, &query).await.expect("usage").recent.items.len();
        let expected = recorded.iter().filter(|one| one.license_id == *id).count();
        assert_eq!(history, expected, "validations in the report of {id} {when}");
    }
}

async fn licenses<D: Dialect>(store: &SqlStore<D>) -> Vec<LicenseId> {
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(issue(store, number, now() - TimeDelta::days(1)).await);
    }
    ids
}

async fn compact_once<D: Dialect>(database: &SqlDatabase<D>) -> Result<()> {
    if D::SINGLE_WRITER { database.compact_slices().await } else { database.compact_step().await }
}

/// Compacts all waiting validations, like a process that starts after a crash.
async fn compact_all<D: Dialect>(database: &SqlDatabase<D>) {
    for _ in 0..100 {
        let waiting = database.read(&database.sql.journal.any, &[]).await.expect("rows");
        if waiting.is_empty() {
            return;
        }
        compact_once(database).await.expect("compacted");
    }
    panic!("compaction does not end");
}

/// No validation is lost or counted twice if any statement fails before or after it takes effect.
async fn check_faults<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let store = open().await;
    let ids = licenses(&store).await;
    store.compaction.stop().await;
    let mut recorded = Vec::new();
    for after in [false, true] {
        for statement in 0.. {
            assert!(statement < 100, "the pass does not end");
            recorded.extend(record(&store, &ids, statement * 2 + i64::from(after)).await);
            store.database.fault.set(statement.unsigned_abs() + 1, after);
            let failed = compact_once(&store.database).await.is_err();
            store.database.fault.set(0, after);
            assert!(statement > 5 || failed, "statement {statement} did not fail");
            if !failed {
                break;
            }
        }
        compact_all(&store.database).await;
        check_totals(&store, &recorded, "after faults").await;
    }
}

/// Polls a future up to `polls` times, then drops it.
async fn cancel_after(polls: usize, work: impl Future<Output = Result<()>>) {
    let mut work = Box::pin(work);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        match work.as_mut().poll(context) {
            Poll::Ready(result) => {
                result.expect("compacted");
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

/// A compaction that is cancelled at any await is resumed by the next one.
async fn check_cancellation<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let store = open().await;
    let ids = licenses(&store).await;
    store.compaction.stop().await;
    let mut recorded = Vec::new();
    for polls in 1..=160 {
        if polls % 8 == 1 {
            recorded.extend(record(&store, &ids, polls).await);
        }
        cancel_after(usize::try_from(polls).expect("small"), compact_once(&*store.database)).await;
    }
    compact_all(&store.database).await;
    check_totals(&store, &recorded, "after cancellations").await;
}

/// Two compactors run concurrently, and a reader waits for either.
async fn check_races<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let (first, second) = (open().await, open().await);
    let ids = licenses(&first).await;
    let mut recorded = Vec::new();
    for round in 0..6 {
        recorded.extend(record(if round % 2 == 0 { &first } else { &second }, &ids, round).await);
        let (one, other) = tokio::join!(first.compact(), second.compact());
        one.and(other).expect("compacted");
        check(if round % 2 == 0 { &second } else { &first }, &ids, &recorded, "after a race").await;
    }
}

/// A row that cannot be read is moved to `journal_rejected` with the reason. The rows around it are counted.
async fn check_rejected<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let store = open().await;
    let ids = licenses(&store).await;
    let mut recorded = record(&store, &ids, 0).await;
    let insert = SqlStr::from_static("INSERT INTO journal (at, size, entries) VALUES (1, 7, 'rubbish')");
    let mut tx = store.database.begin(Durability::ProcessCrash).await.expect("a transaction");
    store.database.fetch(&mut tx, &insert, &[]).await.expect("a row");
    tx.commit().await.map_err(store_error::<D>).expect("committed");
    recorded.extend(record(&store, &ids, 1).await);
    check(&store, &ids, &recorded, "after a rejected row").await;
    let rejected = SqlStr::from_static("SELECT reason, entries FROM journal_rejected");
    let rows = store.database.read(&rejected, &[]).await.expect("rows");
    let rows = rows.all("journal_rejected", "", |row| Ok((row.text("entries")?, row.text("reason")?)));
    let rows = rows.expect("texts");
    let [(entries, reason)] = &rows[..] else { panic!("one row: {rows:?}") };
    assert_eq!(entries, "rubbish");
    assert!(reason.contains("expected value"), "{reason}");
}

/// While validations wait, reads return compacted counters and the time of the oldest waiting validation.
async fn check_as_of<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let store = open().await;
    let ids = licenses(&store).await;
    let recorded = record(&store, &ids, 0).await;
    check(&store, &ids, &recorded, "before validations wait").await;
    store.compaction.stop().await;
    let waiting = record(&store, &ids, 1).await;
    let oldest = waiting.iter().take(400).map(|one| one.at).min();
    let fold = fold(&recorded);
    let detail = store.get(&ids[0]).await.expect("a license").expect("it exists");
    let expected = Counters { as_of: oldest, ..fold.counters[&ids[0]] };
    assert_eq!(detail.counters, expected);
    let query = LicenseQuery { filter: LicenseFilter::default(), at: now(), page: PageRequest::default() };
    let page = store.list(&query).await.expect("list");
    assert!(page.items.iter().all(|one| one.counters.as_of == oldest));
    let activations = store.list_activations(&ids[0], None, &PageRequest::default()).await.expect("a page");
    assert!(activations.items.iter().all(|one| one.last_seen.as_of == oldest));
    let report = store.report(&ids[0], &UsageQuery::default()).await.expect("usage");
    assert_eq!((report.as_of, report.total()), (oldest, expected.validation_count));
    let overview = store.overview(&UsageQuery::default()).await.expect("an overview");
    assert_eq!(overview.usage.as_of, oldest);
}

/// A delayed process must not restart a fold that others have finished. Another process that still has the
/// rows in memory would count them twice.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn finished_fold_is_not_restarted() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = crate::SqliteStore::open(folder.path().join("licenses.db")).await.expect("a database");
    let ids = licenses(&store).await;
    store.compaction.stop().await;
    record(&store, &ids, 0).await;
    let database = &store.database;
    let rows =
        database.oldest_rows(&mut *database.reader().await.expect("one"), u64::MAX).await.expect("ids");
    compact_all(database).await;
    let mut tx = database.begin(Durability::ProcessCrash).await.expect("a transaction");
    let values = values![int(rows[0]), int(rows[rows.len() - 1])];
    database.fetch(&mut tx, &database.sql.compaction.start, values).await.expect("executed");
    let marker = database.fetch(&mut tx, &database.sql.compaction.marker, &[]).await.expect("a row");
    assert_eq!(marker.first("compaction", "", |row| row.count("last")).expect("a number"), Some(0));
}

/// A writer whose clock is years ahead does not make the database forget the batches of other writers.
async fn check_writer_ahead<D: Dialect>(open: impl AsyncFn() -> SqlStore<D>) {
    let store = open().await;
    let ids = licenses(&store).await;
    let change = HeartbeatChange { from: None, to: now(), audit: None };
    assert!(store.move_heartbeat(&change).await.expect("moved"));
    let record = async |writer, at| {
        let claim = Claim::default();
        let validation = Validation::new(ids[0].clone(), at, ValidationOutcome::Valid, claim);
        let batch = BatchId { writer: WriterId::from_bytes([writer; 16]), number: 1 };
        store.record(&[validation], Some(batch)).await.expect("recorded");
        store.compact().await.expect("compacted");
    };
    record(1, now()).await;
    record(2, now() + TimeDelta::days(1_500)).await;
    record(1, now()).await;
    let detail = store.get(&ids[0]).await.expect("a license").expect("it exists");
    assert_eq!(detail.counters.validation_count, 2, "a repeated batch is counted once");
}

test_each_database! {
    #[tokio::test]
    writer_ahead_of_time_does_not_make_batches_count_twice: check_writer_ahead;
    #[tokio::test]
    failed_statement_does_not_change_totals: check_faults;
    #[tokio::test]
    cancelled_compaction_is_resumed: check_cancellation;
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    racing_compactors_count_once: check_races;
    #[tokio::test]
    unreadable_row_is_rejected: check_rejected;
    #[tokio::test]
    reads_return_as_of_while_validations_wait: check_as_of;
}

/// Reads succeed while another node holds the lock of the compactor for longer than they wait.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn held_compaction_lock_does_not_fail_reads() {
    let Some(database) = test_database::TestDatabase::new().await else { return };
    let store = connect(&database).await;
    let ids = licenses(&store).await;
    store.compact().await.expect("compacted");
    let mut other = database.connect().await;
    let lock = format!("BEGIN; {}", crate::sql::postgres::Postgres::LOCK_COMPACTION.expect("a lock"));
    sqlx::Executor::execute(&mut other, sqlx::AssertSqlSafe(lock)).await.expect("the lock");
    let recorded = record(&store, &ids, 0).await;
    let detail = store.get(&ids[0]).await.expect("a license").expect("it exists");
    assert_eq!((detail.counters.validation_count, detail.counters.as_of), (0, Some(recorded[0].at)));
    sqlx::Executor::execute(&mut other, "ROLLBACK").await.expect("released");
    check(&store, &ids, &recorded, "after the lock was released").await;
}
