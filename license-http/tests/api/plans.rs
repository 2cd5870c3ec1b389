use std::sync::Arc;

use chrono::TimeDelta;
use license_core::catalog::{Plan, PlanCatalog};
use license_core::key::Secret;
use license_core::service::{ServiceOptions, Services};
use license_http::{AdminAuth, router};
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::app::{EMAIL, NOW, TestApp, token};
use super::call::{Call, Reply};

const PLANS: &str = "/api/v1/plans";
const PRODUCTS: &str = "/api/v1/products";

async fn post(app: &TestApp, target: &str, body: &Value) -> Reply {
    app.admin("POST", target).json(body).send(&app.router).await
}

fn pro() -> Value {
    json!({
        "name": "pro", "product": "painter", "max_domains": 2, "max_devices": 3,
        "term": { "days": 365, "starts": "issue" }, "features": { "export": true, "seats": 25 },
    })
}

async fn with_painter() -> TestApp {
    let app = TestApp::new().await;
    let reply = post(&app, PRODUCTS, &json!({ "name": "painter", "display_name": "Painter" })).await;
    assert_eq!((reply.status, reply.header("location")), (201, Some("products/painter")));
    app
}

fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn products_are_created_changed_and_deleted() {
    let app = with_painter().await;
    let product = |shown: &str| json!({ "name": "painter", "display_name": shown, "created_at": NOW, "updated_at": NOW });
    assert_eq!(app.get("/api/v1/products/painter").await.json(), product("Painter"));
    assert_eq!(names(&app.get(PRODUCTS).await.json()), ["default", "editor", "painter"]);
    let changed = app.put("/api/v1/products/painter", json!({ "display_name": "Painter X" })).await;
    assert_eq!(changed.json(), product("Painter X"));
    assert_eq!(post(&app, PLANS, &pro()).await.status, 201);
    let in_use = app.delete("/api/v1/products/painter").await;
    assert_eq!(in_use.fault(), (409, "PRODUCT_IN_USE".to_owned(), None));
    assert!(in_use.text().contains("it has the plans pro."), "{}", in_use.text());
    post(&app, PRODUCTS, &json!({ "name": "old", "display_name": "Old" })).await;
    let deleted = app.delete("/api/v1/products/old").await;
    assert_eq!((deleted.status, deleted.json()), (200, json!({ "name": "old", "deleted": true })));
    assert_eq!(app.get("/api/v1/products/old").await.fault(), (404, "PRODUCT_NOT_FOUND".to_owned(), None));
}

#[tokio::test]
async fn plan_has_every_field_and_is_changed_in_part() {
    let app = with_painter().await;
    let created = post(&app, PLANS, &pro()).await;
    assert_eq!((created.status, created.header("location")), (201, Some("plans/pro")), "{}", created.text());
    assert_eq!(created.header("etag"), Some("\"1\""));
    let plan = created.json();
    for (field, value) in pro().as_object().unwrap() {
        assert_eq!(&plan[field], value, "{field}");
    }
    for field in Plan::new("pro").to_json().keys() {
        assert!(plan.get(field).is_some(), "{field}: {plan}");
    }
    assert_eq!(plan["version"], 1);
    assert_eq!((&plan["archived_at"], &plan["managed_by"]), (&Value::Null, &Value::Null));
    assert_eq!((&plan["created_at"], &plan["updated_at"]), (&json!(NOW), &json!(NOW)));
    assert_eq!(app.get("/api/v1/plans/pro").await.json(), plan);
    assert!(names(&app.get(PLANS).await.json()).contains(&"pro"));

    let patch = json!({ "max_devices": null, "features": { "export": null, "sso": true } });
    let changed = app.put("/api/v1/plans/pro", patch).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{}", changed.text());
    let mut expected = plan.clone();
    expected["version"] = json!(2);
    expected["max_devices"] = Value::Null;
    expected["features"] = json!({ "seats": 25, "sso": true });
    assert_eq!(changed.json(), expected);
    let same = app.put("/api/v1/plans/pro", json!({ "max_domains": 2 })).await;
    assert_eq!((same.json(), same.header("etag")), (expected, Some("\"2\"")), "nothing changed");
    let versions = app.get("/api/v1/plans/pro/versions").await.json();
    let found: Vec<_> = versions["data"].as_array().unwrap().iter().collect();
    assert_eq!(found.iter().map(|one| one["version"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(found[1]["features"], json!({ "export": true, "seats": 25 }));
}

#[tokio::test]
async fn whole_numbers_of_a_plan_can_have_a_fraction_of_zero() {
    let app = with_painter().await;
    let body = r#"{"name":"pro","max_domains":2.0,"max_devices":3e0,"term":{"days":365.0},"features":{"seats":25.0}}"#;
    let created = app.admin("POST", PLANS).json_text(body.to_owned()).send(&app.router).await;
    let plan = created.json();
    assert_eq!(created.status, 201, "{plan}");
    assert_eq!((&plan["max_domains"], &plan["max_devices"]), (&json!(2), &json!(3)));
    assert_eq!(plan["term"], json!({ "days": 365, "starts": "issue" }));
    assert_eq!(plan["features"], json!({ "seats": 25 }));
    let changed = app.put("/api/v1/plans/pro", json!({ "grace_days": 2.0 })).await.json();
    assert_eq!(changed["grace_days"], 2, "{changed}");
}

#[tokio::test]
async fn edit_leaves_sold_licenses_alone_until_they_are_moved() {
    let app = with_painter().await;
    post(&app, PLANS, &pro()).await;
    let license = app.issue_with(json!({ "plan": "pro", "customer_email": EMAIL, "max_domains": 7 })).await;
    let features = async || {
        let verdict = app.validate(json!({ "key": license.key, "product": "painter" })).await.json();
        verdict["license"]["features"].clone()
    };
    app.put("/api/v1/plans/pro", json!({ "max_devices": 9, "max_domains": 1, "features": { "seats": 5 } }))
        .await;
    let sold = app.get(&license.path).await.json();
    let pinned = |license: &Value| {
        json!([license["plan_version"], license["max_domains"], license["max_devices"], license["overrides"]])
    };
    assert_eq!(pinned(&sold), json!([1, 7, 3, ["max_domains"]]));
    assert_eq!(
        (&sold["product"], features().await),
        (&json!("painter"), json!({ "export": true, "seats": 25 }))
    );
    let new = app.issue("pro").await;
    assert_eq!(pinned(&app.get(&new.path).await.json()), json!([2, 1, 9, []]));
    let moved = app.put(&license.path, json!({ "plan": "pro" })).await.json();
    assert_eq!(pinned(&moved), json!([2, 1, 9, []]));
    assert_eq!(features().await, json!({ "export": true, "seats": 5 }));

    let other = app.put(&license.path, json!({ "plan": "starter" })).await;
    assert_eq!(other.fault(), (422, "PRODUCT_DIFFERS".to_owned(), Some("plan".to_owned())));
}

#[tokio::test]
async fn archived_plan_is_not_sold_and_its_licenses_go_on() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let archived = app.post("/api/v1/plans/starter/archive").await;
    assert_eq!((archived.status, archived.json()["archived_at"].clone()), (200, json!(NOW)));
    let refused = app.create(json!({ "plan": "starter", "customer_email": EMAIL })).await;
    assert_eq!(refused.fault(), (422, "PLAN_ARCHIVED".to_owned(), Some("plan".to_owned())));
    assert!(refused.text().contains("The available plans are: bound, boxed, "), "{}", refused.text());
    let other = app.issue("professional").await;
    let refused = app.put(&other.path, json!({ "plan": "starter" })).await;
    assert_eq!(refused.fault(), (422, "PLAN_ARCHIVED".to_owned(), Some("plan".to_owned())));
    assert!(app.validate(json!({ "key": license.key })).await.json()["valid"].as_bool().unwrap());
    assert_eq!(app.post(&format!("{}/renew", license.path)).await.status, 200);
    let listed = app.get("/api/v1/licenses?plan=starter").await;
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 1, "archived plans can be filtered by");
    assert_eq!(app.post("/api/v1/plans/starter/unarchive").await.json()["archived_at"], Value::Null);
    app.issue("starter").await;
}

#[tokio::test]
async fn stale_revision_is_refused() {
    let app = TestApp::new().await;
    let call = |method: &str, rest: &str| {
        let call = app.admin(method, &format!("/api/v1/plans/starter{rest}"));
        if method == "PUT" { call.json(&json!({ "max_devices": 9 })) } else { call }
    };
    for (method, rest) in [("PUT", ""), ("POST", "/archive"), ("POST", "/unarchive")] {
        for tag in ["\"9\"", "\"x\""] {
            let reply = call(method, rest).header("if-match", tag).send(&app.router).await;
            assert_eq!(reply.fault(), (412, "PLAN_STALE".to_owned(), None), "{method} {rest}");
        }
    }
    let invalid = app.admin("PUT", "/api/v1/plans/starter").json(&json!({ "max_devices": "many" }));
    let reply = invalid.header("if-match", "\"9\"").send(&app.router).await;
    assert_eq!(reply.fault(), (422, "INVALID_FIELD".to_owned(), Some("max_devices".to_owned())));
    for (method, rest, tag) in
        [("PUT", "", "\"1\""), ("POST", "/archive", "*"), ("POST", "/unarchive", "W/\"3\"")]
    {
        let reply = call(method, rest).header("if-match", tag).send(&app.router).await;
        assert_eq!(reply.status, 200, "{method} {rest}: {}", reply.text());
    }
}

#[tokio::test]
async fn managed_plan_is_read_only() {
    let secret = Secret::from_hex(&"0123456789abcdef".repeat(4)).unwrap();
    let clock = license_core::clock::ManualClock::at(NOW.parse().unwrap());
    let plans = PlanCatalog::new([Plan::new("pro").max_devices(3)]).unwrap();
    let options =
        ServiceOptions::new(&secret, clock, ChaCha20Rng::seed_from_u64(7)).plans_of(plans, "plans.toml");
    let services = Services::open(Arc::new(MemoryStore::new()) as Arc<dyn license_core::FullStore>, options);
    let token = license_core::access::TokenSecret::generate(&mut ChaCha20Rng::seed_from_u64(8)).unwrap();
    let router = router(services.await.unwrap(), AdminAuth::new([token.digest()]));
    let call = |method: &str, target: &str| {
        Call::new(method, target).header("authorization", format!("Bearer {}", token.reveal()))
    };
    let found = call("GET", "/api/v1/plans/pro").send(&router).await.json();
    assert_eq!(found["managed_by"], "plans.toml");
    for (method, rest, body) in [
        ("PUT", "", Some(json!({ "max_devices": 9 }))),
        ("POST", "/archive", None),
        ("POST", "/unarchive", None),
    ] {
        let call = call(method, &format!("/api/v1/plans/pro{rest}"));
        let call = if let Some(body) = &body { call.json(body) } else { call };
        let reply = call.send(&router).await;
        assert_eq!(reply.fault(), (409, "PLAN_MANAGED".to_owned(), None), "{method} {rest}");
        assert!(reply.text().contains("managed by plans.toml"), "{}", reply.text());
    }
    let own = json!({ "name": "own", "max_domains": 1, "max_devices": 1, "term": { "days": 30 } });
    assert_eq!(call("POST", PLANS).json(&own).send(&router).await.status, 201, "others can be created");
}

#[tokio::test]
async fn repeated_create_is_answered_once() {
    let app = with_painter().await;
    let product = json!({ "name": "painter", "display_name": "Painter" });
    post(&app, PLANS, &pro()).await;
    for (target, body, code) in [(PRODUCTS, product, "PRODUCT_EXISTS"), (PLANS, pro(), "PLAN_EXISTS")] {
        assert_eq!(post(&app, target, &body).await.fault(), (409, code.to_owned(), None));
        let repeated = app.admin("POST", target).header("idempotency-key", "order 1").json(&body);
        let reply = repeated.send(&app.router).await;
        assert_eq!(
            (reply.status, reply.header("idempotent-replayed")),
            (201, Some("true")),
            "{}",
            reply.text()
        );
        let mut other = body.clone();
        if target == PLANS {
            other["max_devices"] = json!(4);
        } else {
            other["display_name"] = json!("Other");
        }
        let call = app.admin("POST", target).header("idempotency-key", "order 1").json(&other);
        let reply = call.send(&app.router).await;
        assert_eq!(reply.fault(), (409, code.to_owned(), None), "other content");
    }
}

#[tokio::test]
async fn bad_plans_name_the_field_and_what_is_accepted() {
    let app = with_painter().await;
    let fault = |status: u16, code: &str, field: &str| {
        (status, code.to_owned(), Some(field.to_owned()).filter(|field| !field.is_empty()))
    };
    for (field, value, code, part) in [
        ("gracedays", json!(3), "INVALID_FIELD", "did you mean grace_days?"),
        ("max_domains", json!(-1), "INVALID_FIELD", "max_domains cannot be -1: expected a whole number"),
        ("max_devices", json!(10_000_001), "INVALID_FIELD", "max_devices must be at most 10000000."),
        ("max_devices", json!("many"), "INVALID_FIELD", "or null or \"unlimited\" for no limit."),
        ("term_days", json!(30), "INVALID_FIELD", "This field is unknown."),
        ("domain_policy", json!("any"), "INVALID_FIELD", "expected `free_claim` or `registered_only`"),
        ("features", json!({ "a": 1.5 }), "INVALID_FIELD", "Features cannot be"),
        ("product", json!("game"), "PRODUCT_UNKNOWN", "The products are: default, editor, painter."),
        ("name", json!("Pro"), "INVALID_FIELD", "The name of a plan must be 1 to 64"),
        ("name", json!(3), "INVALID_FIELD", "This must be a string, not a number."),
        ("version", json!(1), "INVALID_FIELD", "This field is unknown."),
    ] {
        let mut body = pro();
        body[field] = value.clone();
        let reply = post(&app, PLANS, &body).await;
        assert_eq!(reply.fault(), fault(422, code, field), "{}", reply.text());
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(part) && detail.ends_with('.'), "{detail}");
    }
    for field in ["name", "max_domains", "max_devices"] {
        let mut body = pro();
        body.as_object_mut().unwrap().remove(field);
        let reply = post(&app, PLANS, &body).await;
        assert_eq!(reply.fault(), fault(422, "INVALID_FIELD", field), "{}", reply.text());
        assert!(reply.text().contains("This field is missing."), "{}", reply.text());
    }
    post(&app, PLANS, &pro()).await;
    for (field, value) in
        [("name", json!("x")), ("product", json!("default")), ("max_devices", json!("many"))]
    {
        let reply = app.put("/api/v1/plans/pro", json!({ field: value })).await;
        assert_eq!(reply.fault(), fault(422, "INVALID_FIELD", field), "{}", reply.text());
    }
    for (target, code) in [
        ("/api/v1/plans/none", "PLAN_NOT_FOUND"),
        ("/api/v1/plans/none/versions", "PLAN_NOT_FOUND"),
        ("/api/v1/plans/%00", "PLAN_NOT_FOUND"),
        ("/api/v1/products/none", "PRODUCT_NOT_FOUND"),
    ] {
        assert_eq!(app.get(target).await.fault(), fault(404, code, ""), "{target}");
    }
    for (field, value) in
        [("display_name", json!("")), ("display_name", json!("a\nb")), ("name", json!("A B"))]
    {
        let mut body = json!({ "name": "x", "display_name": "X" });
        body[field] = value;
        assert_eq!(post(&app, PRODUCTS, &body).await.fault(), fault(422, "INVALID_FIELD", field));
    }
    assert_eq!(app.get("/api/v1/plans/pro").await.json()["version"], 1, "nothing changed");
}

#[tokio::test]
async fn change_for_all_moves_sold_licenses_by_a_job() {
    let app = TestApp::new().await;
    let (license, special) = (app.issue("starter").await, app.issue("starter").await);
    app.put(&special.path, json!({ "max_devices": 9 })).await;
    let path = format!("{PLANS}/starter");
    let for_new = app.put(&path, json!({ "max_devices": 5, "apply_to": "new" })).await;
    assert_eq!((for_new.status, &for_new.json()["job"]), (200, &Value::Null));
    let reply = app.put(&path, json!({ "max_devices": 6, "apply_to": "all" })).await;
    assert_eq!((reply.status, &reply.json()["version"]), (200, &json!(3)), "{}", reply.text());
    let job_path = format!("/api/v1/jobs/{}", reply.json()["job"].as_str().unwrap());
    let sold = app.issue("starter").await;
    assert_eq!(app.get(&sold.path).await.json()["plan_version"], 3);
    app.advance(TimeDelta::seconds(10));
    while app.services.bulk.run_step(None, 2).await.expect("a step").is_some_and(|step| step.licenses > 0) {}
    let job = app.get(&job_path).await.json();
    let shown = json!([job["action"], job["plan"], job["plan_version"], job["status"], job["done"]]);
    assert_eq!(shown, json!(["apply_plan", "starter", 3, "completed", 2]));
    let limits = async |path: &str| {
        let license = app.get(path).await.json();
        json!([license["plan_version"], license["max_devices"], license["overrides"], license["expires_at"]])
    };
    assert_eq!(limits(&license.path).await, json!([3, 6, [], "2027-01-01T00:00:00Z"]));
    assert_eq!(limits(&special.path).await, json!([3, 9, ["max_devices"], "2027-01-01T00:00:00Z"]));
    let events = app.get("/api/v1/events?type=license.updated").await.json();
    let of_job = |one: &&Value| one["data"]["job"] == job["id"];
    assert_eq!(events["data"].as_array().unwrap().iter().filter(of_job).count(), 2);
    assert_eq!(app.get(&path).await.json()["job"], Value::Null);
}

#[tokio::test]
async fn change_for_all_needs_both_scopes() {
    let (app, access) = TestApp::with_access().await;
    let (_, token) = token(&access, "catalog:write", None).await;
    let change = async |apply_to: &str| {
        let body = json!({ "max_devices": 5, "apply_to": apply_to });
        let call = Call::new("PUT", "/api/v1/plans/starter").json(&body);
        call.header("authorization", format!("Bearer {token}")).send(&app.router).await
    };
    let refused = change("all").await;
    assert_eq!(refused.fault(), (403, "INSUFFICIENT_SCOPE".to_owned(), None));
    let challenge = r#"Bearer error="insufficient_scope", scope="licenses:write""#;
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
    let plan = change("new").await;
    assert_eq!((plan.status, &plan.json()["version"]), (200, &json!(2)), "nothing was changed before");
    let field = Some("apply_to".to_owned());
    assert_eq!(change("sold").await.fault(), (422, "INVALID_FIELD".to_owned(), field));
}
