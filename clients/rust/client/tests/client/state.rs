//! The state on disk.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use license_client::Client;
use serde_json::json;

use crate::builder;
use crate::server::{Asked, Reply, Server, valid};
use crate::signer::TestKey;

const NO_SERVER: &str = "http://localhost:1";

fn at(path: &Path, url: &str) -> Client {
    builder(url).state_file(path).build().expect("a client")
}

/// Returns a folder with the state of a valid verdict.
fn licensed() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app").join("state");
    let check = at(&path, &Server::new(valid).url()).check();
    assert!(check.is_allowed() && check.state_error.is_none(), "{check:?}");
    (folder, path)
}

fn revoked(asked: &Asked) -> Reply {
    let claims = json!({"valid": false, "error": "LICENSE_REVOKED", "features": {}, "lic_exp": null});
    Reply::json(200, &json!({"proof": asked.proof(TestKey::Active, &claims)}))
}

/// Asserts that the state is refused with a code, and that one answer repairs it.
fn assert_refused(path: &Path, client: impl Fn(&str) -> Client, code: &str) {
    let check = client(NO_SERVER).check();
    assert_eq!(check.decision.outcome.code(), Some("NEVER_CHECKED"));
    assert_eq!(check.state_error.map(|error| error.code()), Some(code));
    assert!(client(&Server::new(valid).url()).check().is_allowed());
    let check = client(NO_SERVER).check();
    assert!(check.is_allowed() && !check.asked && check.state_error.is_none(), "{}", path.display());
}

#[test]
fn verdict_is_kept_for_the_next_start() {
    let (_folder, path) = licensed();
    let check = at(&path, NO_SERVER).check();
    assert!(check.is_allowed() && !check.asked);
}

#[test]
#[cfg(unix)]
fn only_the_owner_reads_the_state() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, path) = licensed();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&path).unwrap().contains("KG5R"), "the key is not in the state");
    let names: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the state and its lock, no temporary file: {names:?}");
}

#[test]
fn state_of_another_device_is_refused() {
    let (_folder, path) = licensed();
    let other = |url: &str| builder(url).device_id("another device").state_file(&path).build().unwrap();
    assert_refused(&path, other, "STATE_OF_OTHER_DEVICE");
}

#[test]
fn state_of_another_key_is_refused_and_spelling_does_not_matter() {
    let (_folder, path) = licensed();
    let of = |key: &str, url: &str| builder(url).license_key(key).state_file(&path).build().unwrap();
    assert!(of("to kg5r zj6n n7rn egax", NO_SERVER).check().is_allowed());
    assert_refused(&path, |url| of("TO-AAAA-AAAA-AAAA-AAAA", url), "STATE_OF_OTHER_KEY");
}

#[test]
fn damaged_state_is_refused() {
    let (_folder, path) = licensed();
    let text = fs::read_to_string(&path).unwrap();
    let json = text.split_once('\n').unwrap().0.len() + 1;
    for damaged in [
        String::new(),
        "license-state".to_owned(),
        text[..text.len() / 2].to_owned(),
        text[..json].to_owned(),
        text.replace("\"failures\":0", "\"failures\":1"),
        format!("{text} "),
    ] {
        fs::write(&path, &damaged).unwrap();
        assert_refused(&path, |url| at(&path, url), "STATE_DAMAGED");
    }
    fs::write(&path, [0xff; 64]).unwrap();
    assert_refused(&path, |url| at(&path, url), "STATE_DAMAGED");
}

#[test]
fn state_of_another_version_is_refused() {
    let (_folder, path) = licensed();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("license-state 1 ", "license-state 2 ", 1)).unwrap();
    assert_refused(&path, |url| at(&path, url), "STATE_OF_OTHER_VERSION");
}

#[test]
fn file_locked_by_a_suspended_process_does_not_stop_the_check() {
    let (_folder, path) = licensed();
    let lock = fs::File::open(path.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    assert!(at(&path, NO_SERVER).check().is_allowed());
}

#[test]
fn unwritable_folder_does_not_stop_the_check() {
    let folder = tempfile::tempdir().unwrap();
    // A file stands where the folder should be: this is also refused to root.
    fs::write(folder.path().join("app"), "").unwrap();
    let path = folder.path().join("app").join("state");
    let client = at(&path, &Server::new(valid).url());
    let check = client.check();
    assert!(check.is_allowed());
    assert!(check.state_error.is_some());
    let check = client.check();
    assert!(check.is_allowed() && !check.asked, "the answer is kept in memory");
}

#[test]
fn memory_counts_while_the_file_cannot_be_replaced() {
    let (_folder, path) = licensed();
    // A folder stands where the temporary file should be, so the file on disk stays valid and old.
    let obstacle = path.with_file_name(format!("state.{}.tmp", std::process::id()));
    fs::create_dir(&obstacle).unwrap();
    let silent = AtomicBool::new(false);
    let server = Server::new(move |asked| {
        if silent.swap(true, Ordering::SeqCst) {
            Reply::Answer(503, "", String::new())
        } else {
            revoked(asked)
        }
    });
    let client = at(&path, &server.url());
    let check = client.check_now();
    assert_eq!(check.state_error.map(|error| error.code()), Some("STATE_UNWRITABLE"));
    assert_eq!(client.check_now().decision.outcome.code(), Some("LICENSE_REVOKED"));
    fs::remove_dir(&obstacle).unwrap();
    assert!(client.check().state_error.is_none());
    assert_eq!(at(&path, NO_SERVER).check().decision.outcome.code(), Some("LICENSE_REVOKED"));
}

#[test]
fn each_check_says_that_the_file_is_behind() {
    let (_folder, path) = licensed();
    let obstacle = path.with_file_name(format!("state.{}.tmp", std::process::id()));
    fs::create_dir(&obstacle).unwrap();
    let client = at(&path, &Server::new(valid).url());
    assert!(client.check_now().state_error.is_some());
    let check = client.check();
    assert!(!check.asked);
    assert_eq!(check.state_error.map(|error| error.code()), Some("STATE_UNWRITABLE"));
    fs::remove_dir(&obstacle).unwrap();
    assert!(client.check().state_error.is_none());
}

#[test]
fn denial_is_kept_for_the_next_start() {
    let (_folder, path) = licensed();
    let server = Server::new(revoked);
    assert!(!at(&path, &server.url()).check_now().is_allowed());
    assert_eq!(at(&path, NO_SERVER).check().decision.outcome.code(), Some("LICENSE_REVOKED"));
}

#[test]
fn two_clients_of_one_file_lose_no_change() {
    // Each client counts its failures in the file. A lost change would make the count smaller.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let client = at(&path, NO_SERVER);
                barrier.wait();
                for _ in 0..20 {
                    let check = client.check_now();
                    assert!(check.state_error.is_none(), "{check:?}");
                }
            });
        }
    });
    assert!(fs::read_to_string(&path).unwrap().contains("\"failures\":40"));
}
