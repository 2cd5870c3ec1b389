//! Validations.

use license_core::limits;
use serde_json::json;

use super::Table;
use crate::api::app::Issued;
use crate::api::call::Call;

impl Table {
    pub(super) fn validations(&mut self, license: &Issued) {
        let key = self.key.clone();
        let raw = |body: String| Call::new("POST", "/api/v1/validate").json_text(body);
        for (name, body, field) in [
            ("nothing", String::new(), None),
            ("rubbish", "x".to_owned(), None),
            ("half an object", format!("{{\"key\":\"{key}\""), None),
            ("text after it", format!("{{\"key\":\"{key}\"}}x"), None),
            ("a list", "[]".to_owned(), None),
            ("a list of the fields", format!("[\"{key}\",null,null]"), None),
            ("the key alone", format!("\"{key}\""), None),
            ("nesting", "[".repeat(60_000), None),
            ("no key", "{}".to_owned(), Some("key")),
            ("a null key", json!({ "key": null }).to_string(), Some("key")),
            ("a number", json!({ "key": 17 }).to_string(), Some("key")),
            ("a list in key", json!({ "key": [key] }).to_string(), Some("key")),
            ("a wrong domain", json!({ "key": key, "domain": 1 }).to_string(), Some("domain")),
            ("domains", json!({ "key": key, "domain": ["a.com"] }).to_string(), Some("domain")),
            (
                "a wrong fingerprint",
                json!({ "key": key, "fingerprint": {} }).to_string(),
                Some("fingerprint"),
            ),
            ("a wrong client", json!({ "key": key, "client": 1 }).to_string(), Some("client")),
            ("an unknown field", json!({ "key": key, "device": "x" }).to_string(), Some("device")),
            ("the key twice", format!("{{\"key\":\"{key}\",\"key\":\"{key}\"}}"), Some("key")),
            (
                "the domain twice",
                format!("{{\"key\":\"{key}\",\"domain\":null,\"domain\":null}}"),
                Some("domain"),
            ),
            ("a name twice within", "{\"domain\":{\"a\":1,\"a\":2}}".to_owned(), Some("domain.a")),
        ] {
            self.row(format!("validate {name}"), raw(body), 400, "BAD_REQUEST", field);
        }
        let call = Call::new("POST", "/api/v1/validate").json_text(b"{\"key\":\"\xff\"}".to_vec());
        self.row("validate invalid UTF-8", call, 400, "BAD_REQUEST", None);

        let with = |field: &str, value: &str| {
            let mut body = json!({ "key": license.key });
            body[field] = value.into();
            Call::new("POST", "/api/v1/validate").json(&body)
        };
        // With several wrong symbols there is no suggestion.
        let groups: Vec<_> = key.split('-').collect();
        let swapped = [groups[0], groups[2], groups[1], groups[3], groups[4]].join("-");
        let other = key.replacen("TO-", "XY-", 1);
        let long = format!("{key}0");
        let longer = "K".repeat(10_000);
        let nul = format!("{key}\0");
        for (name, text) in [
            ("nothing", ""),
            ("prefix", "TO"),
            ("words", "no key"),
            ("too short", &key[..key.len() - 1]),
            ("swapped groups", &swapped),
            ("another prefix", &other),
            ("too long", &long),
            ("far too long", &longer),
            ("NUL", &nul),
        ] {
            let name = format!("validate key: {name}");
            self.row(name, with("key", text), 400, "LICENSE_KEY_MALFORMED", Some("key"));
        }
        let long = "x".repeat(3_000);
        for text in [
            "",
            " ",
            "a b",
            "a..b",
            "*.example.com",
            "8.8.8.8",
            "a\0b",
            "user@a.com",
            "ftp://a.com",
            "http",
            "www",
            "ftp//a.com",
            "https/a.com",
            &long,
        ] {
            let name: String = text.chars().take(20).collect();
            self.row(
                format!("validate domain {name:?}"),
                with("domain", text),
                400,
                "DOMAIN_INVALID",
                Some("domain"),
            );
        }
        let long = "x".repeat(limits::FINGERPRINT_BYTES + 1);
        for text in ["", " \t", "a\nb", "a\0b", &long] {
            let name: String = text.chars().take(20).collect();
            let call = with("fingerprint", text);
            let name = format!("validate fingerprint {name:?}");
            self.row(name, call, 400, "FINGERPRINT_INVALID", Some("fingerprint"));
        }
        self.questions(&key);
        self.types_of_validations(&key);
    }

    fn questions(&mut self, key: &str) {
        let (long_product, long_feature) =
            ("x".repeat(limits::PLAN_NAME_BYTES + 1), "x".repeat(limits::FEATURE_NAME_BYTES + 1));
        let many: Vec<_> = (0..=limits::FEATURES_PER_REQUEST).map(|n| format!("f{n}")).collect();
        for (name, body, field) in [
            ("a wrong product", json!({ "key": key, "product": 1 }), "product"),
            ("products", json!({ "key": key, "product": ["editor"] }), "product"),
            ("an empty product", json!({ "key": key, "product": "" }), "product"),
            ("a product in capitals", json!({ "key": key, "product": "Editor" }), "product"),
            ("a long product", json!({ "key": key, "product": long_product }), "product"),
            ("one feature", json!({ "key": key, "features": "export" }), "features"),
            ("features by name", json!({ "key": key, "features": {"a": true} }), "features"),
            ("a wrong feature", json!({ "key": key, "features": ["a", 1] }), "features[1]"),
            ("an empty feature", json!({ "key": key, "features": ["a", ""] }), "features"),
            ("a feature in two lines", json!({ "key": key, "features": ["a\nb"] }), "features"),
            ("a long feature", json!({ "key": key, "features": [long_feature] }), "features"),
            ("too many features", json!({ "key": key, "features": many }), "features"),
            ("activate as a text", json!({ "key": key, "activate": "false" }), "activate"),
            ("activate as a number", json!({ "key": key, "activate": 0 }), "activate"),
        ] {
            let call = Call::new("POST", "/api/v1/validate").json(&body);
            self.row(format!("validate {name}"), call, 400, "BAD_REQUEST", Some(field));
        }
    }

    fn types_of_validations(&mut self, key: &str) {
        let body = json!({ "key": key }).to_string();
        let plain = Call::new("POST", "/api/v1/validate").body(body.as_str());
        self.row(
            "validate without a type",
            plain.clone(),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            Some("Content-Type"),
        );
        let text = plain.clone().header("content-type", "text/plain");
        self.row("validate with a text", text, 415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
        let gzip = plain.header("content-type", "application/json").header("content-encoding", "gzip");
        self.row("validate with gzip", gzip, 415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Encoding"));
    }
}
