//! Webhooks: a storm in which nothing may be lost, and whether an endpoint that hangs delays another. `benches/webhooks` runs it.

#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected stops")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "made for tests, which call more of it")]
mod process;
#[path = "../tests/server/storm.rs"]
#[expect(dead_code, reason = "made for tests, which look at more of it")]
mod storm;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::tempdir;

use process::{Server, agent, call, starter};
use storm::{FLAGS, endpoint, storm};

const TOKEN: &str = "a-token-for-the-bench-only";
const ENV: [(&str, &str); 1] = [("LICENSE_ADMIN_TOKEN", TOKEN)];
const HERE: [&str; 3] = ["--webhook-allow", "127.0.0.0/8", "--webhook-allow-http"];
/// Changes of one measurement, and the time between two.
const CHANGES: usize = 1_000;
const PACE: Duration = Duration::from_millis(15);
const ROUNDS: usize = 2;

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> Instant {
    Instant::now()
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["storm", changes] => run_storm(changes.parse().unwrap(), None),
        ["storm", changes, verifier] => run_storm(changes.parse().unwrap(), Some(verifier)),
        ["hang"] => hang(),
        _ => println!("storm CHANGES [PROGRAM that verifies signatures], or hang"),
    }
}

/// `verifier` is called with the secret, and reads one webhook a line.
fn run_storm(changes: u64, verifier: Option<&str>) {
    let folder = tempdir().unwrap();
    let began = now();
    let start = || Server::start_with(folder.path(), &FLAGS, &ENV);
    let (report, receiver, server, path) = storm(start, TOKEN, changes);
    println!("{report:?} in {:.1} s", began.elapsed().as_secs_f64());
    let Some(verifier) = verifier else { return };
    drop(server);
    let file = folder.path().join("accepted.jsonl");
    let mut lines = std::fs::File::create(&file).unwrap();
    for call in receiver.accepted() {
        writeln!(lines, "{}", json!({ "headers": call.headers, "body": call.body })).unwrap();
    }
    let status = Command::new(verifier).arg(receiver.secret()).arg(&file).status().unwrap();
    assert!(status.success(), "signatures of {path} do not verify");
}

/// A receiver that tells when each webhook came, by its id.
fn timed() -> (String, mpsc::Receiver<(String, Instant)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                let (mut reader, mut writer) = (BufReader::new(stream.try_clone().unwrap()), stream);
                while let Some((id, length)) = head(&mut reader) {
                    let mut body = vec![0; length];
                    if reader.read_exact(&mut body).is_err() {
                        break;
                    }
                    let _ = tell.send((id, now()));
                    writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
        }
    });
    (url, told)
}

fn head(reader: &mut impl BufRead) -> Option<(String, usize)> {
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some(("webhook-id", value)) => value.clone_into(&mut id),
            Some(("content-length", value)) => length = value.parse().ok()?,
            None if line.trim_end().is_empty() => return Some((id, length)),
            _ => {}
        }
    }
}

/// A receiver that reads and never answers.
fn hanging() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let kept = Arc::<Mutex<Vec<_>>>::default();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            kept.lock().unwrap().push(stream);
        }
    });
    url
}

/// From the call that makes a change to the arrival of its event, alone and beside an endpoint that hangs, in turn.
fn hang() {
    println!("| round | | p50 ms | p99 ms |\n|---|---|---|---|");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let [alone, beside] = [false, true].map(|beside| {
            let figures = measure(beside);
            let what = if beside { "beside one that hangs" } else { "alone" };
            println!("| {round} | {what} | {:.2} | {:.2} |", figures[0], figures[1]);
            figures
        });
        ratios.push((beside[0] / alone[0], beside[1] / alone[1]));
    }
    for (p50, p99) in ratios {
        println!("ratio: p50 {p50:.2}, p99 {p99:.2}");
    }
}

fn measure(beside: bool) -> [f64; 2] {
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &HERE, &ENV);
    let (url, told) = timed();
    endpoint(&server, TOKEN, &url);
    if beside {
        endpoint(&server, TOKEN, &hanging());
    }
    let license = server.issue(TOKEN, &starter());
    let id = license["id"].as_str().unwrap();
    let agent = agent();
    let mut sent = HashMap::new();
    let began = now();
    for number in 0..CHANGES {
        let due = began + PACE * u32::try_from(number).unwrap();
        thread::sleep(due.saturating_duration_since(now()));
        let verb = if number % 2 == 0 { "suspend" } else { "reinstate" };
        // The first event is of the issue.
        sent.insert(format!("evt_{}_{:010}", &id[4..], number + 2), now());
        let path = format!("/api/v1/licenses/{id}/{verb}");
        let (status, _) = call(&agent, &server.url, "POST", &path, Some(TOKEN), None).unwrap();
        assert_eq!(status, 200);
    }
    let mut taken = Vec::new();
    while taken.len() < CHANGES {
        let (id, came) = told.recv_timeout(Duration::from_mins(1)).unwrap();
        if let Some(sent) = sent.remove(&id) {
            taken.push((came - sent).as_secs_f64() * 1e3);
        }
    }
    taken.sort_by(f64::total_cmp);
    [taken[CHANGES / 2], taken[CHANGES * 99 / 100]]
}
