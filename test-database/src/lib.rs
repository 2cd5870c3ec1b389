//! PostgreSQL databases and servers for tests.
//!
//! `LICENSE_TEST_POSTGRES` is the URL of a superuser on a server for tests. `LICENSE_TEST_PGBOUNCER` is the
//! URL of a pgbouncer in front of it, in transaction mode. `scripts/test` starts both.
//!
//! If a variable is not set, its tests print a warning and pass. With `LICENSE_REQUIRE_POSTGRES=1` they fail.

mod server;

use std::collections::BTreeSet;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

pub use server::TestServer;

/// Prefix of the names of test databases. `scripts/test` drops those of killed tests.
pub const PREFIX: &str = "license_test_";

/// An empty database for one test. Dropping the value drops the database, even if it has connections.
#[derive(Debug)]
pub struct TestDatabase {
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    /// Creates a database. Returns `None`, and prints a warning, if there is no server.
    ///
    /// # Panics
    /// Panics if the server is required and missing, or if it fails.
    pub async fn new() -> Option<Self> {
        Self::with_settings(&[]).await
    }

    /// Creates a database with these default settings of its sessions.
    ///
    /// # Panics
    /// Panics if the server is required and missing, or if it fails.
    pub async fn with_settings(settings: &[(&str, &str)]) -> Option<Self> {
        Self::create("", settings).await
    }

    /// Creates a database with this encoding.
    ///
    /// # Panics
    /// Panics if the server is required and missing, or if it fails.
    pub async fn with_encoding(encoding: &str) -> Option<Self> {
        let options = format!("TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'");
        Self::create(&options, &[]).await
    }

    async fn create(options: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let server = server("LICENSE_TEST_POSTGRES", "PostgreSQL")?;
        // Random, because several processes and machines can share the server.
        let name = format!("{PREFIX}{:016x}", RandomState::new().hash_one(0));
        let mut statements = vec![format!("CREATE DATABASE {name} {options}")];
        statements.extend(
            settings
                .iter()
                .map(|(setting, value)| format!("ALTER DATABASE {name} SET {setting} = '{value}'")),
        );
        run(&server, statements).await.expect("the server creates a database");
        Some(Self { server, name })
    }

    /// Returns the URL of the database.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// Returns the URL through pgbouncer. Returns `None`, and prints a warning, if there is no pgbouncer.
    ///
    /// # Panics
    /// Panics if pgbouncer is required and missing.
    #[must_use]
    pub fn pgbouncer_url(&self) -> Option<String> {
        let server = server("LICENSE_TEST_PGBOUNCER", "pgbouncer")?;
        Some(server.database(&self.name).to_url_lossy().to_string())
    }

    /// Connects as a superuser, without the store.
    ///
    /// # Panics
    /// Panics if the server refuses the connection.
    pub async fn connect(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.expect("a connection")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, statement) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // A new thread, because a runtime cannot block on another one.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&server, vec![statement])).map_err(io::Error::other)
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            failed => warn(&format!("the database {} was not dropped: {failed:?}", self.name)),
        }
    }
}

fn server(variable: &str, what: &str) -> Option<PgConnectOptions> {
    if let Ok(url) = env::var(variable) {
        return Some(
            url.parse().unwrap_or_else(|error| panic!("{variable} is not the URL of a server: {error}")),
        );
    }
    report_missing(variable, what);
    None
}

/// Warns, once per process, that tests cannot run because a variable is not set. Panics if they are required.
fn report_missing(variable: &str, what: &str) {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let required = env::var("LICENSE_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
    assert!(!required, "LICENSE_REQUIRE_POSTGRES=1 requires {what}, and {variable} is not set");
    if REPORTED.lock().unwrap_or_else(PoisonError::into_inner).insert(variable.to_owned()) {
        warn(&format!("{what} was NOT tested: {variable} is not set; scripts/test sets it"));
    }
}

/// Returns a command that runs a program of PostgreSQL, such as `pg_dump`. Returns `None`, and prints a
/// warning, if PostgreSQL is not installed.
///
/// # Panics
/// Panics if PostgreSQL is required and missing.
#[must_use]
pub fn program(name: &str) -> Option<Command> {
    let Ok(programs) = env::var("LICENSE_TEST_POSTGRES_PROGRAMS") else {
        report_missing("LICENSE_TEST_POSTGRES_PROGRAMS", name);
        return None;
    };
    Some(Command::new(Path::new(&programs).join(name)))
}

async fn run(server: &PgConnectOptions, statements: Vec<String>) -> sqlx::Result<()> {
    let mut connection = server.connect().await?;
    for statement in statements {
        // One by one: CREATE DATABASE cannot run in a transaction.
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    connection.close().await
}

/// Writes to the standard error itself: `cargo test` hides what passing tests print with macros.
fn warn(text: &str) {
    // If standard error is closed, the warning is lost.
    drop(writeln!(io::stderr(), "\n*** {text} ***\n"));
}
