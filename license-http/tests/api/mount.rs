use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use license_http::{LimitOptions, admin_router, public_router};
use serde_json::json;

use super::app::{EMAIL, TestApp};
use super::call::{Call, Reply};

/// Returns a host app with its own routes and fallback.
fn host() -> Router {
    Router::new()
        .route("/", get(|| async { "home" }))
        .route("/tenants/{id}/page", get(|| async { "page" }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "host: not found") })
}

async fn get_text(app: &Router, target: &str) -> (u16, String) {
    let reply = Call::new("GET", target).send(app).await;
    (reply.status, reply.text().to_owned())
}

fn fault(code: &str, status: u16) -> (u16, String, Option<String>) {
    (status, code.to_owned(), None)
}

#[tokio::test]
async fn router_works_below_a_prefix_of_a_host_app() {
    let app = TestApp::new().await;
    // The second prefix has a parameter with the name of ours.
    for (nested, prefix) in
        [("/licensing/v2", "/licensing/v2"), ("/tenants/{id}/licensing", "/tenants/7/licensing")]
    {
        let host = host().nest(nested, app.router.clone()).method_not_allowed_fallback(|| async { "host" });
        let call = |method: &str, rest: &str| app.admin(method, &format!("{prefix}{rest}"));

        assert_eq!(get_text(&host, "/").await, (200, "home".to_owned()));
        assert_eq!(get_text(&host, "/tenants/7/page").await, (200, "page".to_owned()));
        assert_eq!(get_text(&host, "/nothing").await, (404, "host: not found".to_owned()));
        assert_eq!(get_text(&host, "/api/v1/licenses").await.0, 404, "nothing outside the prefix");
        assert_eq!(get_text(&host, &format!("{prefix}/health")).await.0, 200);

        let body = json!({ "plan": "starter", "customer_email": EMAIL });
        let created = call("POST", "/api/v1/licenses").json(&body).send(&host).await;
        assert_eq!(created.status, 201);
        // Resolved against the request path, as a client does.
        let target = format!("/api/v1/{}", created.header("location").unwrap());
        let license = call("GET", &target).send(&host).await;
        assert_eq!((license.status, license.text()), (200, created.text()));
        let key = &created.json()["key"];
        let validated = call("POST", "/api/v1/validate").json(&json!({ "key": key })).send(&host).await;
        assert_eq!(validated.json()["valid"], true);

        for target in ["/nothing", "/api/v1/licenses/", "/api/v2/licenses"] {
            assert_eq!(
                call("GET", target).send(&host).await.fault(),
                fault("ROUTE_NOT_FOUND", 404),
                "{target}"
            );
        }
        let index = Call::new("GET", prefix).send(&host).await;
        assert_eq!((index.status, &index.json()["docs"]), (200, &json!(format!("{prefix}/docs"))));
        let detail = call("GET", "/api/v1/licenses/").send(&host).await.json()["detail"].to_string();
        assert!(detail.contains(&format!(" {prefix}/api/v1/licenses.")), "{detail}");
        let reply = call("PATCH", "/api/v1/licenses").send(&host).await;
        assert_eq!(reply.fault(), fault("METHOD_NOT_ALLOWED", 405));
        assert_eq!(reply.header("allow"), Some("POST,GET,HEAD"));
        let reply = call("GET", "/api/v1/validate").send(&host).await;
        assert_eq!((reply.fault(), reply.header("allow")), (fault("METHOD_NOT_ALLOWED", 405), Some("POST")));
    }
}

#[tokio::test]
async fn public_and_admin_router_are_separate() {
    let app = TestApp::new().await;
    let public = public_router(app.services.clone(), &LimitOptions::default());
    let admin = admin_router(app.services.clone(), app.auth.clone());
    let host = host().nest("/public", public.clone()).nest("/internal", admin.clone());
    let license = app.issue("starter").await;
    let validate = |target: &str| Call::new("POST", target).json(&json!({ "key": license.key }));

    assert_eq!(validate("/public/api/v1/validate").send(&host).await.json()["valid"], true);
    assert_eq!(get_text(&host, "/public/health").await.0, 200);
    let list = |target: &str| app.admin("GET", target);
    assert_eq!(list("/internal/api/v1/licenses").send(&host).await.status, 200);

    let not_found = fault("ROUTE_NOT_FOUND", 404);
    assert_eq!(list("/public/api/v1/licenses").send(&host).await.fault(), not_found);
    assert_eq!(validate("/internal/api/v1/validate").send(&host).await.fault(), not_found);
    assert_eq!(Call::new("GET", "/internal/health").send(&host).await.fault(), not_found);
    // On separate ports.
    assert_eq!(list("/api/v1/licenses").send(&public).await.fault(), not_found);
    assert_eq!(list("/api/v1/licenses").send(&admin).await.status, 200);
    assert_eq!(validate("/api/v1/validate").send(&admin).await.fault(), not_found);
    assert_eq!(get_text(&host, "/nothing").await, (404, "host: not found".to_owned()));
}

#[tokio::test]
async fn unknown_path_is_problem_details() {
    let app = TestApp::new().await;
    let reply: Reply = app.get("/nothing").await;
    let expected = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"There is no resource at this path.","code":"ROUTE_NOT_FOUND","error":"ROUTE_NOT_FOUND"}"#;
    assert_eq!((reply.text(), reply.header("content-type")), (expected, Some("application/problem+json")));
}
