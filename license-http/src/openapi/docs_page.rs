//! The contract as an HTML page, without scripts.

use std::fmt::Write;

use serde_json::Value;

/// Renders the page. Links are relative, so that they work below a prefix.
pub(super) fn page(contract: &Value) -> String {
    let info = &contract["info"];
    let title = escaped(text(info, "title"));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"docs/style.css\">\n</head>\n<body>\n\
         <h1>{title} <small>{}</small></h1>\n{}\
         <p>For tools: <a href=\"openapi.json\">openapi.json</a>, OpenAPI {}.</p>\n",
        escaped(text(info, "version")),
        paragraphs(text(info, "description")),
        escaped(text(contract, "openapi")),
    );
    for tag in items(&contract["tags"]) {
        let name = text(tag, "name");
        _ = writeln!(html, "<h2 id=\"{0}\">{0}</h2>", escaped(name));
        html += &paragraphs(text(tag, "description"));
        for (path, methods) in entries(&contract["paths"]) {
            for (method, operation) in entries(methods) {
                if items(&operation["tags"]).any(|tag| tag.as_str() == Some(name)) {
                    html += &operation_details(method, path, operation);
                }
            }
        }
    }
    for (title, kind) in [("Schemas", "schemas"), ("Responses", "responses"), ("Headers", "headers")] {
        _ = writeln!(html, "<h2>{title}</h2>");
        for (name, component) in entries(&contract["components"][kind]) {
            let name = escaped(name);
            _ = writeln!(
                html,
                "<details id=\"{kind}-{name}\"><summary>{name}</summary>{}</details>",
                json(component)
            );
        }
    }
    html + "</body>\n</html>\n"
}

fn operation_details(method: &str, path: &str, operation: &Value) -> String {
    let mut html = format!(
        "<details id=\"{}\"><summary><code class=\"{method}\">{}</code> <code>{}</code> {}</summary>\n{}",
        escaped(text(operation, "operationId")),
        method.to_uppercase(),
        escaped(path),
        escaped(text(operation, "summary")),
        paragraphs(text(operation, "description")),
    );
    if operation["parameters"].is_array() {
        html += "<h3>Parameters</h3>\n<table>\n";
        for parameter in items(&operation["parameters"]) {
            let required = if parameter["required"] == true { ", required" } else { "" };
            _ = writeln!(
                html,
                "<tr><td><code>{}</code><br>{}{required}</td><td>{}{}</td></tr>",
                escaped(text(parameter, "name")),
                escaped(text(parameter, "in")),
                paragraphs(text(parameter, "description")),
                json(&parameter["schema"]),
            );
        }
        html += "</table>\n";
    }
    if operation["requestBody"].is_object() {
        _ = write!(html, "<h3>Request body</h3>\n{}", json(&operation["requestBody"]["content"]));
    }
    html += "<h3>Responses</h3>\n<table>\n";
    for (status, response) in entries(&operation["responses"]) {
        let description = paragraphs(text(response, "description"));
        let content = response.get("content").unwrap_or(response);
        _ = writeln!(
            html,
            "<tr><td><code>{}</code></td><td>{description}{}</td></tr>",
            escaped(status),
            json(content)
        );
    }
    html + "</table>\n</details>\n"
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Renders the Markdown that the contract uses: paragraphs, and code between backticks.
fn paragraphs(markdown: &str) -> String {
    let paragraph = |text: &str| {
        let parts = text.split('`').enumerate().map(|(index, part)| match index % 2 {
            0 => escaped(part),
            _ => format!("<code>{}</code>", escaped(part)),
        });
        format!("<p>{}</p>\n", parts.collect::<String>())
    };
    markdown.split("\n\n").filter(|text| !text.is_empty()).map(paragraph).collect()
}

/// Renders a part of the contract as JSON, with links for references.
fn json(value: &Value) -> String {
    const REFERENCE: &str = "&quot;#/components/";
    let written = escaped(&serde_json::to_string_pretty(value).unwrap_or_default());
    let mut parts = written.split(REFERENCE);
    let mut html = format!("<pre>{}", parts.next().unwrap_or_default());
    for part in parts {
        let (target, rest) = part.split_once("&quot;").unwrap_or((part, ""));
        let (kind, name) = target.split_once('/').unwrap_or((target, ""));
        _ = write!(html, "<a href=\"#{kind}-{name}\">{name}</a>{rest}");
    }
    html + "</pre>"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::document::document;
    use super::*;

    #[test]
    fn page_shows_all_operations_and_components_with_valid_links() {
        let contract = document();
        let html = page(&contract);
        let attributes = |start: &str| {
            let parts = html.split(start).skip(1).filter_map(|part| part.split_once('"'));
            parts.map(|(value, _)| value.to_owned()).collect::<Vec<_>>()
        };
        let ids = attributes(" id=\"");
        let operations = entries(&contract["paths"]).flat_map(|(_, methods)| entries(methods));
        let operations: Vec<_> = operations.map(|(_, operation)| text(operation, "operationId")).collect();
        assert!(operations.len() > 30, "{operations:?}");
        for operation in operations {
            assert_eq!(html.matches(&format!("<details id=\"{operation}\">")).count(), 1, "{operation}");
        }
        for kind in ["schemas", "responses", "headers"] {
            for (name, _) in entries(&contract["components"][kind]) {
                assert!(html.contains(&format!("<details id=\"{kind}-{name}\">")), "{name}");
            }
        }
        let links = attributes(" href=\"");
        assert!(links.len() > 50, "{links:?}");
        for link in links {
            match link.strip_prefix('#') {
                Some(id) => assert!(ids.iter().any(|known| known == id), "{link}"),
                None => assert!(["docs/style.css", "openapi.json"].contains(&link.as_str()), "{link}"),
            }
        }
    }

    #[test]
    fn text_of_the_contract_is_escaped() {
        let evil = "<evil>\"&`<evil>`";
        let contract = serde_json::json!({
            "info": {"title": evil, "version": evil, "description": evil},
            "tags": [{"name": evil, "description": evil}],
            "paths": {evil: {"get": {
                "tags": [evil], "operationId": evil, "summary": evil, "description": evil,
                "parameters": [{"name": evil, "in": evil, "description": evil, "schema": {evil: evil}}],
                "requestBody": {"content": {evil: evil}},
                "responses": {evil: {"description": evil, "content": {evil: evil}}},
            }}},
            "components": {"schemas": {evil: {"$ref": format!("#/components/schemas/{evil}")}}},
        });
        let html = page(&contract);
        for raw in ["<evil", "evil>", "\"&`", "\\\"&amp;`"] {
            assert!(!html.contains(raw), "{raw}: {html}");
        }
    }
}
