//! Webhook endpoints, deliveries and events.

use license_core::event::EventType;
use license_core::limits;
use serde_json::{Value, json};

use super::Table;
use crate::api::app::TestApp;

const PATH: &str = "/api/v1/webhook-endpoints";

/// Returns a request for an endpoint with one changed field.
fn with(field: &str, value: Value) -> Value {
    let mut request = json!({ "url": "https://example.com/hook", "events": ["*"] });
    request[field] = value;
    request
}

fn without(field: &str) -> Value {
    let mut request = with("description", json!(null));
    request.as_object_mut().unwrap().remove(field);
    request
}

impl Table {
    pub(super) async fn webhooks(&mut self, app: &TestApp) {
        let created = app.admin("POST", PATH).json(&without("description")).send(&app.router).await.json();
        let path = format!("{PATH}/{}", created["id"].as_str().unwrap());
        app.get(PATH).await.text().clone_into(&mut self.endpoints);
        self.endpoint_fields(app, &path);
        self.endpoint_paths(app, &path);
        self.event_queries(app, &path);
    }

    fn endpoint_fields(&mut self, app: &TestApp, path: &str) {
        let long_url = format!("https://example.com/{}", "x".repeat(limits::ENDPOINT_URL_BYTES - 19));
        let long_text = "x".repeat(limits::ENDPOINT_DESCRIPTION_BYTES + 1);
        let types: Vec<_> = EventType::ALL.iter().map(|event_type| event_type.as_str()).collect();
        let many = types.iter().cycle().filter(|text| **text != "webhook_endpoint.test");
        let many: Vec<_> = many.take(limits::EVENTS_PER_ENDPOINT + 1).collect();
        for (field, at, value) in [
            ("url", "url", json!(null)),
            ("url", "url", json!(1)),
            ("url", "url", json!("")),
            ("url", "url", json!("example.com")),
            ("url", "url", json!("http://example.com/")),
            ("url", "url", json!("ftp://example.com/")),
            ("url", "url", json!("https://user:secret@example.com/")),
            ("url", "url", json!("https://example.com/#part")),
            ("url", "url", json!("https://example.com/\0")),
            ("url", "url", json!("https://127.1/")),
            ("url", "url", json!("https://[::ffff:10.0.0.1]/")),
            ("url", "url", json!("https://169.254.169.254/latest/meta-data")),
            ("url", "url", json!(long_url)),
            ("events", "events", json!(null)),
            ("events", "events", json!("*")),
            ("events", "events", json!([])),
            ("events", "events", json!(many)),
            ("events", "events[0]", json!([1])),
            ("events", "events[0]", json!([""])),
            ("events", "events[0]", json!(["license.*"])),
            ("events", "events[0]", json!(["License.created"])),
            ("events", "events[0]", json!(["webhook_endpoint.test"])),
            ("events", "events[1]", json!(["license.created", null])),
            ("events", "events[1]", json!(["*", "nothing"])),
            ("description", "description", json!(1)),
            ("description", "description", json!("a\nb")),
            ("description", "description", json!(long_text)),
            ("enabled", "enabled", json!(null)),
            ("enabled", "enabled", json!("true")),
            ("enabled", "enabled", json!(1)),
            ("secret", "secret", json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
            ("id", "id", json!("whe_1")),
        ] {
            let name: String = value.to_string().chars().take(50).collect();
            for (method, path) in [("POST", PATH), ("PUT", path)] {
                let call = app.admin(method, path).json(&with(field, value.clone()));
                self.row(format!("{method} endpoint {field} {name}"), call, 422, "INVALID_FIELD", Some(at));
            }
        }
        for field in ["url", "events"] {
            for (method, path) in [("POST", PATH), ("PUT", path)] {
                let call = app.admin(method, path).json(&without(field));
                self.row(
                    format!("{method} endpoint without {field}"),
                    call,
                    422,
                    "INVALID_FIELD",
                    Some(field),
                );
            }
        }
        for (name, body) in [
            ("nothing", json!({})),
            ("null", json!({ "since": null })),
            ("a number", json!({ "since": 1 })),
            ("a date", json!({ "since": "2026-01-01" })),
        ] {
            let call = app.admin("POST", &format!("{path}/replay")).json(&body);
            self.row(format!("replay since {name}"), call, 422, "INVALID_FIELD", Some("since"));
        }
        let call = app.admin("POST", &format!("{path}/replay")).json(&json!({ "until": "" }));
        self.row("replay until", call, 422, "INVALID_FIELD", Some("until"));
        for verb in ["enable", "disable", "rotate-secret", "test"] {
            let call = app.admin("POST", &format!("{path}/{verb}")).json(&json!({ "now": true }));
            self.row(format!("{verb} with a field"), call, 422, "INVALID_FIELD", Some("now"));
            let call = app.admin("POST", &format!("{path}/{verb}?now"));
            self.row(format!("{verb} with a parameter"), call, 400, "BAD_REQUEST", Some("now"));
        }
    }

    fn endpoint_paths(&mut self, app: &TestApp, path: &str) {
        for id in ["whe_unknown", "whe_", "lic_1", "WHE_A", "whe_a%00", "%ff", "whe_a'--"] {
            for (method, rest) in [
                ("GET", ""),
                ("DELETE", ""),
                ("GET", "/deliveries"),
                ("POST", "/enable"),
                ("POST", "/disable"),
                ("POST", "/rotate-secret"),
                ("POST", "/test"),
                ("POST", "/deliveries/evt_1_0000000001/replay"),
            ] {
                if id == "%ff" && rest.ends_with("/replay") {
                    continue; // One invalid parameter makes all of the path unreadable.
                }
                let call = app.admin(method, &format!("{PATH}/{id}{rest}"));
                self.row(format!("{method} {id}{rest}"), call, 404, "ENDPOINT_NOT_FOUND", None);
            }
        }
        let unknown = format!("{PATH}/whe_unknown");
        let put = app.admin("PUT", &unknown).json(&without("description"));
        self.row("PUT of no endpoint", put, 404, "ENDPOINT_NOT_FOUND", None);
        let replay =
            app.admin("POST", &format!("{unknown}/replay")).json(&json!({"since": "2026-01-01T00:00:00Z"}));
        self.row("replay to no endpoint", replay, 404, "ENDPOINT_NOT_FOUND", None);
        for id in ["evt_1_0000000001", "evt_nothing", "1", "%00", "evt_1_1", "lic_1"] {
            let call = app.admin("POST", &format!("{path}/deliveries/{id}/replay"));
            self.row(format!("replay of {id}"), call, 404, "DELIVERY_NOT_FOUND", None);
        }
        for (method, rest) in [
            ("PATCH", ""),
            ("POST", ""),
            ("GET", "/test"),
            ("GET", "/enable"),
            ("DELETE", "/deliveries"),
            ("GET", "/replay"),
        ] {
            let call = app.admin(method, &format!("{path}{rest}"));
            self.row(format!("{method} of an endpoint{rest}"), call, 405, "METHOD_NOT_ALLOWED", None);
        }
        for (method, target) in [("DELETE", PATH), ("POST", "/api/v1/events"), ("DELETE", "/api/v1/events")] {
            self.row(
                format!("{method} {target}"),
                app.admin(method, target),
                405,
                "METHOD_NOT_ALLOWED",
                None,
            );
        }
        let path = format!("{path}/deliveries/evt_1_0000000001");
        self.row("a delivery", app.admin("GET", &path), 404, "ROUTE_NOT_FOUND", None);
    }

    fn event_queries(&mut self, app: &TestApp, path: &str) {
        let past = format!("limit={}", limits::PAGE_ITEMS + 1);
        for (query, field) in [
            ("type=nothing", "type"),
            ("type=*", "type"),
            ("type=", "type"),
            ("license=nothing", "license"),
            ("license=whe_1", "license"),
            ("from=yesterday", "from"),
            ("to=2026-01-01", "to"),
            ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
            ("limit=0", "limit"),
            (&past, "limit"),
            ("cursor=", "cursor"),
            ("cursor=-1", "cursor"),
            ("cursor=%2B1", "cursor"),
            ("cursor=9223372036854775808", "cursor"),
            ("cursor=lic_1", "cursor"),
            ("status=failed", "status"),
            ("type=license.created&type=license.created", "type"),
        ] {
            let call = app.admin("GET", &format!("/api/v1/events?{query}"));
            self.row(format!("events?{query}"), call, 400, "BAD_REQUEST", Some(field));
        }
        for (query, field) in [
            ("status=nothing", "status"),
            ("status=Failed", "status"),
            ("status=failed&status=failed", "status"),
            ("limit=0", "limit"),
            (&past, "limit"),
            ("cursor=x", "cursor"),
            ("type=license.created", "type"),
        ] {
            let call = app.admin("GET", &format!("{path}/deliveries?{query}"));
            self.row(format!("deliveries?{query}"), call, 400, "BAD_REQUEST", Some(field));
        }
        for target in [PATH, path] {
            let call = app.admin("GET", &format!("{target}?limit=1"));
            self.row(format!("{}?limit", target.len()), call, 400, "BAD_REQUEST", Some("limit"));
        }
    }
}
