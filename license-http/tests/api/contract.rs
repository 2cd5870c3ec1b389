//! The contract, and every answer of every test held against it.

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

/// Headers that tell a caller something: where one comes, it stands in the contract.
const TELLING: [&str; 9] = [
    "etag",
    "location",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "www-authenticate",
    "allow",
    "x-request-id",
    "x-license-store",
];

struct Contract {
    document: Value,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    /// The operations of the path.
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

    /// A schema that may refer to the components.
    fn check(&self, schema: &Value, value: &Value, what: &str) {
        let mut compiled = self.compiled.lock().unwrap();
        let validator = Arc::clone(compiled.entry(schema.to_string()).or_insert_with(|| {
            let mut whole = schema.clone();
            whole["components"] = self.document["components"].clone();
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(options.build(&whole).unwrap_or_else(|error| panic!("{schema} is no schema: {error}")))
        }));
        drop(compiled);
        if let Err(error) = validator.validate(value) {
            panic!("{what} is not by the contract: {error} at {} in {value}", error.instance_path());
        }
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(place) => self.document.pointer(place.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }
}

/// Holds an answer against the contract: its status, headers, type, code and body. Answers of paths that are not ours are their
/// app's.
pub(crate) fn check(method: &str, path: &str, reply: &Reply) {
    let contract = &*CONTRACT;
    let what = format!("{} to {method} {path}", reply.status);
    let code = serde_json::from_slice::<Value>(&reply.body)
        .ok()
        .and_then(|body| body["error"].as_str().map(ToOwned::to_owned));
    // Each answer of ours has it, but for one: the rest are the host app's.
    if !reply.headers.contains_key("content-security-policy") && code.as_deref() != Some("OVERLOADED") {
        return;
    }
    let item = contract.path(path);
    let operation = item
        .and_then(|item| item.get(if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() }));
    let response = match (code.as_deref(), operation, item) {
        // On a router that has not all of it, a path of the contract may not be there.
        (Some("ROUTE_NOT_FOUND"), _, _) => &contract.document["components"]["responses"]["RouteNotFound"],
        (Some("METHOD_NOT_ALLOWED"), _, Some(_))
            if !path.ends_with("/validate") && !path.ends_with("/deactivate") =>
        {
            &contract.document["components"]["responses"]["MethodNotAllowed"]
        }
        (_, Some(operation), _) => operation["responses"]
            .get(reply.status.to_string())
            .unwrap_or_else(|| panic!("{what} is not in the contract: {}", reply.text())),
        // A preflight of CORS is between the browser and the server, and a wrong method is refused after the token is known:
        // nothing that an operation could tell.
        (_, None, _) => return,
    };
    let response = contract.resolve(response);
    for name in TELLING.iter().filter(|name| reply.headers.contains_key(**name)) {
        let told = response["headers"]
            .as_object()
            .and_then(|headers| headers.iter().find(|(told, _)| told.eq_ignore_ascii_case(name)));
        let (_, told) = told.unwrap_or_else(|| panic!("the header {name} of {what} is not in the contract"));
        let text = reply.header(name).unwrap();
        let schema = &contract.resolve(told)["schema"];
        let value =
            if schema["type"] == "integer" { text.parse::<u64>().unwrap().into() } else { Value::from(text) };
        contract.check(schema, &value, &format!("the header {name} of {what}"));
    }
    for (name, statuses) in
        [("retry-after", [429, 503]), ("www-authenticate", [401, 403]), ("allow", [405, 405])]
    {
        assert_eq!(reply.headers.contains_key(name), statuses.contains(&reply.status), "{name} of {what}");
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
fn the_committed_contract_is_of_this_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed.trim_end() == openapi().to_pretty_json().unwrap(), "{STALE}");
}

#[test]
fn every_route_stands_in_the_contract_with_its_scopes() {
    let document = &CONTRACT.document;
    assert_eq!(document["openapi"], "3.1.0");
    let there: BTreeMap<_, _> = routes()
        .iter()
        .map(|route| {
            let scopes =
                route.scopes.map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect::<BTreeSet<_>>());
            (format!("{} {}", route.method.as_str().to_lowercase(), route.path), scopes)
        })
        .collect();
    let mut told = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scopes = operation["security"].as_array().map(|security| {
                assert_eq!(security.len(), 1);
                security[0]["token"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect()
            });
            told.insert(format!("{method} {path}"), scopes);
        }
    }
    assert_eq!(told, there);
}

/// Examples, and the names of operations.
#[test]
fn what_the_contract_shows_is_by_itself() {
    let contract = &*CONTRACT;
    let mut shown = 0;
    for (name, schema) in contract.document["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            contract.check(schema, example, &format!("the example of {name}"));
            shown += 1;
        }
        let says = ["type", "oneOf", "allOf"].iter().any(|word| schema.get(word).is_some());
        assert!(says, "{name} says nothing");
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let says =
                ["type", "$ref", "oneOf", "anyOf", "allOf"].iter().any(|word| schema.get(word).is_some());
            assert!(says, "{field} of {name} says nothing");
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

/// Every text in the source that has the form of a code, but for the names of others.
#[test]
fn every_code_stands_in_the_contract() {
    let text = CONTRACT.document.to_string();
    let mut codes = BTreeSet::new();
    for file in ["/src/problem/code.rs", "/../license-core/src/verdict.rs"] {
        let source = std::fs::read_to_string(format!("{}{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for code in source.split('"').skip(1).step_by(2) {
            if code.len() > 4 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
                codes.insert(code.to_owned());
            }
        }
    }
    assert!(codes.len() >= 40, "{}", codes.len());
    for code in codes {
        assert!(text.contains(&format!("\"{code}\"")), "{code}");
    }
}

#[tokio::test]
async fn it_is_served_and_below_a_prefix_it_says_so() {
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
