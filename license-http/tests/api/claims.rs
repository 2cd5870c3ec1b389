//! What a validation may ask: its product, features, and an answer without an activation.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::app::{EMAIL, Issued, TestApp};

async fn validate(app: &TestApp, license: &Issued, more: Value) -> Value {
    let mut body = json!({ "key": license.key });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = app.validate(body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// The answer has no further fact about the license, and the license has no new slot.
#[tokio::test]
async fn key_of_another_product_is_denied_without_facts() {
    let app = TestApp::new().await;
    let (editor, other) = (app.issue("editor").await, app.issue("starter").await);
    app.post(&format!("{}/suspend", other.path)).await;
    let slots = json!({ "domain": "a.com", "fingerprint": "d" });
    let with = |product: Value| {
        let mut body = slots.clone();
        body["product"] = product;
        body
    };
    let mismatch = |product: &str| {
        let message = format!("This license is not for the product \"{product}\".");
        json!({ "valid": false, "error": "PRODUCT_MISMATCH", "message": message })
    };
    let required = json!({
        "valid": false, "error": "PRODUCT_REQUIRED",
        "message": "The license requires that the software names its product.",
    });
    for (license, product, expected) in [
        (&editor, json!("viewer"), mismatch("viewer")),
        (&editor, json!("default"), mismatch("default")),
        (&editor, json!(null), required),
        (&other, json!("editor"), mismatch("editor")),
    ] {
        assert_eq!(validate(&app, license, with(product)).await, expected);
        let shown = app.get(&license.path).await.json();
        assert_eq!(json!([shown["domains_used"], shown["devices_used"]]), json!([0, 0]));
    }
    assert_eq!(validate(&app, &editor, with(json!("editor"))).await["valid"], true);
    let usage = app.get(&format!("{}/usage", editor.path)).await.json();
    let expected = json!({ "PRODUCT_MISMATCH": 2, "PRODUCT_REQUIRED": 1, "VALID": 1 });
    assert_eq!(usage["by_outcome"], expected, "denials are recorded");
    let metrics = app.get("/api/v1/metrics").await;
    assert!(metrics.text().contains(r#"outcome="PRODUCT_MISMATCH"} 3"#), "{}", metrics.text());
}

#[tokio::test]
async fn denial_has_every_reason_and_the_facts() {
    let app = TestApp::new().await;
    let spec = json!({ "plan": "editor", "customer_email": EMAIL, "expires_at": "2026-01-31T00:00:00Z" });
    let license = app.issue_with(spec).await;
    let claim = |host: &str, features: &[&str]| json!({ "product": "editor", "domain": host, "fingerprint": host, "features": features });
    assert_eq!(validate(&app, &license, claim("a.com", &["export"])).await["valid"], true);
    app.advance(TimeDelta::days(30));
    let denied = validate(&app, &license, claim("b.com", &["export", "pdf"])).await;
    let expected = json!({
        "valid": false,
        "error": "LICENSE_EXPIRED",
        "message": "This license expired at 2026-01-31T00:00:00Z.",
        "reasons": ["LICENSE_EXPIRED", "FEATURE_MISSING", "DOMAIN_LIMIT_REACHED", "DEVICE_LIMIT_REACHED"],
        "license": { "plan": "editor", "product": "editor", "expiresAt": "2026-01-31T00:00:00Z" },
        "usage": {
            "domains": { "used": 1, "limit": 1 },
            "devices": { "used": 1, "limit": 1, "held": 0, "next_free_at": null },
        },
    });
    assert_eq!(denied, expected);
}

/// A denial that is decided under the lock of the license has the same facts.
#[tokio::test]
async fn missing_feature_of_first_validation_is_denied() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let denied = validate(&app, &license, json!({ "fingerprint": "d", "features": ["api", "export"] })).await;
    assert_eq!(denied["message"], "The license does not include api, export.");
    let expected = json!([["FEATURE_MISSING"], { "used": 0, "limit": 2 }]);
    assert_eq!(json!([denied["reasons"], denied["usage"]["devices"]]), expected);
}

#[tokio::test]
async fn required_domain_and_device_are_denied_by_name() {
    let app = TestApp::new().await;
    let license = app.issue("bound").await;
    for (claim, reasons) in [
        (json!({}), json!(["DOMAIN_REQUIRED", "DEVICE_REQUIRED"])),
        (json!({ "domain": "a.com", "fingerprint": null }), json!(["DEVICE_REQUIRED"])),
        (json!({ "fingerprint": "d" }), json!(["DOMAIN_REQUIRED"])),
    ] {
        let denied = validate(&app, &license, claim).await;
        assert_eq!((&denied["reasons"], &denied["error"]), (&reasons, &reasons[0]));
    }
    assert_eq!(
        validate(&app, &license, json!({ "domain": "a.com", "fingerprint": "d" })).await["valid"],
        true
    );
}

/// Such a validation takes no slot, does not activate the license, and is recorded.
#[tokio::test]
async fn validation_without_activation_changes_nothing() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let claim = |activate: bool| json!({ "domain": "a.com", "fingerprint": "d", "activate": activate });
    let denied = validate(&app, &license, claim(false)).await;
    assert_eq!(denied["reasons"], json!(["DOMAIN_NOT_ACTIVATED", "DEVICE_NOT_ACTIVATED"]));
    assert_eq!(denied["message"], "The domain a.com is not activated.");
    assert_eq!(validate(&app, &license, json!({ "activate": false })).await["valid"], true);
    let shown = app.get(&license.path).await.json();
    let unchanged = json!([null, 0, 0, 1, 1]);
    let names = ["activated_at", "domains_used", "devices_used", "version", "validation_count"];
    assert_eq!(json!(names.map(|name| shown[name].clone())), unchanged);
    assert_eq!(validate(&app, &license, claim(true)).await["valid"], true);
    assert_eq!(validate(&app, &license, claim(false)).await["valid"], true, "on the slots that it holds");
    let usage = app.get(&format!("{}/usage", license.path)).await.json();
    assert_eq!(usage["by_outcome"], json!({ "DOMAIN_NOT_ACTIVATED": 1, "VALID": 3 }));
}

#[tokio::test]
async fn limits_of_a_claim_hold_at_the_edge() {
    use license_core::limits;
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let features = vec!["x".repeat(limits::FEATURE_NAME_BYTES); limits::FEATURES_PER_REQUEST];
    let product = "x".repeat(limits::PLAN_NAME_BYTES);
    let denied = validate(&app, &license, json!({ "features": features })).await;
    assert_eq!(denied["error"], "FEATURE_MISSING");
    assert_eq!(validate(&app, &license, json!({ "product": product })).await["error"], "PRODUCT_MISMATCH");
    let nulls = json!({ "product": null, "features": null, "activate": null });
    assert_eq!(validate(&app, &license, nulls).await["valid"], true, "null is absent");
}
