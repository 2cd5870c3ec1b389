//! Deactivations.

use license_core::limits;
use serde_json::json;

use super::Table;
use crate::api::app::Issued;
use crate::api::call::Call;

impl Table {
    pub(super) fn deactivations(&mut self, license: &Issued) {
        let key = &license.key;
        let call = |body: &str| Call::new("POST", "/api/v1/deactivate").json_text(body);
        for (name, body, field) in [
            ("nothing", String::new(), None),
            ("rubbish", "x".to_owned(), None),
            ("a list", format!("[\"{key}\",\"a.com\"]"), None),
            ("no key", json!({ "fingerprint": "a" }).to_string(), Some("key")),
            ("a null key", json!({ "key": null, "fingerprint": "a" }).to_string(), Some("key")),
            ("neither", json!({ "key": key }).to_string(), Some("domain")),
            ("nulls", json!({ "key": key, "domain": null, "fingerprint": null }).to_string(), Some("domain")),
            (
                "both",
                json!({ "key": key, "domain": "a.com", "fingerprint": "a" }).to_string(),
                Some("fingerprint"),
            ),
            ("a wrong domain", json!({ "key": key, "domain": 1 }).to_string(), Some("domain")),
            (
                "a wrong fingerprint",
                json!({ "key": key, "fingerprint": [] }).to_string(),
                Some("fingerprint"),
            ),
            (
                "a domain and an id",
                json!({ "key": key, "domain": "a.com", "activation_id": "act_1" }).to_string(),
                Some("activation_id"),
            ),
            ("a wrong id", json!({ "key": key, "activation_id": 1 }).to_string(), Some("activation_id")),
            (
                "an unknown field",
                json!({ "key": key, "domain": "a.com", "client": "x" }).to_string(),
                Some("client"),
            ),
            ("the key twice", format!("{{\"key\":\"{key}\",\"key\":\"{key}\"}}"), Some("key")),
        ] {
            self.row(format!("deactivate {name}"), call(&body), 400, "BAD_REQUEST", field);
        }
        let long = "x".repeat(limits::FINGERPRINT_BYTES + 1);
        for (field, text, code) in [
            ("key", "malformed", "LICENSE_KEY_MALFORMED"),
            ("key", &key[..key.len() - 1], "LICENSE_KEY_MALFORMED"),
            ("domain", "a b", "DOMAIN_INVALID"),
            ("domain", "*.example.com", "DOMAIN_INVALID"),
            ("fingerprint", "", "FINGERPRINT_INVALID"),
            ("fingerprint", &long, "FINGERPRINT_INVALID"),
            ("activation_id", "lic_1", "ACTIVATION_ID_INVALID"),
            ("activation_id", "", "ACTIVATION_ID_INVALID"),
        ] {
            let mut body = json!({ "key": key });
            if field == "key" {
                body["fingerprint"] = "a".into();
            }
            body[field] = text.into();
            let start: String = text.chars().take(12).collect();
            let name = format!("deactivate {field} {start:?}");
            self.row(name, call(&body.to_string()), 400, code, Some(field));
        }
        let text = Call::new("POST", "/api/v1/deactivate").header("content-type", "text/plain").body("{}");
        self.row("deactivate with a text", text, 415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
        self.row(
            "GET /api/v1/deactivate",
            Call::new("GET", "/api/v1/deactivate"),
            405,
            "METHOD_NOT_ALLOWED",
            None,
        );
    }
}
