//! The console of the server: its place, its links, and the message at the start.

use std::process::Output;

use tempfile::tempdir;

use crate::process::{Server, TOKEN, command, failure};

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
