//! Unsupported methods.

use super::Table;
use crate::api::app::{Issued, TestApp};

impl Table {
    pub(super) fn methods(&mut self, app: &TestApp, license: &Issued) {
        for (method, rest) in [
            ("PATCH", ""),
            ("POST", ""),
            ("OPTIONS", ""),
            ("TRACE", ""),
            ("get", ""),
            ("BREW", ""),
            ("GET", "/suspend"),
            ("DELETE", "/renew"),
            ("POST", "/activations"),
            ("GET", "/activations/act_1"),
            ("POST", "/usage"),
        ] {
            let call = app.admin(method, &format!("{}{rest}", license.path));
            self.row(format!("{method} of a license{rest}"), call, 405, "METHOD_NOT_ALLOWED", None);
        }
        for (method, target) in [
            ("DELETE", "/api/v1/licenses"),
            ("PUT", "/api/v1/licenses"),
            ("GET", "/api/v1/validate"),
            ("PUT", "/api/v1/validate"),
            ("OPTIONS", "/api/v1/validate"),
            ("POST", "/health"),
            ("DELETE", "/ready"),
        ] {
            self.row(
                format!("{method} {target}"),
                app.admin(method, target),
                405,
                "METHOD_NOT_ALLOWED",
                None,
            );
        }
    }
}
