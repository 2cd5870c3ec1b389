//! The filing of SQLite: in the order of licenses, in steps that are short enough for a commit to wait for.
//!
//! A file has one writer. To file validations as they come would change about a page for each; sorted, many change the same one.
//! So those of some batches are copied, sorted, into memory, which no writer waits for, and filed from there in short steps. How far
//! it is stands in the table `batch_filing`, and changes with each step: whoever reads counts what is not filed, and after a kill
//! the next one goes on.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::sqlite::{Sqlite, SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Connection, SqlStr};
use tokio::time::Instant;

use super::fetch;
use crate::sql::Unfinished;
use crate::sql::dialect::{Columns, Dialect, Value, values};
use crate::sql::filing::{FORGET_RECORDERS, File, TIDIED_EVERY, recorded, roll_up};
use crate::sql::turn::{Others, Turn, Turns};
use crate::sql::writer::Writer;

/// Validations that are sorted at once, as many as fit into some megabytes; and batches.
const PART: i64 = 50_000;
const PART_BATCHES: i64 = 4_000;
/// Validations that are filed in one step: a millisecond or two, for which whoever records waits.
const FILED: i64 = 50;
/// Validations that are removed in one step, and batches.
const REMOVED: i64 = 5_000;
const REMOVED_BATCHES: i64 = 200;
const BEGIN: &str = "BEGIN IMMEDIATE";
/// The last of the first batches, at most `$1`, that have some `$2` validations together.
macro_rules! first_batches {
    ($condition:literal) => {
        concat!(
            "SELECT MAX(number) AS number FROM (SELECT number, SUM(size) OVER (ORDER BY number) - size AS before FROM \
            (SELECT number, size FROM batches",
            $condition,
            " ORDER BY number LIMIT $1 + 0)) WHERE before < $2"
        )
    };
}
const FIRST: &str =
    concat!("SELECT number, (SELECT MAX(number) FROM batches) AS last FROM (", first_batches!(""), ")");
const START: &str = "UPDATE batch_filing SET license_id = '', sequence = 0, last_number = $1 \
    WHERE last_number = 0 AND EXISTS (SELECT 1 FROM batches WHERE number <= $1) RETURNING last_number";
const STATE: &str = "SELECT last_number, license_id, sequence FROM batch_filing";
const MAKE: &str = "CREATE TEMP TABLE IF NOT EXISTS sorted (sequence INTEGER, license_id TEXT, at INTEGER, outcome TEXT, \
    domain TEXT, fingerprint TEXT, country TEXT, region TEXT, client TEXT, covered_by TEXT)";
const CLEAR: &str = "DELETE FROM temp.sorted";
const SORT: &str = concat!(
    "INSERT INTO temp.sorted SELECT sequence, ",
    recorded!(),
    " FROM unfiled WHERE number <= $1 ORDER BY license_id, sequence"
);
const END_OF_STEP: &str = "SELECT license_id, sequence FROM temp.sorted WHERE rowid > $1 AND rowid <= $2 ORDER BY rowid DESC LIMIT 1";
/// As one text: whoever records waits, and to wake the driver's thread for one after the other takes as long as the shorter ones. So
/// each does something only where the one before did; where that counted no license, none of its activations was seen.
static FILE_STEP: LazyLock<String> =
    LazyLock::new(|| [BEGIN, ADVANCE, FILE, ROLL_UP, COUNT, SEE, "COMMIT"].join("; "));
const ADVANCE: &str = "UPDATE batch_filing SET license_id = $3, sequence = $4 \
    WHERE last_number = $5 AND license_id = $6 AND sequence = $7 RETURNING sequence";
const FILE: &str = concat!(
    "INSERT INTO validations (sequence, ",
    recorded!(),
    ") SELECT sequence, ",
    recorded!(),
    " FROM temp.sorted WHERE rowid > $1 AND rowid <= $2 AND changes() > 0"
);
const ROLL_UP: &str = roll_up!("temp.sorted WHERE rowid > $1 AND rowid <= $2 AND changes() > 0");
const COUNT: &str = "UPDATE licenses SET validation_count = validation_count + v.n, last_validated_at = \
    CASE WHEN last_validated_at > v.latest THEN last_validated_at ELSE v.latest END \
    FROM (SELECT license_id, COUNT(*) AS n, MAX(at) AS latest FROM temp.sorted \
    WHERE rowid > $1 AND rowid <= $2 AND outcome = 'VALID' AND changes() > 0 \
    GROUP BY license_id) AS v WHERE licenses.id = v.license_id";
/// What the rows say of activations that are there, and not younger than they are. The country is that of the latest with one.
const SEE: &str = "UPDATE activation_usage SET validations = validations + s.n, \
    first_seen_at = COALESCE(first_seen_at, s.earliest), \
    country = CASE WHEN activation_usage.country IS NULL OR s.latest >= seen_at \
    THEN COALESCE(s.country, activation_usage.country) ELSE activation_usage.country END, \
    seen_at = MAX(seen_at, s.latest), seen_day = MAX(seen_at, s.latest) / 86400000000 \
    FROM (SELECT u.license_id, u.kind, u.value, COUNT(*) AS n, MIN(v.at) AS earliest, MAX(v.at) AS latest, \
    SUBSTR(MAX(CASE WHEN v.country IS NOT NULL THEN PRINTF('%020d', v.at) || v.country END), 21) AS country FROM \
    (SELECT license_id, 'device' AS kind, fingerprint AS value, at, country FROM temp.sorted \
    WHERE rowid > $1 AND rowid <= $2 AND outcome = 'VALID' AND fingerprint IS NOT NULL AND changes() > 0 \
    UNION ALL SELECT license_id, 'domain' AS kind, COALESCE(covered_by, domain) AS value, at, country FROM temp.sorted \
    WHERE rowid > $1 AND rowid <= $2 AND outcome = 'VALID' AND domain IS NOT NULL AND changes() > 0) AS v \
    CROSS JOIN activation_usage u ON u.license_id = v.license_id AND u.kind = v.kind AND u.value = v.value \
    AND u.created_at <= v.at GROUP BY u.license_id, u.kind, u.value) AS s \
    WHERE activation_usage.license_id = s.license_id AND activation_usage.kind = s.kind AND activation_usage.value = s.value";
const REMOVE: &str =
    concat!("DELETE FROM batches WHERE number <= (", first_batches!(" WHERE number <= $3"), ")");
const FINISH: &str = "UPDATE batch_filing SET last_number = 0, license_id = '', sequence = 0 \
    WHERE last_number = $1 AND NOT EXISTS (SELECT 1 FROM batches WHERE number <= $1) RETURNING last_number";
/// Pages of the log, 64 MB, beyond which it is begun anew: whoever writes then waits for the disk twice, so it is to be seldom.
const LONG_LOG: i64 = 16_384;
/// Moves pages from the log into the file while others write.
const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// Says what there is of it, and how much of that is moved.
const LOOK_AT_LOG: &str = "PRAGMA wal_checkpoint(NOOP)";
/// Pages that are worth the disk's time, 32 MB: to move few takes most of the time that to move many takes.
const MOVED: i64 = 8_192;

/// Files with a connection of its own.
pub(super) struct Filer {
    pub(super) background: Turns,
    /// Whose turn it is to write. To wait for the file's own lock would be to ask again and again.
    pub(super) writer: Writer<Sqlite>,
    pub(super) own: SqlitePool,
}

/// How far the filing is, as in the table.
struct State {
    last_number: i64,
    license_id: String,
    sequence: i64,
}

/// How one part ended.
#[derive(PartialEq, Eq)]
enum Part {
    /// It was all there was when it began.
    Last,
    /// It is filed, or another process does it.
    Done,
}

impl File for Filer {
    fn file<'a>(&'a self, others: &'a Others) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + 'a>> {
        Box::pin(async move {
            let mut own = Unfinished::new(self.own.acquire().await?);
            let connection = own.connection()?;
            run(connection, MAKE, &[]).await?;
            // What is recorded meanwhile is for the next time, when it is many again.
            while self.part(connection, others).await? != Part::Last {}
            let turn = self.turn().await?;
            run(connection, FORGET_RECORDERS, &[]).await?;
            drop(turn);
            self.shorten_log(connection).await?;
            own.finish();
            Ok(())
        })
    }

    fn gather<'a>(
        &'a self,
        others: &'a Others,
    ) -> Pin<Box<dyn Future<Output = sqlx::Result<bool>> + Send + 'a>> {
        Box::pin(async move {
            let mut connection = self.own.acquire().await?;
            let done = self.gather_some(&mut connection, others).await?;
            self.shorten_log(&mut connection).await?;
            Ok(done)
        })
    }

    fn tidy(&self) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>> {
        Box::pin(async move { self.shorten_long_log(&mut *self.own.acquire().await?).await })
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.own.close())
    }
}

pub(super) async fn run(
    connection: &mut SqliteConnection,
    sql: &'static str,
    values: &[Value<'_>],
) -> sqlx::Result<Vec<SqliteRow>> {
    fetch(connection, SqlStr::from_static(sql), values, true).await
}

pub(super) fn int(row: &SqliteRow, column: &str) -> sqlx::Result<i64> {
    row.int(column).map(Option::unwrap_or_default)
}

impl Filer {
    pub(super) async fn turn(&self) -> sqlx::Result<(Turn, Turn)> {
        let background = self.background.enter().await?;
        Ok((background, self.writer.turn().await?))
    }

    /// Moves the log into the file, so that no commit has to: at its limit one would, and wait for the disk for all of it. Most is
    /// moved while others write; the log begins anew only when all of it is moved, so its last pages are in a turn.
    async fn shorten_log(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let rows = run(connection, CHECKPOINT, &[]).await?;
        let pages = rows.first().map_or(Ok(0), |row| int(row, "log"))?;
        if pages >= LONG_LOG {
            let _turn = self.turn().await?;
            run(connection, CHECKPOINT, &[]).await?;
        }
        Ok(())
    }

    /// Where much of it is to be moved: while there is more to do, little is not worth the disk's time.
    async fn shorten_long_log(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let rows = run(connection, LOOK_AT_LOG, &[]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        if int(row, "log")? - int(row, "checkpointed")? < MOVED {
            return Ok(());
        }
        self.shorten_log(connection).await
    }

    /// Files the validations of some batches.
    async fn part(&self, connection: &mut SqliteConnection, others: &Others) -> sqlx::Result<Part> {
        let rows = run(connection, FIRST, values![PART_BATCHES, PART]).await?;
        let first = rows.first().map_or(Ok(None), |row| row.int("number"))?;
        let last = rows.first().map_or(Ok(None), |row| row.int("last"))?;
        if first.is_none() {
            return Ok(Part::Last);
        }
        let turn = self.turn().await?;
        let mut tx = connection.begin_with(BEGIN).await?;
        let is_new = !run(&mut tx, START, values![first]).await?.is_empty();
        let rows = run(&mut tx, STATE, &[]).await?;
        tx.commit().await?;
        drop(turn);
        let Some(row) = rows.first() else { return Err(sqlx::Error::RowNotFound) };
        let mut state = State {
            last_number: int(row, "last_number")?,
            license_id: row.text("license_id")?.unwrap_or_default(),
            sequence: int(row, "sequence")?,
        };
        if state.last_number == 0 {
            return Ok(Part::Last);
        }
        run(connection, CLEAR, &[]).await?;
        run(connection, SORT, values![state.last_number]).await?;
        let (mut tidied, mut filed) = (Instant::now(), 0);
        loop {
            if tidied.elapsed() >= TIDIED_EVERY {
                self.shorten_long_log(connection).await?;
                tidied = Instant::now();
            }
            match self.step(connection, &mut state, filed).await? {
                Step::Filed(took) => {
                    filed += FILED;
                    others.let_write(took).await;
                }
                Step::End => break,
                Step::Overtaken => return Ok(Part::Done),
            }
        }
        run(connection, CLEAR, &[]).await?;
        while !self.remove(connection, &state).await? {
            others.let_write(Duration::ZERO).await;
        }
        Ok(if is_new && first == last { Part::Last } else { Part::Done })
    }

    /// Files the sorted rows behind that one, as many as a step takes.
    async fn step(
        &self,
        connection: &mut SqliteConnection,
        state: &mut State,
        behind: i64,
    ) -> sqlx::Result<Step> {
        let until = behind + FILED;
        let rows = run(connection, END_OF_STEP, values![behind, until]).await?;
        let Some(row) = rows.first() else { return Ok(Step::End) };
        let (license_id, sequence) = (row.text("license_id")?.unwrap_or_default(), int(row, "sequence")?);
        let turn = self.turn().await?;
        let begun = Instant::now();
        let values = values![
            behind,
            until,
            license_id.as_str(),
            sequence,
            state.last_number,
            state.license_id.as_str(),
            state.sequence
        ];
        let advanced = run(connection, &FILE_STEP, values).await;
        if advanced.is_err() {
            // In the turn: who writes next does not wait until the connection is closed. It may have failed before it began.
            let _ = run(connection, super::Sqlite::ABANDON, &[]).await;
        }
        if advanced?.is_empty() {
            return Ok(Step::Overtaken);
        }
        drop(turn);
        (state.license_id, state.sequence) = (license_id, sequence);
        Ok(Step::Filed(begun.elapsed()))
    }

    /// Removes rows that are filed; whether there are no more.
    async fn remove(&self, connection: &mut SqliteConnection, state: &State) -> sqlx::Result<bool> {
        let _turn = self.turn().await?;
        let mut tx = connection.begin_with(BEGIN).await?;
        // Only of the part that this is about: another process may have finished it, and begun the next.
        let rows = run(&mut tx, STATE, &[]).await?;
        let current = rows.first().map(|row| int(row, "last_number")).transpose()?;
        if current != Some(state.last_number) {
            return Ok(true);
        }
        run(&mut tx, REMOVE, values![REMOVED_BATCHES, REMOVED, state.last_number]).await?;
        let finished = !run(&mut tx, FINISH, values![state.last_number]).await?.is_empty();
        tx.commit().await?;
        Ok(finished)
    }
}

/// How one step ended.
enum Step {
    /// It took so long.
    Filed(Duration),
    /// There was nothing left to file.
    End,
    /// Another process has filed some of the same part.
    Overtaken,
}

#[cfg(test)]
mod tests {
    use sqlx::Executor;
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    use super::*;
    use crate::sql::sqlite::SqliteStore;

    /// Of the log, the pages that are there and those that are moved.
    async fn log(filer: &Filer) -> (i64, i64) {
        let mut connection = filer.own.acquire().await.expect("a connection");
        let rows = run(&mut connection, LOOK_AT_LOG, &[]).await.expect("a look");
        let figure = |column| int(&rows[0], column).expect("a figure");
        (figure("log"), figure("checkpointed"))
    }

    /// While there is more to do, the disk is made to wait for where it is worth it; what is moved, no commit has to move.
    #[tokio::test]
    async fn the_log_is_moved_where_it_is_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("licenses.db");
        let store = SqliteStore::open(&path).await.expect("a database");
        // Its own filer would move the log, too.
        store.filing.stop().await;
        let own = SqliteConnectOptions::new().filename(&path).pragma("wal_autocheckpoint", "0");
        let own = SqlitePoolOptions::new().max_connections(1).connect_with(own).await.expect("a pool");
        let filer = Filer { background: store.background.clone(), writer: store.writer.clone(), own };
        store.writer.pool().execute("CREATE TABLE rubbish (rubbish)").await.expect("a table");
        let (_, moved_before) = log(&filer).await;
        filer.tidy().await.expect("looked after");
        let (pages, moved) = log(&filer).await;
        assert!(moved == moved_before && pages > moved, "little is left as it is: {moved} of {pages}");
        store
            .writer
            .pool()
            .execute("INSERT INTO rubbish VALUES (zeroblob(8193 * 4096))")
            .await
            .expect("a row");
        let (long, _) = log(&filer).await;
        assert!(long > MOVED, "a long log: {long}");
        filer.tidy().await.expect("looked after");
        let (pages, moved) = log(&filer).await;
        assert_eq!(pages, moved, "much is moved");
    }
}
