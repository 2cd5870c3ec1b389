//! Requests that are wrong, each with its exact answer, sent to the router and over a socket.

mod bodies;
mod commands;
mod deactivations;
mod fields;
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

pub(crate) struct Rotten {
    name: String,
    pub(crate) call: Call,
    status: u16,
    code: &'static str,
    field: Option<String>,
}

impl Rotten {
    pub(crate) fn check(&self, reply: &Reply, key: &str) {
        let name = &self.name;
        let text = reply.text();
        assert_eq!(reply.fault(), (self.status, self.code.to_owned(), self.field.clone()), "{name}: {text}");
        let body = reply.json();
        if ["/api/v1/validate", "/api/v1/deactivate"].iter().any(|path| self.call.target.starts_with(path)) {
            assert_eq!(reply.header("content-type"), Some("application/json"), "{name}");
            assert_eq!(body["valid"], false, "{name}");
            assert!(body["message"].as_str().is_some_and(|message| message.ends_with('.')), "{name}: {text}");
        } else {
            assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{name}");
            assert_eq!(json!([body["status"], body["code"]]), json!([self.status, self.code]), "{name}");
            assert!(body["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{name}: {text}");
            assert!(!body["title"].as_str().unwrap().is_empty(), "{name}");
        }
        let said = text.to_uppercase();
        for group in key.split('-').skip(1) {
            assert!(!said.contains(group), "{name}: a part of the key is in {text}");
        }
        assert_eq!(reply.header("allow").is_some(), self.status == 405, "{name}");
    }
}

pub(crate) struct Table {
    pub(crate) rows: Vec<Rotten>,
    pub(crate) key: String,
    watched: Vec<String>,
    endpoints: String,
}

impl Table {
    /// The licenses and the endpoint are as they were before.
    pub(crate) async fn check_nothing_changed(&self, app: &TestApp) {
        let page = app.get("/api/v1/licenses").await.json();
        let now: Vec<_> = page["data"].as_array().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(now, self.watched);
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
        self.rows.push(Rotten { name: name.into(), call, status, code, field });
    }

    pub(crate) async fn new(app: &TestApp) -> Self {
        let license = app.issue("professional").await;
        let revoked = app.issue("starter").await;
        app.delete(&revoked.path).await;
        let perpetual = app.issue("perpetual").await;
        let page = app.get("/api/v1/licenses").await.json();
        let watched = page["data"].as_array().unwrap().iter().map(ToString::to_string).collect();
        let mut table =
            Self { rows: Vec::new(), key: license.key.clone(), watched, endpoints: String::new() };
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
        table.webhooks(app).await;
        let mut names = BTreeSet::new();
        for row in &table.rows {
            assert!(names.insert(&row.name), "{} stands twice", row.name);
        }
        assert!(table.rows.len() >= 350, "{}", table.rows.len());
        table
    }
}

#[tokio::test]
async fn each_gets_its_answer() {
    let app = TestApp::new().await;
    let table = Table::new(&app).await;
    for row in &table.rows {
        row.check(&row.call.send(&app.router).await, &table.key);
    }
    table.check_nothing_changed(&app).await;
}

/// A body of unknown length, in pieces.
fn pieces(sizes: impl IntoIterator<Item = usize>) -> Body {
    let pieces: Vec<_> = sizes.into_iter().map(|len| Ok::<_, std::io::Error>(vec![b' '; len])).collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_counted() {
    let app = TestApp::new().await;
    for (target, within) in [("/api/v1/licenses", "MALFORMED_JSON"), ("/api/v1/validate", "BAD_REQUEST")] {
        for (sizes, status, code) in [
            ([limits::BODY_BYTES / 2, limits::BODY_BYTES / 2], 400, within),
            ([limits::BODY_BYTES, 1], 413, "PAYLOAD_TOO_LARGE"),
        ] {
            let mut request = app.admin("POST", target).json_text("").request();
            *request.body_mut() = pieces(sizes);
            assert_eq!(Reply::of(&app.router, request).await.fault(), (status, code.to_owned(), None));
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let app = TestApp::new().await;
    let mut request = app.admin("POST", "/api/v1/licenses").json_text("").request();
    let pieces = [Ok(b"{".to_vec()), Err(std::io::Error::other("gone"))];
    *request.body_mut() = Body::from_stream(futures_util::stream::iter(pieces));
    assert_eq!(Reply::of(&app.router, request).await.fault(), (400, "BAD_REQUEST".to_owned(), None));
}

/// The clock of tokio stands still and jumps to the next timer: nobody waits.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_timed_out() {
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
