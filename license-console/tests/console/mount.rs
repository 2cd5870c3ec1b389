//! The console under a prefix of an app.

use license_core::access::Scope;

use super::app::TestApp;
use super::browser::Browser;

#[tokio::test]
async fn links_stay_below_any_prefix() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let options = super::app::local(license_console::ConsoleOptions::new());
    let console = || license_console::router(app.services.clone(), options.clone());
    let token = app.token(Scope::Admin).await;
    for (prefix, router) in
        [("", console()), ("/a/b", axum::Router::new().nest("/a", axum::Router::new().nest("/b", console())))]
    {
        let mut browser = Browser::new(router);
        let overview = if prefix.is_empty() { "/" } else { prefix };
        let reply = browser.post(&format!("{prefix}/sign-in"), &[("token", token.reveal())]).await;
        reply.assert_redirects(overview);
        assert!(
            reply.header("set-cookie").contains(&format!("; Path={overview};")),
            "{}",
            reply.header("set-cookie")
        );
        for target in [
            overview.to_owned(),
            format!("{prefix}/licenses"),
            format!("{prefix}/licenses/{id}"),
            format!("{prefix}/issue"),
            format!("{prefix}/licenses/{id}/edit"),
            format!("{prefix}/licenses/{id}/rotate-key"),
            format!("{prefix}/licenses/{id}/block"),
            format!("{prefix}/licenses/{id}/customer"),
            format!("{prefix}/customers"),
            format!("{prefix}/leases"),
            format!("{prefix}/tokens"),
            format!("{prefix}/tokens/new"),
            format!("{prefix}/audit"),
            format!("{prefix}/usage"),
            format!("{prefix}/webhooks"),
            format!("{prefix}/webhooks/new"),
            format!("{prefix}/plans"),
            format!("{prefix}/plans/starter"),
            format!("{prefix}/plans/starter/edit"),
            format!("{prefix}/system"),
            format!("{prefix}/leases/release"),
            format!("{prefix}/shortcuts"),
            format!("{prefix}/time-zone"),
            format!("{prefix}/new-plan"),
            format!("{prefix}/new-product"),
            format!("{prefix}/products/default/edit"),
            format!("{prefix}/products/default/delete"),
            format!("{prefix}/signing-keys"),
            format!("{prefix}/signing-keys/rotate"),
        ] {
            let page = browser.get(&target).await;
            assert_eq!(page.status, 200, "{target}");
            for attribute in ["href=\"", "action=\"", "src=\"", "hx-get=\"", "hx-post=\""] {
                for link in page.body.split(attribute).skip(1) {
                    let link = link.split('"').next().unwrap();
                    let below =
                        link == overview || link.starts_with(&format!("{prefix}/")) || link == "#content";
                    assert!(below, "{link} in {target}");
                    assert!(!link.starts_with("//"), "{link} in {target} leads to another host");
                }
            }
        }
    }
}

#[tokio::test]
async fn host_app_keeps_its_own_pages() {
    let app = TestApp::new().await;
    let mut browser = app.browser();
    browser.get("/").await.assert_shows(200, "the host's page");
    browser.get("/consolex").await.assert_shows(200, "a sibling");
    assert_eq!(browser.get("/console/nothing").await.status, 404);
}

#[tokio::test]
async fn theme_is_kept_in_a_cookie() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    for (typed, theme) in [("dark", "dark"), ("light", "light"), ("auto", "auto"), ("odd\"><script>", "auto")]
    {
        browser.post("/console/theme", &[("theme", typed)]).await.assert_redirects("/console");
        browser.get("/console").await.assert_shows(200, &format!("data-theme=\"{theme}\""));
    }
}
