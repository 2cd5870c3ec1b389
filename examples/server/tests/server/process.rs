//! A server process of a test's own, and calls to it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    /// The admin token, where this start printed one.
    pub(crate) token: Option<String>,
    /// All that the start printed.
    pub(crate) banner: String,
    log: Option<JoinHandle<String>>,
}

/// The server's binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_license-server");

/// The binary, with an environment of the test's own, in `folder`.
pub(crate) fn command(folder: &Path) -> Command {
    command_of(BINARY, folder)
}

/// Any program, likewise.
pub(crate) fn command_of(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LICENSE_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).env("LICENSE_LISTEN", "127.0.0.1:0").stdin(Stdio::null());
    // All callers are of one address here, and none waits between its calls.
    command.env("LICENSE_RATE_LIMIT", "off");
    command
}

/// Runs a start that is expected to fail.
pub(crate) fn refused(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> String {
    let Output { status, stdout, stderr } =
        command(folder).args(args).envs(env.iter().copied()).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert_eq!(String::from_utf8(stdout).unwrap(), "", "a failed start prints no banner");
    assert_eq!(stderr.lines().count(), 1, "one clear line: {stderr}");
    stderr
}

impl Server {
    /// Starts on the default database, in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[], &[])
    }

    pub(crate) fn start_with(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = command(folder);
        command.args(args).envs(env.iter().copied());
        Self::run(command)
    }

    /// Starts what `command` says, which is a server in the end.
    pub(crate) fn run(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        // Read all the time, or a full pipe would hold the server up.
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut banner = String::new();
        while !banner.contains("Ctrl-C stops") {
            if stdout.read_line(&mut banner).unwrap() == 0 {
                let log = log.join().unwrap();
                panic!("the server ended at its start: {banner}{log}");
            }
        }
        let field = |name: &str| {
            let line = banner.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().to_owned()
        };
        let token = Some(field("admin token")).filter(|token| token.starts_with("lkt_"));
        Self { url: field("address"), token, banner, child, log: Some(log) }
    }

    /// The process.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Ends the process as `kill -9` does, at once; gives its log.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.take().unwrap().join().unwrap()
    }

    /// Asks it to stop, as a service manager or Ctrl-C does, and waits; gives its exit code and log.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let status = Command::new("kill").args([signal, &self.pid()]).status().unwrap();
        assert!(status.success());
        let code = self.child.wait().unwrap().code();
        (code, self.log.take().unwrap().join().unwrap())
    }

    /// Calls it; the status and the JSON of the answer.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        self.try_call(method, path, token, body).unwrap()
    }

    /// As [`call`](Self::call); `Err` where no whole answer came.
    pub(crate) fn try_call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        call(&agent(), &self.url, method, path, token, body)
    }

    /// A text that is no JSON.
    pub(crate) fn text(&self, path: &str) -> String {
        let mut response = agent().get(format!("{}{path}", self.url)).call().unwrap();
        response.body_mut().read_to_string().unwrap()
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("a first start")
    }

    /// Issues a license; its JSON.
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
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that keeps its connection.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().new_agent()
}

pub(crate) fn call(
    agent: &ureq::Agent,
    url: &str,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<(u16, Value), String> {
    let (status, value, _) = call_marked(agent, url, method, path, token, body)?;
    Ok((status, value))
}

/// As [`call`]; and whether the answer says that the store is down.
pub(crate) fn call_marked(
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

/// The body of a license's issue.
pub(crate) fn starter() -> Value {
    json!({"plan": "starter", "customer_email": "dev@example.com"})
}
