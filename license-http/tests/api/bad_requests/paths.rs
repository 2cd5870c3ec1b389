//! Unknown paths and ids.

use serde_json::json;

use super::Table;
use crate::api::app::{Issued, TestApp};

impl Table {
    pub(super) fn paths(&mut self, app: &TestApp, license: &Issued) {
        for target in [
            "//",
            "/nothing",
            "/api",
            "/api/v1",
            "/api/v1/",
            "/api/v2/licenses",
            "/API/v1/licenses",
            "/api/v1/licenses/",
            "//api/v1/licenses",
            "/api/v1/%6cicenses",
            "/api/v1/licenses/../licenses",
            "/health/",
            "/%00",
            "/%ff",
            "/%zz",
            "/api/v1/licenses/lic_1/nothing",
            "/api/v1/licenses/lic_1/activations/act_1/x",
            "*",
        ] {
            self.row(format!("path {target}"), app.admin("GET", target), 404, "ROUTE_NOT_FOUND", None);
        }
        let long = format!("lic_{}", "a".repeat(41));
        for id in [
            "lic_",
            "lic_unknown",
            "unknown",
            "LIC_A",
            "lic_A1",
            "lic_a%00",
            "lic_%ff",
            "%ff",
            "%",
            "%2e%2e",
            "%2F",
            "lic_a%20b",
            "lic_a'--",
            &long,
        ] {
            let path = format!("/api/v1/licenses/{id}");
            self.row(format!("id {id}"), app.admin("GET", &path), 404, "LICENSE_NOT_FOUND", None);
        }
        for rest in ["activations", "usage"] {
            let path = format!("/api/v1/licenses/lic_unknown/{rest}");
            self.row(
                format!("{rest} of an unknown license"),
                app.admin("GET", &path),
                404,
                "LICENSE_NOT_FOUND",
                None,
            );
        }
        for (method, rest) in
            [("DELETE", ""), ("POST", "/suspend"), ("POST", "/renew"), ("POST", "/rotate-key")]
        {
            let path = format!("/api/v1/licenses/lic_unknown{rest}");
            let call = app.admin(method, &path);
            self.row(format!("{method} {path}"), call, 404, "LICENSE_NOT_FOUND", None);
        }
        let put = app.admin("PUT", "/api/v1/licenses/lic_unknown").json(&json!({}));
        self.row("PUT of an unknown license", put, 404, "LICENSE_NOT_FOUND", None);
        for id in ["act_nothing", "nothing", "act_", "act_%00", "%ff", "ACT_1"] {
            let path = format!("{}/activations/{id}", license.path);
            self.row(
                format!("activation {id}"),
                app.admin("DELETE", &path),
                404,
                "ACTIVATION_NOT_FOUND",
                None,
            );
        }
    }
}
