//! Webhooks in a storm: a receiver that fails, drops connections and is restarted, while the server is killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{self, JoinHandle};

use axum::http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::process::{Server, agent, call};

/// Callers that change licenses, one license each.
const CALLERS: u64 = 8;
/// What a server is started with: a receiver on this machine, and tries that come soon.
pub(crate) const FLAGS: [&str; 7] = [
    "--webhook-allow",
    "127.0.0.0/8",
    "--webhook-allow-http",
    "--webhook-timeout",
    "1",
    "--webhook-schedule",
    "0s,100ms,100ms,100ms,200ms,200ms,200ms,500ms,500ms,500ms,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,2s,2s,2s,2s,2s,2s",
];

/// One webhook as it came.
pub(crate) struct Call {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// What became of one event.
#[derive(Default)]
struct Seen {
    body: String,
    accepted: u64,
}

/// What a receiver remembers through its restarts.
struct Memory {
    webhook: Webhook,
    seen: Mutex<HashMap<String, Seen>>,
    /// Those answered with success, for another to verify.
    accepted: Mutex<Vec<Call>>,
    calls: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// A receiver in threads of its own: of ten calls it fails three, and drops the connection of one.
pub(crate) struct Receiver {
    secret: String,
    address: SocketAddr,
    memory: Arc<Memory>,
    up: Option<Up>,
}

/// One life of it.
struct Up {
    stop: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    /// A place to listen, before the secret is known.
    pub(crate) fn bind() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        (listener, url)
    }

    pub(crate) fn start(listener: TcpListener, secret: &str) -> Self {
        let memory = Arc::new(Memory {
            webhook: Webhook::new(secret).unwrap(),
            seen: Mutex::default(),
            accepted: Mutex::default(),
            calls: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let address = listener.local_addr().unwrap();
        let up = Some(Up::new(listener, &memory));
        Self { secret: secret.to_owned(), address, memory, up }
    }

    /// What it verifies with.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Ends it with all its connections, and starts it again at the same place.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.up = Some(Up::new(TcpListener::bind(self.address).unwrap(), &self.memory));
    }

    fn stop(&mut self) {
        let Some(Up { stop, connections, accepting }) = self.up.take() else { return };
        stop.store(true, Ordering::SeqCst);
        // Wakes who waits for the next connection.
        let _ = TcpStream::connect(self.address);
        accepting.join().unwrap();
        for connection in connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Whether all of these were answered with success.
    pub(crate) fn has_all(&self, ids: &[String]) -> bool {
        let seen = self.memory.seen.lock().unwrap();
        ids.iter().all(|id| seen.get(id).is_some_and(|seen| seen.accepted > 0))
    }

    /// All that was answered with success.
    pub(crate) fn accepted(&self) -> Vec<Call> {
        std::mem::take(&mut *self.memory.accepted.lock().unwrap())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Up {
    fn new(listener: TcpListener, memory: &Arc<Memory>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
        let (stopped, kept, memory) = (Arc::clone(&stop), Arc::clone(&connections), Arc::clone(memory));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                kept.lock().unwrap().extend(stream.try_clone());
                let memory = Arc::clone(&memory);
                thread::spawn(move || memory.serve(stream));
            }
        });
        Self { stop, connections, accepting }
    }
}

impl Memory {
    /// Answers the calls of one connection, to its end or to one that it drops.
    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(call) = read(&mut reader) {
            let (failed, dropped) = (&self.failed, &self.dropped);
            match self.calls.fetch_add(1, Ordering::SeqCst) % 10 {
                0 => {
                    dropped.fetch_add(1, Ordering::SeqCst);
                    break;
                }
                3 | 5 | 8 => {
                    failed.fetch_add(1, Ordering::SeqCst);
                    if write(&mut stream, "500 Internal Server Error").is_err() {
                        break;
                    }
                }
                _ => {
                    self.accept(call);
                    if write(&mut stream, "200 OK").is_err() {
                        break;
                    }
                }
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn accept(&self, call: Call) {
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        self.webhook.verify(call.body.as_bytes(), &headers).unwrap();
        let mut seen = self.seen.lock().unwrap();
        let one = seen.entry(call.headers["webhook-id"].clone()).or_default();
        assert!(one.accepted == 0 || one.body == call.body, "one id, one body");
        one.body.clone_from(&call.body);
        one.accepted += 1;
        self.accepted.lock().unwrap().push(call);
    }
}

fn read(reader: &mut impl BufRead) -> Option<Call> {
    let mut headers = HashMap::new();
    let mut line = String::new();
    // The first line says what is known.
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => _ = headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        }
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Call { headers, body: String::from_utf8(body).ok()? })
}

fn write(stream: &mut TcpStream, status: &str) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) events: usize,
    /// Changes that were answered with success.
    pub(crate) changes: u64,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    /// Answers of success beyond the first of an event.
    pub(crate) duplicates: u64,
}

/// Makes an endpoint; its path and its secret.
pub(crate) fn endpoint(server: &Server, token: &str, url: &str) -> (String, String) {
    let body = json!({ "url": url, "events": ["*"] });
    let (status, made) = server.call("POST", "/api/v1/webhook-endpoints", Some(token), Some(&body));
    assert_eq!(status, 201, "{made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (format!("/api/v1/webhook-endpoints/{}", text("id")), text("secret"))
}

/// So many changes by several callers, while the server is killed three times and the receiver restarted twice. In the end every
/// event that there is was answered with success, and there is one for every change that was.
pub(crate) fn storm(
    start: impl Fn() -> Server,
    token: &str,
    changes: u64,
) -> (Report, Receiver, Server, String) {
    let first = start();
    let (listener, url) = Receiver::bind();
    let (endpoint, secret) = endpoint(&first, token, &url);
    let mut receiver = Receiver::start(listener, &secret);
    let licenses: Vec<_> = (0..CALLERS)
        .map(|_| first.issue(token, &json!({"plan": "starter", "customer_email": "dev@example.com"})))
        .collect();
    let (made, place) = (AtomicU64::new(0), RwLock::new(first.url.clone()));
    let mut running = Some(first);
    thread::scope(|scope| {
        for license in &licenses {
            scope.spawn(|| change(license, token, &place, &made, changes));
        }
        // Eighths of all changes.
        for (eighth, kill) in [(2, true), (3, false), (4, true), (5, false), (6, true)] {
            while made.load(Ordering::SeqCst) < changes * eighth / 8 {
                thread::yield_now();
            }
            if kill {
                running.take().unwrap().kill();
                let next = running.insert(start());
                place.write().unwrap().clone_from(&next.url);
            } else {
                receiver.restart();
            }
        }
    });

    let server = running.unwrap();
    let events = events(&server, token);
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    while !receiver.has_all(&ids) {
        let given_up = format!("{endpoint}/deliveries?status=failed");
        let (_, given_up) = server.call("GET", &given_up, Some(token), None);
        assert_eq!(given_up["data"], json!([]), "nothing is given up");
        thread::yield_now();
    }
    let made = made.load(Ordering::SeqCst);
    assert!(ids.len() as u64 >= made + CALLERS, "an event for each change: {} of {made}", ids.len());
    for license in &licenses {
        let of_license = events.iter().filter(|event| event["license_id"] == license["id"]);
        let mut numbers: Vec<_> = of_license.map(|event| event["sequence"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "no gap: {numbers:?}");
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let memory = &receiver.memory;
    let duplicates = memory.seen.lock().unwrap().values().map(|seen| seen.accepted - 1).sum();
    let report = Report {
        events: ids.len(),
        changes: made,
        calls: count(&memory.calls),
        failed: count(&memory.failed),
        dropped: count(&memory.dropped),
        duplicates,
    };
    (report, receiver, server, endpoint)
}

/// Suspends and reinstates a license in turn, until enough changes were made. A call without an answer was done or not: it is
/// made again, and changes nothing where it was.
fn change(license: &Value, token: &str, place: &RwLock<String>, made: &AtomicU64, enough: u64) {
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    let mut agent = agent();
    let mut suspend = true;
    while made.load(Ordering::SeqCst) < enough {
        let url = place.read().unwrap().clone();
        let verb = if suspend { "suspend" } else { "reinstate" };
        match call(&agent, &url, "POST", &format!("{path}/{verb}"), Some(token), None) {
            Ok((200, _)) => {
                made.fetch_add(1, Ordering::SeqCst);
                suspend = !suspend;
            }
            Ok((503, _)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(_) => {
                agent = crate::process::agent();
                thread::yield_now();
            }
        }
    }
}

fn events(server: &Server, token: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut target = "/api/v1/events?limit=100".to_owned();
    loop {
        let (status, mut page) = server.call("GET", &target, Some(token), None);
        assert_eq!(status, 200, "{page}");
        all.append(page["data"].as_array_mut().unwrap());
        match page["next_cursor"].as_str() {
            Some(cursor) => target = format!("/api/v1/events?limit=100&cursor={cursor}"),
            None => return all,
        }
    }
}
