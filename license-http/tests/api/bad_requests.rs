//! A table of bad requests with their exact errors. It is sent to the router and over a socket.

mod bodies;
mod commands;
mod deactivations;
mod fields;
mod handling;
mod headers;
mod media_types;
mod methods;
mod paths;
mod queries;
mod sizes;
mod validations;
mod webhooks;

use std::collections::BTreeSet;

use axum::body::Body;
use license_core::limits;
use serde_json::json;
use tokio::time::Instant;

use super::app::TestApp;
use super::call::{Call, Reply};

pub(crate) struct BadRequest {
    name: String,
    pub(crate) call: Call,
    status: u16,
    code: &'static str,
    field: Option<String>,
}

impl BadRequest {
    pub(crate) fn check(&self, reply: &Reply, key: &str) {
        let name = &self.name;
        let text = reply.text();
        assert_eq!(reply.fault(), (self.status, self.code.to_owned(), self.field.clone()), "{name}: {text}");
        let body = reply.json();
        if ["/api/v1/validate", "/api/v1/deactivate", "/api/v1/activations/list"]
            .iter()
            .any(|path| self.call.target.starts_with(path))
        {
            assert_eq!(reply.header("content-type"), Some("application/json"), "{name}");
            assert_eq!(body["valid"], false, "{name}");
            assert!(body["message"].as_str().is_some_and(|message| message.ends_with('.')), "{name}: {text}");
        } else {
            assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{name}");
            assert_eq!(json!([body["status"], body["code"]]), json!([self.status, self.code]), "{name}");
            assert!(body["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{name}: {text}");
            assert!(!body["title"].as_str().unwrap().is_empty(), "{name}");
        }
        let upper = text.to_uppercase();
        for group in key.split('-').skip(1) {
            assert!(!upper.contains(group), "{name}: a part of the key is in {text}");
        }
        assert_eq!(reply.header("allow").is_some(), self.status == 405, "{name}");
    }
}

pub(crate) struct Table {
    pub(crate) rows: Vec<BadRequest>,
    pub(crate) key: String,
    licenses: Vec<String>,
    endpoints: String,
}

impl Table {
    /// Checks that licenses and endpoints are unchanged.
    pub(crate) async fn check_nothing_changed(&self, app: &TestApp) {
        let page = app.get("/api/v1/licenses").await.json();
        let now: Vec<_> = page["data"].as_array().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(now, self.licenses);
        assert_eq!(app.get("/api/v1/webhook-endpoints").await.text(), self.endpoints);
    }

    fn row(
        &mut self,
        name: impl Into<String>,
        call: Call,
        status: u16,
        code: &'static str,
        field: Option<&str>,
    ) {
        let field = field.map(ToOwned::to_owned);
        self.rows.push(BadRequest { name: name.into(), call, status, code, field });
    }

    pub(crate) async fn new(app: &TestApp) -> Self {
        let license = app.issue("professional").await;
        let revoked = app.issue("starter").await;
        app.delete(&revoked.path).await;
        let perpetual = app.issue("perpetual").await;
        let page = app.get("/api/v1/licenses").await.json();
        let licenses = page["data"].as_array().unwrap().iter().map(ToString::to_string).collect();
        let mut table =
            Self { rows: Vec::new(), key: license.key.clone(), licenses, endpoints: String::new() };
        table.bodies(app);
        table.fields(app);
        table.media_types(app);
        table.sizes(app, &license);
        table.headers(app, &license);
        table.paths(app, &license);
        table.methods(app, &license);
        table.queries(app, &license);
        table.commands(app, &license, &revoked, &perpetual);
        table.validations(&license);
        table.deactivations(&license);
        table.handling(app, &license, &revoked);
        table.webhooks(app).await;
        let mut names = BTreeSet::new();
        for row in &table.rows {
            assert!(names.insert(&row.name), "{} occurs twice", row.name);
        }
        assert!(table.rows.len() >= 350, "{}", table.rows.len());
        table
    }
}

#[tokio::test]
async fn bad_request_gets_its_exact_error() {
    let app = TestApp::new().await;
    let table = Table::new(&app).await;
    for row in &table.rows {
        row.check(&row.call.send(&app.router).await, &table.key);
    }
    table.check_nothing_changed(&app).await;
}

/// Returns a body of unknown length, in chunks.
fn chunked(sizes: impl IntoIterator<Item = usize>) -> Body {
    let pieces: Vec<_> = sizes.into_iter().map(|len| Ok::<_, std::io::Error>(vec![b' '; len])).collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn body_of_unknown_length_is_limited() {
    let app = TestApp::new().await;
    for (target, within) in [("/api/v1/licenses", "MALFORMED_JSON"), ("/api/v1/validate", "BAD_REQUEST")] {
        for (sizes, status, code) in [
            ([limits::BODY_BYTES / 2, limits::BODY_BYTES / 2], 400, within),
            ([limits::BODY_BYTES, 1], 413, "PAYLOAD_TOO_LARGE"),
        ] {
            let mut request = app.admin("POST", target).json_text("").request();
            *request.body_mut() = chunked(sizes);
            assert_eq!(Reply::of(&app.router, request).await.fault(), (status, code.to_owned(), None));
        }
    }
}

#[tokio::test]
async fn body_that_breaks_off_is_a_bad_request() {
    let app = TestApp::new().await;
    let mut request = app.admin("POST", "/api/v1/licenses").json_text("").request();
    let pieces = [Ok(b"{".to_vec()), Err(std::io::Error::other("gone"))];
    *request.body_mut() = Body::from_stream(futures_util::stream::iter(pieces));
    assert_eq!(Reply::of(&app.router, request).await.fault(), (400, "BAD_REQUEST".to_owned(), None));
}

#[tokio::test(start_paused = true)]
async fn body_that_does_not_arrive_times_out() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let suspend = format!("{}/suspend", license.path);
    for target in ["/api/v1/licenses", "/api/v1/validate", &suspend] {
        let mut request = app.admin("POST", target).json_text("").request();
        let first = futures_util::stream::once(async { Ok::<_, std::io::Error>(b"{".to_vec()) });
        *request.body_mut() =
            Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()));
        let began = Instant::now();
        let reply = Reply::of(&app.router, request).await;
        assert_eq!(began.elapsed().as_secs(), 10, "{target}");
        assert_eq!(reply.fault(), (408, "REQUEST_TIMEOUT".to_owned(), None), "{target}");
    }
}
