//! Content types and encodings.

use serde_json::json;

use super::Table;
use crate::api::app::{EMAIL, TestApp};

impl Table {
    pub(super) fn media_types(&mut self, app: &TestApp) {
        let body = json!({ "plan": "starter", "customer_email": EMAIL }).to_string();
        let call = |types: &[&str]| {
            let call = app.admin("POST", "/api/v1/licenses").body(body.as_str());
            types.iter().fold(call, |call, value| call.header("content-type", *value))
        };
        for types in [
            &[][..],
            &[""],
            &["text/plain"],
            &["text/json"],
            &["application/x-www-form-urlencoded"],
            &["multipart/form-data; boundary=x"],
            &["application/jsonx"],
            &["application/+json"],
            &["application/a b+json"],
            &["application/json; charset=latin1"],
            &["application/json; charset=utf-16"],
            &["application/json; charset="],
            &["application/json, application/json"],
            &["*/*"],
            &["application/json", "application/json"],
            &["application/json\u{fc}"],
        ] {
            self.row(
                format!("types {types:?}"),
                call(types),
                415,
                "UNSUPPORTED_MEDIA_TYPE",
                Some("Content-Type"),
            );
        }
        for encoding in ["gzip", "br", "deflate", "identity, gzip", "x"] {
            let call = call(&["application/json"]).header("content-encoding", encoding);
            let name = format!("encoding {encoding}");
            self.row(name, call, 415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Encoding"));
        }
    }
}
