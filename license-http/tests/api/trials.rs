//! Trials: once per device and customer.

use serde_json::{Value, json};

use super::app::{EMAIL, TestApp};
use super::call::Reply;

const OTHER: &str = "other@example.com";

fn trial_of(holders: &Value) -> Value {
    json!({ "name": "trial", "max_domains": 1, "max_devices": 2, "term": { "days": 14 }, "trial": { "once_per": holders } })
}

async fn post(app: &TestApp, target: &str, body: &Value) -> Reply {
    app.admin("POST", target).json(body).send(&app.router).await
}

async fn app(holders: Value) -> TestApp {
    let app = TestApp::new().await;
    let created = post(&app, "/api/v1/plans", &trial_of(&holders)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.json()["trial"], json!({ "once_per": holders }));
    app
}

fn spec(email: &str) -> Value {
    json!({ "plan": "trial", "customer_email": email })
}

fn used() -> (u16, String, Option<String>) {
    (409, "TRIAL_USED".to_owned(), None)
}

fn no_customer() -> (u16, String, Option<String>) {
    (422, "CUSTOMER_REQUIRED".to_owned(), Some("customer_email".to_owned()))
}

#[tokio::test]
async fn second_trial_of_a_customer_is_denied() {
    let app = app(json!(["customer"])).await;
    let first = app.create(spec(EMAIL)).await.json();
    assert_eq!(app.create(spec(EMAIL)).await.fault(), used());
    assert_eq!(app.create(spec(&EMAIL.to_uppercase())).await.fault(), used());
    assert_eq!(app.create(json!({ "plan": "trial" })).await.fault(), no_customer());
    let batch = json!({ "plan": "trial", "customer_email": OTHER, "count": 2 });
    assert_eq!(post(&app, "/api/v1/licenses/batch", &batch).await.fault(), used());
    let path = format!("/api/v1/licenses/{}", first["id"].as_str().unwrap());
    assert_eq!(app.delete(&path).await.status, 200);
    assert_eq!(app.create(spec(EMAIL)).await.fault(), used(), "also after the revocation");
    assert_eq!(app.delete(&format!("/api/v1/customers/{EMAIL}")).await.status, 200);
    assert_eq!(app.create(spec(EMAIL)).await.fault(), used(), "also after the erasure");
    let mut one = batch;
    one["count"] = json!(1);
    assert_eq!(
        post(&app, "/api/v1/licenses/batch", &one).await.status,
        201,
        "the denied batch took no trial"
    );

    let paid = app.create(json!({ "plan": "starter", "customer_email": EMAIL })).await.json();
    let path = format!("/api/v1/licenses/{}", paid["id"].as_str().unwrap());
    assert_eq!(app.put(&path, json!({ "plan": "trial" })).await.fault(), used());
    let none = json!({ "plan": "trial", "customer_email": null });
    assert_eq!(app.put(&path, none).await.fault(), no_customer());
}

#[tokio::test]
async fn device_with_a_used_trial_is_denied() {
    let app = app(json!(["device"])).await;
    let [first, second] = [app.create(spec(EMAIL)).await.json(), app.create(spec(EMAIL)).await.json()];
    let on = |license: &Value, device: Value| {
        app.validate(json!({ "key": license["key"], "fingerprint": device }))
    };
    assert_eq!(on(&first, json!("pc")).await.json()["valid"], true);
    for _ in 0..2 {
        let reply = on(&second, json!("pc")).await;
        assert_eq!(reply.status, 200);
        let denied = reply.json();
        assert_eq!(
            json!([denied["valid"], denied["error"], denied["reasons"]]),
            json!([false, "TRIAL_USED", ["TRIAL_USED"]])
        );
        assert_eq!(denied["usage"]["devices"], json!({ "used": 0, "limit": 2 }));
        assert_eq!(denied["license"]["plan"], "trial");
    }
    assert_eq!(on(&second, Value::Null).await.json()["error"], "DEVICE_REQUIRED");
    assert_eq!(on(&second, json!("phone")).await.json()["valid"], true);
    assert_eq!(on(&first, json!("pc")).await.json()["valid"], true);
    let path = format!("/api/v1/licenses/{}", second["id"].as_str().unwrap());
    assert_eq!(app.put(&path, json!({ "plan": "starter" })).await.status, 200);
    assert_eq!(on(&second, json!("pc")).await.json()["valid"], true, "a plan that is no trial");
    let usage = app.get(&format!("{path}/usage")).await.json();
    assert_eq!(usage["by_outcome"]["TRIAL_USED"], 2, "denials are counted");
}

#[tokio::test]
async fn trial_of_a_plan_is_checked_and_changed() {
    let app = TestApp::new().await;
    for (holders, why) in [
        (json!([]), "none"),
        (json!(["user"]), "unknown"),
        (json!("device"), "no list"),
        (Value::Null, "null"),
    ] {
        let fault = post(&app, "/api/v1/plans", &trial_of(&holders)).await.fault();
        assert_eq!(fault, (422, "INVALID_FIELD".to_owned(), Some("trial".to_owned())), "{why}");
    }
    assert_eq!(post(&app, "/api/v1/plans", &trial_of(&json!(["device"]))).await.status, 201);
    let path = "/api/v1/plans/trial";
    let same = app.put(path, json!({ "trial": { "once_per": ["device"] } })).await.json();
    assert_eq!(same["version"], 1, "the same terms");
    let both = app.put(path, json!({ "trial": { "once_per": ["customer", "device"] } })).await.json();
    assert_eq!(json!([both["version"], both["trial"]]), json!([2, { "once_per": ["device", "customer"] }]));
    let none = app.put(path, json!({ "trial": null })).await.json();
    assert_eq!(json!([none["version"], none["trial"]]), json!([3, null]));
}
