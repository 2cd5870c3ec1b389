//! Products and plans.

use license_core::LicenseSpec;
use license_core::access::{AuditFilter, Scope, Scopes};
use license_core::catalog::{Limit, Plan, PlanCatalog, PlanEntry};
use license_core::license::LicenseId;
use license_core::store::PageRequest;

use super::app::TestApp;
use super::browser::Reply;

async fn with_plan() -> TestApp {
    let app = TestApp::new().await;
    let plan = Plan::new("team").max_domains(2).max_devices(3).feature("tier", "gold");
    app.services.catalog.create_plan(&plan).await.unwrap();
    app
}

async fn sell(app: &TestApp) -> LicenseId {
    let spec = LicenseSpec::without_customer("team");
    app.services.licenses.issue(&spec, None).await.unwrap().detail.license.id.clone()
}

async fn entry(app: &TestApp) -> PlanEntry {
    (*app.services.catalog.plan("team").await.unwrap()).clone()
}

/// Returns the fields that a form or its preview sends.
fn fields(page: &Reply) -> Vec<(String, String)> {
    let mut all = vec![("revision".to_owned(), page.field("revision"))];
    for name in Plan::fields() {
        let Some((_, input)) = page.body.split_once(&format!(" name=\"{name}\"")) else { continue };
        let shown = input.split_once('>').unwrap().0;
        let value = match shown.split_once("value=\"") {
            Some((_, value)) => value.split_once('"').unwrap().0.to_owned(),
            None => input.split_once("\" selected").unwrap().0.rsplit_once('"').unwrap().1.to_owned(),
        };
        all.push((name.to_owned(), value.replace("&#34;", "\"")));
    }
    all
}

fn with<'a>(fields: &'a [(String, String)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let new_value = |name: &str| changes.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    let mut all: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), new_value(name).unwrap_or(value.as_str())))
        .collect();
    all.extend(changes.iter().filter(|(name, _)| !fields.iter().any(|(other, _)| other == name)));
    all
}

#[tokio::test]
async fn plans_are_listed_and_downloaded() {
    let app = with_plan().await;
    let mut browser = app.signed_in(Scope::CatalogRead).await;
    let page = browser.get("/console/plans").await;
    page.assert_shows(200, "/console/plans/team\"");
    page.assert_shows(200, "domains: 2, devices: 3, never ends");
    let file = browser.get("/console/plans.toml").await;
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"plans.toml\"");
    let parsed = PlanCatalog::from_toml(&file.body).unwrap();
    assert_eq!(parsed.get("team"), Some(&entry(&app).await.current().plan));
    let page = browser.get("/console/plans/team").await;
    page.assert_shows(200, "Max devices");
    assert!(!page.body.contains("/edit") && !page.body.contains("/archive"), "{}", page.body);
    browser.get("/console/plans/none").await.assert_shows(404, "There is no such plan");
}

#[tokio::test]
async fn changed_plan_shows_what_changes_before_it_does() {
    let app = with_plan().await;
    let sold = sell(&app).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let form = fields(&browser.get("/console/plans/team/edit").await);
    let changes = [
        ("max_devices", "5"),
        ("max_domains", ""),
        ("features", "{\"tier\":\"silver\"}"),
        ("customer_release", "true"),
    ];
    let preview = browser.post("/console/plans/team/edit", &with(&form, &changes)).await;
    for text in ["Max devices", ">5<", "silver", "All licenses of the plan: 1"] {
        preview.assert_shows(200, text);
    }
    assert_eq!(preview.body.matches("<th scope=\"row\">").count(), 4, "{}", preview.body);
    assert_eq!(entry(&app).await.versions.len(), 1, "the preview changes nothing");

    let sent = fields(&preview);
    let reply = browser.post("/console/plans/team/change", &with(&sent, &[("licenses", "new")])).await;
    reply.assert_redirects("/console/plans/team?done=edit");
    let after = entry(&app).await;
    let expected = Plan::new("team").max_devices(5).feature("tier", "silver").customer_release(true);
    assert_eq!((after.current().version, &*after.current().plan), (2, &expected));
    let page = browser.get(reply.header("location")).await;
    page.assert_shows(200, "The plan is changed.");
    page.assert_shows(200, "Max devices: 3 → 5");
    let license = app.services.licenses.get(&sold).await.unwrap().detail.license;
    assert_eq!((license.plan_version, license.max_devices), (1, Limit::AtMost(3)), "sold licenses stay");

    let stale = browser.post("/console/plans/team/change", &with(&sent, &[("licenses", "new")])).await;
    stale.assert_shows(409, "The plan has changed");
    let filter = AuditFilter { action: Some("plan.change".to_owned()), ..AuditFilter::default() };
    let entries = app.services.access.audit(&filter, &PageRequest::default()).await.unwrap().items;
    assert_eq!(entries.iter().map(|one| one.entry.actor.principal.name()).collect::<Vec<_>>(), [Some("Ada")]);
}

#[tokio::test]
async fn change_for_all_licenses_moves_the_sold_ones() {
    let app = with_plan().await;
    let sold = sell(&app).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let form = fields(&browser.get("/console/plans/team/edit").await);
    let sent = with(&form, &[("max_devices", "5"), ("licenses", "all")]);
    let reply = browser.post("/console/plans/team/change", &sent).await;
    reply.assert_redirects("/console/plans/team?done=edit-all");
    assert!(app.services.bulk.run_step(None, 100).await.unwrap().is_some(), "a job runs");
    let license = app.services.licenses.get(&sold).await.unwrap().detail.license;
    assert_eq!((license.plan_version, license.max_devices), (2, Limit::AtMost(5)));
}

#[tokio::test]
async fn wrong_field_of_a_plan_says_what_is_wrong() {
    let app = with_plan().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let form = fields(&browser.get("/console/plans/team/edit").await);
    for (name, value, why) in [
        ("max_devices", "many", "max_devices"),
        ("grace_days", "-1", "grace_days"),
        ("domain_policy", "any", "domain_policy"),
        ("term", "{\"weeks\":1}", "term"),
    ] {
        let reply = browser.post("/console/plans/team/edit", &with(&form, &[(name, value)])).await;
        reply.assert_shows(422, why);
    }
    let target = "/console/plans/team/change";
    browser.post(target, &with(&form, &[])).await.assert_shows(422, "Licenses: choose");
    let no_revision = [("revision", ""), ("licenses", "new")];
    browser.post(target, &with(&form, &no_revision)).await.assert_shows(422, "hidden field");
    assert_eq!(entry(&app).await.versions.len(), 1);
}

#[tokio::test]
async fn plan_is_archived_with_the_typed_word_and_sold_again() {
    let app = with_plan().await;
    let scopes: Scopes = [Scope::CatalogRead, Scope::CatalogWrite].into_iter().collect();
    let mut browser = app.signed_in(scopes).await;
    let target = "/console/plans/team/archive";
    browser.get(target).await.assert_shows(200, "Sold licenses go on.");
    browser.post(target, &[("confirmation", "yes")]).await.assert_shows(422, "type the word archive");
    assert!(entry(&app).await.is_available());
    let reply = browser.post(target, &[("confirmation", "archive")]).await;
    reply.assert_redirects("/console/plans/team?done=archive");
    browser.get(reply.header("location")).await.assert_shows(200, "Sell again");
    assert!(!entry(&app).await.is_available());
    let reply = browser.post("/console/plans/team/unarchive", &[]).await;
    reply.assert_redirects("/console/plans/team?done=unarchive");
    assert!(entry(&app).await.is_available());
}

#[tokio::test]
async fn managed_plan_is_read_only_and_says_why() {
    let app = TestApp::with_plans("plans.toml", [Plan::new("team").max_devices(3)]).await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let page = browser.get("/console/plans/team").await;
    page.assert_shows(200, "This plan is managed by <bdi>plans.toml</bdi>.");
    assert!(!page.body.contains("/edit") && !page.body.contains("/archive"), "{}", page.body);
    let form = fields(&browser.get("/console/plans/team/edit").await);
    let sent = with(&form, &[("max_devices", "5"), ("licenses", "new")]);
    browser.post("/console/plans/team/change", &sent).await.assert_shows(409, "is managed by plans.toml");
    assert_eq!(entry(&app).await.current().plan.max_devices, Limit::AtMost(3));
}
