//! A PostgreSQL server of one test's own, to be stopped, frozen and started again.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tempfile::TempDir;

use crate::shout;

/// A running server with an empty database. Stopped and removed with this value.
#[derive(Debug)]
pub struct TestServer {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl TestServer {
    /// Starts a server with these settings; `None`, said loudly, where there are no programs to do it with.
    ///
    /// # Panics
    /// Where PostgreSQL is required and missing, or does not start.
    #[must_use]
    pub fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let Ok(programs) = env::var("LICENSE_TEST_POSTGRES_PROGRAMS") else {
            let required = env::var("LICENSE_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!required, "PostgreSQL is required, and LICENSE_TEST_POSTGRES_PROGRAMS is not set");
            shout(
                "faults of PostgreSQL were NOT tested: LICENSE_TEST_POSTGRES_PROGRAMS is not set; scripts/test sets it",
            );
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
        // What the process loses when it is killed is tested, not what the machine loses.
        let mut config = String::from("fsync = off\nlisten_addresses = '127.0.0.1'\n");
        for (name, value) in settings {
            config.extend([name, " = '", value, "'\n"]);
        }
        let file = data.join("postgresql.conf");
        let before = std::fs::read_to_string(&file).expect("the settings");
        std::fs::write(&file, before + &config).expect("the settings are written");
        server.start_again();
        Some(server)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it as a crash does: connections are cut, nothing is finished.
    ///
    /// # Panics
    /// When it can't be stopped.
    pub fn crash(&self) {
        self.program(
            "pg_ctl",
            &["--pgdata", text(&self.data()), "--mode=immediate", "--wait", "--silent", "stop"],
        );
    }

    /// Starts it again, on the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
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

    /// Stops every process of it in its tracks: connections stand, and nobody answers.
    ///
    /// # Panics
    /// When they can't be stopped.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets them go on.
    ///
    /// # Panics
    /// When they can't.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// A connection of the test's own, as a superuser.
    ///
    /// # Errors
    /// What the server says.
    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        self.url().parse::<PgConnectOptions>()?.connect().await
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("it runs");
        let pid = pid.lines().next().expect("its number").to_owned();
        let children = Command::new("pgrep").args(["-P", &pid]).output().expect("pgrep");
        let children = String::from_utf8(children.stdout).expect("numbers");
        run(Command::new("kill").args([signal, &pid]));
        for child in children.split_whitespace() {
            // One that has ended since needs no signal.
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

/// PostgreSQL refuses to run as root: `scripts/test` names another user then.
fn server_user() -> Option<String> {
    env::var("LICENSE_TEST_POSTGRES_USER").ok().filter(|user| !user.is_empty())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a folder with a plain name")
}

fn run(command: &mut Command) {
    // What a server inherits it holds open: nobody may wait for the end of its output.
    let Output { status, .. } = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output()
        .expect("the program is there");
    assert!(status.success(), "{command:?}: {status}");
}
