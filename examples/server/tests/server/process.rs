//! Server process of a test, and calls to it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use chrono::{DateTime, Utc};
use license_core::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    /// Admin token, if this start printed one.
    pub(crate) token: Option<String>,
    pub(crate) startup_message: String,
    log: Option<JoinHandle<String>>,
}

/// Admin token of servers that are started with one.
pub(crate) const TOKEN: &str = "a-token-of-my-own-0123456789";

/// Path of the server binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_license-server");

/// Returns a command that runs the server binary in `folder`, without `LICENSE_` variables of the
/// environment.
pub(crate) fn command(folder: &Path) -> Command {
    command_of(BINARY, folder)
}

/// Returns a command that runs a program in `folder`, without `LICENSE_` variables of the environment.
pub(crate) fn command_of(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LICENSE_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).env("LICENSE_LISTEN", "127.0.0.1:0").stdin(Stdio::null());
    // All callers share one address and never pause.
    command.env("LICENSE_RATE_LIMIT", "off");
    command
}

/// Runs a command that must fail. Returns its error message.
pub(crate) fn failure(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> String {
    let Output { status, stdout, stderr } =
        command(folder).args(args).envs(env.iter().copied()).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert_eq!(String::from_utf8(stdout).unwrap(), "", "a failed start prints no startup message");
    assert_eq!(stderr.lines().count(), 1, "one clear line: {stderr}");
    stderr
}

impl Server {
    /// Starts a server on the default database in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[], &[])
    }

    pub(crate) fn start_with(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = command(folder);
        command.args(args).envs(env.iter().copied());
        Self::run(command)
    }

    /// Starts a server on a memory database with [`TOKEN`], in a temporary folder.
    pub(crate) fn start_in_memory(args: &[&str]) -> (TempDir, Self) {
        let folder = tempdir().unwrap();
        let args = [&["--database", "memory:", "--admin-token", TOKEN], args].concat();
        let server = Self::start_with(folder.path(), &args, &[]);
        (folder, server)
    }

    /// Starts a server with this command.
    pub(crate) fn run(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        // A full pipe would block the server.
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut startup_message = String::new();
        while !startup_message.contains("Ctrl-C stops") {
            if stdout.read_line(&mut startup_message).unwrap() == 0 {
                let log = log.join().unwrap();
                panic!("the server failed to start: {startup_message}{log}");
            }
        }
        let field = |name: &str| {
            let line = startup_message.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().to_owned()
        };
        let token = Some(field("admin token")).filter(|token| token.starts_with("lkt_"));
        Self { url: field("address"), token, startup_message, child, log: Some(log) }
    }

    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Kills the process with SIGKILL. Returns its log.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.take().unwrap().join().unwrap()
    }

    /// Sends a signal and waits for the end. Returns the exit code and the log.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let status = Command::new("kill").args([signal, &self.pid()]).status().unwrap();
        assert!(status.success());
        let code = self.child.wait().unwrap().code();
        (code, self.log.take().unwrap().join().unwrap())
    }

    /// Calls the server. Returns the status and the JSON of the answer.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        call(&agent(), &self.url, method, path, token, body).unwrap()
    }

    /// Returns an answer that is not JSON.
    pub(crate) fn text(&self, path: &str) -> String {
        let mut response = agent().get(format!("{}{path}", self.url)).call().unwrap();
        response.body_mut().read_to_string().unwrap()
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("a first start")
    }

    /// Issues a license. Returns its JSON.
    pub(crate) fn issue(&self, token: &str, request: &Value) -> Value {
        let (status, license) = self.call("POST", "/api/v1/licenses", Some(token), Some(request));
        assert_eq!(status, 201, "{license}");
        license
    }

    pub(crate) fn license(&self, token: &str, id: &str) -> Value {
        let (status, license) = self.call("GET", &format!("/api/v1/licenses/{id}"), Some(token), None);
        assert_eq!(status, 200, "{license}");
        license
    }

    /// Returns a license whose counters have everything that was recorded before the call. On a busy machine
    /// a read can be answered earlier, which its `as_of` says; then the license is read again.
    pub(crate) fn counted_license(&self, token: &str, id: &str) -> Value {
        let called_at = SystemClock.now();
        for _ in 0..1_000 {
            let license = self.license(token, id);
            let as_of: DateTime<Utc> = license["as_of"].as_str().unwrap().parse().unwrap();
            if as_of >= called_at {
                return license;
            }
        }
        panic!("the counters of {id} are not complete");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a client that keeps its connection open.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().new_agent()
}

/// Calls a server. Returns the status and the JSON of the answer, or an error if the answer is incomplete.
pub(crate) fn call(
    agent: &ureq::Agent,
    url: &str,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<(u16, Value), String> {
    let (status, value, _) = call_with_outage(agent, url, method, path, token, body)?;
    Ok((status, value))
}

/// Like [`call`], and returns whether the answer says that the store is down.
pub(crate) fn call_with_outage(
    agent: &ureq::Agent,
    url: &str,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<(u16, Value, bool), String> {
    let mut request = ureq::http::Request::builder().method(method).uri(format!("{url}{path}"));
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let body = body.map(ToString::to_string).unwrap_or_default();
    if !body.is_empty() {
        request = request.header("Content-Type", "application/json");
    }
    let mut response = agent.run(request.body(body).unwrap()).map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let down = response.headers().get("x-license-store").is_some_and(|value| value == "down");
    let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
    Ok((status, serde_json::from_str(&text).map_err(|error| format!("{error}: {text:?}"))?, down))
}

#[expect(clippy::disallowed_methods, reason = "only benches and the duration of faults depend on it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns a request that issues a license.
pub(crate) fn starter() -> Value {
    json!({"plan": "starter", "customer_email": "dev@example.com"})
}
