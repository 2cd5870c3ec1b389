//! Webhooks under faults: the receiver fails, drops connections and restarts, while the server is killed.

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

/// Callers that change a license each.
const CALLERS: u64 = 8;
/// Flags that allow a receiver on this machine, and retry quickly.
pub(crate) const FLAGS: [&str; 7] = [
    "--webhook-allow",
    "127.0.0.0/8",
    "--webhook-allow-http",
    "--webhook-timeout",
    "1s",
    "--webhook-schedule",
    "0s,100ms,100ms,100ms,200ms,200ms,200ms,500ms,500ms,500ms,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,2s,2s,2s,2s,2s,2s",
];

/// A received webhook.
pub(crate) struct Call {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// Deliveries of one event.
#[derive(Default)]
struct Deliveries {
    body: String,
    accepted: u64,
}

/// State of a receiver, kept through its restarts.
struct ReceiverState {
    webhook: Webhook,
    deliveries: Mutex<HashMap<String, Deliveries>>,
    /// Webhooks that were answered 200.
    accepted: Mutex<Vec<Call>>,
    calls: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// A receiver that, of ten calls, answers three with 500 and drops the connection of one.
pub(crate) struct Receiver {
    secret: String,
    address: SocketAddr,
    state: Arc<ReceiverState>,
    running: Option<Running>,
}

/// A running receiver, from a start to its stop.
struct Running {
    stop: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    /// Binds a port, before the secret is known. Returns the listener and its URL.
    pub(crate) fn bind() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        (listener, url)
    }

    pub(crate) fn start(listener: TcpListener, secret: &str) -> Self {
        let state = Arc::new(ReceiverState {
            webhook: Webhook::new(secret).unwrap(),
            deliveries: Mutex::default(),
            accepted: Mutex::default(),
            calls: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let address = listener.local_addr().unwrap();
        let running = Some(Running::new(listener, &state));
        Self { secret: secret.to_owned(), address, state, running }
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Stops the receiver with all its connections, and starts it on the same address.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.running = Some(Running::new(TcpListener::bind(self.address).unwrap(), &self.state));
    }

    fn stop(&mut self) {
        let Some(Running { stop, connections, accepting }) = self.running.take() else { return };
        stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(self.address);
        accepting.join().unwrap();
        for connection in connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Returns whether all of these events were answered 200.
    pub(crate) fn has_all(&self, ids: &[String]) -> bool {
        let deliveries = self.state.deliveries.lock().unwrap();
        ids.iter().all(|id| deliveries.get(id).is_some_and(|event| event.accepted > 0))
    }

    /// Takes the webhooks that were answered 200.
    pub(crate) fn take_accepted(&self) -> Vec<Call> {
        std::mem::take(&mut *self.state.accepted.lock().unwrap())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    fn new(listener: TcpListener, state: &Arc<ReceiverState>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let connections = Arc::<Mutex<Vec<TcpStream>>>::default();
        let (stopped, open, state) = (Arc::clone(&stop), Arc::clone(&connections), Arc::clone(state));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                open.lock().unwrap().extend(stream.try_clone());
                let state = Arc::clone(&state);
                thread::spawn(move || state.serve(stream));
            }
        });
        Self { stop, connections, accepting }
    }
}

impl ReceiverState {
    /// Answers the calls of one connection until it ends.
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
        let mut deliveries = self.deliveries.lock().unwrap();
        let event = deliveries.entry(call.headers["webhook-id"].clone()).or_default();
        assert!(event.accepted == 0 || event.body == call.body, "one id, one body");
        event.body.clone_from(&call.body);
        event.accepted += 1;
        self.accepted.lock().unwrap().push(call);
    }
}

pub(crate) fn read(reader: &mut impl BufRead) -> Option<Call> {
    let mut headers = HashMap::new();
    let mut line = String::new();
    // Skips the request line.
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

pub(crate) fn write(stream: &mut TcpStream, status: &str) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())
}

/// Outcome of [`deliver_through_faults`].
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) events: usize,
    /// Changes that were acknowledged.
    pub(crate) changes: u64,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
    /// Accepted deliveries beyond the first of each event.
    pub(crate) duplicates: u64,
}

/// Creates a webhook endpoint. Returns its path and its secret.
pub(crate) fn create_endpoint(server: &Server, token: &str, url: &str) -> (String, String) {
    let body = json!({ "url": url, "events": ["*"] });
    let (status, created) = server.call("POST", "/api/v1/webhook-endpoints", Some(token), Some(&body));
    assert_eq!(status, 201, "{created}");
    let text = |name: &str| created[name].as_str().unwrap().to_owned();
    (format!("/api/v1/webhook-endpoints/{}", text("id")), text("secret"))
}

/// Makes `changes` changes while the server is killed three times and the receiver restarts twice. Then
/// checks that each acknowledged change has an event, and that each event was delivered.
pub(crate) fn deliver_through_faults(
    start: impl Fn() -> Server,
    token: &str,
    changes: u64,
) -> (Report, Receiver, Server, String) {
    let first = start();
    let (listener, url) = Receiver::bind();
    let (endpoint, secret) = create_endpoint(&first, token, &url);
    let mut receiver = Receiver::start(listener, &secret);
    let licenses: Vec<_> = (0..CALLERS)
        .map(|_| first.issue(token, &json!({"plan": "starter", "customer_email": "dev@example.com"})))
        .collect();
    let (made, server_url) = (AtomicU64::new(0), RwLock::new(first.url.clone()));
    let mut running = Some(first);
    thread::scope(|scope| {
        for license in &licenses {
            scope.spawn(|| change(license, token, &server_url, &made, changes));
        }
        // Eighths of all changes.
        for (eighth, kill) in [(2, true), (3, false), (4, true), (5, false), (6, true)] {
            while made.load(Ordering::SeqCst) < changes * eighth / 8 {
                thread::yield_now();
            }
            if kill {
                running.take().unwrap().kill();
                let next = running.insert(start());
                server_url.write().unwrap().clone_from(&next.url);
            } else {
                receiver.restart();
            }
        }
    });

    let server = running.unwrap();
    let events = events(&server, token);
    let ids: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    while !receiver.has_all(&ids) {
        let failed = format!("{endpoint}/deliveries?status=failed");
        let (_, failed) = server.call("GET", &failed, Some(token), None);
        assert_eq!(failed["data"], json!([]), "no delivery failed for good");
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
    let state = &receiver.state;
    let duplicates = state.deliveries.lock().unwrap().values().map(|event| event.accepted - 1).sum();
    let report = Report {
        events: ids.len(),
        changes: made,
        calls: count(&state.calls),
        failed: count(&state.failed),
        dropped: count(&state.dropped),
        duplicates,
    };
    (report, receiver, server, endpoint)
}

/// Suspends and reinstates a license in turn, until enough changes were made. A call without an answer is
/// repeated, which changes nothing if it succeeded.
fn change(license: &Value, token: &str, server_url: &RwLock<String>, made: &AtomicU64, enough: u64) {
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    let mut agent = agent();
    let mut suspend = true;
    while made.load(Ordering::SeqCst) < enough {
        let url = server_url.read().unwrap().clone();
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
