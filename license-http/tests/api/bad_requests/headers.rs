//! Request headers.

use license_core::limits;
use serde_json::json;

use super::Table;
use crate::api::app::{EMAIL, Issued, TestApp};
use crate::api::call::Call;

impl Table {
    pub(super) fn headers(&mut self, app: &TestApp, license: &Issued) {
        let create = || {
            app.admin("POST", "/api/v1/licenses").json(&json!({ "plan": "starter", "customer_email": EMAIL }))
        };
        let name = "Idempotency-Key";
        let long = "k".repeat(limits::IDEMPOTENCY_KEY_BYTES + 1);
        for value in ["", "schlüssel", "a\tb", &long] {
            let call = create().header("idempotency-key", value);
            let title: String = value.chars().take(10).collect();
            self.row(format!("idempotency key {title:?}"), call, 400, "BAD_REQUEST", Some(name));
        }
        let renew = || app.admin("POST", &format!("{}/renew", license.path));
        for (title, call) in [("create", create()), ("renew", renew())] {
            let call = call.header("idempotency-key", "a").header("idempotency-key", "a");
            self.row(format!("two idempotency keys, {title}"), call, 400, "BAD_REQUEST", Some(name));
        }
        let call = renew().header("idempotency-key", "");
        self.row("an empty idempotency key, renew", call, 400, "BAD_REQUEST", Some(name));
        let put = || app.admin("PUT", &license.path).json(&json!({ "max_devices": 1 }));
        for value in ["", "1", "\"1", "1\"", "\"1\" \"2\"", "\"1\", \"2\"", "*, \"1\"", "w/\"1\"", "\"a b\""]
        {
            let call = put().header("if-match", value);
            self.row(format!("if-match {value:?}"), call, 400, "BAD_REQUEST", Some("If-Match"));
        }
        let call = put().header("if-match", "\"1\"").header("if-match", "\"1\"");
        self.row("two if-matches", call, 400, "BAD_REQUEST", Some("If-Match"));
        for value in ["\"2\"", "W/\"2\"", "\"01\"", "\"\""] {
            let call = put().header("if-match", value);
            self.row(format!("if-match {value:?}"), call, 412, "LICENSE_STALE", None);
        }
        for (name, call) in [
            ("no token", Call::new("GET", "/api/v1/licenses")),
            ("a wrong token", Call::new("GET", &license.path).header("authorization", "Bearer x")),
            ("Basic", Call::new("DELETE", &license.path).header("authorization", "Basic eDp4")),
            ("no text", Call::new("PUT", &license.path).header("authorization", b"Bearer \xff".to_vec())),
            ("two", app.admin("GET", "/api/v1/licenses").header("authorization", "Bearer x")),
        ] {
            self.row(format!("authorization: {name}"), call, 401, "UNAUTHORIZED", None);
        }
    }
}
