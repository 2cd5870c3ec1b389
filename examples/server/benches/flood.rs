//! Measures validations of real keys during a flood of made-up keys. Prints a Markdown table.
//!
//! Run it with `benches/flood`. `--quick` is a short run.

#![expect(clippy::unwrap_used, reason = "a failed unwrap ends the bench")]
#![expect(clippy::print_stdout, reason = "the bench prints a table")]

#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "the tests call more of it")]
mod process;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use license_core::clock::SystemRng;
use license_core::key::KeyFormat;
use serde_json::json;

use process::{Server, now, starter};

const TOKEN: &str = "a-token-for-the-bench-only";
/// Made-up keys per second, and the connections that send them.
const FLOOD: u32 = 10_000;
const FLOODERS: u32 = 8;
/// Callers with real keys, and the calls of each per second, below the rate limit of an address.
const CALLERS: usize = 8;
const CALLS: u32 = 40;
const LICENSES: usize = 200;
/// Pairs of runs, without and with the flood.
const ROUNDS: usize = 5;

/// A connection of a proxy that calls `/validate` for the client `address`.
struct Caller {
    stream: TcpStream,
    address: String,
    answer: Vec<u8>,
}

impl Caller {
    fn new(server: &Server, address: String) -> Self {
        let stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, address, answer: vec![0; 4096] }
    }

    /// Validates a key. Returns the status and the body.
    fn validate(&mut self, key: &str) -> (u16, &str) {
        let body = json!({ "key": key, "domain": "example.com" }).to_string();
        let request = format!(
            "POST /api/v1/validate HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: {}\r\ncontent-type: application/json\r\n\
            content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut read = 0;
        loop {
            let more = self.stream.read(&mut self.answer[read..]).unwrap();
            assert_ne!(more, 0, "closed");
            read += more;
            let text = std::str::from_utf8(&self.answer[..read]).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                break;
            }
        }
        let text = std::str::from_utf8(&self.answer[..read]).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }
}

/// Calls `tick` at this rate until `over` is set. Late calls are made up for.
fn pace(per_second: u32, over: &AtomicBool, mut tick: impl FnMut()) {
    let (start, interval) = (now(), Duration::from_secs(1) / per_second);
    for number in 1.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        tick();
        thread::sleep((interval * number).saturating_sub(start.elapsed()));
    }
}

/// Result of one run.
struct Measured {
    latencies: Vec<Duration>,
    /// Made-up keys per second.
    flood: f64,
}

/// Validates real keys, and the unknown ones at the same time.
fn run(server: &Server, real: &[String], unknown: &[String], seconds: u64) -> Measured {
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = now();
    let latencies = thread::scope(|scope| {
        for (number, keys) in unknown.chunks(unknown.len().div_ceil(FLOODERS as usize).max(1)).enumerate() {
            let (over, asked) = (&over, &asked);
            scope.spawn(move || {
                let mut caller = Caller::new(server, format!("203.0.113.{number}"));
                let mut keys = keys.iter();
                pace(FLOOD / FLOODERS, over, || {
                    let (status, body) = caller.validate(keys.next().expect("enough keys"));
                    assert!(matches!(status, 404 | 429), "{status} {body}");
                    asked.fetch_add(1, Ordering::Relaxed);
                });
            });
        }
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                let over = &over;
                scope.spawn(move || {
                    let mut caller = Caller::new(server, format!("198.51.100.{number}"));
                    let (mut latencies, mut next) = (Vec::new(), number * LICENSES / CALLERS);
                    pace(CALLS, over, || {
                        let start = now();
                        let (status, body) = caller.validate(&real[next % LICENSES]);
                        latencies.push(start.elapsed());
                        assert!(status == 200 && body.contains("\"valid\":true"), "{status} {body}");
                        next += 1;
                    });
                    latencies
                })
            })
            .collect();
        thread::sleep(Duration::from_secs(seconds));
        over.store(true, Ordering::Relaxed);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    Measured { latencies, flood: asked.into_inner() as f64 / start.elapsed().as_secs_f64() }
}

/// Returns the resident memory of the server in KiB.
fn resident_memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn percentile(latencies: &mut [Duration], per_mille: usize) -> f64 {
    latencies.sort_unstable();
    latencies[(latencies.len() - 1) * per_mille / 1_000].as_secs_f64() * 1e3
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, seconds) = if quick { (1, 2) } else { (ROUNDS, 10) };
    println!(
        "| rate limits | flood per second | p50 without | p50 with | p99 without | p99 with | ratio of p99 | memory before | after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for limits in ["on", "off"] {
        let folder = tempfile::tempdir().unwrap();
        let args = ["--rate-limit", limits, "--trusted-proxy", "127.0.0.1", "--admin-token", TOKEN];
        let server = Server::start_with(folder.path(), &args, &[]);
        let real: Vec<_> = (0..LICENSES)
            .map(|_| server.issue(TOKEN, &starter())["key"].as_str().unwrap().to_owned())
            .collect();
        // The first validations, which take a slot, are not measured.
        run(&server, &real, &[], 2 * seconds);
        let before = resident_memory(&server);
        let (mut without, mut with, mut floods) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let keys = (u64::from(FLOOD) * (seconds + 1)).try_into().unwrap();
            // Each made-up key is used once.
            let format = KeyFormat::default();
            let unknown: Vec<_> = (0_usize..keys)
                .map(|_| format.generate(&mut SystemRng).unwrap().reveal().to_owned())
                .collect();
            without.extend(run(&server, &real, &[], seconds).latencies);
            let Measured { latencies, flood } = run(&server, &real, &unknown, seconds);
            with.extend(latencies);
            floods.push(flood);
        }
        let after = resident_memory(&server);
        let min_flood = floods.into_iter().fold(f64::INFINITY, f64::min);
        let [p50, flooded_p50] = [percentile(&mut without, 500), percentile(&mut with, 500)];
        let [p99, flooded_p99] = [percentile(&mut without, 990), percentile(&mut with, 990)];
        println!(
            "| {limits} | {min_flood:.0} | {p50:.2} ms | {flooded_p50:.2} ms | {p99:.2} ms | {flooded_p99:.2} ms | {:.2} | {} MiB | {} MiB |",
            flooded_p99 / p99,
            before / 1024,
            after / 1024
        );
    }
}
