use serde_json::json;

use super::app::TestApp;
use super::call::Call;
use super::faulty_store::{Fault, FaultyStore};

#[tokio::test]
async fn health_never_asks_the_store() {
    let store = FaultyStore::default();
    let app = TestApp::over(store.clone()).await;
    store.set(Fault::Panic);
    let reply = Call::new("GET", "/health").send(&app.router).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json(), json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn ready_asks_it() {
    let store = FaultyStore::default();
    let app = TestApp::over(store.clone()).await;
    let reply = Call::new("GET", "/ready").send(&app.router).await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "status": "ready", "change_feed": "listening" })));
    store.set(Fault::Unavailable);
    let reply = Call::new("GET", "/ready").send(&app.router).await;
    assert_eq!(reply.fault(), (503, "STORE_UNAVAILABLE".to_owned(), None));
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = TestApp::new().await;
    let get = Call::new("GET", "/health").send(&app.router).await;
    let head = Call::new("HEAD", "/health").send(&app.router).await;
    assert_eq!((head.status, head.body.as_slice()), (200, b"".as_slice()));
    assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
}

#[tokio::test]
async fn metrics_tell_whether_store_and_feed_are_there() {
    let store = FaultyStore::default();
    let app = TestApp::over(store.clone()).await;
    for (fault, up) in [(Fault::None, 1), (Fault::Unavailable, 0)] {
        store.set(fault);
        let reply = Call::new("GET", "/metrics").send(&app.router).await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
        let text = reply.text();
        for line in [
            format!("license_store_up {up}"),
            "license_change_feed_listening 1".to_owned(),
            format!("license_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
