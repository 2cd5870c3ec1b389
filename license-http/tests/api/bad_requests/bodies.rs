//! Bodies that are not JSON, or not an object.

use super::Table;
use crate::api::app::TestApp;

impl Table {
    pub(super) fn bodies(&mut self, app: &TestApp) {
        let utf16: Vec<u8> = "{\"plan\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (name, body) in [
            ("an empty body", Vec::new()),
            ("white space", b" \n ".to_vec()),
            ("an open brace", b"{".to_vec()),
            ("a missing value", br#"{"plan":}"#.to_vec()),
            ("a comma too many", br#"{"plan":"starter",}"#.to_vec()),
            ("text after the object", br#"{"plan":"starter"} x"#.to_vec()),
            ("two objects", b"{}{}".to_vec()),
            ("a byte order mark only", b"\xef\xbb\xbf".to_vec()),
            ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf{}".to_vec()),
            ("UTF-16", utf16),
            ("invalid UTF-8", b"{\"plan\":\"\xff\xfe\"}".to_vec()),
            ("half a surrogate pair", br#"{"plan":"\ud800"}"#.to_vec()),
            ("a line end in a string", b"{\"plan\":\"a\nb\"}".to_vec()),
            ("a NUL in a string", b"{\"plan\":\"a\0b\"}".to_vec()),
            ("a NUL at the end", b"{}\0".to_vec()),
            ("NaN", br#"{"max_domains":NaN}"#.to_vec()),
            ("a number past all numbers", br#"{"metadata":{"a":1e999}}"#.to_vec()),
            ("a leading zero", br#"{"max_domains":01}"#.to_vec()),
            ("single quotes", b"{'plan':'starter'}".to_vec()),
            ("a comment", b"{/* */}".to_vec()),
            ("a name without quotes", br#"{plan:"starter"}"#.to_vec()),
            ("nesting without end", b"[".repeat(60_000)),
            ("objects without end", br#"{"a":"#.repeat(10_000)),
            ("a form", b"plan=starter".to_vec()),
            ("XML", b"<plan>starter</plan>".to_vec()),
        ] {
            let call = app.admin("POST", "/api/v1/licenses").json_text(body);
            self.row(name, call, 400, "MALFORMED_JSON", None);
        }
        for (name, body) in [("a list", "[]"), ("a text", "\"x\""), ("null", "null"), ("a number", "17")] {
            let call = app.admin("POST", "/api/v1/licenses").json_text(body);
            self.row(name, call, 422, "INVALID_FIELD", None);
        }
        for (name, body, field) in [
            ("a name twice", r#"{"plan":"starter","plan":"starter"}"#, "plan"),
            ("a name twice, once escaped", r#"{"plan":"starter","\u0070lan":"starter"}"#, "plan"),
            ("a name twice in metadata", r#"{"metadata":{"a":{"b":1,"b":2}}}"#, "metadata.a.b"),
            ("a name twice in a list", r#"{"metadata":{"a":[0,{"b":1,"b":2}]}}"#, "metadata.a[1].b"),
        ] {
            let call = app.admin("POST", "/api/v1/licenses").json_text(body);
            self.row(name, call, 422, "INVALID_FIELD", Some(field));
        }
    }
}
