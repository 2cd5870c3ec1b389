//! Checks that the core builds without a runtime, a database, a web framework, a clock and a generator.

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
fn core_has_no_runtime_database_clock_or_generator() {
    let tree = dependencies(&["--no-default-features"]);
    assert!(has(&tree, "chrono"), "the tree is read: {tree}");
    for package in
        ["tokio", "sqlx", "sqlx-core", "axum", "hyper", "mio", "getrandom", "iana-time-zone", "tracing"]
    {
        assert!(!has(&tree, package), "license-core depends on {package}");
    }
    // The check finds the generator where it is expected: with the feature `system`.
    assert!(has(&dependencies(&["--features", "system"]), "getrandom"));
}

/// Without the feature `system`, `Utc::now` does not exist, since chrono has a feature for it.
#[test]
fn core_has_no_clock() {
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
