//! A database, and servers on it whose clock the test sets.

use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use test_database::TestDatabase;

use crate::process::{Server, TOKEN, command, now, starter};

/// Time after which a condition counts as never met.
const DEADLINE: Duration = Duration::from_secs(90);

/// A database, and the clock of the servers that start next.
pub(super) struct Lab {
    folder: TempDir,
    library: PathBuf,
    database: Option<TestDatabase>,
    /// The clocks of all servers; the last one is that of the next server.
    clocks: RefCell<Vec<PathBuf>>,
}

/// Returns the library, or prints a warning if it is missing.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = folders.chain([PathBuf::from("/usr/lib"), PathBuf::from("/usr/local/lib")]);
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|file| file.exists());
    if found.is_none() {
        let missing = "libfaketime is missing (Debian: apt-get install libfaketime)";
        assert!(std::env::var_os("LICENSE_REQUIRE_FAKETIME").is_none(), "{missing}");
        // Not eprintln!, which the test runner captures.
        let _ = writeln!(std::io::stderr(), "*** NOT RUN: steps of the system clock: {missing}");
    }
    found
}

impl Lab {
    pub(super) fn on_sqlite() -> Option<Self> {
        Some(Self::new(library()?, None))
    }

    pub(super) async fn on_postgres() -> Option<Self> {
        let library = library()?;
        Some(Self::new(library, Some(TestDatabase::new().await?)))
    }

    fn new(library: PathBuf, database: Option<TestDatabase>) -> Self {
        let lab = Self { folder: tempdir().unwrap(), library, database, clocks: RefCell::default() };
        lab.set("+0");
        lab
    }

    /// Sets the clock of the next server, as an offset such as `+1500d` or `-1h`.
    pub(super) fn set(&self, offset: &str) {
        let mut clocks = self.clocks.borrow_mut();
        let clock = self.folder.path().join(format!("clock-{}", clocks.len()));
        write(&clock, offset);
        clocks.push(clock);
    }

    /// Sets the clock of the running servers that were started last, and of the next one.
    pub(super) fn step(&self, offset: &str) {
        write(self.clocks.borrow().last().unwrap(), offset);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.folder.path());
        let clock = self.clocks.borrow().last().unwrap().clone();
        command.args(args).env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", clock);
        command.envs([("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_NO_CACHE", "1")]);
        command.env("LICENSE_ADMIN_TOKEN", TOKEN).env("LICENSE_SECRET", "5a".repeat(32));
        if let Some(database) = &self.database {
            command.env("LICENSE_DATABASE", database.url());
        }
        command
    }

    /// Starts a server.
    pub(super) fn start(&self, args: &[&str]) -> Server {
        Server::run(self.command(args))
    }

    /// Runs a subcommand. Returns its standard output.
    pub(super) fn run(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }
}

/// Waits for a condition.
pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited too long: {what}");
        std::thread::yield_now();
    }
}

/// Returns the warnings of `/ready`.
pub(super) fn warnings(server: &Server) -> Vec<String> {
    let (status, ready) = server.call("GET", "/ready", None, None);
    assert_eq!(status, 200, "{ready}");
    serde_json::from_value(ready["warnings"].clone()).unwrap()
}

fn write(clock: &Path, offset: &str) {
    // A server must not read half a file.
    let new = clock.with_extension("new");
    fs::write(&new, offset).unwrap();
    fs::rename(new, clock).unwrap();
}

/// Calls a server as an admin. The answer must be a success.
pub(super) fn call(server: &Server, method: &str, path: &str, body: Option<&Value>) -> Value {
    let (status, answer) = server.call(method, path, Some(TOKEN), body);
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

/// Returns the number of items of a list.
pub(super) fn count(server: &Server, path: &str) -> usize {
    call(server, "GET", path, None)["data"].as_array().unwrap().len()
}

/// Issues a perpetual license and validates it once. Returns its JSON.
pub(super) fn used_license(server: &Server) -> Value {
    let mut request = starter();
    request["expires_at"] = Value::Null;
    let license = server.issue(TOKEN, &request);
    validate(server, &license);
    license
}

pub(super) fn validate(server: &Server, license: &Value) {
    let body = json!({"key": license["key"], "domain": "example.com"});
    let (status, verdict) = server.call("POST", "/api/v1/validate", None, Some(&body));
    assert_eq!((status, &verdict["valid"]), (200, &json!(true)), "{verdict}");
}
