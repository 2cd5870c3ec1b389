use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use license_http::AccessLogLayer;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;

use super::app::{EMAIL, TestApp, fault_store};
use super::call::Call;
use license_store::faults::Fault;

/// Log lines of this thread, as JSON of all levels.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Returns the lines of this crate.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"].as_str().unwrap().starts_with("license_http")).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(app: &TestApp) -> Router {
    app.router.clone().layer(AccessLogLayer::new(&mut ChaCha20Rng::seed_from_u64(1)).unwrap())
}

#[tokio::test]
async fn each_request_is_one_line_with_its_id() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let router = logged(&app);
    let (log, _guard) = Log::capture();
    let mut ids = Vec::new();
    for (call, route, status) in [
        (app.admin("GET", &license.path), "/api/v1/licenses/{id}", 200),
        (app.admin("GET", "/api/v1/licenses?limit=1"), "/api/v1/licenses", 200),
        (app.admin("PATCH", "/api/v1/licenses"), "/api/v1/licenses", 405),
        (Call::new("GET", "/api/v1/licenses"), "/api/v1/licenses", 401),
        (Call::new("GET", "/health"), "/health", 200),
        (Call::new("GET", "/nothing"), "-", 404),
        (Call::new("BREW", "/health"), "/health", 405),
        (Call::new("POST", "/api/v1/validate").json(&json!({ "key": "" })), "/api/v1/validate", 400),
    ] {
        let reply = call.header("x-request-id", "mine").send(&router).await;
        assert_eq!(reply.status, status);
        ids.push((reply.header("x-request-id").unwrap().to_owned(), route, status));
    }
    let lines = log.lines();
    assert_eq!(lines.len(), ids.len());
    for (line, (id, route, status)) in lines.iter().zip(&ids) {
        let fields = &line["fields"];
        // Validations are logged at DEBUG.
        assert_eq!(line["level"], if *status == 400 { "DEBUG" } else { "INFO" });
        assert_eq!(
            json!([fields["request_id"], fields["route"], fields["status"]]),
            json!([id, route, status])
        );
        assert!(fields["duration_us"].is_u64());
    }
    let methods: Vec<_> = lines.iter().map(|line| line["fields"]["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["GET", "GET", "PATCH", "GET", "GET", "GET", "-", "POST"]);
    let process = ids[0].0.split_once('-').unwrap().0;
    let numbered: Vec<_> = (1..=ids.len()).map(|number| format!("{process}-{number}")).collect();
    assert_eq!(ids.iter().map(|(id, ..)| id).collect::<Vec<_>>(), numbered.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn no_key_email_or_metadata_is_logged() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let router = logged(&app);
    let (log, _guard) = Log::capture();
    let body = json!({ "plan": "starter", "customer_email": EMAIL, "metadata": {"note": "met4data"} });
    let created = app.admin("POST", "/api/v1/licenses").json(&body).send(&router).await.json();
    let (id, key) = (created["id"].as_str().unwrap(), created["key"].as_str().unwrap());
    let path = format!("/api/v1/licenses/{id}");
    let calls = [
        Call::new("POST", "/api/v1/validate").json(&json!({ "key": key })),
        Call::new("POST", &format!("/api/v1/validate?key={key}"))
            .json(&json!({ "key": key, "domain": "a b" })),
        Call::new("POST", "/api/v1/validate").json(&json!({ "key": format!("{key}X") })),
        Call::new("POST", "/api/v1/validate").json_text(format!("{{\"key\":\"{key}\"")),
        Call::new("GET", &format!("/{key}")),
        Call::new("GET", &format!("/api/v1/licenses/{key}?customer_email={EMAIL}")),
        Call::new(key, "/health").header("x-request-id", key),
        app.admin("GET", &format!("/api/v1/licenses?customer_email={EMAIL}&cursor={key}")),
        app.admin("PUT", &path).json(&json!({ "plan": key, "metadata": {"note": "met4data"} })),
        app.admin("PUT", &path).json(&json!({ "plan": 1, key: 2 })),
        app.admin("POST", "/api/v1/licenses").header("idempotency-key", key).json(&body),
    ];
    for fault in [None, Some(Fault::Unavailable), Some(Fault::Contended), Some(Fault::Corrupt)] {
        store.set(fault);
        for call in &calls {
            call.send(&router).await;
        }
    }
    store.set(None);
    let metrics = Call::new("GET", "/metrics").send(&app.router).await.text().to_lowercase();
    assert!(metrics.contains("license_validate_seconds_count"), "{metrics}");
    let text = log.text().to_lowercase();
    assert!(log.lines().len() > 4 * calls.len(), "one line per request, and more for errors");
    assert!(text.contains("db.internal"), "the log has the cause");
    assert!(text.contains("lic_broken") && text.contains(r#""column":"plan""#), "and the corrupt row");
    // A group of hexadecimal digits can also be a part of a request id or a number.
    let (_, groups) = key.split_once('-').expect("a prefix");
    let groups = groups.to_lowercase();
    let is_unlike_number = |group: &&str| group.contains(|letter| letter > 'f');
    let parts = groups.split('-').filter(is_unlike_number).chain([&groups[..9], &groups[10..]]);
    for part in parts {
        assert!(!text.contains(part) && !metrics.contains(part), "a part of the key is in log or metrics");
    }
    for secret in [EMAIL, "met4data", &app.token] {
        assert!(!text.contains(secret) && !metrics.contains(secret), "{secret} is in log or metrics");
    }
}

#[tokio::test]
async fn panic_is_logged_as_500() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let license = app.issue("starter").await;
    store.set(Fault::Panic);
    let (log, _guard) = Log::capture();
    app.admin("GET", &license.path).send(&logged(&app)).await;
    let lines = log.lines();
    assert_eq!(json!([lines[0]["level"], lines[1]["fields"]["status"]]), json!(["ERROR", 500]));
}
