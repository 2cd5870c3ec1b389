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
        self.grants(app, license, revoked);
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

    fn grants(&mut self, app: &TestApp, license: &Issued, revoked: &Issued) {
        let grant = |license: &Issued, body: Value| {
            app.admin("POST", &format!("{}/grants", license.path)).json(&body)
        };
        let named = |feature: &str, value: Value| json!({ "feature": feature, "value": value });
        let with = |field: &str, value: Value| {
            let mut body = named("a", json!(1));
            body[field] = value;
            body
        };
        let longer = |len: usize| "x".repeat(len + 1);
        for (name, body, status, code, field) in [
            ("nothing", json!({}), 422, "INVALID_FIELD", "feature"),
            ("no value", json!({ "feature": "a" }), 422, "INVALID_FIELD", "value"),
            ("no feature", named("", json!(1)), 422, "INVALID_FIELD", "feature"),
            ("spaces", named(" a", json!(1)), 422, "INVALID_FIELD", "feature"),
            (
                "long name",
                named(&longer(limits::FEATURE_NAME_BYTES), json!(1)),
                422,
                "INVALID_FIELD",
                "feature",
            ),
            ("null", named("a", json!(null)), 422, "INVALID_FIELD", "value"),
            ("half", named("a", json!(1.5)), 422, "INVALID_FIELD", "value"),
            ("large", named("a", json!(u64::MAX)), 422, "INVALID_FIELD", "value"),
            ("list", named("a", json!([1])), 422, "INVALID_FIELD", "value"),
            (
                "long text",
                named("a", json!(longer(limits::FEATURE_TEXT_BYTES))),
                422,
                "INVALID_FIELD",
                "value",
            ),
            ("NUL", named("a", json!("a\0")), 422, "INVALID_FIELD", "value"),
            ("number until", with("until", json!(5)), 422, "INVALID_FIELD", "until"),
            ("past", with("until", json!("2026-01-01T00:00:00Z")), 422, "GRANT_ENDED", "until"),
            ("too far", with("until", json!("9999-12-31T23:59:59-01:00")), 422, "INVALID_FIELD", "until"),
            ("empty source", with("source", json!("")), 422, "INVALID_FIELD", "source"),
            ("number source", with("source", json!(1)), 422, "INVALID_FIELD", "source"),
            (
                "long source",
                with("source", json!(longer(limits::GRANT_SOURCE_BYTES))),
                422,
                "INVALID_FIELD",
                "source",
            ),
            ("another field", with("end", json!(null)), 422, "INVALID_FIELD", "end"),
        ] {
            self.row(format!("grant: {name}"), grant(license, body), status, code, Some(field));
        }
        let late = grant(revoked, named("a", json!(1)));
        self.row("grant of a revoked one", late, 409, "LICENSE_REVOKED", None);
        let remove = |query: &str| app.admin("DELETE", &format!("{}/grants{query}", license.path));
        for (query, status, code, field) in [
            ("", 400, "BAD_REQUEST", Some("feature")),
            ("?feature=", 400, "BAD_REQUEST", Some("feature")),
            ("?feature=a&source=", 400, "BAD_REQUEST", Some("source")),
            ("?feature=a&feature=b", 400, "BAD_REQUEST", Some("feature")),
            ("?feature=a&value=1", 400, "BAD_REQUEST", Some("value")),
            ("?feature=a", 404, "GRANT_NOT_FOUND", None),
        ] {
            self.row(format!("DELETE grants{query}"), remove(query), status, code, field);
        }
        let body = remove("?feature=a").json(&json!({ "feature": "a" }));
        self.row("DELETE grants with a body", body, 422, "INVALID_FIELD", Some("feature"));
    }
}
