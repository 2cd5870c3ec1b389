//! What differs between databases.

use std::fmt;
use std::future::Future;

use sqlx::{Database, SqlStr};

/// One database: how it begins, locks and reads lists. All other text is shared, in
/// `sql/statements.rs`.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// The driver.
    type Db: Database<Row: Columns>;

    /// Locks the rows of a `SELECT` against all; empty where [`begin_write`](Self::begin_write) locks the database.
    const FOR_UPDATE: &'static str;

    /// Whether it does: what is read in a transaction that writes stays so until its end.
    const LOCKS_ALL: bool;

    /// Likewise, passing over rows that others have locked.
    const SKIP_LOCKED: &'static str;

    /// Begins a transaction that writes, and whose commit survives that. Isolation is named, not left to the server's default.
    fn begin_write(&self, survives: Survives) -> SqlStr;
    /// Begins a transaction that reads, at one moment.
    fn begin_read(&self) -> SqlStr;
    /// Likewise, for a reader who takes its time between two reads.
    fn begin_snapshot(&self) -> SqlStr;
    /// Whether a read of one statement needs a transaction around it, too.
    fn reads_in_transactions(&self) -> bool;

    /// Tells the nodes that listen of the change in parameter 1, with the commit; `None` where no other node can listen.
    const NOTIFY: Option<&'static str>;

    /// Records a batch and commits it, as one text, so that the driver is asked once: with one statement after the other,
    /// most of the time of a small batch would go into waking its thread, or the server's.
    ///
    /// Parameters: the recorder, the number of the batch (0: it has none), the time of its latest validation, how many there are, and
    /// the rows as JSON. Nothing is recorded where the number is not above the last one.
    const RECORD: &'static str;
    /// Ends what such a text has left open when it failed; empty where it leaves nothing open.
    const ABANDON: &'static str;

    /// These statements as one text that is a transaction, whose commit survives the end of the process; `None` where the driver
    /// takes one statement at a time.
    fn at_once(statements: &[&str]) -> Option<String>;
    /// The function that tells where in a text another one stands; 0: nowhere.
    const FIND: &'static str;
    /// In such a text: whether the statement before has changed a row. True where statements are sent one at a time, the
    /// next only then.
    const CHANGED: &'static str;
    /// Ends such a statement where it is sent alone, so that it says whether it has changed a row.
    const SAYS_CHANGED: &'static str;

    /// Waits until nobody files, and keeps others from it to the end of the transaction; `None` where a transaction that writes
    /// does so anyway.
    const LOCK_FILING: Option<&'static str>;

    /// Whether rollups of days that are over stand in `gathered_rollups` as well, in the order of licenses: all whose day is before
    /// that of the table `gathered`, and others.
    const GATHERS: bool;

    /// Rows that are written in one commit in the background: few where others wait for its end.
    const BACKGROUND_ROWS: u32;

    /// The items of the JSON array in parameter `n`, as rows with the column `value`, of JSON.
    fn items(n: u8) -> String;
    /// Likewise, of the array of that name in the JSON object in parameter `n`.
    fn items_of(n: u8, name: &str) -> String;
    /// Whether `column` is one of the texts of the JSON array in parameter `n`, so that an index on it serves.
    fn is_one_of(column: &str, n: u8) -> String;
    /// Likewise, where the column is of bytes and the texts are in hex.
    fn is_one_of_hex(column: &str, n: u8) -> String;
    /// The bytes of a text in hex.
    fn unhex(text: &str) -> String;
    /// A JSON array, as text, of arrays of these columns, one for each row of `select`.
    fn json_rows(columns: &str, select: &str) -> String;

    /// What is behind `FROM`, to the `WHERE` and a condition in it: each row of `each` with the rows of `table` that fit it, which are
    /// looked up for each row by an index. A planner that joins the other way would read the table through.
    fn looked_up(each: &str, table: &str, columns: &str, condition: &str) -> String;

    /// Runs a statement and gives its rows.
    fn fetch(
        &self,
        connection: &mut <Self::Db as Database>::Connection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> impl Future<Output = sqlx::Result<Vec<<Self::Db as Database>::Row>>> + Send;

    /// Does what [`RECORD`](Self::RECORD) does on the thread of its caller, where that is sooner done than to wake another one: whether
    /// it is done. The caller has a turn to write, and else asks the connection that does.
    fn record_here(&self, values: &[Value<'_>]) -> bool;

    /// Closes what [`record_here`](Self::record_here) works with.
    fn close(&self);

    /// Whether a database's error code says that others hold what is asked for, and nothing was done.
    fn is_contended(code: &str) -> bool;
}

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// The loss of power.
    PowerCut,
    /// The end of the process that asks for it.
    Kill,
    /// Likewise; and what is lost with the database's own process is done again by itself.
    KillOrAgain,
}

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A whole number or `NULL`.
    Int(Option<i64>),
    /// A text or `NULL`.
    Text(Option<&'a str>),
    /// Bytes or `NULL`.
    Bytes(Option<&'a [u8]>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(value))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Some(value))
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::Bytes(value)
    }
}

/// The parameters of a statement, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::dialect::Value::from($value)),*] };
}
pub(super) use values;

/// Reads the columns of a row by name.
pub trait Columns: Send {
    /// A whole number or `NULL`.
    ///
    /// # Errors
    /// When it is of another type.
    fn int(&self, column: &str) -> sqlx::Result<Option<i64>>;
    /// A text or `NULL`.
    ///
    /// # Errors
    /// When it is of another type.
    fn text(&self, column: &str) -> sqlx::Result<Option<String>>;
    /// Bytes or `NULL`.
    ///
    /// # Errors
    /// When it is of another type.
    fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>>;
}

/// What every driver does alike, but with types of its own.
macro_rules! driver {
    ($db:ty, $row:ty, $arguments:ty) => {
        impl $crate::sql::dialect::Columns for $row {
            fn int(&self, column: &str) -> sqlx::Result<Option<i64>> {
                sqlx::Row::try_get(self, column)
            }
            fn text(&self, column: &str) -> sqlx::Result<Option<String>> {
                sqlx::Row::try_get(self, column)
            }
            fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>> {
                sqlx::Row::try_get(self, column)
            }
        }

        async fn fetch(
            connection: &mut <$db as sqlx::Database>::Connection,
            sql: sqlx::SqlStr,
            values: &[$crate::sql::dialect::Value<'_>],
            keep_prepared: bool,
        ) -> sqlx::Result<Vec<$row>> {
            use sqlx::Arguments;
            let mut arguments = <$arguments>::default();
            for value in values {
                match *value {
                    $crate::sql::dialect::Value::Int(value) => arguments.add(value),
                    $crate::sql::dialect::Value::Text(value) => arguments.add(value),
                    $crate::sql::dialect::Value::Bytes(value) => arguments.add(value),
                }
                .map_err(sqlx::Error::Encode)?;
            }
            sqlx::query_with::<$db, _>(sql, arguments).persistent(keep_prepared).fetch_all(connection).await
        }
    };
}
pub(super) use driver;
