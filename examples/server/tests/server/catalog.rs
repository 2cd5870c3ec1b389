//! `license-server catalog`, and plans of a file.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{Server, TOKEN, command, failure, starter};

const TERMS: &str = "max_domains = 1\nmax_devices = 2\nterm_days = 30\n";

/// Runs `license-server catalog …`. Returns its output.
fn catalog(folder: &Path, args: &[&str]) -> String {
    let output = command(folder).arg("catalog").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn get(server: &Server, target: &str) -> Value {
    let (status, body) = server.call("GET", target, Some(TOKEN), None);
    assert_eq!(status, 200, "{body}");
    body
}

#[test]
fn catalog_file_is_applied_and_exported_beside_a_server() {
    let folder = tempdir().unwrap();
    let why = failure(folder.path(), &["catalog", "export"], &[]);
    assert!(why.contains("does not exist; start the server once"), "{why}");
    let server = Server::start_with(folder.path(), &["--admin-token", TOKEN], &[]);
    let license = server.issue(TOKEN, &starter());
    let file = folder.path().join("plans.toml");
    let exported = catalog(folder.path(), &["export"]);
    std::fs::write(&file, &exported).unwrap();
    let unchanged = "enterprise\tunchanged\nprofessional\tunchanged\nstarter\tunchanged\n";
    assert_eq!(catalog(folder.path(), &["apply", "plans.toml"]), unchanged, "{exported}");

    let text = exported.replace("plans.professional", "plans.pro").replace("support = \"community\"", "");
    let text = format!(
        "[products.editor]\ndisplay_name = \"Editor\"\n{text}\n[plans.edit]\nproduct = \"editor\"\n{TERMS}"
    );
    std::fs::write(&file, &text).unwrap();
    let expected = "edit\tnew\nenterprise\tunchanged\npro\tnew\nprofessional\tarchived\n\
                    starter\tnew version 2: features\n";
    assert_eq!(catalog(folder.path(), &["apply", "plans.toml", "--dry-run"]), expected);
    assert_eq!(catalog(folder.path(), &["export"]), exported, "a dry run writes nothing");
    assert_eq!(catalog(folder.path(), &["apply", "plans.toml"]), expected);
    let exported = catalog(folder.path(), &["export"]);
    assert!(
        !exported.contains("professional") && exported.contains("display_name = \"Editor\""),
        "{exported}"
    );

    assert_eq!(get(&server, "/api/v1/plans/starter")["version"], 2);
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    assert_eq!(get(&server, &path)["plan_version"], 1, "sold licenses are left alone");
    let audit = get(&server, "/api/v1/audit?action=plan.archive");
    assert_eq!(audit["data"][0]["actor"]["kind"], "command_line");
    std::fs::write(&file, "[plans.Pro]\nmax_domains = 1\n").unwrap();
    let why = failure(folder.path(), &["catalog", "apply", "plans.toml"], &[]);
    assert!(why.contains("plans.toml: ") && why.contains("missing field"), "{why}");
}

#[test]
fn plans_of_a_file_are_managed_while_it_is_given() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("plans.toml");
    let solo = format!("[plans.solo]\n{TERMS}");
    std::fs::write(&file, format!("{solo}[plans.old]\n{TERMS}")).unwrap();
    let start = |args: &[&str]| {
        let args: Vec<_> = ["--admin-token", TOKEN].iter().chain(args).copied().collect();
        Server::start_with(folder.path(), &args, &[])
    };
    let server = start(&["--plans", "plans.toml"]);
    let license = server.issue(TOKEN, &json!({ "plan": "old", "customer_email": "dev@example.com" }));
    let change = |server: &Server| {
        server.call("PUT", "/api/v1/plans/solo", Some(TOKEN), Some(&json!({ "max_devices": 9 })))
    };
    let (status, body) = change(&server);
    assert_eq!((status, body["code"].as_str()), (409, Some("PLAN_MANAGED")), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("managed by plans.toml"), "{body}");
    server.stop("-INT");

    std::fs::write(&file, solo.replace("max_devices = 2", "max_devices = 4")).unwrap();
    let server = start(&["--plans", "plans.toml"]);
    let solo = get(&server, "/api/v1/plans/solo");
    assert_eq!((&solo["version"], &solo["max_devices"]), (&json!(2), &json!(4)));
    assert!(get(&server, "/api/v1/plans/old")["archived_at"].is_string());
    let key = json!({ "key": license["key"] });
    let (_, verdict) = server.call("POST", "/api/v1/validate", None, Some(&key));
    assert_eq!(verdict["valid"], true, "licenses of a plan that the file lacks go on: {verdict}");
    server.stop("-INT");

    let server = start(&["--plans", "plans.toml"]);
    assert_eq!(get(&server, "/api/v1/plans/solo")["version"], 2, "an unchanged file changes nothing");
    server.stop("-INT");
    let server = start(&[]);
    assert_eq!(change(&server).0, 200, "without the file, the API manages the plans");
}
