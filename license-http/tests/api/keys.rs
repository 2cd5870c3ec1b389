//! Keys as people paste them.

use license_core::license::LicenseId;
use serde_json::json;

use super::app::{TestApp, fault_store};
use super::call::Call;

#[tokio::test]
async fn decorated_key_is_valid() {
    let app = TestApp::new().await;
    let key = app.issue("starter").await.key;
    let wide: String = key.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
    let spaced = key.replace('-', "\u{a0}–\u{200b}\u{ad}");
    for text in [
        format!("\"{key}\""),
        format!("“{key}”."),
        format!("`{key}`"),
        format!("<{key}>,"),
        format!("'{key}'"),
        format!("« {key} »"),
        format!("License key: {key}"),
        format!("ACME_LICENSE_KEY=\"{key}\""),
        wide,
        spaced,
    ] {
        let reply = app.validate(json!({ "key": text })).await;
        assert_eq!(reply.json()["valid"], true, "{text}: {}", reply.text());
        let release =
            Call::new("POST", "/api/v1/deactivate").json(&json!({ "key": text, "domain": "a.com" }));
        assert_eq!(release.send(&app.router).await.json()["error"], "RELEASE_NOT_ALLOWED", "{text}");
    }
    for text in [format!("{key} {key}"), format!("{key}: {key}"), format!("{key}=“{key}”")] {
        let expected = (400, "LICENSE_KEY_MALFORMED".to_owned(), Some("key".to_owned()));
        assert_eq!(app.validate(json!({ "key": text })).await.fault(), expected, "{text}");
    }
}

#[tokio::test]
async fn white_space_around_an_imported_key_is_no_part_of_it() {
    let app = TestApp::new().await;
    app.import_keys(
        &[("old", "[0-9]{4}(-[0-9a-z]{4}){4}")],
        &["1234-abcd-efgh-ijkl-mnop", " 1234-0000-0000-0000-0000\r\n"],
    )
    .await;
    for key in ["1234-abcd-efgh-ijkl-mnop", "1234-0000-0000-0000-0000"] {
        for text in
            [key.to_owned(), format!(" {key}"), format!("{key}\r\n"), format!("\u{a0}\t{key}\u{feff}")]
        {
            assert_eq!(app.validate(json!({ "key": text })).await.json()["valid"], true, "{text:?}");
        }
    }
    let keys = app.get("/api/v1/licenses").await.json();
    let keys: Vec<_> =
        keys["data"].as_array().unwrap().iter().map(|license| license["key"].clone()).collect();
    assert!(keys.contains(&json!("1234-0000-0000-0000-0000")), "{keys:?}");
    let reply = app.validate(json!({ "key": "1234-abcd" })).await;
    let message = "The text is not in a key format of this server; copy the whole key, without other text.";
    assert_eq!((reply.status, &reply.json()["message"]), (400, &json!(message)));
}

/// Bodies that are JSON to a person, but were refused for their encoding.
#[tokio::test]
async fn byte_order_mark_and_spellings_of_utf8_are_accepted() {
    let app = TestApp::new().await;
    let body = json!({ "key": app.issue("starter").await.key }).to_string();
    let marked = [b"\xef\xbb\xbf", body.as_bytes()].concat();
    for content_type in [
        "application/json",
        "application/json; charset=utf8",
        "application/json;charset=UTF8",
        "application/json; Charset=\"Utf8\"",
        "application/json; charset=utf-8",
        "application/problem+json;charset=\"UTF-8\"",
    ] {
        for body in [body.as_bytes(), &marked] {
            let call = Call::new("POST", "/api/v1/validate").header("content-type", content_type).body(body);
            let reply = call.send(&app.router).await;
            assert_eq!(reply.json()["valid"], true, "{content_type}: {}", reply.text());
        }
    }
    let suspend = app.admin("POST", "/api/v1/licenses/lic_unknown/suspend").json_text(b"\xef\xbb\xbf{}");
    assert_eq!(suspend.send(&app.router).await.status, 404);
}

/// A cache of another node can know the license by its old key for a while.
#[tokio::test]
async fn key_that_is_replaced_during_the_call_takes_no_slot() {
    let store = fault_store();
    let app = TestApp::over(store.clone()).await;
    for (path, device) in
        [("/api/v1/validate", "new"), ("/api/v1/leases", "new"), ("/api/v1/deactivate", "old")]
    {
        let license = app.issue("offline").await;
        app.validate(json!({ "key": license.key, "fingerprint": "old" })).await;
        let id = LicenseId::parse(&license.id).unwrap();
        let version = async || store.inner().get(&id).await.unwrap().unwrap().license.version;
        let before = version().await;
        let hold = store.hold_answer("find_by_key");
        let call = Call::new("POST", path).json(&json!({ "key": license.key, "fingerprint": device }));
        let rotate = app.admin("POST", &format!("{}/rotate-key", license.path));
        let released = async {
            // The rotation is acknowledged after the call, but is committed before.
            while version().await == before {
                tokio::task::yield_now().await;
            }
            hold.release();
        };
        let rotation = async {
            hold.reached().await;
            tokio::join!(rotate.send(&app.router), released)
        };
        let (reply, (rotated, ())) = tokio::join!(call.send(&app.router), rotation);
        assert_eq!(rotated.status, 200);
        assert_eq!(reply.fault(), (404, "LICENSE_NOT_FOUND".to_owned(), None), "{path}");
        assert_eq!(app.get(&license.path).await.json()["devices_used"], 1, "{path}");
    }
}
