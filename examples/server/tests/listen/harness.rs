//! Listener on a free port, the real API, and an HTTP/1.1 client.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderName};
use axum::routing::get;
use license_core::access::TokenSecret;
use license_core::clock::{SystemClock, SystemRng};
use license_core::key::Secret;
use license_core::service::{ServiceOptions, Services};
use license_core::store::FullStore;
use license_http::{AdminAuth, Api, LimitOptions};
use license_server::listen::{ListenOptions, serve};
use license_store::memory::MemoryStore;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// A listener on a free port.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) running: JoinHandle<std::io::Result<()>>,
}

impl Listener {
    pub(crate) async fn start(router: &Router, options: ListenOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let running = tokio::spawn(serve(listener, router.clone(), options, stopped));
        Self { address, stop, running }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        // With Nagle's algorithm, a second small write waits for an acknowledgement while the paused clock
        // advances.
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends `request` on a new connection.
    pub(crate) async fn call(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        Reply::read(&mut stream).await
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }
}

/// An HTTP/1.1 response.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Reads one response. The connection stays open.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed without an answer");
        };
        let mut body = bytes.split_off(head + 4);
        let text = String::from_utf8(bytes).unwrap();
        let mut lines = text.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            headers.append(name.parse::<HeaderName>().unwrap(), value.trim().parse().unwrap());
        }
        let length =
            headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        while body.len() < length {
            assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0, "closed within an answer");
        }
        assert_eq!(body.len(), length);
        Self { status, headers, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Returns a request without a body.
pub(crate) fn get_request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()
}

/// Returns a request that validates a key.
pub(crate) fn validate_request(key: &str) -> Vec<u8> {
    post_request("/api/v1/validate", "", &json!({ "key": key }))
}

fn post_request(path: &str, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Returns whether the connection ends without a byte. A reset is an end too.
pub(crate) async fn ends(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    stream.read(&mut [0; 16]).await.unwrap_or(0) == 0
}

/// The complete API over a memory store.
pub(crate) struct TestApi {
    pub(crate) router: Router,
    pub(crate) token: String,
}

impl TestApi {
    pub(crate) async fn new() -> Self {
        Self::with(LimitOptions::default()).await
    }

    pub(crate) async fn with(edge: LimitOptions) -> Self {
        let secret = Secret::generate(&mut SystemRng).unwrap();
        let token = TokenSecret::generate(&mut SystemRng).unwrap();
        let store = Arc::new(MemoryStore::new());
        let options = ServiceOptions::new(&secret, SystemClock, SystemRng);
        let services = Services::open(store as Arc<dyn FullStore>, options).await.unwrap();
        let api = Api::new(services, AdminAuth::new([token.digest()])).limits(edge);
        Self { router: api.router(), token: token.reveal().to_owned() }
    }

    /// Returns an admin request without a body.
    pub(crate) fn admin_request(&self, path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n", self.token).into_bytes()
    }

    /// Issues a license with this metadata. Returns its key.
    pub(crate) async fn issue(&self, server: &Listener, metadata: Value) -> String {
        let authorization = format!("authorization: Bearer {}\r\n", self.token);
        let license = json!({ "plan": "starter", "customer_email": "dev@example.com", "metadata": metadata });
        let reply = server.call(&post_request("/api/v1/licenses", &authorization, &license)).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["key"].as_str().unwrap().to_owned()
    }
}

/// Blocks the calls of `/hold` until the test releases them.
#[derive(Debug)]
pub(crate) struct Hold {
    entered: Semaphore,
    released: Semaphore,
}

impl Default for Hold {
    fn default() -> Self {
        Self { entered: Semaphore::new(0), released: Semaphore::new(0) }
    }
}

impl Hold {
    /// Returns a router with `/hold` and `/health`.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let hold = Arc::clone(self);
        let handler = move || async move {
            hold.entered.add_permits(1);
            hold.released.acquire().await.unwrap().forget();
            "held"
        };
        Router::new().route("/hold", get(handler)).route("/health", get(|| async { "ok" }))
    }

    /// Waits for `calls` calls.
    pub(crate) async fn entered(&self, calls: u32) {
        self.entered.acquire_many(calls).await.unwrap().forget();
    }

    /// Releases `calls` calls.
    pub(crate) fn release(&self, calls: usize) {
        self.released.add_permits(calls);
    }
}
