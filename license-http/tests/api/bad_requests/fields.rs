//! Fields of a new license.

use license_core::limits;
use serde_json::{Value, json};

use super::Table;
use crate::api::app::{EMAIL, TestApp};
use crate::api::call::Call;

/// Returns a request for a license with one changed field.
fn with(app: &TestApp, field: &str, value: Value) -> Call {
    let mut body = json!({ "plan": "professional", "customer_email": EMAIL });
    body[field] = value;
    app.admin("POST", "/api/v1/licenses").json(&body)
}

impl Table {
    pub(super) fn fields(&mut self, app: &TestApp) {
        self.names(app);
        self.slots_and_times(app);
        self.texts_and_lists(app);
        self.denied(app);
    }

    fn names(&mut self, app: &TestApp) {
        let empty = app.admin("POST", "/api/v1/licenses").json(&json!({}));
        self.row("no fields", empty, 422, "INVALID_FIELD", Some("plan"));
        let long = "x".repeat(101);
        let cut = format!("{}…", &long[..100]);
        for (unknown, field) in [
            ("plann", "plann"),
            ("customerEmail", "customerEmail"),
            ("status", "status"),
            ("id", "id"),
            ("Plan", "Plan"),
            ("", ""),
            ("a\u{0}b", "a\u{0}b"),
            (&long, &cut),
        ] {
            self.row(
                format!("unknown {unknown:?}"),
                with(app, unknown, json!(1)),
                422,
                "INVALID_FIELD",
                Some(field),
            );
        }
    }

    fn wrong<const N: usize>(&mut self, app: &TestApp, values: [(&str, &str, Vec<Value>); N]) {
        for (field, at, values) in values {
            for (index, value) in values.into_iter().enumerate() {
                let name = format!("{at}, wrong value {index}");
                self.row(name, with(app, field, value), 422, "INVALID_FIELD", Some(at));
            }
        }
    }

    fn slots_and_times(&mut self, app: &TestApp) {
        let key = self.key.clone();
        let slots = u64::from(limits::MAX_SLOTS);
        self.wrong(
            app,
            [
                (
                    "max_domains",
                    "max_domains",
                    vec![
                        json!("3"),
                        json!(-1),
                        json!(1.5),
                        json!(1e30),
                        json!(4_294_967_296_u64),
                        json!(u64::MAX),
                        json!(slots + 1),
                        json!(true),
                        json!([3]),
                        json!(key),
                    ],
                ),
                ("max_devices", "max_devices", vec![json!("unlimited"), json!(slots + 1)]),
                (
                    "expires_at",
                    "expires_at",
                    vec![
                        json!(0),
                        json!(""),
                        json!("tomorrow"),
                        json!("2027-01-01"),
                        json!("2027-02-30T00:00:00Z"),
                        json!("2027-01-01T00:00:00"),
                        json!("2027-01-01T25:00:00Z"),
                        json!("+12027-01-01T00:00:00Z"),
                        json!(false),
                    ],
                ),
            ],
        );
    }

    fn texts_and_lists(&mut self, app: &TestApp) {
        let key = self.key.clone();
        let many_domains: Vec<_> = (0..=limits::DOMAINS_PER_REQUEST).map(|n| format!("d{n}.com")).collect();
        let many_keys: Value = (0..=limits::METADATA_KEYS)
            .map(|n| (format!("k{n}"), json!(n)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let grant = json!({ "feature": "a", "value": 1 });
        let many_grants = vec![grant.clone(); limits::GRANTS + 1];
        let deep = (0..limits::METADATA_DEPTH).fold(json!({}), |inner, _| json!({ "a": inner }));
        let long_name = "x".repeat(limits::CUSTOMER_NAME_BYTES + 1);
        let long_email = format!("name@{0}.{0}.{0}.{0}.com", "a".repeat(62));
        assert!(long_email.len() > limits::EMAIL_BYTES);
        self.wrong(
            app,
            [
                (
                    "plan",
                    "plan",
                    vec![
                        json!(null),
                        json!(1),
                        json!([]),
                        json!({"a": key}),
                        json!(""),
                        json!("a\0"),
                        json!("x".repeat(limits::PLAN_NAME_BYTES + 1)),
                    ],
                ),
                ("customer_name", "customer_name", vec![json!(1), json!(""), json!("a\0"), json!(long_name)]),
                (
                    "external_id",
                    "external_id",
                    vec![json!(1), json!(""), json!("a\0"), json!("x".repeat(limits::EXTERNAL_ID_BYTES + 1))],
                ),
                (
                    "customer_email",
                    "customer_email",
                    vec![
                        json!(1),
                        json!(""),
                        json!("dev"),
                        json!("a@b@c.de"),
                        json!("dev@example.com\0"),
                        json!("a@example.com,b@example.com"),
                        json!(format!("{key}@")),
                        json!(long_email),
                    ],
                ),
                (
                    "domains",
                    "domains",
                    vec![json!(null), json!("example.com"), json!({"0": "a.com"}), json!(many_domains)],
                ),
                (
                    "domains",
                    "domains[1]",
                    vec![json!(["ok.com", null]), json!(["ok.com", ["a.com"]]), json!(["ok.com", "*.com"])],
                ),
                (
                    "domains",
                    "domains[2]",
                    vec![
                        json!(["a.com", "b.com", ""]),
                        json!(["a.com", "b.com", "exa mple.com"]),
                        json!(["a.com", "b.com", "8.8.8.8"]),
                        json!(["a.com", "b.com", "a..b"]),
                        json!(["a.com", "b.com", "user@evil.com"]),
                        json!(["a.com", "b.com", "x".repeat(3000)]),
                        json!(["a.com", "b.com", "a\0.com"]),
                    ],
                ),
                (
                    "grants",
                    "grants",
                    vec![json!(null), json!({"feature": "a", "value": 1}), json!(many_grants)],
                ),
                ("grants", "grants[0]", vec![json!([1]), json!(["a"]), json!([null])]),
                ("grants", "grants[1].value", vec![json!([grant, {"feature": "b"}])]),
                ("grants", "grants[0].end", vec![json!([{"feature": "b", "value": 1, "end": null}])]),
                (
                    "metadata",
                    "metadata",
                    vec![
                        json!(null),
                        json!([]),
                        json!(key),
                        many_keys,
                        deep,
                        json!({ "a": "x".repeat(limits::METADATA_BYTES - 7) }),
                        json!({ "a": "x\0" }),
                    ],
                ),
            ],
        );
    }

    fn denied(&mut self, app: &TestApp) {
        for (field, value, status, code, at) in [
            ("plan", json!("nothing"), 422, "PLAN_UNKNOWN", Some("plan")),
            ("plan", json!("Professional"), 422, "PLAN_UNKNOWN", Some("plan")),
            ("plan", json!("professional "), 422, "PLAN_UNKNOWN", Some("plan")),
            ("domains", json!(["localhost"]), 422, "DOMAIN_EXEMPT", Some("domains")),
            ("domains", json!(["a.com", "10.0.0.1"]), 422, "DOMAIN_EXEMPT", Some("domains")),
            ("domains", json!(["a.com", "b.com", "c.com", "d.com"]), 409, "DOMAIN_LIMIT_REACHED", None),
            (
                "grants",
                json!([{ "feature": "a", "value": 1, "until": "2026-01-01T00:00:00Z" }]),
                422,
                "GRANT_ENDED",
                Some("grants"),
            ),
            ("expires_at", json!("2026-01-01T00:00:00Z"), 422, "LICENSE_EXPIRED", Some("expires_at")),
            ("expires_at", json!("0000-01-01T00:00:00Z"), 422, "LICENSE_EXPIRED", Some("expires_at")),
            ("expires_at", json!("0000-01-01T00:00:00+01:00"), 422, "EXPIRY_TOO_FAR", Some("expires_at")),
            ("expires_at", json!("9999-12-31T23:59:59-01:00"), 422, "EXPIRY_TOO_FAR", Some("expires_at")),
        ] {
            self.row(format!("{field} {value}"), with(app, field, value), status, code, at);
        }
    }
}
