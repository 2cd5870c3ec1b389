//! `license-server signing-key`.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::tempdir;

use crate::process::{Server, TOKEN, command, failure};

/// Runs `license-server signing-key …`. Returns its output.
fn signing_key(folder: &Path, args: &[&str]) -> String {
    let output = command(folder).arg("signing-key").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the state of each key by its id.
fn states(listed: &str) -> BTreeMap<&str, &str> {
    listed
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(id, rest)| (id, rest.split('\t').next().unwrap_or_default()))
        .collect()
}

#[test]
fn keys_are_rotated_revoked_and_moved_to_another_database() {
    let folder = tempdir().unwrap();
    let why = failure(folder.path(), &["signing-key", "list"], &[]);
    assert!(why.contains("does not exist; start the server once"), "{why}");
    let server = Server::start_with(folder.path(), &["--admin-token", TOKEN], &[]);
    let listed = signing_key(folder.path(), &["list"]);
    let of = |state: &str| {
        let (id, _) = listed.lines().find_map(|line| line.split_once(state)).unwrap();
        id.trim_end().to_owned()
    };
    let (first, second) = (of("active"), of("next"));

    let rotated = signing_key(folder.path(), &["rotate"]);
    let rotated = states(&rotated);
    assert_eq!((rotated.len(), rotated[&*first], rotated[&*second]), (3, "retiring", "active"));
    let audit = server.call("GET", "/api/v1/audit?action=signing_key.rotate", Some(TOKEN), None).1;
    assert_eq!(audit["data"][0]["actor"]["kind"], "command_line", "{audit}");

    std::fs::write(folder.path().join("passphrase"), "correct horse battery\n").unwrap();
    std::fs::write(folder.path().join("other"), "incorrect horse\n").unwrap();
    std::fs::write(folder.path().join("short"), "horse\n").unwrap();
    let export = ["export", "--private", "key.pem", "--passphrase-file"];
    let jwk = signing_key(folder.path(), &[&export[..], &["passphrase"]].concat());
    assert!(jwk.contains(&format!("\"kid\":\"{second}\"")) && !jwk.contains("\"d\""), "{jwk}");
    let pem = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{pem}");
    let short = [&["signing-key"], &export[..], &["short"]].concat();
    let why = failure(folder.path(), &short, &[]);
    assert!(why.contains("short: the passphrase must have at least 12 characters"), "{why}");

    let other = tempdir().unwrap();
    let _other = Server::start_with(other.path(), &["--admin-token", TOKEN], &[]);
    let file = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    let (pem, passphrase, wrong) = (file("key.pem"), file("passphrase"), file("other"));
    let why = failure(other.path(), &["signing-key", "import", &pem, "--passphrase-file", &wrong], &[]);
    assert!(why.contains("it is not an Ed25519 private key"), "{why}");
    let imported = signing_key(other.path(), &["import", &pem, "--passphrase-file", &passphrase]);
    assert!(states(&imported)[&*second] == "next", "{imported}");
    let why = failure(other.path(), &["signing-key", "import", &pem, "--passphrase-file", &passphrase], &[]);
    assert!(why.contains("is there already; it is next"), "{why}");
    let rotated = signing_key(other.path(), &["rotate"]);
    assert!(states(&rotated)[&*second] == "active", "{rotated}");

    let revoked = signing_key(folder.path(), &["revoke", &second]);
    assert!(states(&revoked)[&*second] == "revoked", "{revoked}");
    let unknown = "A".repeat(43);
    let why = failure(folder.path(), &["signing-key", "revoke", &unknown], &[]);
    assert!(why.contains(&format!("There is no signing key {unknown}.")), "{why}");
}
