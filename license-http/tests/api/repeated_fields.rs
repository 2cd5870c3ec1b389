//! A field that occurs twice in a body is an error, on every route: which of the two is meant is unknown.

use axum::http::Method;
use license_http::routes;
use serde_json::json;

use super::app::{EMAIL, TestApp};
use super::contract::WITH_KEY;

#[tokio::test]
async fn field_that_occurs_twice_is_named_by_every_route() {
    let (app, _) = TestApp::with_access().await;
    let endpoint = json!({ "url": "https://example.com/hook", "events": ["*"] });
    let endpoint = app.admin("POST", "/api/v1/webhook-endpoints").json(&endpoint).send(&app.router).await;
    let endpoint = endpoint.json()["id"].as_str().unwrap().to_owned();
    let license = app.issue("starter").await;
    let mut routes_checked = 0;
    for route in routes().iter().filter(|route| route.method != Method::GET) {
        let (method, path) = (route.method.as_str(), route.path);
        let of_endpoint = path.starts_with("/api/v1/webhook-endpoints");
        let target = path
            .replace("{delivery_id}", &format!("evt_{}_0000000001", &license.id[4..]))
            .replace("{id}", if of_endpoint { &endpoint } else { &license.id })
            .replace("{activation_id}", &format!("act_{}_0000000001", &license.id[4..]))
            .replace("{block_id}", "blk_1")
            .replace("{token_id}", "tok_unknown")
            .replace("{key_id}", &"0".repeat(43))
            .replace("{job_id}", "job_unknown")
            .replace("{email}", EMAIL)
            .replace("{name}", "perpetual");
        let query =
            if (method, path) == ("DELETE", "/api/v1/licenses/{id}/grants") { "?feature=a" } else { "" };
        // Calls with a license key report their errors as 400.
        let is_key_call = WITH_KEY.iter().any(|end| path.ends_with(end));
        let fault = if is_key_call { (400, "BAD_REQUEST") } else { (422, "INVALID_FIELD") };
        for (body, field) in
            [(r#"{"a":1,"a":1}"#, "a"), (r#"{"metadata":{"a":1,"\u0061":null}}"#, "metadata.a")]
        {
            let call = app.admin(method, &format!("{target}{query}")).json_text(body);
            let reply = call.send(&app.router).await;
            let (status, code) = fault;
            assert_eq!(reply.fault(), (status, code.to_owned(), Some(field.to_owned())), "{method} {path}");
            assert!(reply.text().contains("This field occurs twice."), "{method} {path}: {}", reply.text());
        }
        routes_checked += 1;
    }
    assert!(routes_checked > 30, "{routes_checked}");
}
