//! Checks that the crate builds without a runtime, a clock, a random generator and another crate of this project.
#![expect(clippy::disallowed_types, reason = "cargo tree is a process")]

use std::process::Command;

#[test]
fn crate_has_no_runtime_clock_or_generator() {
    let arguments =
        ["tree", "--locked", "--offline", "-p", "license-verify", "-e", "normal", "--prefix", "none"];
    let output = Command::new(env!("CARGO")).args(arguments).output().expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("text");
    let has = |package: &str| tree.lines().any(|line| line.split(' ').next() == Some(package));
    assert!(has("ed25519-dalek"), "the tree is read: {tree}");
    for package in [
        "tokio",
        "mio",
        "hyper",
        "reqwest",
        "ureq",
        "rustls",
        "getrandom",
        "rand",
        "rand_core",
        "chrono",
        "time",
        "jiff",
        "web-time",
        "license-core",
    ] {
        assert!(!has(package), "license-verify depends on {package}");
    }
}
