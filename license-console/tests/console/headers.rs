//! Headers of every answer.

use license_core::access::Scope;

use super::app::TestApp;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let style = browser.get("/console").await.body;
    let style = style.split('"').find(|part| part.ends_with("console.css")).unwrap().to_owned();
    for (target, status) in [
        ("/console", 200),
        ("/console/licenses", 200),
        ("/console/licenses/lic_none", 404),
        ("/console/nothing", 404),
        ("/console/licenses?status=odd", 422),
        ("/console/sign-in", 303),
        (&style, 200),
    ] {
        let reply = browser.get(target).await;
        assert_eq!(reply.status, status, "{target}: {}", reply.body);
        for (name, value) in [
            ("content-security-policy", POLICY),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(reply.header(name), value, "{name} of {target}");
        }
        let caching = if target == style { "public, max-age=31536000, immutable" } else { "no-store" };
        assert_eq!(reply.header("cache-control"), caching, "{target}");
    }
}

/// The content policy forbids them, so a page with one would be broken.
#[tokio::test]
async fn pages_have_no_inline_script_or_style() {
    let app = TestApp::new().await;
    let id = app.issue().await.detail.license.id.to_string();
    let mut browser = app.signed_in(Scope::Admin).await;
    let license = format!("/licenses/{id}");
    let fields = [("action", "suspend"), ("id", &id), ("once", "1")];
    let started = browser.post("/console/licenses/bulk", &fields).await;
    let job = started.header("location").replace("/console", "");
    for path in [
        "",
        "/licenses",
        "/issue",
        &license,
        &format!("{license}/revoke"),
        &format!("{license}/edit"),
        &format!("{license}/rotate-key"),
        &format!("{license}/block"),
        &format!("{license}/customer"),
        &format!("{license}/customer/erase"),
        "/customers",
        "/leases",
        "/tokens",
        "/tokens/new",
        "/audit",
        "/usage",
        "/webhooks",
        "/webhooks/new",
        "/plans",
        "/plans/starter",
        "/plans/starter/edit",
        "/plans/starter/archive",
        "/system",
        "/leases/release",
        "/shortcuts",
        "/time-zone",
        "/new-plan",
        "/new-product",
        "/products/default/edit",
        "/products/default/delete",
        "/signing-keys",
        "/signing-keys/rotate",
        "/licenses/unusual",
        &format!("/licenses/bulk?action=revoke&id={id}"),
        &format!("/licenses/bulk?action=move_plan&id={id}"),
        "/licenses/bulk?action=suspend&which=all&status=active",
        "/jobs",
        &job,
    ] {
        let reply = browser.get(&format!("/console{path}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        for forbidden in
            ["<style", " style=", " onclick=", "hx-on", "javascript:", "<script>", "http://", "https://"]
        {
            assert!(!reply.body.contains(forbidden), "{forbidden} in {path}: {}", reply.body);
        }
    }
}
