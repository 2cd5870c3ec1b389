//! Errors that say what was probably meant.

use serde_json::json;

use super::app::{EMAIL, TestApp};
use super::call::Call;

#[tokio::test]
async fn unknown_parameter_lists_the_known_ones() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let unknown = "This parameter is unknown";
    let twice = "This parameter occurs twice.";
    for (target, field, detail) in [
        (
            "/api/v1/licenses?stauts=active",
            "stauts",
            format!(
                "{unknown}; did you mean status? Known parameters: status, plan, customer_email, limit, cursor, product, external_id, expires_before, expires_after, never_activated, last_validated_before, last_validated_after, at_limit, sort."
            ),
        ),
        (
            "/api/v1/licenses?email=a",
            "email",
            format!(
                "{unknown}; did you mean customer_email? Known parameters: status, plan, customer_email, limit, cursor, product, external_id, expires_before, expires_after, never_activated, last_validated_before, last_validated_after, at_limit, sort."
            ),
        ),
        ("/api/v1/licenses?plan=starter&plan=starter", "plan", twice.to_owned()),
        (
            "/api/v1/audit?licence=lic_a",
            "licence",
            format!(
                "{unknown}; did you mean license? Known parameters: from, to, license, token, endpoint, action, limit, cursor."
            ),
        ),
        (
            "/api/v1/events?kind=a",
            "kind",
            format!("{unknown}. Known parameters: from, to, type, license, limit, cursor."),
        ),
        (
            &format!("{}/usage?group=domain", license.path),
            "group",
            format!(
                "{unknown}; did you mean group_by? Known parameters: from, to, interval, group_by, limit, cursor."
            ),
        ),
        (&format!("{}?force=1", license.path), "force", format!("{unknown}. The call has no parameters.")),
    ] {
        let (app, _) = TestApp::with_access().await;
        let reply = app.get(target).await;
        assert_eq!(reply.fault(), (400, "BAD_REQUEST".to_owned(), Some(field.to_owned())), "{target}");
        assert_eq!(reply.json()["detail"], detail, "{target}");
    }
}

#[tokio::test]
async fn unknown_field_of_a_body_lists_the_known_ones() {
    let (app, _) = TestApp::with_access().await;
    let license = app.issue("starter").await;
    for (method, target, body, detail) in [
        (
            "POST",
            "/api/v1/licenses",
            json!({ "plan": "starter", "email": EMAIL }),
            "This field is unknown; did you mean customer_email? Known fields: plan, customer_email, max_domains, max_devices, domains, expires_at, metadata, customer_name, external_id, grants.",
        ),
        (
            "PUT",
            &license.path,
            json!({ "maxDomains": 3 }),
            "This field is unknown; did you mean max_domains? Known fields: plan, customer_email, max_domains, max_devices, domains, expires_at, metadata, status, customer_name, external_id, reason.",
        ),
        (
            "POST",
            "/api/v1/tokens",
            json!({ "name": "a", "scope": [] }),
            "This field is unknown; did you mean scopes? Known fields: name, scopes, expires_at.",
        ),
        (
            "POST",
            &format!("{}/reinstate", license.path),
            json!({ "reason": "a" }),
            "This field is unknown. The call has no fields.",
        ),
        (
            "POST",
            &format!("{}/suspend", license.path),
            json!({ "cause": "a" }),
            "This field is unknown. Known fields: reason.",
        ),
    ] {
        let reply = app.admin(method, target).json(&body).send(&app.router).await;
        assert_eq!((reply.status, reply.json()["detail"].as_str().unwrap()), (422, detail), "{target}");
    }
}

#[tokio::test]
async fn value_that_is_not_found_lists_what_there_is() {
    let app = TestApp::new().await;
    let plans = "bound, boxed, editor, enterprise, fallback, generous, offline, perpetual, professional, registered, roaming, staged, starter, trusting";
    for (target, field, detail) in [
        (
            "customer_email=a+b@example.com",
            "customer_email",
            "This must be an e-mail address. A + in a query is a space: encode + as %2B.".to_owned(),
        ),
        ("customer_email=nobody", "customer_email", "This must be an e-mail address.".to_owned()),
        ("status=nope", "status", "This must be active, suspended, expired or revoked.".to_owned()),
        ("plan=nope", "plan", format!("This must be a plan: {plans}.")),
        ("plan=Starter", "plan", format!("This must be a plan: {plans}.")),
    ] {
        let reply = app.get(&format!("/api/v1/licenses?{target}")).await;
        assert_eq!(reply.fault(), (400, "BAD_REQUEST".to_owned(), Some(field.to_owned())), "{target}");
        assert_eq!(reply.json()["detail"], detail, "{target}");
    }
    let encoded = app.get("/api/v1/licenses?customer_email=a%2Bb@example.com&plan=starter").await;
    assert_eq!(encoded.json()["data"], json!([]));
    let license = app.issue("starter").await;
    let unknown = json!({ "plan": "gold", "customer_email": EMAIL });
    for reply in [app.create(unknown).await, app.put(&license.path, json!({ "plan": "gold" })).await] {
        assert_eq!(reply.fault(), (422, "PLAN_UNKNOWN".to_owned(), Some("plan".to_owned())));
        assert_eq!(reply.json()["detail"], format!("There is no plan \"gold\". The plans are: {plans}."));
    }
}

#[tokio::test]
async fn limits_of_a_new_license_are_named() {
    let app = TestApp::new().await;
    let create = |field: &str, value| {
        let mut body = json!({ "plan": "starter", "customer_email": EMAIL, "max_domains": 1 });
        body[field] = value;
        body
    };
    let reply = app.create(create("domains", json!(["a.com", "b.com"]))).await;
    assert_eq!(reply.fault(), (409, "DOMAIN_LIMIT_REACHED".to_owned(), None));
    assert_eq!(reply.json()["detail"], "2 domains are named, the limit is 1.");
    let numbers = r#"{"plan":"starter","customer_email":"dev@example.com","metadata":{"order":NUMBER}}"#;
    for number in ["18446744073709551616", "-9223372036854775809", "100000000000000000000000", "1e20"] {
        let call = app.admin("POST", "/api/v1/licenses").json_text(numbers.replace("NUMBER", number));
        let reply = call.send(&app.router).await;
        assert_eq!(reply.fault(), (422, "INVALID_FIELD".to_owned(), Some("metadata".to_owned())), "{number}");
        let detail = "Metadata numbers must fit into 64 bits; put larger ones into strings.";
        assert_eq!(reply.json()["detail"], detail);
    }
    for number in ["18446744073709551615", "-9223372036854775808", "1e15", "0.1"] {
        let call = app.admin("POST", "/api/v1/licenses").json_text(numbers.replace("NUMBER", number));
        assert_eq!(call.send(&app.router).await.status, 201, "{number}");
    }
}

#[tokio::test]
async fn nearly_right_path_names_the_right_one() {
    let app = TestApp::new().await;
    let id = app.issue("starter").await.id;
    for (method, target, nearest) in [
        ("GET", "/api/v1/licenses/", "/api/v1/licenses"),
        ("POST", "/api/v1/validate/", "/api/v1/validate"),
        ("GET", "//api/v1//licenses", "/api/v1/licenses"),
        ("GET", "/API/V1/Licenses", "/api/v1/licenses"),
        ("POST", "/validate", "/api/v1/validate"),
        ("GET", "/health/", "/health"),
        ("GET", &format!("/api/v1/licenses/{id}/"), "/api/v1/licenses/{id}"),
        ("GET", &format!("/licenses/{id}/usage?from=x"), "/api/v1/licenses/{id}/usage"),
    ] {
        let reply = app.admin(method, target).send(&app.router).await;
        assert_eq!(reply.fault(), (404, "ROUTE_NOT_FOUND".to_owned(), None), "{target}");
        let detail = format!("There is no resource at this path. The nearest path is {nearest}.");
        assert_eq!(reply.json()["detail"], detail, "{target}");
    }
    for target in ["/nothing", "/api/v2/licenses", "/api/v1", "/api/v1/licenses/a/b/c", "///"] {
        let reply = app.get(target).await;
        assert_eq!(reply.json()["detail"], "There is no resource at this path.", "{target}");
    }
}

#[tokio::test]
async fn root_says_where_to_go() {
    let app = TestApp::new().await;
    let reply = Call::new("GET", "/").send(&app.router).await;
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "api": "/api/v1", "health": "/health", "docs": "/docs", "openapi": "/openapi.json",
    });
    assert_eq!((reply.status, reply.json()), (200, expected));
    assert_eq!(Call::new("HEAD", "/").send(&app.router).await.status, 200);
    assert_eq!(Call::new("POST", "/").send(&app.router).await.status, 404);
    let admin = license_http::admin_router(app.services.clone(), app.auth.clone());
    assert_eq!(Call::new("GET", "/").send(&admin).await.status, 404, "it has neither docs nor health");
}
