//! Differences between databases.

use std::borrow::Cow;
use std::convert::identity;
use std::fmt;
use std::future::Future;

use license_core::store::BoxError;
use sqlx::{Database, SqlStr};

/// How transactions begin, rows are locked and lists are read. All other SQL is shared.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// The driver.
    type Db: Database<Row: SqlRow>;

    /// Locks the rows of a `SELECT`; empty if [`begin_write`](Self::begin_write) locks the whole database.
    const FOR_UPDATE: &'static str;
    /// Locks the rows of a `SELECT` against changes, but not against other locks of this kind; empty like
    /// [`FOR_UPDATE`](Self::FOR_UPDATE).
    const FOR_SHARE: &'static str;
    /// Locks the rows of a `SELECT` and skips those that are locked; empty like
    /// [`FOR_UPDATE`](Self::FOR_UPDATE).
    const SKIP_LOCKED: &'static str;
    /// Whether the database has one writer: a transaction that writes excludes all others, so waiting
    /// commands share one.
    const SINGLE_WRITER: bool;
    /// Rows that a background job writes in one transaction, so that others do not wait long.
    const STEP_ROWS: u32;

    /// Begins a transaction that writes. Names the isolation level instead of relying on the server's
    /// default.
    fn begin_write(&self, durability: Durability) -> SqlStr;
    /// Begins a transaction of the compactor, which repeats it if a crash loses the commit. Rows that it
    /// deletes need not be overwritten: they have no data of a customer.
    fn begin_compaction(&self) -> SqlStr;
    /// Begins a transaction that reads from one snapshot.
    fn begin_read(&self) -> SqlStr;
    /// Begins a transaction for a list or a report. Its time is limited.
    fn begin_list(&self) -> SqlStr;
    /// Begins a transaction that reads from one snapshot, with long pauses between the reads.
    fn begin_snapshot(&self) -> SqlStr;
    /// Returns whether a single statement needs a transaction.
    fn needs_transactions(&self) -> bool;

    /// Sends the payload in parameter 1 to listening nodes when the transaction commits; `None` if no other
    /// node can listen.
    const NOTIFY: Option<&'static str>;

    /// Appends a batch to the journal if its number is 0 or above the last one of its writer.
    ///
    /// Parameters: the writer, the number of the batch (0 if it has none), the time of its latest validation,
    /// the time of its earliest one, the number of validations, and the entries as JSON.
    const RECORD: &'static str;

    /// Waits for the lock of the compactor and holds it to the end of the transaction. `None` if a
    /// transaction that writes excludes all others.
    const LOCK_COMPACTION: Option<&'static str>;

    /// The items of the JSON array in parameter `n`, as rows with the column `value`.
    fn items(n: u8) -> String;
    /// The items of the array called `name` in the JSON object in parameter `n`.
    fn items_of(n: u8, name: &str) -> String;
    /// Whether `column` is one of the texts of the JSON array in parameter `n`, in a form that uses an index.
    fn is_one_of(column: &str, n: u8) -> String;
    /// Whether `column`, which holds bytes, is one of the hex texts of the JSON array in parameter `n`.
    fn is_one_of_hex(column: &str, n: u8) -> String;
    /// The bytes of a text in hex.
    fn unhex(text: &str) -> String;
    /// The text member called `name` of the JSON object in `column`; `NULL` if it has none.
    fn text_member(column: &str, name: &str) -> String;
    /// A JSON array, as text, with an array of these columns for each row of `select`.
    fn json_rows(columns: &str, select: &str) -> String;

    /// Joins each row of `each` with the rows of `table` that match `condition`, found by an index. If the
    /// planner chose the opposite join order, it would scan the table. Returns the text after `FROM`, which
    /// ends with a condition.
    fn looked_up(each: &str, table: &str, columns: &str, condition: &str) -> String;

    /// Selects `at`: up to when a replica has the changes of the database; NULL if it is none.
    const REPLAYED_AT: &'static str;
    /// The name of the database.
    const NAME: &'static str;
    /// Reads the version of the database, and the number of the last migration.
    const INFO: &'static str;

    /// Begins a statement that explains the plan of another one, and the column of its answer.
    const EXPLAIN: (&'static str, &'static str);

    /// Runs a statement and returns its rows.
    fn fetch(
        &self,
        connection: &mut <Self::Db as Database>::Connection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> impl Future<Output = sqlx::Result<Vec<<Self::Db as Database>::Row>>> + Send;

    /// Sets or removes the time limit of a connection for lists. Does nothing if
    /// [`begin_list`](Self::begin_list) sets it.
    fn limit_time(
        &self,
        connection: &mut <Self::Db as Database>::Connection,
        is_limited: bool,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Checks that the files of the database are still those that were opened. Otherwise a change would be
    /// lost.
    ///
    /// # Errors
    /// Returns the reason why changes must fail.
    fn check_files(&self) -> Result<(), BoxError>;
    /// Returns the result of the last check, without another one.
    ///
    /// # Errors
    /// Returns the reason why reads must fail.
    fn last_check(&self) -> Result<(), BoxError>;

    /// Notes an import: the planner needs new statistics.
    fn imported(&self);
    /// Removes what an erasure deleted from the files of the database, as far as this process can.
    fn erased(&self) -> impl Future<Output = ()> + Send;

    /// Waits until another server became the primary: open connections then lead to the old one. Returns that
    /// as an error.
    fn switched(&self) -> impl Future<Output = sqlx::Error> + Send;

    /// Ends the tasks that have connections of their own.
    fn close(&self) -> impl Future<Output = ()> + Send;

    /// Returns whether an error code of the database means that a lock was not granted and nothing was
    /// written.
    fn is_contended(code: &str) -> bool;
    /// Returns whether an error code of the database means that the disk has no room.
    fn is_disk_full(code: &str) -> bool;
    /// Returns whether an error code of the database means that a time limit ended a statement.
    fn is_time_limit(code: &str) -> bool;
}

/// Faults that a commit must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power loss.
    PowerLoss,
    /// A crash of this process.
    ProcessCrash,
    /// A crash of this process only. If a crash of the database loses the commit, a job repeats the work.
    Repeatable,
}

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A whole number or `NULL`.
    Int(Option<i64>),
    /// A text or `NULL`.
    Text(Option<Cow<'a, str>>),
    /// Bytes or `NULL`.
    Bytes(Option<&'a [u8]>),
}

macro_rules! into_value {
    ($($type:ty => $variant:ident($convert:expr)),*) => {$(
        impl<'a> From<$type> for Value<'a> {
            fn from(value: $type) -> Self {
                Self::$variant(Some($convert(value)))
            }
        }

        impl<'a> From<Option<$type>> for Value<'a> {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map($convert))
            }
        }
    )*};
}
into_value!(i64 => Int(identity), &'a [u8] => Bytes(identity));
into_value!(&'a str => Text(Cow::Borrowed), String => Text(Cow::Owned));

/// The parameters of a statement, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::dialect::Value::from($value)),*] };
}
pub(super) use values;

/// Reads the columns of a row by name.
pub trait SqlRow: Send {
    /// A whole number or `NULL`.
    ///
    /// # Errors
    /// Returns the driver's error if the column has another type.
    fn int(&self, column: &str) -> sqlx::Result<Option<i64>>;
    /// A text or `NULL`.
    ///
    /// # Errors
    /// Returns the driver's error if the column has another type.
    fn text(&self, column: &str) -> sqlx::Result<Option<String>>;
    /// Bytes or `NULL`.
    ///
    /// # Errors
    /// Returns the driver's error if the column has another type.
    fn bytes(&self, column: &str) -> sqlx::Result<Option<Vec<u8>>>;
}

/// Implements [`SqlRow`] and `fetch` for a driver. The code is the same for all, the types are not.
macro_rules! driver {
    ($db:ty, $row:ty, $arguments:ty) => {
        impl $crate::sql::dialect::SqlRow for $row {
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
                match value {
                    $crate::sql::dialect::Value::Int(value) => arguments.add(*value),
                    $crate::sql::dialect::Value::Text(value) => arguments.add(value.as_deref()),
                    $crate::sql::dialect::Value::Bytes(value) => arguments.add(*value),
                }
                .map_err(sqlx::Error::Encode)?;
            }
            sqlx::query_with::<$db, _>(sql, arguments).persistent(keep_prepared).fetch_all(connection).await
        }
    };
}
pub(super) use driver;
