//! Where the API is served alone, validations pass no router. Nobody shall notice.

use std::collections::BTreeMap;

use ipnet::IpNet;
use license_http::{
    EdgeOptions, ForwardingHeader, Geography, HeaderName, LogRequests, RateLimits, ServeOptions,
    TrustedProxies,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;

use super::app::TestApp;
use super::call::{Call, Reply};
use super::faulty_store::{Fault, FaultyStore};
use super::server::Server;

fn log() -> LogRequests {
    LogRequests::new(&mut ChaCha20Rng::seed_from_u64(1)).unwrap()
}

/// An answer, without what is new in each.
fn told(reply: &Reply) -> (u16, BTreeMap<String, String>, String) {
    let text = |value: &license_http::HeaderValue| value.to_str().unwrap().to_owned();
    let mut headers: BTreeMap<_, _> =
        reply.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    headers.remove("date");
    if let Some(id) = headers.get_mut("x-request-id")
        && let Some((process, _)) = id.split_once('-')
    {
        *id = process.to_owned();
    }
    (reply.status, headers, reply.text().to_owned())
}

#[tokio::test]
async fn validations_are_answered_as_by_the_router() {
    let store = FaultyStore::default();
    let app = TestApp::over(store.clone()).await;
    let (license, revoked) = (app.issue("starter").await, app.issue("starter").await);
    app.delete(&revoked.path).await;
    let router = app.router.clone().layer(log());
    let mut options = ServeOptions::default();
    options.log = Some(log());
    let server = Server::start_with(&app, options).await;

    let post = |target: &str| Call::new("POST", target);
    let valid = json!({ "key": license.key, "domain": "example.com" });
    let calls = [
        post("/api/v1/validate").json(&valid),
        post("/api/v1/validate").json(&valid).header("x-request-id", "0123-4567"),
        post("/api/v1/validate?a=b").json(&valid),
        post("/api/v1/validate").json(&json!({ "key": license.key, "domain": "b.example.com" })),
        post("/api/v1/validate").json(&json!({ "key": revoked.key })),
        post("/api/v1/validate").json(&json!({ "key": "TO-0000-0000-0000-0000" })),
        post("/api/v1/validate").json(&json!({ "key": 1 })),
        post("/api/v1/validate").json_text("{"),
        post("/api/v1/validate").body("{}"),
        post("/api/v1/validate"),
        post("/api/v1/validate").header("x-padding", "x".repeat(20_000)).json(&valid),
        post(&format!("/api/v1/validate?{}", "x".repeat(5_000))).json(&valid),
        post("/api/v1/validate/").json(&valid),
        post("/api/v1/Validate").json(&valid),
        post("/api/v1/%76alidate").json(&valid),
        Call::new("GET", "/api/v1/validate"),
        Call::new("OPTIONS", "/api/v1/validate"),
        Call::new("PUT", "/api/v1/validate").json(&valid),
        Call::new("GET", "/nothing"),
    ];
    for fault in [Fault::None, Fault::Unavailable, Fault::Contended, Fault::Corrupt, Fault::Panic] {
        store.set(fault.clone());
        for (number, call) in calls.iter().enumerate() {
            let expected = told(&call.send(&router).await);
            let reply = Reply::over_socket(server.address, &call.bytes()).await;
            assert_eq!(told(&reply), expected, "call {number}, {fault:?}");
            assert!(expected.1.contains_key("x-request-id"));
        }
    }
    server.stop().await;
}

/// What a proxy that is trusted says of its caller is heard on this way, too.
#[tokio::test(start_paused = true)]
async fn the_caller_is_known_without_a_router() {
    let mut limits = RateLimits::default();
    limits.per_address = "1/h:2".parse().unwrap();
    let mut edge = EdgeOptions::default();
    edge.rate_limits = Some(limits);
    let country = HeaderName::from_static("cf-ipcountry");
    let geography = Geography::default().country_header(country);
    let (app, _) = TestApp::with_access_that(|api| api.edge(edge).geography(geography)).await;
    let license = app.issue("starter").await;
    for (trusted, country, third) in [(true, json!("DE"), 429), (false, json!(null), 429)] {
        let mut options = ServeOptions::default();
        let networks = trusted.then(|| "127.0.0.1/32".parse::<IpNet>().unwrap());
        options.trusted_proxies = TrustedProxies::new(networks, ForwardingHeader::XForwardedFor);
        let server = Server::start_with(&app, options).await;
        let validate = async |address: &str| {
            let call = Call::new("POST", "/api/v1/validate")
                .header("x-forwarded-for", address)
                .header("cf-ipcountry", "DE")
                .json(&json!({ "key": license.key }));
            Reply::over_socket(server.address, &call.bytes()).await.status
        };
        assert_eq!(validate("192.0.2.1").await, 200);
        let usage = app.get(&format!("{}/usage", license.path)).await.json();
        assert_eq!(usage["recent"][0]["country"], country, "trusted: {trusted}");
        assert_eq!((validate("192.0.2.1").await, validate("192.0.2.1").await), (200, third));
        // Of nobody's proxy all are one caller.
        assert_eq!(validate("192.0.2.2").await, if trusted { 200 } else { 429 });
        server.stop().await;
    }
}
