use std::sync::atomic::AtomicU64;

use chrono::TimeDelta;
use license_core::metrics::{Histogram, Metric};
use serde_json::json;

use super::app::{TestApp, fault_store};
use super::call::Call;
use license_store::faults::{Fault, Hold};

#[tokio::test]
async fn health_does_not_ask_the_store() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    store.set(Fault::Panic);
    let reply = Call::new("GET", "/health").send(&app.router).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json(), json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn ready_asks_the_store() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    let reply = Call::new("GET", "/ready").send(&app.router).await;
    assert_eq!(
        (reply.status, reply.json()),
        (200, json!({ "status": "ready", "change_feed": "listening", "warnings": [] }))
    );
    store.set(Fault::Unavailable);
    let reply = Call::new("GET", "/ready").send(&app.router).await;
    assert_eq!(reply.fault(), (503, "STORE_UNAVAILABLE".to_owned(), None));
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn implausible_clock_is_a_warning_and_a_metric() {
    let app = TestApp::new().await;
    let now = app.services.now();
    for (time, warnings, plausible) in [
        (now, json!([]), 1),
        (now + TimeDelta::hours(49), json!(["clock_implausible"]), 0),
        (now - TimeDelta::hours(1), json!(["clock_implausible"]), 0),
        (now + TimeDelta::hours(48), json!([]), 1),
    ] {
        app.set_clock(time);
        let ready = Call::new("GET", "/ready").send(&app.router).await;
        assert_eq!((ready.status, &ready.json()["warnings"]), (200, &warnings), "{time}");
        let metrics = Call::new("GET", "/metrics").send(&app.router).await;
        let line = format!("license_clock_plausible {plausible}");
        assert!(metrics.text().lines().any(|found| found == line), "{time}: {}", metrics.text());
    }
}

/// A full disk does not keep the services from starting.
#[tokio::test]
async fn services_start_if_the_heartbeat_cannot_be_written() {
    let store = fault_store();
    store.script("move_heartbeat", [Some(Fault::Unavailable)]);
    let app = TestApp::over(store.clone()).await;
    assert_eq!(store.remaining(), 0);
    assert_eq!(Call::new("GET", "/ready").send(&app.router).await.json()["warnings"], json!([]));
    assert!(app.services.clock.look().await.unwrap().is_plausible);
    assert_eq!(app.services.clock.state().await.unwrap().heartbeat, Some(app.services.now()));
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
async fn metrics_report_store_and_change_feed() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    for (fault, up) in [(None, 1), (Some(Fault::Unavailable), 0)] {
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

#[tokio::test]
async fn metrics_include_those_of_service_and_store() {
    let store = fault_store();
    store.set_metrics(|| {
        let sizes = Histogram::new(&[2.0]);
        sizes.observe(1.0);
        sizes.observe(5.5);
        vec![
            Metric::gauge("cache_entries", "Entries", 7),
            Metric::counter("cache_hits", "Hits", &AtomicU64::new(9)),
            Metric::histogram("commit_validations", "Sizes", &sizes),
        ]
    });
    let app = TestApp::over(store).await;
    let license = app.issue("starter").await;
    for (key, domain) in [
        (license.key.as_str(), "a.com"),
        (&license.key, "a.com"),
        (&license.key, "b.com"),
        ("TO-7K3F-M2QA-ZZ81-94FY", "a.com"),
    ] {
        let body = json!({ "key": key, "domain": domain });
        Call::new("POST", "/api/v1/validate").json(&body).send(&app.router).await;
    }
    let reply = Call::new("GET", "/metrics").send(&app.router).await;
    let text = reply.text();
    for line in [
        "license_validations_total{outcome=\"VALID\"} 2",
        "license_validations_total{outcome=\"DOMAIN_LIMIT_REACHED\"} 1",
        "license_validations_total{outcome=\"LICENSE_NOT_FOUND\"} 1",
        "license_validate_seconds_count 4",
        "license_store_outage 0",
        "license_cache_entries 7",
        "license_cache_hits_total 9",
        "license_commit_validations_sum 6.5",
        "license_commit_validations_bucket{le=\"2.0\"} 1",
        "license_commit_validations_bucket{le=\"+Inf\"} 2",
        "# TYPE license_commit_validations histogram",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn ready_and_metrics_time_out_if_the_store_hangs() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    store.set(Fault::Hold(Hold::default()));
    let reply = Call::new("GET", "/ready").send(&app.router).await;
    assert_eq!(reply.fault(), (503, "STORE_UNAVAILABLE".to_owned(), None));
    let reply = Call::new("GET", "/metrics").send(&app.router).await;
    assert!(reply.text().lines().any(|line| line == "license_store_up 0"));
}

/// Anyone can read `/metrics`, so it shows nothing about the vendor's business.
#[tokio::test]
async fn metrics_of_the_business_need_a_scope() {
    let app = TestApp::new().await;
    app.issue("starter").await;
    let license = app.issue("starter").await;
    app.post(&format!("{}/suspend", license.path)).await;
    let line = |text: &str, line: &str| text.lines().any(|found| found == line);
    let public = Call::new("GET", "/metrics").send(&app.router).await;
    assert!(!public.text().contains("license_licenses"), "{}", public.text());
    assert_eq!(Call::new("GET", "/api/v1/metrics").send(&app.router).await.status, 401);
    let private = app.api.clone().routers().1;
    let with_process = Call::new("GET", "/metrics").send(&private).await;
    for reply in [app.get("/api/v1/metrics").await, with_process] {
        for expected in [
            "license_licenses{plan=\"starter\",status=\"active\"} 1",
            "license_licenses{plan=\"starter\",status=\"suspended\"} 1",
            "license_webhook_pending_deliveries 0",
            "license_webhook_oldest_due_seconds 0",
            "license_store_up 1",
        ] {
            assert!(line(reply.text(), expected), "{expected}: {}", reply.text());
        }
    }
    assert_eq!(Call::new("GET", "/api/v1/licenses").send(&private).await.status, 404);
}

/// The private router shows the calls of the other one.
#[tokio::test]
async fn private_metrics_count_calls_of_the_public_router() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let (router, private) = app.api.clone().routers();
    Call::new("POST", "/api/v1/validate").json(&json!({ "key": license.key })).send(&router).await;
    let reply = Call::new("GET", "/metrics").send(&private).await;
    assert!(reply.text().contains("license_validate_seconds_count 1\n"), "{}", reply.text());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn private_metrics_show_the_process() {
    let app = TestApp::new().await;
    let private = app.api.clone().routers().1;
    let reply = Call::new("GET", "/metrics").send(&private).await;
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_threads",
        "process_open_fds",
        "process_max_fds",
    ] {
        let value = reply.text().lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        assert!(value.is_some_and(|value| value >= 0.0), "{name}: {}", reply.text());
    }
}

/// The metrics that need the store are missing; the others are there.
#[tokio::test]
async fn metrics_of_an_outage_lack_those_of_the_business() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    store.set(Fault::Unavailable);
    let reply = app.get("/api/v1/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("license_store_up 0") && !reply.text().contains("license_licenses"));
}
