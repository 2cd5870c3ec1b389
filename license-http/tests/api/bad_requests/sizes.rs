//! Bodies, targets and headers at a limit and one beyond it.

use license_core::limits;

use super::Table;
use crate::api::app::{Issued, TestApp};
use crate::api::call::Call;

impl Table {
    pub(super) fn sizes(&mut self, app: &TestApp, license: &Issued) {
        let body = |len: usize| format!("{{}}{}", " ".repeat(len - 2));
        let (edge, past) = (limits::BODY_BYTES, limits::BODY_BYTES + 1);
        let create = |len| app.admin("POST", "/api/v1/licenses").json_text(body(len));
        let suspend =
            |len| app.admin("POST", &format!("{}/suspend", license.path)).json_text("x".repeat(len));
        let validate = |len| Call::new("POST", "/api/v1/validate").json_text(body(len));
        self.row("a body at the edge", create(edge), 422, "INVALID_FIELD", Some("plan"));
        self.row("a body past it", create(past), 413, "PAYLOAD_TOO_LARGE", None);
        self.row("a body far past it", create(4 * past), 413, "PAYLOAD_TOO_LARGE", None);
        self.row("suspend with a body at the edge", suspend(edge), 400, "MALFORMED_JSON", None);
        self.row("suspend with a body past it", suspend(past), 413, "PAYLOAD_TOO_LARGE", None);
        self.row("validate with a body at the edge", validate(edge), 400, "BAD_REQUEST", Some("key"));
        self.row("validate with a body past it", validate(past), 413, "PAYLOAD_TOO_LARGE", None);

        let target = |path: &str, len: usize| format!("{path}?a={}", "x".repeat(len - path.len() - 3));
        let (edge, past) = (limits::TARGET_BYTES, limits::TARGET_BYTES + 1);
        for (path, call) in
            [("/api/v1/licenses", None), ("/api/v1/validate", Some("POST")), ("/health", None)]
        {
            let call = |len| match call {
                Some(method) => Call::new(method, &target(path, len)),
                None => app.admin("GET", &target(path, len)),
            };
            self.row(format!("{path} past a target's edge"), call(past), 414, "URI_TOO_LONG", None);
            self.row(format!("{path} far past it"), call(8 * past), 414, "URI_TOO_LONG", None);
        }
        let call = app.admin("GET", &target("/api/v1/licenses", edge));
        self.row("a target at the edge", call, 400, "BAD_REQUEST", Some("a"));

        let padded = |call: Call, len: usize| {
            let rest = len - call.header_bytes() - "x-padding".len();
            call.header("x-padding", "x".repeat(rest))
        };
        let (edge, past) = (limits::HEADER_BYTES, limits::HEADER_BYTES + 1);
        let list = || app.admin("GET", "/api/v1/licenses?a=1");
        let validate = || Call::new("POST", "/api/v1/validate").header("content-type", "application/json");
        self.row("headers at the edge", padded(list(), edge), 400, "BAD_REQUEST", Some("a"));
        self.row("headers past it", padded(list(), past), 431, "HEADERS_TOO_LARGE", None);
        self.row("headers far past it", padded(list(), 6 * past), 431, "HEADERS_TOO_LARGE", None);
        let many = (0..limits::HEADERS - 8).fold(list(), |call, n| {
            call.header(&format!("x-padding-number-{n}"), "x".repeat(limits::HEADER_BYTES / limits::HEADERS))
        });
        self.row("many headers", many, 431, "HEADERS_TOO_LARGE", None);
        let call = padded(validate(), edge);
        self.row("validate with headers at the edge", call, 400, "BAD_REQUEST", None);
        self.row("validate with headers past it", padded(validate(), past), 431, "HEADERS_TOO_LARGE", None);
        let call = Call::new("GET", "/api/v1/licenses").header("x-padding", "x".repeat(past));
        self.row("headers past it without a token", call, 431, "HEADERS_TOO_LARGE", None);
    }
}
