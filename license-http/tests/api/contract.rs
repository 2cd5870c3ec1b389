//! Checks every response of every test against the contract.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use license_http::{openapi, routes};
use serde_json::{Value, json};

use super::app::TestApp;
use super::call::{Call, Reply};

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract {
    document: serde_json::to_value(openapi()).unwrap(),
    compiled: Mutex::default(),
});

/// Headers that must be in the contract if a response has them.
const DOCUMENTED: [&str; 10] = [
    "etag",
    "location",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "www-authenticate",
    "allow",
    "x-request-id",
    "x-license-store",
    "preference-applied",
];

struct Contract {
    document: Value,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    /// Returns the operations of a path.
    fn path(&self, path: &str) -> Option<&Value> {
        let matches = |template: &str| {
            let (template, path): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            template.len() == path.len()
                && template.iter().zip(path).all(|(part, given)| part.starts_with('{') || *part == given)
        };
        self.document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| matches(name))
            .map(|(_, item)| item)
    }

    /// Validates a value by a schema that may refer to components.
    fn check(&self, schema: &Value, value: &Value, what: &str) {
        let mut compiled = self.compiled.lock().unwrap();
        let validator = Arc::clone(compiled.entry(schema.to_string()).or_insert_with(|| {
            let mut whole = schema.clone();
            whole["components"] = self.document["components"].clone();
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(
                options.build(&whole).unwrap_or_else(|error| panic!("{schema} is not a schema: {error}")),
            )
        }));
        drop(compiled);
        if let Err(error) = validator.validate(value) {
            panic!("{what} violates the contract: {error} at {} in {value}", error.instance_path());
        }
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(place) => self.document.pointer(place.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }
}

/// Ends of the paths of calls whose errors have `valid: false`.
pub(crate) const WITH_KEY: [&str; 5] =
    ["/validate", "/deactivate", "/activations/list", "/api/v1/leases", "/leases/release"];

/// Checks status, headers, content type, code and body of a response. Responses of a host app are skipped.
pub(crate) fn check(method: &str, path: &str, reply: &Reply) {
    let contract = &*CONTRACT;
    let what = format!("{} to {method} {path}", reply.status);
    let code = serde_json::from_slice::<Value>(&reply.body)
        .ok()
        .and_then(|body| body["error"].as_str().map(ToOwned::to_owned));
    // All our responses have this header, except one. Others are the host app's.
    if !reply.headers.contains_key("content-security-policy") && code.as_deref() != Some("OVERLOADED") {
        return;
    }
    let item = contract.path(path);
    let operation = item
        .and_then(|item| item.get(if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() }));
    let response = match (code.as_deref(), operation, item) {
        // A router may have only a part of the routes.
        (Some("ROUTE_NOT_FOUND"), _, _) => &contract.document["components"]["responses"]["RouteNotFound"],
        (Some("METHOD_NOT_ALLOWED"), _, Some(_)) if !WITH_KEY.iter().any(|end| path.ends_with(end)) => {
            &contract.document["components"]["responses"]["MethodNotAllowed"]
        }
        (_, Some(operation), _) => operation["responses"]
            .get(reply.status.to_string())
            .unwrap_or_else(|| panic!("{what} is not in the contract: {}", reply.text())),
        // The contract does not describe CORS preflights and unsupported methods.
        (_, None, _) => return,
    };
    let response = contract.resolve(response);
    for name in DOCUMENTED.iter().filter(|name| reply.headers.contains_key(**name)) {
        let documented = response["headers"]
            .as_object()
            .and_then(|headers| headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)));
        let (_, documented) =
            documented.unwrap_or_else(|| panic!("the header {name} of {what} is not in the contract"));
        let text = reply.header(name).unwrap();
        let schema = &contract.resolve(documented)["schema"];
        let value =
            if schema["type"] == "integer" { text.parse::<u64>().unwrap().into() } else { Value::from(text) };
        contract.check(schema, &value, &format!("the header {name} of {what}"));
    }
    for (name, statuses) in
        [("retry-after", [429, 503]), ("www-authenticate", [401, 403]), ("allow", [405, 405])]
    {
        assert_eq!(reply.headers.contains_key(name), statuses.contains(&reply.status), "{name} of {what}");
    }
    if reply.status == 304 {
        assert!(reply.body.is_empty(), "{what} has a body");
        return;
    }
    let content_type = reply.header("content-type").unwrap_or_else(|| panic!("{what} has no content type"));
    let media_type = content_type.split(';').next().unwrap();
    let content = response["content"].as_object().unwrap();
    let content = content.get(media_type).or_else(|| content.get("*/*"));
    let schema =
        &content.unwrap_or_else(|| panic!("{what} as {media_type} is not in the contract"))["schema"];
    if method != "HEAD" && media_type.ends_with("json") {
        contract.check(schema, &reply.json(), &what);
    }
}

const STALE: &str =
    "docs/openapi.json is stale: cargo run -p license-examples --example openapi > docs/openapi.json";

#[test]
fn committed_contract_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed.trim_end() == openapi().to_pretty_json().unwrap(), "{STALE}");
}

#[test]
fn every_route_is_in_the_contract_with_its_scopes() {
    let document = &CONTRACT.document;
    assert_eq!(document["openapi"], "3.1.0");
    let expected: BTreeMap<_, _> = routes()
        .iter()
        .map(|route| {
            let scopes =
                route.scopes.map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect::<BTreeSet<_>>());
            (format!("{} {}", route.method.as_str().to_lowercase(), route.path), scopes)
        })
        .collect();
    let mut documented = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scopes = operation["security"].as_array().map(|security| {
                assert_eq!(security.len(), 1);
                security[0]["token"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect()
            });
            documented.insert(format!("{method} {path}"), scopes);
        }
    }
    assert_eq!(documented, expected);
}

#[test]
fn examples_match_their_schemas_and_operations_are_named() {
    let contract = &*CONTRACT;
    let mut shown = 0;
    for (name, schema) in contract.document["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            contract.check(schema, example, &format!("the example of {name}"));
            shown += 1;
        }
        let typed = ["type", "oneOf", "allOf"].iter().any(|word| schema.get(word).is_some());
        assert!(typed, "{name} has no type");
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let typed =
                ["type", "$ref", "oneOf", "anyOf", "allOf"].iter().any(|word| schema.get(word).is_some());
            assert!(typed, "{field} of {name} has no type");
        }
    }
    assert!(shown >= 12, "{shown}");
    let mut ids = BTreeSet::new();
    for (path, item) in contract.document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
        }
    }
}

/// Reads all string literals in the source that look like a code.
#[test]
fn every_code_is_in_the_contract() {
    let text = CONTRACT.document.to_string();
    let mut codes = BTreeSet::new();
    for file in ["/src/problem/code.rs", "/../license-core/src/validation/denial.rs"] {
        let source = std::fs::read_to_string(format!("{}{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for code in source.split('"').skip(1).step_by(2) {
            if code.len() > 4 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
                codes.insert(code.to_owned());
            }
        }
    }
    assert!(codes.len() >= 40, "{}", codes.len());
    // Never answered: the service repeats the command with the active key, or finds no license with the key.
    codes.retain(|code| !["SIGNING_KEY_INACTIVE", "LICENSE_KEY_REPLACED"].contains(&&**code));
    for code in codes {
        assert!(text.contains(&format!("\"{code}\"")), "{code}");
    }
}

#[tokio::test]
async fn served_contract_names_the_prefix_as_server() {
    let app = TestApp::new().await;
    let document = Call::new("GET", "/openapi.json").send(&app.router).await.json();
    assert_eq!(document, CONTRACT.document);
    let host = axum::Router::new().nest("/licensing", app.router.clone());
    let below = Call::new("GET", "/licensing/openapi.json").send(&host).await.json();
    assert_eq!(below["servers"], json!([{ "url": "/licensing" }]));
    assert_eq!(below["paths"], document["paths"]);
}

#[tokio::test]
async fn docs_page_loads_only_its_style_sheet() {
    let app = TestApp::new().await;
    let page = Call::new("GET", "/docs").send(&app.router).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; "), "{policy}");
    let text = page.text();
    for absent in ["<script", "<style", "<img", " style=", " src=", "@import"] {
        assert!(!text.contains(absent), "{absent}");
    }
    assert_eq!(text.matches("<link").count(), 1);
    assert!(text.contains("<link rel=\"stylesheet\" href=\"docs/style.css\">"));
    let style = Call::new("GET", "/docs/style.css").send(&app.router).await;
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert!(!style.text().contains("url("));
    let reply = Call::new("GET", "/docs/nothing").send(&app.router).await;
    assert_eq!(reply.fault(), (404, "ROUTE_NOT_FOUND".to_owned(), None));
}
