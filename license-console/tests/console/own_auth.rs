//! The sign-in of the host app.

use async_trait::async_trait;
use axum::http::request::Parts;
use license_console::ConsoleOptions;
use license_core::access::{AuditFilter, Principal, Scope};
use license_core::service::{AuthError, AuthRefusal, Authenticator, Caller};
use license_core::store::PageRequest;

use super::app::TestApp;

#[derive(Debug)]
struct Sso;

#[async_trait]
impl Authenticator for Sso {
    async fn authenticate(&self, request: &Parts) -> Result<Caller, AuthError> {
        let user =
            request.headers.get("x-user").and_then(|user| user.to_str().ok()).ok_or(AuthError::Missing)?;
        let scopes = match user {
            "admin" => Scope::Admin,
            "reader" => Scope::LicensesRead,
            _ => {
                let refusal = AuthRefusal::forbidden("LOCKED", format!("{user} is locked. Ask <support>."));
                return Err(AuthError::Refused(
                    refusal.with_header("x-help".parse().unwrap(), "desk".parse().unwrap()),
                ));
            }
        };
        Ok(Caller { principal: Principal::Named(user.to_owned()), scopes: scopes.into() })
    }

    fn refuse_scope(&self, caller: &Caller, lacking: Scope) -> Option<AuthRefusal> {
        Some(AuthRefusal::forbidden(
            "ROLE",
            format!("The role of {} lacks {lacking}.", caller.principal.name()?),
        ))
    }
}

#[tokio::test]
async fn app_signs_people_in() {
    let app = TestApp::with(ConsoleOptions::new().authenticator(Sso)).await;
    let id = app.issue().await.detail.license.id.clone();
    let user = |name| app.browser().with_header("x-user", name);
    let page = user("admin").get("/console").await;
    page.assert_shows(200, "Signed in as <b>admin</b>");
    assert!(!page.body.contains("Sign out"), "the app signs out");
    app.browser().get("/console").await.assert_shows(401, "Sign in to the app first.");
    let reply = user("eve").get("/console").await;
    reply.assert_shows(403, "eve is locked. Ask &#60;support&#62;.");
    assert_eq!(reply.header("x-help"), "desk");
    user("reader").get("/console/issue").await.assert_shows(403, "The role of reader lacks licenses:write.");
    for target in ["/console/sign-in", "/console/link?code=x"] {
        assert_eq!(user("admin").get(target).await.status, 404, "{target}");
    }
    let target = format!("/console/licenses/{id}/suspend");
    assert_eq!(
        user("admin").with_header("sec-fetch-site", "cross-site").post(&target, &[]).await.status,
        403
    );
    assert_eq!(user("admin").post(&target, &[]).await.status, 303);
    let filter = AuditFilter { license_id: Some(id), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!(entries[0].entry.actor.principal, Principal::Named("admin".to_owned()));
}
