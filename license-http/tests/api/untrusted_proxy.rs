//! The warning about a proxy that is not trusted.

use axum::Router;
use license_http::{ForwardingHeader, TrustedProxies};
use serde_json::{Value, json};

use super::access_log::Log;
use super::app::TestApp;
use super::call::{Call, Reply};

async fn send(router: &Router, proxies: &TrustedProxies, peer: &str, call: &Call) -> Reply {
    let mut request = call.request();
    proxies.annotate(peer.parse().unwrap(), &mut request);
    Reply::of(router, request).await
}

async fn warnings(app: &TestApp, proxies: &TrustedProxies) -> Value {
    send(&app.router, proxies, "198.51.100.7", &Call::new("GET", "/ready")).await.json()["warnings"].clone()
}

#[tokio::test]
async fn forwarding_by_an_untrusted_local_peer_is_warned_of_once() {
    let app = TestApp::new().await;
    let call = |header: &str| Call::new("GET", "/health").header(header, "for=203.0.113.5");
    let (forwarded, list) = (call("forwarded"), call("x-forwarded-for"));
    for peer in [
        "127.0.0.1",
        "10.1.2.3",
        "172.17.0.1",
        "192.168.0.2",
        "100.64.0.1",
        "169.254.1.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.1.2.3",
    ] {
        for call in [&forwarded, &list] {
            let proxies = TrustedProxies::none();
            let (log, guard) = Log::capture();
            for _ in 0..3 {
                send(&app.router, &proxies.clone(), peer, call).await;
            }
            drop(guard);
            let lines = log.lines();
            let canonical = peer.trim_start_matches("::ffff:");
            assert_eq!(lines.len(), 1, "{peer}: {lines:?}");
            assert_eq!(
                (&lines[0]["level"], &lines[0]["fields"]["peer"]),
                (&json!("WARN"), &json!(canonical))
            );
            let message = lines[0]["fields"]["message"].as_str().unwrap();
            assert!(message.ends_with(&format!("set --trusted-proxy {canonical}")), "{message}");
            assert_eq!(warnings(&app, &proxies).await, json!(["untrusted_proxy"]), "{peer}");
        }
    }
}

#[tokio::test]
async fn trusted_proxies_and_public_peers_cause_no_warning() {
    let app = TestApp::new().await;
    let network = TrustedProxies::parse_network("10.0.0.0/8").unwrap();
    let proxies = TrustedProxies::new([network], ForwardingHeader::XForwardedFor);
    let (log, guard) = Log::capture();
    let forwarded = Call::new("GET", "/health").header("x-forwarded-for", "203.0.113.5");
    for (peer, call) in [
        ("10.1.2.3", &forwarded),
        ("198.51.100.1", &forwarded),
        ("2001:db8::1", &forwarded),
        ("100.128.0.1", &forwarded),
        ("127.0.0.1", &Call::new("GET", "/health")),
    ] {
        send(&app.router, &proxies, peer, call).await;
    }
    drop(guard);
    assert_eq!(log.lines(), Vec::<Value>::new());
    assert_eq!(warnings(&app, &proxies).await, json!([]));
    // A trusted network does not hide another proxy.
    send(&app.router, &proxies, "192.168.0.9", &forwarded).await;
    assert_eq!(warnings(&app, &proxies).await, json!(["untrusted_proxy"]));
}
