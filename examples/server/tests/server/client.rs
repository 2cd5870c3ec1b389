//! The crate `license-client` against the server.

use license_client::{Client, ClientBuilder, Outcome, PublicKey};
use tempfile::tempdir;

use crate::leases::public_keys;
use crate::process::{Server, starter};

#[test]
fn client_believes_the_signed_verdicts_of_the_server() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path());
    let license = server.issue(server.token(), &starter());
    let client = |keys: Vec<PublicKey>| -> ClientBuilder {
        let builder = Client::builder(&server.url).product("default").public_keys(keys);
        builder.license_key(license["key"].as_str().unwrap()).device_id("laptop")
    };

    let trusting = client(public_keys(&server)).build().unwrap();
    let check = trusting.check();
    assert_eq!(check.decision.outcome, Outcome::Allowed, "{check:?}");
    assert!(check.decision.features.contains_key("support"), "{check:?}");

    let other = PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    let outcome = client(vec![other]).build().unwrap().check().decision.outcome;
    assert_eq!(outcome.code(), Some("NEVER_CHECKED"));

    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, Some(server.token()), None).0, 200);
    let denied = Outcome::Denied { code: "LICENSE_REVOKED".to_owned() };
    assert_eq!(trusting.check_now().decision.outcome, denied);
    assert_eq!(trusting.check().decision.outcome, denied);
}
