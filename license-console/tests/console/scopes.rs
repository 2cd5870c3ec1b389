//! Every route against every scope.

use license_console::routes;
use license_core::access::{Scope, Scopes};
use license_core::store::{LicenseFilter, PageRequest};

use super::app::TestApp;

/// The scopes that each route needs, by hand.
fn expected(method: &str, path: &str) -> &'static [Scope] {
    match (method, path) {
        ("GET", "/" | "/shortcuts") | ("GET" | "POST", "/time-zone") | ("POST", "/sign-out") => &[],
        (
            "GET",
            "/licenses"
            | "/licenses/{id}"
            | "/licenses/{id}/customer"
            | "/licenses.csv"
            | "/licenses/unusual"
            | "/jobs"
            | "/jobs/{job}",
        )
        | ("GET" | "POST", "/customers")
        | ("POST", "/search" | "/licenses/{id}/key" | "/customers/open") => &[Scope::LicensesRead],
        ("GET" | "POST", "/licenses/{id}/edit" | "/licenses/bulk")
        | ("GET", "/licenses/{id}/rotate-key")
        | ("POST", "/jobs/{job}/cancel") => &[Scope::LicensesRead, Scope::LicensesWrite],
        ("GET" | "POST", "/tokens" | "/tokens/{token}/revoke")
        | ("GET", "/tokens/new")
        | ("POST", "/tokens/{token}/end") => &[Scope::TokensWrite],
        (
            "GET",
            "/events/{event}"
            | "/webhooks"
            | "/webhooks/{endpoint}"
            | "/webhooks/{endpoint}/deliveries/{event}",
        ) => &[Scope::WebhooksRead],
        ("GET" | "POST", "/webhooks/{endpoint}/rotate-secret" | "/webhooks/{endpoint}/delete")
        | ("GET", "/webhooks/new")
        | (
            "POST",
            "/webhooks"
            | "/webhooks/{endpoint}/enable"
            | "/webhooks/{endpoint}/disable"
            | "/webhooks/{endpoint}/test"
            | "/webhooks/{endpoint}/replay"
            | "/webhooks/{endpoint}/deliveries/{event}/replay",
        ) => &[Scope::WebhooksWrite],
        ("GET", "/plans" | "/plans.toml" | "/plans/{plan}") => &[Scope::CatalogRead],
        ("GET" | "POST", "/plans/{plan}/edit" | "/new-plan" | "/products/{product}/edit")
        | ("GET", "/products/{product}/delete") => &[Scope::CatalogRead, Scope::CatalogWrite],
        ("GET" | "POST", "/plans/{plan}/archive" | "/new-product")
        | ("POST", "/plans/{plan}/change" | "/plans/{plan}/unarchive" | "/products/{product}/delete") => {
            &[Scope::CatalogWrite]
        }
        ("GET", "/usage" | "/usage.csv" | "/system") => &[Scope::UsageRead],
        ("GET", "/licenses/{id}/customer/export") => &[Scope::LicensesRead, Scope::UsageRead],
        ("GET" | "POST", "/webhooks/{endpoint}/edit") => &[Scope::WebhooksRead, Scope::WebhooksWrite],
        ("GET", "/signing-keys")
        | ("GET" | "POST", "/signing-keys/rotate" | "/signing-keys/{key}/revoke") => &[Scope::KeysWrite],
        ("GET", "/audit") => &[Scope::AuditRead],
        ("GET" | "POST", "/leases" | "/leases/release") => &[Scope::LeasesWrite],
        (
            "GET" | "POST",
            "/licenses/{id}/{action}" | "/issue" | "/licenses/{id}/block" | "/licenses/{id}/customer/erase",
        )
        | (
            "POST",
            "/licenses/{id}/slots/{activation}/release"
            | "/licenses/{id}/rotate-key"
            | "/licenses/{id}/grants"
            | "/licenses/{id}/grants/remove"
            | "/licenses/{id}/block/ask"
            | "/licenses/{id}/blocks/{block}/remove",
        ) => &[Scope::LicensesWrite],
        _ => panic!("a new route: add its scopes for {method} {path}"),
    }
}

#[tokio::test]
async fn every_route_needs_its_scopes() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.to_string();
    for route in routes() {
        let needed = expected(route.method.as_str(), route.path);
        assert_eq!(route.scopes, needed, "{} {}", route.method, route.path);
        let target = route
            .path
            .replace("{id}", &id)
            .replace("{action}", "suspend")
            .replace("{activation}", "act_1")
            .replace("{block}", "blk_1")
            .replace("{token}", "tok_1")
            .replace("{plan}", "none")
            .replace("{key}", "none")
            .replace("{product}", "none")
            .replace("{endpoint}", "whe_1")
            .replace("{event}", "evt_1")
            .replace("{job}", "job_1");
        let target = if target == "/" { "/console".to_owned() } else { format!("/console{target}") };
        for scope in Scope::ALL {
            let mut browser = app.signed_in(scope).await;
            let reply = browser.send(route.method.as_str(), &target, String::new()).await;
            let allowed = scope == Scope::Admin || needed.iter().all(|needed| *needed == scope);
            let refused = reply.status == 403 && reply.body.contains("Your token does not allow this");
            assert_eq!(
                !refused, allowed,
                "{} {target} with {scope}: {} {}",
                route.method, reply.status, reply.body
            );
        }
        let reply = app.browser().send(route.method.as_str(), &target, String::new()).await;
        reply.assert_redirects("/console/sign-in");
    }
    let license =
        app.services.licenses.list(&LicenseFilter::default(), &PageRequest::default()).await.unwrap();
    assert_eq!(license.items.len(), 1, "no route issued a license without a form");
}

/// The pages show what the scopes allow.
#[tokio::test]
async fn pages_show_what_the_scopes_allow() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.clone();
    let mut reader = app.signed_in(Scope::LicensesRead).await;
    for path in ["", "/licenses", &format!("/licenses/{id}")] {
        let page = reader.get(&format!("/console{path}")).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("/issue") && !page.body.contains("/revoke"), "{path}: {}", page.body);
        assert!(!page.body.contains("Validations in 30 days"), "{path}: usage needs its own scope");
    }
    let both: Scopes = [Scope::LicensesRead, Scope::LicensesWrite].into_iter().collect();
    let mut writer = app.signed_in(both).await;
    writer.get(&format!("/console/licenses/{id}")).await.assert_shows(200, "/revoke");
    let mut usage = app.signed_in(Scope::UsageRead).await;
    let page = usage.get("/console").await;
    page.assert_shows(200, "Validations in 30 days");
    assert!(!page.body.contains("Latest events") && !page.body.contains("/licenses"), "{}", page.body);
    let mut none = app.signed_in(Scope::TokensWrite).await;
    none.get("/console").await.assert_shows(200, "Your token may not read licenses or usage");
}
