//! The core builds without a runtime, a database, a web framework, a clock or a generator of its own.

use std::process::Command;

fn dependencies(features: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--locked", "--offline", "-p", "license-core", "-e", "normal", "--prefix", "none"]);
    let output = command.args(features).output().expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn has(tree: &str, package: &str) -> bool {
    tree.lines().any(|line| line.split(' ').next() == Some(package))
}

#[test]
fn the_core_has_no_runtime_no_database_no_clock_and_no_generator() {
    let tree = dependencies(&["--no-default-features"]);
    assert!(has(&tree, "chrono"), "the tree is read: {tree}");
    for package in
        ["tokio", "sqlx", "sqlx-core", "axum", "hyper", "mio", "getrandom", "iana-time-zone", "tracing"]
    {
        assert!(!has(&tree, package), "license-core depends on {package}");
    }
    // What the check looks for is there where it is wanted: the operating system's generator, at the edge.
    assert!(has(&dependencies(&["--features", "system"]), "getrandom"));
}

/// Without the feature `system`, `Utc::now` does not even exist: chrono has it behind a feature of its own.
#[test]
fn the_core_has_no_clock() {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "tree",
        "--locked",
        "--offline",
        "-p",
        "license-core",
        "-e",
        "normal,features",
        "-i",
        "chrono",
    ]);
    let output = command.arg("--no-default-features").output().expect("cargo tree runs");
    let features = String::from_utf8(output.stdout).expect("text");
    assert!(features.contains("chrono feature \"std\""), "the features are read: {features}");
    for feature in ["now", "clock", "wasmbind"] {
        assert!(!features.contains(&format!("chrono feature \"{feature}\"")), "chrono has {feature}");
    }
}
