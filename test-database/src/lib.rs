//! A PostgreSQL database for one test, dropped when the test ends.
//!
//! `LICENSE_TEST_POSTGRES` names the server: the URL of a superuser, on a server that may be made a mess of.
//! `LICENSE_TEST_PGBOUNCER` names a pgbouncer before the same server, in transaction mode. `scripts/test` starts both.
//!
//! Where one is missing, its tests say so, loudly, and pass; with `LICENSE_REQUIRE_POSTGRES=1` they fail.

mod server;

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::thread;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

pub use server::TestServer;

/// How the names of these databases begin; `scripts/test` drops those that a killed test left.
pub const PREFIX: &str = "license_test_";

/// An empty database of one test. Dropped with this value, whoever is connected.
#[derive(Debug)]
pub struct TestDatabase {
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    /// Makes a database; `None`, said loudly, where there is no server.
    ///
    /// # Panics
    /// Where the server is required and missing, or does not do as it is told.
    pub async fn new() -> Option<Self> {
        Self::with_settings(&[]).await
    }

    /// Makes a database whose sessions begin with these settings.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub async fn with_settings(settings: &[(&str, &str)]) -> Option<Self> {
        Self::make("", settings).await
    }

    /// Makes a database of another encoding than UTF-8.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub async fn with_encoding(encoding: &str) -> Option<Self> {
        let options = format!("TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'");
        Self::make(&options, &[]).await
    }

    async fn make(options: &str, settings: &[(&str, &str)]) -> Option<Self> {
        let server = server("LICENSE_TEST_POSTGRES", "PostgreSQL")?;
        // Names must differ between the processes of one run, and between machines that share the server.
        let name = format!("{PREFIX}{:016x}", RandomState::new().hash_one(0));
        let mut statements = vec![format!("CREATE DATABASE {name} {options}")];
        statements.extend(
            settings
                .iter()
                .map(|(setting, value)| format!("ALTER DATABASE {name} SET {setting} = '{value}'")),
        );
        run(&server, statements).await.expect("the server makes a database");
        Some(Self { server, name })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// Its URL by way of pgbouncer; `None`, said loudly, where there is none.
    ///
    /// # Panics
    /// Where pgbouncer is required and missing.
    #[must_use]
    pub fn pgbouncer_url(&self) -> Option<String> {
        let server = server("LICENSE_TEST_PGBOUNCER", "pgbouncer")?;
        Some(server.database(&self.name).to_url_lossy().to_string())
    }

    /// A connection of the test's own, as a superuser.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn connect(&self) -> PgConnection {
        self.server.clone().database(&self.name).connect().await.expect("a connection")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, statement) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // A thread of its own: a runtime can't be blocked on from within one, and the test's may be ending.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&server, vec![statement])).map_err(io::Error::other)
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            failed => shout(&format!("the database {} was not dropped: {failed:?}", self.name)),
        }
    }
}

fn server(variable: &str, what: &str) -> Option<PgConnectOptions> {
    if let Ok(url) = env::var(variable) {
        return Some(url.parse().unwrap_or_else(|error| panic!("{variable} is no URL of a server: {error}")));
    }
    let required = env::var("LICENSE_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
    assert!(!required, "{what} is required by LICENSE_REQUIRE_POSTGRES=1, and {variable} is not set");
    shout(&format!("{what} was NOT tested: {variable} is not set; scripts/test starts one"));
    None
}

async fn run(server: &PgConnectOptions, statements: Vec<String>) -> sqlx::Result<()> {
    let mut connection = server.connect().await?;
    for statement in statements {
        // One by one: a database can't be made in a transaction.
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    connection.close().await
}

/// Says it past the test runner, which keeps what passing tests print to itself.
fn shout(text: &str) {
    // Nobody is left to be told where the standard error is closed.
    drop(writeln!(io::stderr(), "\n*** {text} ***\n"));
}
