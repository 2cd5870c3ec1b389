//! The country of recorded validations.

use std::path::Path;

use license_core::usage::{Country, Location};
use license_http::{Api, ByTrustedProxy, ClientAddress, GeoIp, GeoIpDatabase, HeaderName};
use serde_json::{Value, json};

use super::app::TestApp;
use super::call::{Call, Reply};

/// Returns an app with a city database and a country header.
async fn app() -> TestApp {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/geoip/city.mmdb");
    let geoip = GeoIp::default()
        .country_header(HeaderName::from_static("cf-ipcountry"))
        .database(GeoIpDatabase::load(file).unwrap());
    TestApp::with_access_that(|api: Api| api.geoip(geoip)).await.0
}

/// Validates from this address, and returns country and region of the record.
async fn recorded(
    app: &TestApp,
    address: Option<&str>,
    header: Option<&str>,
    trusted: bool,
    known: Option<&str>,
) -> Value {
    let license = app.issue("starter").await;
    let mut call = Call::new("POST", "/api/v1/validate").json(&json!({"key": license.key}));
    if let Some(header) = header {
        call = call.header("cf-ipcountry", header);
    }
    let mut request = call.request();
    if let Some(address) = address {
        request.extensions_mut().insert(ClientAddress(address.parse().unwrap()));
    }
    if trusted {
        request.extensions_mut().insert(ByTrustedProxy);
    }
    if let Some(known) = known {
        request.extensions_mut().insert(Location::of(Country::parse(known).unwrap()));
    }
    assert_eq!(Reply::of(&app.router, request).await.json()["valid"], true);
    let usage = app.get(&format!("{}/usage", license.path)).await;
    assert!(address.is_none_or(|address| !usage.text().contains(address)), "the address is not stored");
    let usage = usage.json();
    json!([usage["recent"][0]["country"], usage["recent"][0]["region"]])
}

#[tokio::test]
async fn validation_is_recorded_with_its_country() {
    let app = app().await;
    let (english, proxy) = (Some("81.2.69.142"), Some("10.0.0.1"));
    for (address, header, trusted, known, expected) in [
        (english, None, false, None, json!(["GB", "ENG"])),
        // A header counts only from a trusted proxy. It overrides the database.
        (english, Some("DE"), false, None, json!(["GB", "ENG"])),
        (english, Some("DE"), true, None, json!(["DE", null])),
        (english, Some("XX"), true, None, json!(["GB", "ENG"])),
        (english, Some("T1"), true, None, json!(["GB", "ENG"])),
        (proxy, Some("XX"), true, None, json!([null, null])),
        (proxy, None, true, None, json!([null, null])),
        (None, Some("se"), true, None, json!(["SE", null])),
        (None, None, false, None, json!([null, null])),
        // The extension of a host app overrides all.
        (english, Some("DE"), true, Some("FR"), json!(["FR", null])),
    ] {
        let found = recorded(&app, address, header, trusted, known).await;
        assert_eq!(found, expected, "{address:?} {header:?} {trusted} {known:?}");
    }
    let metrics = app.get("/metrics").await;
    for line in
        ["license_geography_changes_total{outcome=\"refused\"} 0", "license_geography_built_seconds 1"]
    {
        assert!(metrics.text().contains(line), "{line}: {}", metrics.text());
    }
}

#[tokio::test]
async fn country_is_unknown_without_geoip() {
    let app = TestApp::new().await;
    let found = recorded(&app, Some("81.2.69.142"), Some("DE"), true, None).await;
    assert_eq!(found, json!([null, null]));
    assert!(!app.get("/metrics").await.text().contains("geography"));
}
