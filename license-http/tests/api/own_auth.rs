//! An authenticator of the host app that answers in its own words.

use async_trait::async_trait;
use axum::body::Body;
use axum::http::header::{LOCATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request};
use license_core::access::{Principal, Scope};
use license_core::service::Caller;
use license_http::{AuthError, AuthRefusal, Authenticator, router};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::app::TestApp;

#[derive(Debug)]
struct Sessions;

#[async_trait]
impl Authenticator for Sessions {
    async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError> {
        let user = request.headers.get("x-user").map_or("", |user| user.to_str().unwrap());
        match user {
            "reader" => Ok(Caller {
                principal: Principal::Named(user.to_owned()),
                scopes: Scope::LicensesRead.into(),
            }),
            "locked" => {
                let detail = format!("{user} is locked. Ask your administrator.");
                Err(AuthError::Refused(AuthRefusal::forbidden("ACCOUNT_LOCKED", detail)))
            }
            _ => Err(AuthError::Refused(
                AuthRefusal::unauthorized("SESSION_EXPIRED", "Your session has expired. Sign in again.")
                    .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Session"))
                    .with_header(LOCATION, HeaderValue::from_static("/login")),
            )),
        }
    }

    fn refuse_scope(&self, caller: &Caller, lacking: Scope) -> Option<AuthRefusal> {
        let detail = format!("The role of {} does not include {lacking}.", caller.principal.name().unwrap());
        (lacking != Scope::UsageRead).then(|| AuthRefusal::forbidden("ROLE_TOO_LOW", detail))
    }
}

#[tokio::test]
async fn refusal_has_the_words_of_the_authenticator() {
    let app = TestApp::new().await;
    // Behind `Arc`, too.
    let router = router(app.services.clone(), std::sync::Arc::new(Sessions));
    for (user, method, target, status, code, detail, challenge) in [
        ("reader", "GET", "/api/v1/licenses", 200, Value::Null, Value::Null, None),
        (
            "",
            "GET",
            "/api/v1/licenses",
            401,
            json!("SESSION_EXPIRED"),
            json!("Your session has expired. Sign in again."),
            Some("Session"),
        ),
        (
            "locked",
            "GET",
            "/api/v1/licenses",
            403,
            json!("ACCOUNT_LOCKED"),
            json!("locked is locked. Ask your administrator."),
            None,
        ),
        (
            "reader",
            "POST",
            "/api/v1/licenses",
            403,
            json!("ROLE_TOO_LOW"),
            json!("The role of reader does not include licenses:write."),
            None,
        ),
        (
            "reader",
            "GET",
            "/api/v1/usage",
            403,
            json!("INSUFFICIENT_SCOPE"),
            json!("This call needs the scope usage:read, which the caller does not have."),
            Some("Bearer error=\"insufficient_scope\", scope=\"usage:read\""),
        ),
    ] {
        let request = Request::builder().method(method).uri(target).header("x-user", user);
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let header = |name| parts.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap());
        assert_eq!(
            (parts.status.as_u16(), &body["code"], &body["detail"]),
            (status, &code, &detail),
            "{user} {target}"
        );
        assert_eq!(header("www-authenticate"), challenge, "{user} {target}");
        if status != 200 {
            assert_eq!((&body["error"], &body["status"]), (&code, &json!(status)));
            assert_eq!(header("content-type"), Some("application/problem+json"));
        }
        assert_eq!(header("location"), (status == 401).then_some("/login"));
    }
}
