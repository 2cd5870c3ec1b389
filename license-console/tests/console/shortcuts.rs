//! The keyboard shortcuts.

use license_core::access::Scope;

use super::app::TestApp;

/// The dialog is in each page, and closed. Without a script, the link leads to the page.
#[tokio::test]
async fn shortcuts_are_a_dialog_and_a_page() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::AuditRead).await;
    let page = browser.get("/console/audit").await;
    page.assert_shows(200, "<a href=\"/console/shortcuts\" id=\"shortcuts-link\">");
    // Without the attribute "open", the dialog is closed.
    page.assert_shows(
        200,
        "<dialog id=\"shortcuts\" class=\"card body stack\" aria-labelledby=\"shortcuts-title\">",
    );
    browser.get("/console/shortcuts").await.assert_shows(200, "<dt><kbd>/</kbd></dt>");
    let mut stranger = app.browser();
    let page = stranger.get("/console/sign-in").await;
    assert!(!page.body.contains("<dialog"), "there is nothing to move to");
}
