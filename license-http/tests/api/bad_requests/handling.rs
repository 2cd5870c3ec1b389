//! Reasons, blocks, batches and the list of a customer.

use license_core::limits;
use serde_json::{Value, json};

use super::Table;
use crate::api::app::{EMAIL, Issued, TestApp};
use crate::api::call::Call;

impl Table {
    pub(super) fn handling(&mut self, app: &TestApp, license: &Issued, revoked: &Issued) {
        self.reasons(app, license);
        self.blocks(app, license, revoked);
        self.batches(app);
        self.own_lists(license);
    }

    fn reasons(&mut self, app: &TestApp, license: &Issued) {
        let on = |rest: &str| format!("{}{rest}", license.path);
        let calls = [
            ("POST", on("/suspend")),
            ("DELETE", on("")),
            ("DELETE", on("/activations/act_1")),
            ("POST", on("/activations/act_1/block")),
        ];
        let long = "x".repeat(limits::REASON_BYTES + 1);
        for (method, target) in &calls {
            for reason in [json!(7), json!(""), json!(" "), json!("two\nlines"), json!(long), json!(["a"])] {
                let call = app.admin(method, target).json(&json!({ "reason": reason }));
                let name = format!("{method} {target} with the reason {:.12}", reason.to_string());
                self.row(name, call, 422, "INVALID_FIELD", Some("reason"));
            }
        }
        for body in [json!({ "reason": "a" }), json!({ "reason": "a", "status": "active" })] {
            let call = app.admin("PUT", &license.path).json(&body);
            self.row(format!("PUT {body}"), call, 422, "INVALID_FIELD", Some("reason"));
        }
    }

    fn blocks(&mut self, app: &TestApp, license: &Issued, revoked: &Issued) {
        let block = |license: &Issued, body: Value| {
            app.admin("POST", &format!("{}/blocked", license.path)).json(&body)
        };
        for (name, body, field) in [
            ("nothing", json!({}), "domain"),
            ("both", json!({ "domain": "a.com", "fingerprint": "a" }), "fingerprint"),
            ("null", json!({ "domain": null }), "domain"),
            ("a wrong domain", json!({ "domain": "a b" }), "domain"),
            ("a wrong fingerprint", json!({ "fingerprint": " " }), "fingerprint"),
            ("a wrong reason", json!({ "fingerprint": "a", "reason": 1 }), "reason"),
            ("another field", json!({ "device": "a" }), "device"),
        ] {
            self.row(format!("block {name}"), block(license, body), 422, "INVALID_FIELD", Some(field));
        }
        let late = block(revoked, json!({ "fingerprint": "a" }));
        self.row("block on a revoked license", late, 409, "LICENSE_REVOKED", None);
        let unknown = app.admin("POST", &format!("{}/activations/act_1/block", license.path));
        self.row("block an unknown activation", unknown, 404, "ACTIVATION_NOT_FOUND", None);
        for id in ["blk_1", "act_1", "nothing"] {
            let call = app.admin("DELETE", &format!("{}/blocked/{id}", license.path));
            self.row(format!("unblock {id}"), call, 404, "BLOCK_NOT_FOUND", None);
        }
        let list = app.admin("GET", &format!("{}/blocked?limit=5", license.path));
        self.row("blocks with a parameter", list, 400, "BAD_REQUEST", Some("limit"));
    }

    fn batches(&mut self, app: &TestApp) {
        let batch = |edit: Value| {
            let mut body = json!({ "plan": "starter", "customer_email": EMAIL, "count": 2 });
            body.as_object_mut().unwrap().extend(edit.as_object().unwrap().clone());
            app.admin("POST", "/api/v1/licenses/batch").json(&body)
        };
        for (edit, code, field) in [
            (json!({ "count": 0 }), "INVALID_FIELD", "count"),
            (json!({ "count": limits::BATCH_LICENSES + 1 }), "INVALID_FIELD", "count"),
            (json!({ "count": 1.5 }), "INVALID_FIELD", "count"),
            (json!({ "count": "2" }), "INVALID_FIELD", "count"),
            (json!({ "count": null }), "INVALID_FIELD", "count"),
            (json!({ "plan": "nothing" }), "PLAN_UNKNOWN", "plan"),
            (json!({ "external_id": "a" }), "INVALID_FIELD", "external_id"),
        ] {
            self.row(format!("batch with {edit}"), batch(edit), 422, code, Some(field));
        }
        let domains: Vec<_> = (0..=10).map(|n| format!("d{n}.com")).collect();
        let many =
            batch(json!({ "plan": "enterprise", "count": limits::BATCH_LICENSES, "domains": domains }));
        self.row("batch with too many domains", many, 422, "INVALID_FIELD", Some("count"));
    }

    fn own_lists(&mut self, license: &Issued) {
        let call = |body: Value| Call::new("POST", "/api/v1/activations/list").json(&body);
        let key = &license.key;
        for (body, code, field) in [
            (json!({}), "BAD_REQUEST", "key"),
            (json!({ "key": key, "activation_id": "act_1" }), "BAD_REQUEST", "activation_id"),
            (json!({ "key": key, "domain": 1 }), "BAD_REQUEST", "domain"),
            (json!({ "key": "malformed" }), "LICENSE_KEY_MALFORMED", "key"),
            (json!({ "key": key, "domain": "a b" }), "DOMAIN_INVALID", "domain"),
            (json!({ "key": key, "fingerprint": "" }), "FINGERPRINT_INVALID", "fingerprint"),
        ] {
            let name = format!("list with {:.20}", body.to_string().replace(&**key, "…"));
            self.row(name, call(body), 400, code, Some(field));
        }
    }
}
