//! The console of the server: its place, its links, and the message at the start.

use std::process::Output;

use serde_json::json;
use tempfile::tempdir;

use crate::process::{Server, TOKEN, command, failure, starter};

/// Sends a request as a browser. Returns the status, the header `Location` and the body.
fn browse(server: &Server, path: &str, form: Option<&str>) -> (u16, String, String) {
    let url = format!("{}{path}", server.url);
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let agent = config.build().new_agent();
    let answer = match form {
        None => agent.get(&url).header("accept", "text/html,*/*").call(),
        Some(form) => {
            let request = agent.post(&url).header("sec-fetch-site", "same-origin");
            request.content_type("application/x-www-form-urlencoded").send(form)
        }
    };
    let mut answer = answer.unwrap();
    let location = answer.headers().get("location").map_or("", |value| value.to_str().unwrap()).to_owned();
    (answer.status().as_u16(), location, answer.body_mut().read_to_string().unwrap())
}

#[test]
fn browsers_come_to_the_console_and_programs_to_the_index() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(browse(&server, "/", None).1, "/console");
    assert_eq!(browse(&server, "/console", None).1, "/console/sign-in");
    let (status, _, page) = browse(&server, "/console/sign-in", None);
    assert!(status == 200 && page.contains("API token"), "{page}");
    let (status, index) = server.call("GET", "/", None, None);
    assert!(status == 200 && index.is_object(), "{index}");
    let token = server.token().to_owned();
    assert!(
        server
            .startup_message
            .contains(&format!("{}/console (to sign in: license-server console-link)", server.url))
    );
    assert!(!server.startup_message.contains("lkl_"), "a link is for terminals only");
    assert_eq!(browse(&server, "/console/sign-in", Some(&format!("token={token}"))).1, "/console");
}

#[test]
fn console_link_opens_one_session() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    let address = server.url.strip_prefix("http://").unwrap();
    let made = command(folder.path()).args(["--listen", address, "console-link"]).output().unwrap();
    let Output { status, stdout, stderr } = made;
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let link = String::from_utf8(stdout).unwrap();
    let path = link.trim().strip_prefix(&server.url).unwrap();
    let (status, _, page) = browse(&server, path, None);
    assert!(status == 200 && page.contains("Sign in as first admin token"), "{page}");
    let code = path.strip_prefix("/console/link?").unwrap();
    assert_eq!(browse(&server, "/console/link", Some(code)).1, "/console");
    assert_eq!(browse(&server, "/console/link", Some(code)).0, 410);
    let why = failure(folder.path(), &["console-link", "--token", "tok_none"], &[]);
    assert!(why.contains("tok_none: there is no such token"), "{why}");
    let why = failure(folder.path(), &["--console", "off", "console-link"], &[]);
    assert!(why.contains("--console on"), "{why}");
}

#[test]
fn console_can_be_off() {
    let (_folder, server) = Server::start_in_memory(&["--console", "off"]);
    assert_eq!(browse(&server, "/console", None).0, 404);
    assert_eq!(browse(&server, "/", None).0, 200);
    assert!(!server.startup_message.contains("console "), "{}", server.startup_message);
}

/// The token of the flag is no row that a session could belong to.
#[test]
fn configured_admin_token_cannot_sign_in() {
    let (_folder, server) = Server::start_in_memory(&[]);
    let (status, _, page) = browse(&server, "/console/sign-in", Some(&format!("token={TOKEN}")));
    assert!(status == 422 && page.contains("license-server token create"), "{page}");
}

/// Signs in and returns the cookie of the session.
fn signed_in(server: &Server) -> String {
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).build().into();
    let request =
        agent.post(format!("{}/console/sign-in", server.url)).header("sec-fetch-site", "same-origin");
    let request = request.content_type("application/x-www-form-urlencoded");
    let answer = request.send(format!("token={}", server.token())).unwrap();
    let cookie = answer.headers().get("set-cookie").unwrap().to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Opens a page, or sends a form. Returns the status and the body.
fn page(server: &Server, cookie: &str, path: &str, form: Option<&str>) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let (agent, url) = (config.build().new_agent(), format!("{}{path}", server.url));
    let answer = match form {
        None => agent.get(&url).header("cookie", cookie).call(),
        Some(form) => {
            let request = agent.post(&url).header("cookie", cookie).header("sec-fetch-site", "same-origin");
            request.content_type("application/x-www-form-urlencoded").send(form)
        }
    };
    let mut answer = answer.unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

/// The form of a webhook has the rule of the API, and the export of a customer is that of the API.
#[test]
fn console_has_the_rules_and_the_export_of_the_api() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    let (token, cookie) = (server.token().to_owned(), signed_in(&server));
    let body = json!({"url": "https://10.0.0.1/hook", "events": ["*"]});
    let (status, problem) = server.call("POST", "/api/v1/webhook-endpoints", Some(&token), Some(&body));
    assert_eq!(status, 422, "{problem}");
    let why = "host is not on the public internet, and the server does not allow its network";
    assert!(problem.to_string().contains(why), "{problem}");
    let form = "url=https%3A%2F%2F10.0.0.1%2Fhook&events=all";
    let (status, shown) = page(&server, &cookie, "/console/webhooks", Some(form));
    assert!(status == 422 && shown.contains(why), "{shown}");

    let license = server.issue(&token, &starter());
    let id = license["id"].as_str().unwrap();
    let (status, file) = page(&server, &cookie, &format!("/console/licenses/{id}/customer/export"), None);
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let (_, export) = server.call("GET", "/api/v1/customers/dev@example.com/export", Some(&token), None);
    assert_eq!((status, file["licenses"][0]["license"]["id"].as_str()), (200, Some(id)));
    assert_eq!(file, export);
}

/// Pages do not count as calls of the API, and an exhausted token does not close its pages.
#[test]
fn pages_and_calls_have_limits_of_their_own() {
    let folder = tempdir().unwrap();
    let limits = ["--rate-limit", "on", "--rate-per-token", "1/h:1"];
    let server = Server::start_with(folder.path(), &limits, &[]);
    let (token, cookie) = (server.token().to_owned(), signed_in(&server));
    for _ in 0..5 {
        assert_eq!(page(&server, &cookie, "/console/licenses", None).0, 200);
    }
    for expected in [200, 429] {
        assert_eq!(server.call("GET", "/api/v1/plans", Some(&token), None).0, expected);
    }
    assert_eq!(page(&server, &cookie, "/console/licenses", None).0, 200);
}
