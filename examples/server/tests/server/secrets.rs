//! Keys and tokens are never stored or logged in clear text.

use serde_json::json;
use tempfile::tempdir;

use crate::process::{Server, agent, call};

#[test]
fn keys_and_tokens_are_in_no_file_and_no_log() {
    for format in ["text", "json"] {
        let folder = tempdir().unwrap();
        let server =
            Server::start_with(folder.path(), &["--log-format", format, "--log-level", "debug"], &[]);
        let token = server.token().to_owned();
        let email = "secret.customer@example.com";
        let license = server.issue(
            &token,
            &json!({"plan": "starter", "customer_email": email, "metadata": {"note": "for-my-eyes"}}),
        );
        let (id, key) = (license["id"].as_str().unwrap(), license["key"].as_str().unwrap());
        let validate = |key: &str| {
            server.call("POST", "/api/v1/validate", None, Some(&json!({"key": key, "domain": "a.com"})))
        };
        assert_eq!(validate(key).1["valid"], true);
        let mut typo = key.to_owned();
        typo.replace_range(3..4, if key.as_bytes()[3] == b'7' { "8" } else { "7" });
        let (status, answer) = validate(&typo);
        assert_eq!((status, &answer["suggestion"]), (400, &json!(key)), "a single wrong symbol is corrected");
        // Keys in the wrong places: paths, queries, headers and bodies.
        for (method, path) in [
            ("GET", format!("/{key}")),
            ("GET", format!("/api/v1/licenses/{key}")),
            ("GET", format!("/health?{key}")),
        ] {
            server.call(method, &path, Some(&token), None);
        }
        server.call("POST", "/api/v1/validate", None, Some(&json!({key: key})));
        server.call("POST", "/api/v1/licenses", Some(key), Some(&json!({"plan": key})));
        server.call(
            "POST",
            "/api/v1/licenses",
            Some(&token),
            Some(&json!({"plan": key, "customer_email": email})),
        );
        let rotated = server.call("POST", &format!("/api/v1/licenses/{id}/rotate-key"), Some(&token), None).1;
        let rotated = rotated["key"].as_str().unwrap();
        assert_ne!(rotated, key);
        assert_eq!(validate(key).1["error"], "LICENSE_NOT_FOUND");
        let agent = agent();
        call(&agent, &server.url, "GET", &format!("/api/v1/licenses/{id}"), Some(&token), None).unwrap();

        let (code, log) = server.stop("-TERM");
        assert_eq!(code, Some(0));
        assert!(
            log.lines().filter(|line| line.contains("/api/v1/validate")).count() >= 4,
            "one line per request: {log}"
        );
        let mut texts = vec![("log".to_owned(), log.into_bytes())];
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            texts.push((entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()));
        }
        assert!(
            texts.iter().any(|(name, text)| name == "licenses.db" && text.len() > 4096),
            "the database is read"
        );
        for (name, text) in &texts {
            for (what, secret) in [("key", key), ("new key", rotated), ("token", token.as_str())] {
                // With and without hyphens, and without the first group.
                for form in [secret.to_owned(), secret.replace('-', ""), secret[8..].to_owned()] {
                    assert!(!contains(text, &form), "the {what} is in {name}");
                }
            }
            if name == "log" {
                for private in [email, "for-my-eyes"] {
                    assert!(!contains(text, private), "{private} is in the log");
                }
            }
        }
    }
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
