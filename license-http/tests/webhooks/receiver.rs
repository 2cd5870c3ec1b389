//! A webhook receiver.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) calls: mpsc::UnboundedReceiver<Received>,
    /// Maximum number of concurrent calls.
    pub(crate) max_running: Arc<AtomicUsize>,
}

/// A received request.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Counts a running call until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Receiver {
    /// Answers the first call with `answer(0)`, and so on.
    pub(crate) async fn new<F: Future<Output = StatusCode> + Send>(
        answer: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, calls) = mpsc::unbounded_channel();
        let [count, running, max_running]: [Arc<AtomicUsize>; 3] = Default::default();
        let shared = Arc::clone(&max_running);
        let handler = move |headers: HeaderMap, body: Bytes| {
            let answer = answer.clone();
            let (sent, count, running, max_running) =
                (sender.clone(), Arc::clone(&count), Arc::clone(&running), Arc::clone(&max_running));
            async move {
                max_running.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let _open = Open(running);
                // Fails if the test has ended.
                let _ = sent.send(Received { headers, body });
                answer(count.fetch_add(1, Ordering::SeqCst)).await
            }
        };
        let app = Router::new().route("/hook", post(handler));
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { url, calls, max_running: shared }
    }

    pub(crate) async fn ok() -> Self {
        Self::new(|_| async { StatusCode::OK }).await
    }

    pub(crate) async fn next(&mut self) -> Received {
        self.calls.recv().await.unwrap()
    }
}
