//! Where validations come from, as their records tell it.

use std::path::Path;

use license_core::place::{Country, Place};
use license_http::{Api, ByTrustedProxy, ClientAddress, GeoFile, Geography, HeaderName};
use serde_json::{Value, json};

use super::app::TestApp;
use super::call::{Call, Reply};

/// An app with a file of cities and the header of a proxy.
async fn app() -> TestApp {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/geography/city.mmdb");
    let geography = Geography::default()
        .country_header(HeaderName::from_static("cf-ipcountry"))
        .file(GeoFile::load(file).unwrap());
    TestApp::with_access_that(|api: Api| api.geography(geography)).await.0
}

/// What the record of a validation says of a caller of that address, by way of a proxy with that header or by none.
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
        request.extensions_mut().insert(Place::of(Country::parse(known).unwrap()));
    }
    assert_eq!(Reply::of(&app.router, request).await.json()["valid"], true);
    let usage = app.get(&format!("{}/usage", license.path)).await;
    assert!(address.is_none_or(|address| !usage.text().contains(address)), "no address is kept");
    let usage = usage.json();
    json!([usage["recent"][0]["country"], usage["recent"][0]["region"]])
}

#[tokio::test]
async fn a_validation_is_recorded_with_its_place() {
    let app = app().await;
    let (english, proxy) = (Some("81.2.69.142"), Some("10.0.0.1"));
    for (address, header, trusted, known, expected) in [
        (english, None, false, None, json!(["GB", "ENG"])),
        // A header counts only from a trusted proxy, and then before the file.
        (english, Some("DE"), false, None, json!(["GB", "ENG"])),
        (english, Some("DE"), true, None, json!(["DE", null])),
        (english, Some("XX"), true, None, json!(["GB", "ENG"])),
        (english, Some("T1"), true, None, json!(["GB", "ENG"])),
        (proxy, Some("XX"), true, None, json!([null, null])),
        (proxy, None, true, None, json!([null, null])),
        (None, Some("se"), true, None, json!(["SE", null])),
        (None, None, false, None, json!([null, null])),
        // An app around it knows better.
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

/// Without anything set, nothing is known, whatever a caller says.
#[tokio::test]
async fn without_geography_a_place_is_unknown() {
    let app = TestApp::new().await;
    let found = recorded(&app, Some("81.2.69.142"), Some("DE"), true, None).await;
    assert_eq!(found, json!([null, null]));
    assert!(!app.get("/metrics").await.text().contains("geography"));
}
