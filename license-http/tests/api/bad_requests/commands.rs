//! Commands for one license.

use license_core::limits;
use serde_json::{Value, json};

use super::Table;
use crate::api::app::{EMAIL, Issued, TestApp};

impl Table {
    pub(super) fn commands(&mut self, app: &TestApp, license: &Issued, revoked: &Issued, perpetual: &Issued) {
        let verbs = ["suspend", "reinstate", "renew", "rotate-key"];
        let call = |license: &Issued, verb: &str| app.admin("POST", &format!("{}/{verb}", license.path));
        for verb in verbs {
            self.row(format!("{verb} of a revoked one"), call(revoked, verb), 409, "LICENSE_REVOKED", None);
            let body = call(license, verb).json(&json!({ "days": 5 }));
            self.row(format!("{verb} with a field"), body, 422, "INVALID_FIELD", Some("days"));
        }
        let suspend = || call(license, "suspend");
        self.row("suspend with a list", suspend().json_text("[]"), 422, "INVALID_FIELD", None);
        self.row("suspend with rubbish", suspend().json_text("x"), 400, "MALFORMED_JSON", None);
        let text = suspend().header("content-type", "text/plain").body("{}");
        self.row("suspend with a text", text, 415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
        let delete = app.admin("DELETE", &license.path).json(&json!({ "force": "x" }));
        self.row("DELETE with a field", delete, 422, "INVALID_FIELD", Some("force"));
        self.row("renew for ever", call(perpetual, "renew"), 409, "LICENSE_PERPETUAL", None);
        let label = |license: &Issued, body: Value| {
            app.admin("PATCH", &format!("{}/activations/act_nothing", license.path)).json(&body)
        };
        let longest = "x".repeat(limits::LABEL_BYTES);
        for (name, body, status, code, field) in [
            ("nothing", json!({}), 422, "INVALID_FIELD", Some("label")),
            ("a number", json!({ "label": 7 }), 422, "INVALID_FIELD", Some("label")),
            ("spaces", json!({ "label": " " }), 422, "INVALID_FIELD", Some("label")),
            ("two lines", json!({ "label": "a\nb" }), 422, "INVALID_FIELD", Some("label")),
            ("too long", json!({ "label": format!("{longest}x") }), 422, "INVALID_FIELD", Some("label")),
            ("another field", json!({ "label": "a", "name": "b" }), 422, "INVALID_FIELD", Some("name")),
            ("what is not there", json!({ "label": longest }), 404, "ACTIVATION_NOT_FOUND", None),
        ] {
            self.row(format!("PATCH label: {name}"), label(license, body), status, code, field);
        }
        let late = label(revoked, json!({ "label": "a" }));
        self.row("PATCH label of a revoked one", late, 409, "LICENSE_REVOKED", None);
        let put = |license: &Issued, body: Value| app.admin("PUT", &license.path).json(&body);
        let many: Vec<_> = (0..4).map(|n| format!("d{n}.com")).collect();
        for (name, call, status, code, field) in [
            ("a revoked one", put(revoked, json!({"status": "active"})), 409, "LICENSE_REVOKED", None),
            (
                "e-mail of a revoked one",
                put(revoked, json!({"customer_email": EMAIL})),
                409,
                "LICENSE_REVOKED",
                None,
            ),
            (
                "status expired",
                put(license, json!({"status": "expired"})),
                422,
                "INVALID_FIELD",
                Some("status"),
            ),
            (
                "status unknown",
                put(license, json!({"status": "paused"})),
                422,
                "INVALID_FIELD",
                Some("status"),
            ),
            ("status null", put(license, json!({"status": null})), 422, "INVALID_FIELD", Some("status")),
            (
                "metadata null",
                put(license, json!({"metadata": null})),
                422,
                "INVALID_FIELD",
                Some("metadata"),
            ),
            ("plan null", put(license, json!({"plan": null})), 422, "INVALID_FIELD", Some("plan")),
            ("plan unknown", put(license, json!({"plan": "nothing"})), 422, "PLAN_UNKNOWN", Some("plan")),
            ("key", put(license, json!({"key": self.key})), 422, "INVALID_FIELD", Some("key")),
            ("id", put(license, json!({"id": "lic_1"})), 422, "INVALID_FIELD", Some("id")),
            ("version", put(license, json!({"version": 1})), 422, "INVALID_FIELD", Some("version")),
            ("domains", put(license, json!({"domains": many})), 409, "DOMAIN_LIMIT_REACHED", None),
            ("exempt", put(license, json!({"domains": ["a.test"]})), 422, "DOMAIN_EXEMPT", Some("domains")),
            (
                "too far",
                put(license, json!({"expires_at": "9999-12-31T23:59:59-23:00"})),
                422,
                "EXPIRY_TOO_FAR",
                Some("expires_at"),
            ),
            ("no body", app.admin("PUT", &license.path), 415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type")),
        ] {
            self.row(format!("PUT {name}"), call, status, code, field);
        }
    }
}
