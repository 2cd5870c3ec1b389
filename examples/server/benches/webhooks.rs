//! Webhooks: delivery of many events through faults, and the effect of an endpoint that hangs on another.
//!
//! Run it with `benches/webhooks`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap ends the bench")]
#![expect(clippy::print_stdout, reason = "the bench prints its results")]

#[path = "../tests/server/process.rs"]
#[expect(dead_code, reason = "the tests call more of it")]
mod process;
#[path = "../tests/server/webhook_faults.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod webhook_faults;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::tempdir;

use process::{Server, agent, call, now, starter};
use webhook_faults::{FLAGS, create_endpoint, deliver_through_faults};

const TOKEN: &str = "a-token-for-the-bench-only";
const ENV: [(&str, &str); 1] = [("LICENSE_ADMIN_TOKEN", TOKEN)];
/// Flags that allow receivers on this machine.
const ALLOW_LOCAL: [&str; 3] = ["--webhook-allow", "127.0.0.0/8", "--webhook-allow-http"];
/// Changes per measurement, and their interval.
const CHANGES: usize = 1_000;
const INTERVAL: Duration = Duration::from_millis(15);
const ROUNDS: usize = 2;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["faults", changes] => run_faults(changes.parse().unwrap(), None),
        ["faults", changes, verifier] => run_faults(changes.parse().unwrap(), Some(verifier)),
        ["hang"] => hang(),
        _ => println!("arguments: faults CHANGES [SIGNATURE VERIFIER], or hang"),
    }
}

/// Delivers events through faults. `verifier` is called with the secret and with a file of one webhook per
/// line.
fn run_faults(changes: u64, verifier: Option<&str>) {
    let folder = tempdir().unwrap();
    let began = now();
    let start = || Server::start_with(folder.path(), &FLAGS, &ENV);
    let (report, receiver, server, path) = deliver_through_faults(start, TOKEN, changes);
    println!("{report:?} in {:.1} s", began.elapsed().as_secs_f64());
    let Some(verifier) = verifier else { return };
    drop(server);
    let file = folder.path().join("accepted.jsonl");
    let mut lines = std::fs::File::create(&file).unwrap();
    for call in receiver.take_accepted() {
        writeln!(lines, "{}", json!({ "headers": call.headers, "body": call.body })).unwrap();
    }
    let status = Command::new(verifier).arg(receiver.secret()).arg(&file).status().unwrap();
    assert!(status.success(), "signatures of {path} do not verify");
}

/// Starts a receiver that sends the id and arrival time of each webhook.
fn timed_receiver() -> (String, mpsc::Receiver<(String, Instant)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (arrived, arrivals) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrived = arrived.clone();
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                let (mut reader, mut writer) = (BufReader::new(stream.try_clone().unwrap()), stream);
                while let Some((id, length)) = read_head(&mut reader) {
                    let mut body = vec![0; length];
                    if reader.read_exact(&mut body).is_err() {
                        break;
                    }
                    let _ = arrived.send((id, now()));
                    writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
        }
    });
    (url, arrivals)
}

/// Reads the head of a request. Returns the webhook id and the content length.
fn read_head(reader: &mut impl BufRead) -> Option<(String, usize)> {
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

/// Starts a receiver that accepts connections and never answers.
fn hanging_receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let open = Arc::<Mutex<Vec<_>>>::default();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            open.lock().unwrap().push(stream);
        }
    });
    url
}

/// Measures the time from a change to the arrival of its event, in turn without and with an endpoint that
/// hangs.
fn hang() {
    println!("| round | | p50 ms | p99 ms |\n|---|---|---|---|");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let [without, with] = [false, true].map(|hanging| {
            let latencies = measure(hanging);
            let what = if hanging { "with an endpoint that hangs" } else { "alone" };
            println!("| {round} | {what} | {:.2} | {:.2} |", latencies[0], latencies[1]);
            latencies
        });
        ratios.push((with[0] / without[0], with[1] / without[1]));
    }
    for (p50, p99) in ratios {
        println!("ratio: p50 {p50:.2}, p99 {p99:.2}");
    }
}

/// Returns p50 and p99 in milliseconds.
fn measure(hanging: bool) -> [f64; 2] {
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &ALLOW_LOCAL, &ENV);
    let (url, arrivals) = timed_receiver();
    create_endpoint(&server, TOKEN, &url);
    if hanging {
        create_endpoint(&server, TOKEN, &hanging_receiver());
    }
    let license = server.issue(TOKEN, &starter());
    let id = license["id"].as_str().unwrap();
    let agent = agent();
    let mut sent = HashMap::new();
    let began = now();
    for number in 0..CHANGES {
        let due = began + INTERVAL * u32::try_from(number).unwrap();
        thread::sleep(due.saturating_duration_since(now()));
        let verb = if number % 2 == 0 { "suspend" } else { "reinstate" };
        // The first event is license.created.
        sent.insert(format!("evt_{}_{:010}", &id[4..], number + 2), now());
        let path = format!("/api/v1/licenses/{id}/{verb}");
        let (status, _) = call(&agent, &server.url, "POST", &path, Some(TOKEN), None).unwrap();
        assert_eq!(status, 200);
    }
    let mut latencies = Vec::new();
    while latencies.len() < CHANGES {
        let (id, arrival) = arrivals.recv_timeout(Duration::from_mins(1)).unwrap();
        if let Some(sent) = sent.remove(&id) {
            latencies.push((arrival - sent).as_secs_f64() * 1e3);
        }
    }
    latencies.sort_by(f64::total_cmp);
    [latencies[CHANGES / 2], latencies[CHANGES * 99 / 100]]
}
