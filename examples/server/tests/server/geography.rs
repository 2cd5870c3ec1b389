//! Location of validations, from the MaxMind database and from trusted proxies.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{Server, agent, failure, starter};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../license-http/tests/geoip").join(name)
}

/// Returns the country and region that a validation with these headers is recorded with.
fn recorded(server: &Server, headers: &[(&str, &str)]) -> Value {
    let token = server.token();
    let license = server.issue(token, &starter());
    let mut request = agent().post(format!("{}/api/v1/validate", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send_json(json!({"key": license["key"]})).unwrap();
    let path = format!("/api/v1/licenses/{}/usage", license["id"].as_str().unwrap());
    let (_, usage) = server.call("GET", &path, Some(token), None);
    json!([usage["recent"][0]["country"], usage["recent"][0]["region"]])
}

#[test]
fn location_comes_from_file_and_trusted_proxies() {
    let folder = tempdir().unwrap();
    let (address, address_and_country) =
        ([("X-Forwarded-For", "81.2.69.142")], [("X-Forwarded-For", "81.2.69.142"), ("CF-IPCountry", "DE")]);
    let city = file("city.mmdb");
    let flags = ["--geoip", city.to_str().unwrap(), "--country-header", "CF-IPCountry", "--trusted-proxy"];
    let server = Server::start_with(folder.path(), &[&flags[..], &["127.0.0.1"]].concat(), &[]);
    assert_eq!(recorded(&server, &address), json!(["GB", "ENG"]));
    assert_eq!(recorded(&server, &address_and_country), json!(["DE", null]));
    assert_eq!(recorded(&server, &[]), json!([null, null]));
    // Headers of other clients are ignored.
    let folder = tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[&flags[..], &["192.0.2.1"]].concat(), &[]);
    assert_eq!(recorded(&server, &address_and_country), json!([null, null]));
}

#[test]
fn unusable_geography_flags_stop_the_start() {
    let folder = tempdir().unwrap();
    let broken = file("broken.mmdb");
    for (args, expected) in [
        (&["--geoip", "none.mmdb"][..], "license-server: --geoip none.mmdb: No such file"),
        (&["--geoip", broken.to_str().unwrap()], "license-server: --geoip "),
        (&["--country-header", "CF-IPCountry"], "license-server: --country-header requires --trusted-proxy"),
    ] {
        let reason = failure(folder.path(), args, &[]);
        assert!(reason.starts_with(expected), "{args:?}: {reason}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file is created");
}
