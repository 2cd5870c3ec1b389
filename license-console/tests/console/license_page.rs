//! What the page of a license shows for each scope.

use license_core::access::{Scope, Scopes};
use license_core::service::ValidateRequest;

use super::app::{TestApp, by};

#[tokio::test]
async fn usage_and_audit_need_their_scopes() {
    let app = TestApp::new().await;
    let license = app.issue().await;
    let (id, key) = (license.detail.license.id.clone(), license.key.reveal().to_owned());
    for domain in ["shop.example.com", "other.example.com"] {
        let request = ValidateRequest {
            domain: Some(domain),
            client: Some("editor/1.2"),
            key: &key,
            ..ValidateRequest::default()
        };
        app.services.validation.validate(&request).await.unwrap();
    }
    app.services.licenses.by(&std::sync::Arc::new(by())).suspend(&id).await.unwrap();
    let (usage, audit) = (["1 valid", "1 denied", "editor/1.2", "DOMAIN_LIMIT_REACHED"], "license.suspend");
    for (scope, sees_usage, sees_audit) in [
        (Scope::UsageRead, true, false),
        (Scope::AuditRead, false, true),
        (Scope::LicensesWrite, false, false),
        (Scope::Admin, true, true),
    ] {
        let scopes: Scopes = [Scope::LicensesRead, scope].into_iter().collect();
        let page = app.signed_in(scopes).await.get(&format!("/console/licenses/{id}")).await;
        assert_eq!(page.status, 200);
        for text in usage {
            assert_eq!(page.body.contains(text), sees_usage, "{text} with {scope}: {}", page.body);
        }
        assert_eq!(page.body.contains(audit), sees_audit, "{scope}: {}", page.body);
        assert_eq!(page.body.contains("the command line"), sees_audit, "{scope}");
    }
}
