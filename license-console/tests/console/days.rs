//! Days that people type.

use license_core::access::Scope;

use super::app::TestApp;

/// Other years overflow a calculation, or a database cannot store them.
#[tokio::test]
async fn year_outside_1_to_9999_is_an_error_of_its_field() {
    let app = TestApp::new().await;
    let mut browser = app.signed_in(Scope::Admin).await;
    for day in ["+262142-12-31", "-262143-01-01", "+2027-01-31", "-0001-12-31", "0000-12-31", "10000-01-01"] {
        let encoded: String = form_urlencoded::byte_serialize(day.as_bytes()).collect();
        for (path, field) in [
            ("audit?from", "From"),
            ("audit?until", "Until"),
            ("licenses?expires_from", "Ends from"),
            ("licenses?expires_before", "Ends before"),
            ("licenses?unseen_since", "Not validated since"),
            ("licenses.csv?expires_before", "Ends before"),
            ("licenses/bulk?which=all&action=suspend&expires_before", "Ends before"),
        ] {
            let reply = browser.get(&format!("/console/{path}={encoded}")).await;
            reply.assert_shows(422, &format!("{field}: must be a date such as 2027-01-31"));
        }
        let token = [("name", "Bob"), ("licenses:read", "yes"), ("expires", day)];
        let reply = browser.post("/console/tokens", &token).await;
        reply.assert_shows(422, "Ends: must be a date such as 2027-01-31");
    }
    for day in ["0001-01-01", "9999-12-31"] {
        for path in ["audit?from", "audit?until", "licenses?expires_from", "licenses?expires_before"] {
            browser.get(&format!("/console/{path}={day}")).await.assert_shows(200, day);
        }
    }
}
