//! PostgreSQL server for one test, which can be crashed, frozen and restarted.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tempfile::TempDir;

use crate::report_missing;

/// A running server with an empty database. Dropping the value stops and removes it.
#[derive(Debug)]
pub struct TestServer {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl TestServer {
    /// Starts a server with these settings. Returns `None`, and prints a warning, if PostgreSQL is not
    /// installed.
    ///
    /// # Panics
    /// Panics if PostgreSQL is required and missing, or does not start.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let Ok(programs) = env::var("LICENSE_TEST_POSTGRES_PROGRAMS") else {
            report_missing("LICENSE_TEST_POSTGRES_PROGRAMS", "a restart of PostgreSQL");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("license-test-server").tempdir().expect("a folder");
        let server = Self { folder, programs: programs.into(), port: free_port() };
        if let Some(user) = server_user() {
            run(Command::new("chown").arg(&user).arg(server.folder.path()));
        }
        let data = server.data();
        server.program(
            "initdb",
            &[
                "--pgdata",
                text(&data),
                "--username=postgres",
                "--auth=trust",
                "--no-sync",
                "--no-locale",
                "--encoding=UTF8",
            ],
        );
        // Tests kill processes, never the machine.
        let mut config = String::from("fsync = off\nlisten_addresses = '127.0.0.1'\n");
        for (name, value) in settings {
            config.extend([name, " = '", value, "'\n"]);
        }
        let file = data.join("postgresql.conf");
        let before = std::fs::read_to_string(&file).expect("the settings");
        std::fs::write(&file, before + &config).expect("the settings are written");
        server.restart();
        Some(server)
    }

    /// Starts a standby that copies this server, and replicates it as `name`. The primary must allow it, with
    /// `wal_level = replica`.
    ///
    /// # Panics
    /// Panics if the standby does not start.
    #[must_use]
    pub fn standby(&self, name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("license-test-standby").tempdir().expect("a folder");
        let standby = Self { folder, programs: self.programs.clone(), port: free_port() };
        if let Some(user) = server_user() {
            run(Command::new("chown").arg(&user).arg(standby.folder.path()));
        }
        let primary = format!("{}?application_name={name}", self.url());
        standby.program(
            "pg_basebackup",
            &[
                "--pgdata",
                text(&standby.data()),
                "--dbname",
                &primary,
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ],
        );
        standby.restart();
        standby
    }

    /// Makes a standby the primary. Returns when it accepts writes.
    ///
    /// # Panics
    /// Panics if the standby cannot be promoted.
    pub fn promote(&self) {
        self.program("pg_ctl", &["--pgdata", text(&self.data()), "--wait", "--silent", "promote"]);
    }

    /// Returns the host and the port.
    #[must_use]
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the URL of the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops the server immediately, as a crash does.
    ///
    /// # Panics
    /// Panics if the server cannot be stopped.
    pub fn crash(&self) {
        self.program(
            "pg_ctl",
            &["--pgdata", text(&self.data()), "--mode=immediate", "--wait", "--silent", "stop"],
        );
    }

    /// Starts the server again on the same port.
    ///
    /// # Panics
    /// Panics if the server does not start.
    pub fn restart(&self) {
        let data = self.data();
        let (log, options) =
            (self.folder.path().join("data/log"), format!("-p {} -k {}", self.port, text(&data)));
        self.program(
            "pg_ctl",
            &[
                "--pgdata",
                text(&data),
                "--log",
                text(&log),
                "--options",
                &options,
                "--wait",
                "--silent",
                "start",
            ],
        );
    }

    /// Suspends all processes of the server: connections stay open without answers.
    ///
    /// # Panics
    /// Panics if a process cannot be suspended.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Resumes all processes of the server.
    ///
    /// # Panics
    /// Panics if a process cannot be resumed.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Connects as a superuser, without the store.
    ///
    /// # Errors
    /// Returns an error if the server refuses the connection.
    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        self.url().parse::<PgConnectOptions>()?.connect().await
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("the server runs");
        let pid = pid.lines().next().expect("its number").to_owned();
        let children = Command::new("pgrep").args(["-P", &pid]).output().expect("pgrep");
        let children = String::from_utf8(children.stdout).expect("numbers");
        run(Command::new("kill").args([signal, &pid]));
        for child in children.split_whitespace() {
            // A child may have ended meanwhile.
            let _ = Command::new("kill").args([signal, child]).output();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str, args: &[&str]) {
        let program = self.programs.join(name);
        let mut command = match server_user() {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", &user, "--"]).arg(program);
                command
            }
        };
        run(command.args(args).current_dir(self.folder.path()));
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.thaw();
            self.crash();
        }
    }
}

/// Returns the user that runs PostgreSQL, which refuses to run as root. `scripts/test` sets it.
fn server_user() -> Option<String> {
    env::var("LICENSE_TEST_POSTGRES_USER").ok().filter(|user| !user.is_empty())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn run(command: &mut Command) {
    // The server inherits the streams: waiting for the end of a pipe would block.
    let Output { status, .. } = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output()
        .expect("the program is there");
    assert!(status.success(), "{command:?}: {status}");
}
