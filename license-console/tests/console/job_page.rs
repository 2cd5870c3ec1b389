//! The page of a job while it runs.

use license_core::access::Scope;
use license_core::bulk::BulkAction;
use license_core::service::BulkRequest;
use license_core::store::JobLicenses;

use super::app::TestApp;

/// A poll replaces the progress only, and the refused licenses once, after the end.
#[tokio::test]
async fn poll_keeps_the_page_of_refused_licenses() {
    let app = TestApp::new().await;
    let mut ids = Vec::new();
    for _ in 0..60 {
        let id = app.issue().await.detail.license.id.clone();
        app.services.licenses.revoke(&id).await.unwrap();
        ids.push(id);
    }
    let request = BulkRequest { action: BulkAction::Suspend, licenses: JobLicenses::Ids(ids), reason: None };
    let job = app.services.bulk.create(request, None, None).await.unwrap().job;
    app.services.bulk.run_step(None, 55).await.unwrap().unwrap();

    let mut browser = app.signed_in(Scope::Admin).await;
    let first = format!("/console/jobs/{}", job.id);
    let page = browser.get(&first).await;
    page.assert_shows(200, &format!("hx-get=\"{first}\""));
    page.assert_shows(200, "id=\"cancel-job\"");
    let (_, next) = page.body.split_once("rel=\"next\" href=\"").unwrap();
    let second = next.split_once('"').unwrap().0;
    let page = browser.get(second).await;
    page.assert_shows(200, &format!("hx-get=\"{second}\""));
    page.assert_shows(200, "hx-select-oob=\"#job-end:innerHTML,#refused:outerHTML\"");
    let (_, polled) = page.body.split_once("<div id=\"job\"").unwrap();
    let (polled, rest) = polled.split_once("<div id=\"refused\"").unwrap();
    assert!(polled.contains("55 of 60") && !polled.contains("<table"), "{polled}");
    assert_eq!(rest.matches("/console/licenses/lic_").count(), 5, "{rest}");

    let mut poll = browser.with_header("hx-request", "true");
    let shown = poll.get(second).await;
    shown.assert_shows(200, "55 of 60");
    assert!(!shown.body.contains("id=\"refused\""), "the table stays while the job runs");
    while app.services.bulk.run_step(None, 100).await.unwrap().is_some() {}
    let shown = poll.get(second).await;
    shown.assert_shows(200, "The job is completed.");
    let (_, rest) = shown.body.split_once("<div id=\"refused\"").unwrap();
    assert_eq!(rest.matches("/console/licenses/lic_").count(), 10, "{rest}");
    assert!(!shown.body.contains("every 2s") && !shown.body.contains("cancel-job"));
}
