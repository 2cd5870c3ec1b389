//! `license_files.json`: license files as mail programs and people leave them.

use serde_json::{Value, json};

use crate::signer::{TestKey, key_claims, lease_claims};

/// `license_files.json`.
pub(crate) fn document() -> Value {
    let lease = TestKey::Active.lease(&lease_claims());
    let keys = TestKey::Active.keys(&key_claims());
    let body = |tokens: &[&str]| {
        let joined = tokens.join("~");
        joined
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).expect("ASCII"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let file = |tokens: &[&str]| {
        format!("-----BEGIN LICENSE FILE-----\n{}\n-----END LICENSE FILE-----\n", body(tokens))
    };
    let (one, two) = (file(&[&lease]), file(&[&lease, &keys]));
    let good = |name: &str, text: String, keys: &[&str]| json!({"name": name, "text": text, "lease": lease, "key_tokens": keys, "error": null});
    let bad = |name: &str, text: String| json!({"name": name, "text": text, "lease": null, "key_tokens": [], "error": "FILE_MALFORMED"});
    let many = vec![keys.as_str(); 5];
    json!({
        "about": "License files with their tokens. The first of each form is as a server writes it.",
        "cases": [
            good("lease", one.clone(), &[]),
            good("lease and key token", two.clone(), &[&keys]),
            good("CRLF", two.replace('\n', "\r\n"), &[&keys]),
            good("indented", two.replace('\n', "\n    "), &[&keys]),
            good("quoted mail", format!("> {}", two.replace('\n', "\n> ")), &[&keys]),
            good("text around it", format!("Dear customer,\nhere is your license - keep it.\n\n{two}\n-- \nThe vendor"), &[&keys]),
            good("one line", two.replace('\n', " "), &[&keys]),
            good("empty lines", two.replace('\n', "\n\n"), &[&keys]),
            good("other dashes", two.replace("-----", "\u{2014}\u{2013}-"), &[&keys]),
            good("byte order mark", format!("\u{feff}{two}"), &[&keys]),
            bad("empty", String::new()),
            bad("lease without the lines around it", lease.clone()),
            bad("no end", one.replace("END", "")),
            bad("two files", one.repeat(2)),
            bad("nothing inside", file(&[""])),
            bad("empty key token", file(&[&lease, ""])),
            bad("character that does not belong", one.replace("eyJ", "ey=J")),
            bad("more than four key tokens", file(&[&[lease.as_str()], many.as_slice()].concat())),
        ],
    })
}
