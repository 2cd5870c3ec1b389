//! Moving sold licenses to the current version of their plan.

use license_core::access::{Scope, Scopes};

use super::plans::{fields, with, with_plan};

/// The job page needs the scope that reads licenses.
#[tokio::test]
async fn change_for_all_shows_the_plan_to_those_who_cannot_read_jobs() {
    let app = with_plan().await;
    let scopes: Scopes =
        [Scope::CatalogRead, Scope::CatalogWrite, Scope::LicensesWrite].into_iter().collect();
    let mut browser = app.signed_in(scopes).await;
    let form = fields(&browser.get("/console/plans/team/edit").await);
    let sent = with(&form, &[("max_devices", "5"), ("licenses", "all")]);
    let reply = browser.post("/console/plans/team/change", &sent).await;
    reply.assert_redirects("/console/plans/team?done=edit-all");
    browser.get(reply.header("location")).await.assert_shows(200, "A job moves its licenses");
}

#[tokio::test]
async fn unchanged_plan_offers_only_to_move_older_licenses() {
    let app = with_plan().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    let form = fields(&browser.get("/console/plans/team/edit").await);
    let preview = browser.post("/console/plans/team/edit", &with(&form, &[])).await;
    preview.assert_shows(200, "You changed no field.");
    preview.assert_shows(200, "<input type=\"hidden\" name=\"licenses\" value=\"all\">");
    preview.assert_shows(200, "Move older licenses");
    assert!(
        !preview.body.contains("New licenses only") && !preview.body.contains("Change the plan</button>")
    );
    let scopes: Scopes = [Scope::CatalogRead, Scope::CatalogWrite].into_iter().collect();
    let preview = app.signed_in(scopes).await.post("/console/plans/team/edit", &with(&form, &[])).await;
    preview.assert_shows(200, "You changed no field.");
    assert!(!preview.body.contains("Move older licenses"), "it needs another scope");
}
