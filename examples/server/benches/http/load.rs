//! Validation requests, and the load generator wrk.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fill::now;
use crate::process::{agent, call};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/http/load.lua");
const FILE: &str = "requests";
/// Threads of wrk, which shares the CPUs with the servers.
const THREADS: usize = 2;
/// Concurrent callers of the warm-up.
const CALLERS: usize = 64;
/// Maximum duration of the warm-up.
const WARM_UP: Duration = Duration::from_mins(1);
/// Answers that are checked before and after each run.
const SAMPLE: usize = 5;
/// Maximum duration of the compaction after a run.
const SETTLE_TIMEOUT: Duration = Duration::from_mins(5);
/// The machine is idle if its CPUs are idle for 90 % of this interval.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);

/// Validations of activated domains, in a file for wrk.
pub(crate) struct Requests {
    bodies: Vec<String>,
    keys: usize,
    folder: TempDir,
    length: usize,
}

impl Requests {
    /// Creates a request for each license and domain.
    pub(crate) fn new(licenses: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        let (mut bodies, mut keys) = (Vec::new(), 0);
        for (key, domains) in licenses {
            keys += 1;
            bodies.extend(domains.iter().map(|domain| json!({ "key": key, "domain": domain }).to_string()));
        }
        let longest = bodies.iter().map(String::len).max().expect("licenses");
        let head = format!(
            "POST /api/v1/validate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \
            {longest}\r\n\r\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let mut writer = BufWriter::new(File::create(folder.path().join(FILE)).unwrap());
        for body in &bodies {
            // All have the same length, so that the script can index them.
            write!(writer, "{head}{body:longest$}").unwrap();
        }
        writer.flush().unwrap();
        Self { bodies, keys, folder, length: head.len() + longest }
    }

    /// Returns whether the requests belong to the licenses of which `key` is the last.
    pub(crate) fn match_last_key(&self, key: &str) -> bool {
        self.bodies.last().is_some_and(|body| body.contains(key))
    }

    /// Validates each key once. Returns the number of answers.
    pub(crate) fn warm(&self, url: &str) -> u64 {
        let (start, next) = (now(), AtomicUsize::new(0));
        let domains = self.bodies.len() / self.keys;
        thread::scope(|scope| {
            let caller = || {
                let (agent, mut answers) = (agent(), 0);
                while start.elapsed() < WARM_UP {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    let Some(body) = self.bodies.get(key * domains + key % domains) else { break };
                    expect_valid(&agent, url, body);
                    answers += 1;
                }
                answers
            };
            let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).sum()
        })
    }

    /// Checks a few answers. Returns their number.
    pub(crate) fn sample(&self, url: &str, rng: &mut ChaCha20Rng) -> u64 {
        let agent = agent();
        for _ in 0..SAMPLE {
            expect_valid(&agent, url, &self.bodies[rng.random_range(0..self.bodies.len())]);
        }
        SAMPLE as u64
    }
}

fn expect_valid(agent: &ureq::Agent, url: &str, body: &str) {
    let body: Value = serde_json::from_str(body).unwrap();
    let (status, answer) = call(agent, url, "POST", "/api/v1/validate", None, Some(&body)).unwrap();
    assert!(status == 200 && answer["valid"] == true, "{status} {answer}");
}

/// Order of the requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Random, with repetition.
    Random,
    /// In turn. A run that is short enough sends each request at most once.
    Once,
}

/// Results of one run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Answers with status 200.
    pub(crate) answers: u64,
    /// Other answers, and requests without an answer.
    pub(crate) failed: u64,
    pub(crate) per_second: f64,
    /// p50, p95 and p99 in microseconds.
    pub(crate) latency: [f64; 3],
    /// CPU microseconds of the server per request, without its database.
    pub(crate) cpu: f64,
    /// Seconds until everything was compacted and the machine was idle.
    pub(crate) rest: f64,
}

/// Runs wrk once against the server `pid` at `url`.
pub(crate) fn run(
    requests: &Requests,
    url: &str,
    pid: u32,
    connections: usize,
    seconds: u64,
    seed: usize,
    order: Order,
) -> Run {
    let before = cpu_time(pid);
    let output = Command::new("wrk")
        .args(["--threads", &THREADS.min(connections).to_string()])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--timeout", "10s", "--script", SCRIPT, url, "--"])
        .arg(requests.folder.path().join(FILE))
        .args([requests.length, requests.bodies.len(), seed].map(|number| number.to_string()))
        .arg(match order {
            Order::Random => "random",
            Order::Once => "once",
        })
        .output()
        .expect("wrk is installed");
    let cpu = cpu_time(pid).saturating_sub(before);
    let start = now();
    settle(url);
    wait_until_idle(seconds);
    let rest = start.elapsed().as_secs_f64();
    let text = String::from_utf8(output.stdout).unwrap();
    let failed = || format!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{}", failed()));
    let report: Value = serde_json::from_str(line).unwrap();
    let count = |name: &str| report[name].as_u64().unwrap();
    let micros = |name: &str| report[name].as_f64().unwrap();
    let answers = count("answers") - count("refused");
    assert!(answers > 0, "{}", failed());
    Run {
        answers,
        failed: count("refused") + count("broken"),
        per_second: micros("answers") * 1e6 / micros("micros"),
        latency: ["p50", "p95", "p99"].map(micros),
        cpu: cpu.as_secs_f64() * 1e6 / micros("answers"),
        rest,
    }
}

/// Returns the validations that are not compacted; 0 for the other handlers.
pub(crate) fn backlog(url: &str) -> u64 {
    let metrics = agent().get(format!("{url}/metrics")).call().unwrap().body_mut().read_to_string().unwrap();
    let waiting = metrics.lines().find_map(|line| line.strip_prefix("license_journal_waiting "));
    waiting.map_or(0, |number| number.parse().unwrap())
}

/// Waits until a license server has compacted all validations.
pub(crate) fn settle(url: &str) {
    let start = now();
    while backlog(url) > 0 {
        assert!(start.elapsed() < SETTLE_TIMEOUT, "recorded validations are not compacted");
        thread::sleep(IDLE_INTERVAL);
    }
}

/// Waits until the machine is idle, so that pending writes of one contender do not slow the next. Waits for
/// at most the duration of two runs, because other programs may be busy.
pub(crate) fn wait_until_idle(seconds: u64) {
    let start = now();
    while start.elapsed() < Duration::from_secs(2 * seconds) {
        let before = idle_and_all();
        thread::sleep(IDLE_INTERVAL);
        if let (Some(before), Some(after)) = (before, idle_and_all())
            && 10 * (after.0 - before.0) >= 9 * (after.1 - before.1)
        {
            return;
        }
    }
}

/// Returns the idle ticks and all ticks of the CPUs. Waiting for a disk does not count as idle.
fn idle_and_all() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let ticks = text.lines().next()?.split_whitespace().skip(1).take(8);
    let ticks: Vec<u64> = ticks.map(|ticks| ticks.parse().ok()).collect::<Option<_>>()?;
    Some((*ticks.get(3)?, ticks.iter().sum()))
}

/// Returns the CPU time of a process.
fn cpu_time(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses can contain spaces.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // A tick is 10 ms on Linux.
    Duration::from_millis(10 * ticks)
}
