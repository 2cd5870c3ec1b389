//! Texts that customers and clients set, in pages.

use std::sync::Arc;

use license_core::access::{Scope, TokenName};
use license_core::catalog::Plan;
use license_core::command::Command;
use license_core::license::{
    ActivationTarget, Binding, CustomerName, ExternalId, Fingerprint, Grant, Label, Metadata, Reason,
};
use license_core::service::{TokenSpec, ValidateRequest};
use license_core::store::PageRequest;
use license_core::webhook::{EndpointId, EndpointSettings, EventSelection};
use license_core::{LicenseSpec, access::TokenId};

use super::app::{TestApp, by};
use super::browser::{Browser, Reply};
use super::webhooks::settle;

const MARKUP: &str = "\"'><script>alert(1)</script>";

#[tokio::test]
async fn untrusted_texts_are_escaped() {
    let app = TestApp::new().await;
    let plan = Plan::new("team").max_devices(3).feature("tier", MARKUP);
    app.services.catalog.create_plan(&plan).await.unwrap();
    let spec = LicenseSpec {
        customer_email: "o'brien&co@example.com".parse().ok(),
        customer_name: CustomerName::parse(MARKUP).ok(),
        external_id: ExternalId::parse(MARKUP).ok(),
        metadata: Metadata::from_json(serde_json::json!({ MARKUP: MARKUP })).unwrap(),
        ..LicenseSpec::without_customer("team")
    };
    assert!(spec.customer_email.is_some() && spec.customer_name.is_some() && spec.external_id.is_some());
    let license = app.services.licenses.issue(&spec, None).await.unwrap();
    let id = license.detail.license.id.clone();
    for (fingerprint, label) in [(MARKUP, None), ("device", Some(MARKUP))] {
        let request = ValidateRequest {
            fingerprint: Some(fingerprint),
            client: Some(MARKUP),
            key: license.key.reveal(),
            ..ValidateRequest::default()
        };
        assert!(app.services.validation.validate(&request).await.unwrap().is_valid());
        let slots = app.services.activations.list(&id, None, &PageRequest::default()).await.unwrap().items;
        if let (Some(label), Some(slot)) = (label, slots.last()) {
            let label = Some(Label::parse(label).unwrap());
            let command = Command::Label(slot.activation.id.clone(), label);
            app.services.licenses.execute(&id, &command, None).await.unwrap();
        }
    }
    let grant = Grant::new("quota", MARKUP).unwrap();
    app.services.licenses.grant(&id, grant).await.unwrap();
    let webhook = webhook(&app).await;
    let reason = Some(Reason::parse(MARKUP).unwrap());
    let licenses = app.services.licenses.by(&Arc::new(by())).with_reason(reason);
    let blocked = Binding::Device(Fingerprint::parse(MARKUP).unwrap());
    licenses.block(&id, ActivationTarget::Binding(blocked)).await.unwrap();
    licenses.suspend(&id).await.unwrap();
    let name = TokenName::parse(MARKUP).unwrap();
    let spec = TokenSpec { name, scopes: Scope::Admin.into(), expires_at: None };
    let (token, secret) = app.services.access.create(&spec, Scope::Admin.into(), &by()).await.unwrap();
    let link = link_to(&app, &token.id).await;
    let mut browser = app.browser();
    let mut pages = vec![browser.get(&format!("/console/link?code={link}")).await];
    browser.post("/console/sign-in", &[("token", secret.reveal())]).await.assert_redirects("/console");
    pages.push(browser.get(&format!("/console/link?code={link}")).await);
    let license = format!("/licenses/{id}");
    for path in [
        "",
        "/licenses",
        "/issue",
        &license,
        &format!("{license}/reinstate"),
        &format!("{license}/edit"),
        &format!("{license}/rotate-key"),
        &format!("{license}/block"),
        "/leases",
        "/customers",
        &format!("{license}/customer"),
        &format!("{license}/customer/erase"),
        "/tokens",
        "/tokens/new",
        "/audit",
        "/usage?by=device",
        "/webhooks",
        "/webhooks/new",
        "/plans",
        "/plans/team",
        "/plans/team/edit",
        &format!("/webhooks/{webhook}"),
        &format!("/webhooks/{webhook}/delete"),
        &format!("/webhooks/{webhook}/edit"),
    ] {
        pages.push(browser.get(&format!("/console{path}")).await);
    }
    let typed = format!(
        "?plan={0}&expires_from={0}&unseen_since={0}&at_limit={0}",
        "%22%27%3E%3Cscript%3Ealert(1)%3C/script%3E"
    );
    for path in [
        &format!("/licenses{typed}"),
        &format!("/audit?action={MARKUP_URL}"),
        "/licenses?at_limit=%22%3E%3Cscript%3Ealert",
        &format!("/licenses/{id}?done={MARKUP_URL}"),
    ] {
        pages.push(browser.get(&format!("/console{path}")).await);
    }
    pages.push(browser.post("/console/search", &[("q", MARKUP)]).await);
    pages.extend(answers_to_markup(&app, &mut browser, &license, &webhook, &token.id).await);
    pages.push(browser.post("/console/issue", &[("plan", MARKUP), ("once", MARKUP)]).await);
    // The name of the token is in each page once.
    let webhook = format!("/webhooks/{webhook}");
    for path in [&*license, &format!("{license}/edit"), "/tokens", "/audit", &webhook, "/plans/team"] {
        let page = browser.get(&format!("/console{path}")).await;
        assert!(page.body.matches("&#60;script&#62;alert").count() >= 2, "{path}: {}", page.body);
    }
    let mut escaped = 0;
    for page in &pages {
        assert!(!page.body.contains("<script>alert") && !page.body.contains("\"'>"), "{}", page.body);
        escaped += page.body.matches("&#60;script&#62;alert").count();
    }
    // Name of the token in each page, customer, metadata, device, label, reason, feature, order.
    assert!(escaped >= 25, "the texts are shown: {escaped}");
}

const MARKUP_URL: &str = "%22%27%3E%3Cscript%3Ealert(1)%3C/script%3E";

/// Types markup into the forms, and returns the pages after them.
async fn answers_to_markup(
    app: &TestApp,
    browser: &mut Browser,
    license: &str,
    webhook: &EndpointId,
    token: &TokenId,
) -> Vec<Reply> {
    let mut pages = Vec::new();
    let license = format!("/console{license}");
    for (path, fields) in [
        ("block/ask", [("kind", "device"), ("name", MARKUP)]),
        ("block", [("kind", MARKUP), ("name", MARKUP)]),
        ("grants", [("feature", MARKUP), ("kind", "text")]),
        ("edit", [("version", MARKUP), ("plan", MARKUP)]),
    ] {
        pages.push(browser.post(&format!("{license}/{path}"), &fields).await);
    }
    pages.push(browser.post("/console/leases", &[("request", MARKUP)]).await);
    let (url, webhooks) = (format!("https://{MARKUP}"), "/console/webhooks");
    pages.push(browser.post(webhooks, &[("url", &url), ("description", MARKUP), ("events", "all")]).await);
    pages.push(browser.post(webhooks, &[("url", MARKUP), ("events", MARKUP)]).await);
    let edit = format!("/console/webhooks/{webhook}/edit");
    pages.push(browser.post(&edit, &[("url", MARKUP), ("description", MARKUP)]).await);
    pages.push(browser.post("/console/time-zone", &[("zone", MARKUP)]).await);
    pages.push(browser.post("/console/leases/release", &[("code", MARKUP)]).await);
    pages.push(browser.get(&format!("/console/webhooks/{webhook}?status={MARKUP_URL}")).await);
    let delivery = deliver(app, webhook).await;
    pages.push(browser.get(&format!("/console/webhooks/{webhook}/deliveries/{delivery}")).await);
    pages.push(browser.post("/console/customers", &[("prefix", MARKUP), ("after", MARKUP)]).await);
    pages.push(browser.post("/console/customers/open", &[("email", MARKUP)]).await);
    pages.push(browser.get(&format!("/console/usage?by={MARKUP_URL}&days={MARKUP_URL}")).await);
    let names =
        ["revision", "features.0.name", "features.0.value", "exempt_hosts.listed", "max_devices", "name"];
    let typed = names.map(|name| (name, MARKUP));
    for path in ["plans/team/edit", "new-plan", "new-product", "products/default/edit"] {
        pages.push(browser.post(&format!("/console/{path}"), &typed).await);
    }
    pages.push(browser.get(&format!("/console/new-plan?product={MARKUP_URL}")).await);
    pages.push(browser.get(&format!("/console/plans/{MARKUP_URL}")).await);
    app.services.catalog.create_product("evil", MARKUP).await.unwrap();
    pages.push(browser.get("/console/plans").await);
    pages.push(browser.get(&format!("/console/events/{delivery}")).await);
    pages.push(browser.post("/console/tokens", &[("name", MARKUP), ("admin", "yes")]).await);
    pages.push(browser.get(&format!("/console/tokens/{token}/revoke")).await);
    pages.push(browser.post("/console/search", &[("q", "<script>alert(2)")]).await);
    pages.extend(answers_of_jobs(browser, &license).await);
    pages
}

/// Starts a job with markup as its reason, and types markup into the forms of jobs.
async fn answers_of_jobs(browser: &mut Browser, license: &str) -> Vec<Reply> {
    let (bulk, id) = ("/console/licenses/bulk", license.rsplit('/').next().unwrap());
    let mut pages = vec![browser.get(&format!("{bulk}?action=suspend&id={id}")).await];
    pages.push(browser.get(&format!("{bulk}?action=move_plan&id={id}")).await);
    for query in [
        format!("action={MARKUP_URL}&id={id}"),
        format!("action=suspend&id={MARKUP_URL}"),
        format!("action=move_plan&to={MARKUP_URL}&id={id}"),
        format!("action=suspend&which=all&plan={MARKUP_URL}"),
        format!("action=suspend&which=all&status=active&plan=team&unseen_since={MARKUP_URL}"),
    ] {
        pages.push(browser.get(&format!("{bulk}?{query}")).await);
    }
    let fields = [("action", "suspend"), ("id", id), ("once", "1"), ("reason", MARKUP)];
    let started = browser.post(bulk, &fields).await;
    for target in [started.header("location"), "/console/jobs", "/console/licenses/unusual"] {
        let page = browser.get(target).await;
        // The name of the token is in each page once.
        let reason = usize::from(target != "/console/licenses/unusual");
        let escaped = page.body.matches("&#60;script&#62;alert").count();
        assert!(escaped > reason, "{target}: {}", page.body);
        pages.push(page);
    }
    pages.push(browser.get(&format!("/console/jobs?after={MARKUP_URL}")).await);
    pages.push(browser.get(&format!("/console/jobs/{MARKUP_URL}")).await);
    pages.push(browser.get(&format!("{}?after={MARKUP_URL}", started.header("location"))).await);
    pages
}

/// Adds a webhook with markup.
async fn webhook(app: &TestApp) -> EndpointId {
    let settings = EndpointSettings {
        url: format!("https://example.com/{MARKUP}"),
        events: EventSelection::All,
        description: Some(MARKUP.to_owned()),
        skip_job_events: false,
    };
    app.services.webhooks.create(settings, None).await.unwrap().endpoint.id
}

/// Lets the receiver answer with markup, and returns the id of the event.
async fn deliver(app: &TestApp, endpoint: &EndpointId) -> String {
    let event = app.services.webhooks.test(endpoint, None).await.unwrap().id;
    settle(app, 500, MARKUP).await;
    event.to_string()
}

async fn link_to(app: &TestApp, token: &TokenId) -> String {
    let (_, link) = app.services.access.create_link(token, Scope::Admin.into(), &by()).await.unwrap();
    link.reveal().to_owned()
}
