//! Products and plans.

use license_core::LicenseSpec;
use license_core::access::{AuditFilter, Scope, Scopes};
use license_core::catalog::{Limit, Plan, PlanCatalog, PlanEntry, Term, Trial, TrialHolder};
use license_core::domain::DomainName;
use license_core::license::LicenseId;
use license_core::store::PageRequest;

use super::app::TestApp;
use super::browser::Reply;

pub(crate) async fn with_plan() -> TestApp {
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
pub(crate) fn fields(page: &Reply) -> Vec<(String, String)> {
    let (_, form) = page.body.split_once("class=\"card").unwrap();
    let form = form.split_once("</form>").unwrap().0;
    let mut all = Vec::new();
    for part in form.split(" name=\"").skip(1) {
        let (name, rest) = part.split_once('"').unwrap();
        let (attributes, inner) = rest.split_once('>').unwrap();
        let value = match attributes.split_once("value=\"") {
            Some((_, value)) => value.split_once('"').unwrap().0,
            None if inner.contains("</textarea>") => {
                inner.split_once("</textarea>").unwrap().0.trim_start_matches('\n')
            }
            // The first choice, if none is selected.
            None => match inner.split_once("\" selected") {
                Some((before, _)) => before.rsplit_once('"').unwrap().1,
                None => inner.split_once("value=\"").unwrap().1.split_once('"').unwrap().0,
            },
        };
        if name != "licenses" && name != "again" {
            all.push((name.to_owned(), value.replace("&#34;", "\"")));
        }
    }
    all
}

pub(crate) fn with<'a>(
    fields: &'a [(String, String)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
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
        ("features.0.value", "silver"),
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
    let jobs = app.services.bulk.list(&PageRequest::default()).await.unwrap().items;
    reply.assert_redirects(&format!("/console/jobs/{}", jobs[0].id));
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
        ("max_devices", "many", "Max devices: &#34;many&#34; is no whole number"),
        ("max_devices", "10000001", "max_devices must be at most 10000000"),
        ("grace_days", "-1", "Grace days: &#34;-1&#34; is no whole number"),
        ("domain_policy", "any", "Domain policy: &#34;any&#34; is none of"),
        ("term.count", "0", "term must be 1 to"),
    ] {
        let reply = browser.post("/console/plans/team/edit", &with(&form, &[(name, value)])).await;
        reply.assert_shows(422, why);
        let kept = if name == "domain_policy" { "gold" } else { value };
        reply.assert_shows(422, &format!("value=\"{kept}\""));
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

/// Changing sold licenses needs the scope of licenses, as in the API.
#[tokio::test]
async fn change_for_all_needs_the_scope_of_licenses() {
    let app = with_plan().await;
    let scopes: Scopes = [Scope::CatalogRead, Scope::CatalogWrite].into_iter().collect();
    let mut browser = app.signed_in(scopes).await;
    let form = fields(&browser.get("/console/plans/team/edit").await);
    let sent = with(&form, &[("max_devices", "5"), ("licenses", "all")]);
    let reply = browser.post("/console/plans/team/change", &sent).await;
    reply.assert_shows(403, "This needs the scope licenses:write.");
    assert_eq!(entry(&app).await.versions.len(), 1);
}

#[tokio::test]
async fn previewed_change_can_be_edited_again() {
    let app = with_plan().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let form = fields(&browser.get("/console/plans/team/edit").await);
    let preview = browser.post("/console/plans/team/edit", &with(&form, &[("max_devices", "57")])).await;
    let sent = fields(&preview);
    let again = browser.post("/console/plans/team/edit", &with(&sent, &[("again", "yes")])).await;
    again.assert_shows(200, "name=\"max_devices\" inputmode=\"numeric\" autocomplete=\"off\" value=\"57\"");
}

#[tokio::test]
async fn created_plan_has_what_was_typed() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    app.services.catalog.create_product("editor", "Editor").await.unwrap();
    let page = browser.get("/console/new-plan?product=editor").await;
    page.assert_shows(200, "<option value=\"editor\" selected>");
    let form = fields(&page);
    let typed = [
        ("name", "pro"),
        ("max_domains", "2"),
        ("term.count", "1"),
        ("term.unit", "years"),
        ("features.0.name", "seats"),
        ("features.0.kind", "number"),
        ("features.0.value", "25"),
        ("trial.device", "true"),
        ("exempt_hosts.listed", "*.staging.example.net"),
    ];
    let wrong = with(&form, &[("max_domains", "two"), ("name", "pro")]);
    let wrong = browser.post("/console/new-plan", &wrong).await;
    wrong.assert_shows(422, "Max domains: &#34;two&#34; is no whole number");
    wrong.assert_shows(422, "value=\"two\"");
    let wrong = browser.post("/console/new-plan", &with(&form, &[("name", "Not A Name")])).await;
    wrong.assert_shows(422, "value=\"Not A Name\"");
    wrong.assert_shows(422, "role=\"alert\"");
    let reply = browser.post("/console/new-plan", &with(&form, &typed)).await;
    reply.assert_redirects("/console/plans/pro?done=create");
    browser.get(reply.header("location")).await.assert_shows(200, "The plan is created.");
    let expected = Plan::new("pro")
        .product("editor")
        .max_domains(2)
        .term(Term::years(1))
        .feature("seats", 25)
        .trial(Trial { once_per: [TrialHolder::Device].into() })
        .exempt_hosts(vec![DomainName::parse_registered("*.staging.example.net").unwrap()]);
    assert_eq!(*app.services.catalog.plan("pro").await.unwrap().current().plan, expected);
    let twice = browser.post("/console/new-plan", &with(&form, &typed)).await;
    twice.assert_shows(422, "There is a plan &#34;pro&#34; already.");
    browser.post("/console/new-plan", &[("name", "lost")]).await.assert_shows(422, "the form has no field");
}

#[tokio::test]
async fn product_is_created_renamed_and_deleted() {
    let app = TestApp::new().await;
    let scopes: Scopes = [Scope::CatalogRead, Scope::CatalogWrite].into_iter().collect();
    let mut browser = app.signed_in(scopes).await;
    let wrong = [("name", "An Editor"), ("display_name", "My editor")];
    browser.post("/console/new-product", &wrong).await.assert_shows(422, "value=\"My editor\"");
    let typed = [("name", "editor"), ("display_name", "My editor")];
    browser.post("/console/new-product", &typed).await.assert_redirects("/console/plans?done=create-product");
    browser.post("/console/new-product", &typed).await.assert_shows(422, "There is a product");
    let page = "/console/products/editor/edit";
    browser.get(page).await.assert_shows(200, "value=\"My editor\"");
    let reply = browser.post(page, &[("display_name", "Editor 2")]).await;
    reply.assert_redirects("/console/plans?done=edit-product");
    browser.get("/console/plans").await.assert_shows(200, "<bdi>Editor 2</bdi>");
    let delete = "/console/products/editor/delete";
    browser.post(delete, &[]).await.assert_shows(422, "type the word delete");
    let reply = browser.post(delete, &[("confirmation", "delete")]).await;
    reply.assert_redirects("/console/plans?done=delete-product");
    browser.get(page).await.assert_shows(404, "There is no such product");
    let default = browser.post("/console/products/default/delete", &[("confirmation", "delete")]).await;
    default.assert_shows(409, "default");
}

#[tokio::test]
async fn error_of_a_plan_is_told_at_each_control_of_its_group() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let form = fields(&browser.get("/console/new-plan").await);
    for (name, value, group) in [
        ("max_devices", "many", "max_devices"),
        ("term.unit", "weeks", "term"),
        ("domain_policy", "any", "domain_policy"),
        ("exempt_hosts.development", "maybe", "exempt_hosts"),
    ] {
        let changes = [("name", "pro"), ("term.count", "1"), (name, value)];
        let page = browser.post("/console/new-plan", &with(&form, &changes)).await;
        page.assert_shows(422, &format!("role=\"alert\" id=\"{group}-error\""));
        let told = format!(" aria-invalid=\"true\" aria-describedby=\"{group}-error\"");
        for set in page.body.split("<fieldset").skip(1) {
            let set = set.split("</fieldset>").next().unwrap();
            let controls: usize =
                ["<input", "<select", "<textarea"].iter().map(|tag| set.matches(tag).count()).sum();
            let expected = if set.contains("role=\"alert\"") { controls } else { 0 };
            assert_eq!(set.matches(&told).count(), expected, "{group}: {set}");
        }
    }
}
