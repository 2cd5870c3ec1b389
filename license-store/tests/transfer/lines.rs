//! JSON lines: their errors, and what is imported.

use license_core::command::LicenseSpec;
use license_core::key::ImportedKeyFormat;
use license_core::license::CustomerEmail;
use license_core::limits;
use license_core::service::{ExportKeys, ImportOptions};
use license_core::transfer::Columns;

use super::server::{HEX, line, server};

/// The fault of a key in no known format.
const OF_OTHER: &str =
    "blocks: blk_b2_0000000001 must belong to the license, with a number up to the license's last_event";
const UNREADABLE: &str =
    "key: it is not a key of this server, nor in a declared key format; declare its format";

/// Lines with their expected fault; `""` for a valid line.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn bad_lines_are_reported_and_others_imported() {
    let donor = server(HEX, 1).await;
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    let issued = donor.services.licenses.issue(&spec, None).await.expect("a license");
    let key = issued.key.reveal().to_owned();
    let swap = if key.ends_with('7') { '8' } else { '7' };
    let typo = format!("{}{swap}", &key[..key.len() - 1]);
    let sealed = donor.export(ExportKeys::Sealed).await.lines().last().expect("a license").to_owned();
    let moved = sealed.replace("\"id\":\"lic_", "\"id\":\"lic_0");
    let id = issued.detail.license.id.as_str().to_owned();
    let suffix = id["lic_".len()..].to_owned();
    let act = |more: &str| {
        format!(r#"{{"type":"activation","license":"lic_a5","kind":"domain","value":"x.com"{more}}}"#)
    };
    let roll = |more: &str| {
        format!(
            r#"{{"type":"rollup","day":"2026-01-02","license":"lic_a1","outcome":"VALID","count":5,"first_at":"2026-01-02T01:00:00Z","last_at":"2026-01-02T02:00:00Z"{more}}}"#
        )
    };
    let long = format!(r#"{{"type":"license","x":"{}"}}"#, "x".repeat(limits::IMPORT_LINE_BYTES));
    let metadata = format!(r#""id":"lic_m1","metadata":{{"a":"{}"}}"#, "x".repeat(limits::METADATA_BYTES));
    let many = "a".repeat(limits::IMPORTED_KEY_BYTES + 1);
    let old = |key: &str| line(&format!(r#""key":"{key}""#));
    let stray = |license: &str| {
        format!(
            "license \"{license}\": it must follow the line of its license, or an activation or lease of it"
        )
    };
    let (stray_5, stray_6) = (stray("lic_a5"), stray("lic_a6"));
    let block = |id: &str, value: &str| {
        format!(r#"{{"id":"{id}","kind":"device","value":"{value}","created_at":"2026-06-01T00:00:00Z"}}"#)
    };
    let cases: Vec<(String, &str)> = vec![
        (r#"{"type":"export","version":1}"#.into(), ""),
        (
            r#"{"type":"export","version":2}"#.into(),
            "version 2: this software reads version 1; import with a newer one",
        ),
        (String::new(), ""),
        ("nonsense".into(), "the line is not a valid JSON object: expected ident in column 2"),
        ("[]".into(), "the line is not a valid JSON object: it is another value in column 0"),
        ("{}".into(), "type: it is required, but missing"),
        (
            r#"{"type":"roll"}"#.into(),
            "type \"roll\": it must be export, key_format, product, plan, license, activation, rollup, trial_key, trial_claim or lease",
        ),
        (
            r#"{"type":"key_format","name":"old","pattern":"("}"#.into(),
            "pattern: the pattern of the key format: unclosed group",
        ),
        (r#"{"type":"key_format","name":"old","pattern":"[a-z]{3}-.*|a+"}"#.into(), ""),
        (long, "the line is longer than 262144 bytes"),
        (sealed.clone(), ""),
        (sealed, "same key as line 11: remove one of the two lines"),
        (
            line(&format!(r#""id":"lic_other","key":"{key}""#)),
            "same key as line 11: remove one of the two lines",
        ),
        (
            moved,
            "sealed_key: it was altered, or sealed for another license or with another secret; export the license again",
        ),
        (line(r#""id":"lic_a1""#), ""),
        (line(r#""x":1,"id":"lic_a2""#), "x: there is no such field; correct its name, or remove it"),
        (line(r#""id":"LIC_a2""#), "id \"LIC_a2\": a license id must be lic_ and 1 to 40 of a–z and 0–9"),
        (
            line(r#""metadata":{}"#),
            "the line needs a key or an id, so that a repeated import finds the license",
        ),
        (old(&typo), "key: the license key is mistyped: its check symbols do not match"),
        (old("what is this"), UNREADABLE),
        (old("abc-1 Ä"), UNREADABLE),
        (old(&many), UNREADABLE),
        (old("abc-1 2"), ""),
        (old("abc-1 2"), "same key as line 23: remove one of the two lines"),
        (old(&many[1..]), ""),
        (line(r#""id":"lic_b1","sealed_key":"!""#), "sealed_key: it is not a sealed key of an export"),
        (
            line(r#""id":"lic_b1","sealed_key":"","key":"abc-9""#),
            "sealed_key: the line also has a key in clear; remove one of the two",
        ),
        (
            line(r#""id":"lic_b1","state":"banned""#),
            "state \"banned\": it must be active, expired, suspended or revoked",
        ),
        (
            line(r#""id":"lic_b1","max_domains":-1"#),
            "max_domains -1: it must be a whole number from 0 to 10000000, or null for unlimited",
        ),
        (
            line(r#""id":"lic_b1","max_domains":10000001"#),
            "max_domains 10000001: it must be a whole number from 0 to 10000000, or null for unlimited",
        ),
        (
            line(r#""id":"lic_b1","expires_at":"tomorrow""#),
            "expires_at \"tomorrow\": it must be a time such as 2027-01-31T00:00:00Z",
        ),
        (
            line(r#""id":"lic_b1","created_at":"-0001-01-01T00:00:00Z""#),
            "created_at \"-0001-01-01T00:00:00Z\": it must be a time such as 2027-01-31T00:00:00Z",
        ),
        (line(r#""id":"lic_b1","version":0"#), "version 0: it must be at least 1"),
        (
            line(r#""id":"lic_b1","version":1,"version":2"#),
            "the line is not a valid JSON object: the field \"version\" occurs twice in column 102",
        ),
        (
            line(r#""id":"lic_b1","state_reason":"chargeback""#),
            "state_reason: only suspended and revoked licenses have one",
        ),
        (
            line(r#""id":"lic_b1","state":"revoked","state_reason":"""#),
            "state_reason \"\": a reason must be 1 to 255 bytes of text without control characters",
        ),
        (line(&format!(r#""id":"lic_b1","blocks":[{}]"#, block("blk_b2_0000000001", "d"))), OF_OTHER),
        (
            line(&format!(
                r#""id":"lic_b1","blocks":[{},{}]"#,
                block("blk_b1_0000000001", "d"),
                block("blk_b1_0000000002", "d")
            )),
            "blocks: blk_b1_0000000002 or its value occurs twice; remove one of them",
        ),
        (
            line(&format!(r#""id":"lic_b1","last_event":1,"blocks":[{}]"#, block("blk_b1_0000000002", "d"))),
            "blocks: blk_b1_0000000002 must belong to the license, with a number up to the license's last_event",
        ),
        (
            line(&format!(r#""id":"lic_b1","blocks":[{}]"#, block("blk_b1_0000000001", " "))),
            "blocks: a fingerprint must not be empty",
        ),
        (
            line(r#""id":"lic_b1","validation_count":9223372036854775808"#),
            "validation_count 9223372036854775808: it must be at most 9223372036854775807",
        ),
        (
            line(r#""id":"lic_b1","domains":["a..b"]"#),
            "domains: \"a..b\": a host name cannot have an empty part (a dot too many)",
        ),
        (line(r#""id":"lic_b1","devices":[""]"#), "devices: a fingerprint must not be empty"),
        (line(&metadata), "metadata: metadata can have at most 8192 bytes as JSON"),
        (
            line(r#""id":"lic_b1""#).replace("open", "gone"),
            "plan \"gone\": there is no such plan; the plans are boxed, open, small",
        ),
        (
            line(r#""id":"lic_b2","domains":["a.com","b.com","c.com"]"#).replace("open", "small"),
            "the license has 3 domains, but max_domains is 2: raise max_domains, or accept licenses over their limit (--over-limit)",
        ),
        (line(r#""id":"lic_b3","domains":["a.com","b.com"],"devices":["1"]"#).replace("open", "small"), ""),
        (act(""), &stray_5),
        (line(r#""id":"lic_a5","last_event":5"#), ""),
        (act(r#","id":"act_a5_0000000005""#), ""),
        (act("").replace("x.com", "y.com"), ""),
        (act("").replace("lic_a5", "lic_a6"), &stray_6),
        (line(r#""id":"lic_a5b","last_event":5"#), ""),
        (
            act(r#","id":"act_a5b_0000000006""#).replace("lic_a5", "lic_a5b"),
            "id \"act_a5b_0000000006\": it must belong to the license, with a number up to the license's last_event",
        ),
        (line(r#""id":"lic_a7""#), ""),
        (
            act(r#","kinds":1"#).replace("lic_a5", "lic_a7"),
            "kinds: there is no such field; correct its name, or remove it",
        ),
        (act("").replace("lic_a5", "lic_a7"), ""),
        (act("").replace("lic_a5", "lic_a7").replace("x.com", "z.com"), ""),
        (line(&format!(r#""id":"lic_{suffix}x""#)), ""),
        (roll(""), ""),
        (
            roll(""),
            "same day, license, outcome, domain, device and country as line 60: remove one of the two lines",
        ),
        (
            roll("").replace("lic_a1", "lic_none"),
            "license \"lic_none\": no license has this id, in the lines before or in the database",
        ),
        (
            roll("").replace("2026-01-02\"", "2026-01-32\""),
            "day \"2026-01-32\": it must be a date such as 2027-01-31",
        ),
        (roll("").replace("-02T01", "-03T01"), "first_at: it must be on the day 2026-01-02"),
        (roll("").replace("T01", "T03"), "last_at: it must not be before first_at"),
        (roll("").replace("VALID", "FINE"), "outcome \"FINE\": it must be VALID or the code of a denial"),
        (roll("").replace(":5", ":0"), "count 0: it must be at least 1"),
        (roll(r#","country":"T1""#), "country \"T1\": it must be two letters, such as DE"),
        (roll(r#","country":"DE","domain":null"#), ""),
        (roll("").replace("2026-01-02", "2999-01-02"), "day \"2999-01-02\": it must not be in the future"),
        (line(r#""id":"lic_a8""#), ""),
        (
            act(r#","validations":1"#).replace("lic_a5", "lic_a8"),
            "validations: it must be above 0 if there is a last_seen_at, and 0 otherwise",
        ),
        (line(r#""id":"lic_a9""#), ""),
        (
            act(r#","validations":1,"last_seen_at":"2026-02-01T00:00:00Z""#).replace("lic_a5", "lic_a9"),
            "first_seen_at: it is required if last_seen_at is given, and must not be after it",
        ),
        (line(r#""id":"lic_a10""#), ""),
        (
            act(r#","label":"""#).replace("lic_a5", "lic_a10"),
            "label \"\": a label must be 1 to 100 bytes of text without control characters",
        ),
        (line(r#""id":"lic_a11""#), ""),
        (act(r#","label":"desk","first_seen_at":"2026-02-01T00:00:00Z""#).replace("lic_a5", "lic_a11"), ""),
        (
            line(r#""id":"lic_b1","grants":[{"feature":"a","value":1},{"feature":"a","value":2}]"#),
            "grants: two grants have the same feature and source",
        ),
        (
            line(r#""id":"lic_b1","grants":[{"feature":"","value":1}]"#),
            "grants: the name of a feature must be 1 to 64 bytes of text without control characters and white space around it",
        ),
    ];
    let text: Vec<&str> = cases.iter().map(|(line, _)| line.as_str()).collect();
    let target = server(HEX, 31).await;
    let text = text.join("\n");
    let dry = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let (foreseen, foreseen_faults) = target.import(&text, dry).await;
    assert_eq!(
        target.store.count_licenses(target.services.now()).await.expect("counts"),
        Vec::new(),
        "a dry run writes nothing"
    );
    assert_eq!(target.export(ExportKeys::Sealed).await.lines().count(), 5, "not even a form of keys");
    let (report, faults) = target.import(&text, ImportOptions::default()).await;
    assert_eq!((foreseen, &foreseen_faults), (report, &faults), "a dry run says the same");
    let expected: Vec<String> = (1..)
        .zip(&cases)
        .filter(|(_, (_, fault))| !fault.is_empty())
        .map(|(number, (_, fault))| format!("{number}: {fault}"))
        .collect();
    let mut sorted = faults.clone();
    sorted.sort_by_key(|fault| fault.split(':').next().and_then(|number| number.parse::<u64>().ok()));
    assert_eq!(sorted, expected);
    assert_eq!((report.imported, report.rollups), (8, 2), "{report:?}");
    assert_eq!(report.refused, expected.len() as u64);
    for (id, held) in [("lic_b3", 3), ("lic_a5", 2)] {
        let license =
            target.services.licenses.get(&license_core::license::LicenseId::parse(id).expect("an id")).await;
        let license = license.expect("it is there").detail.license.clone();
        assert_eq!(license.domains_used + license.devices_used, held, "{id}");
    }
}

/// A license with a faulty line is not stored, and can be imported once the line is corrected.
#[tokio::test]
async fn license_is_imported_whole_or_not_at_all() {
    let server = server(HEX, 1).await;
    let lines = [
        line(r#""id":"lic_1""#),
        r#"{"type":"activation","license":"lic_1","kind":"domain","value":"a.com"}"#.to_owned(),
        r#"{"type":"activation","license":"lic_1","kind":"domain","value":"b..com"}"#.to_owned(),
        r#"{"type":"activation","license":"lic_1","kind":"domain","value":"c.com"}"#.to_owned(),
    ];
    let (report, faults) = server.import(&lines.join("\n"), ImportOptions::default()).await;
    assert_eq!((report.imported, report.refused, faults.len()), (0, 1, 1), "{faults:?}");
    assert!(faults[0].starts_with("3: value \"b..com\": "), "{faults:?}");
    let right = lines.join("\n").replace("b..com", "b.com");
    let (report, _) = server.import(&right, ImportOptions::default()).await;
    assert_eq!((report.imported, report.activations), (1, 3));
}

#[tokio::test]
async fn license_over_its_limit_needs_an_option() {
    let server = server(HEX, 1).await;
    let text = line(r#""id":"lic_1","max_devices":1,"devices":["1","2"]"#);
    let (report, faults) = server.import(&text, ImportOptions::default()).await;
    assert_eq!((report.imported, faults), (0, vec!["1: the license has 2 devices, but max_devices is 1: raise max_devices, or accept licenses over their limit (--over-limit)".to_owned()]));
    let options = ImportOptions { over_limit: true, ..ImportOptions::default() };
    assert_eq!(server.import(&text, options).await.0.imported, 1);
}

#[tokio::test]
async fn existing_license_is_never_changed() {
    let server = server(HEX, 1).await;
    let text = [line(r#""id":"lic_1","key":"old-1""#), line(r#""key":"old-2""#)].join("\n");
    let format = || vec![ImportedKeyFormat::new("old", "old-.").expect("a form")];
    let options = || ImportOptions { key_formats: format(), ..ImportOptions::default() };
    assert_eq!(server.import(&text, options()).await.0.imported, 2);
    let before = server.export(ExportKeys::Sealed).await;
    let other = text.replace("dev@", "other@");
    let (report, faults) = server.import(&other, options()).await;
    assert_eq!((report.imported, report.existing, faults.len()), (0, 2, 0));
    let taken = [line(r#""id":"lic_1","key":"old-3""#), line(r#""id":"lic_9","key":"old-1""#)].join("\n");
    let (_, faults) = server.import(&taken, options()).await;
    assert_eq!(
        faults,
        [
            "1: id \"lic_1\": the database has this license with another key; remove the line or change its id",
            "2: key: the license lic_1 of the database has this key; remove the line or its id",
        ]
    );
    assert!(server.export(ExportKeys::Sealed).await == before);
}

/// An import writes no events by default, and none of past expiries.
#[tokio::test]
async fn import_writes_events_on_request_only() {
    let server = server(HEX, 1).await;
    let text = |id: &str| {
        line(&format!(
            r#""id":"lic_{id}","expires_at":"2020-01-01T00:00:00Z","last_event":3,"domains":["a.com"]"#
        ))
    };
    assert_eq!(server.import(&text("quiet"), ImportOptions::default()).await.0.imported, 1);
    let options = ImportOptions { events: true, ..ImportOptions::default() };
    assert_eq!(server.import(&text("loud"), options).await.0.imported, 1);
    let events = async |id: &str| {
        let id = license_core::license::LicenseId::parse(id).expect("an id");
        let found = server.store.license_events(&id, 0, 9).await.expect("events");
        found
            .into_iter()
            .map(|event| {
                (event.sequence, event.event_type.as_str(), event.data["license"]["domains"][0].clone())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(events("lic_quiet").await, []);
    assert_eq!(events("lic_loud").await, [(5, "license.imported", "a.com".into())]);
    for id in ["lic_quiet", "lic_loud"] {
        let id = license_core::license::LicenseId::parse(id).expect("an id");
        let license = server.store.get(&id).await.expect("license").expect("it is there").license;
        assert_eq!(
            license.expiry_notice.map(|notice| notice.days),
            Some(0),
            "past expiries are not announced"
        );
    }
}

/// Lines and rows at their limit, and one byte above.
#[tokio::test]
async fn line_size_is_limited() {
    let server = server(HEX, 1).await;
    let of_size = |bytes: usize| {
        let bare = line(r#""id":"lic_1""#);
        format!("{bare}{}", " ".repeat(bytes - bare.len()))
    };
    let (_, faults) = server.import(&of_size(limits::IMPORT_LINE_BYTES + 1), ImportOptions::default()).await;
    assert_eq!(faults, ["1: the line is longer than 262144 bytes"]);
    assert_eq!(
        server.import(&of_size(limits::IMPORT_LINE_BYTES), ImportOptions::default()).await.0.imported,
        1
    );
    let columns = Columns::new(&["id", "plan", "customer_email", "x"], &[], &[]).expect("columns");
    let row = |bytes: usize| {
        let cells = ["lic_1", "open", "a@b.com"];
        let rest = "x".repeat(bytes - cells.iter().map(|cell| cell.len()).sum::<usize>());
        columns.license(&[cells[0], cells[1], cells[2], &rest]).err().map(|fault| fault.to_string())
    };
    assert_eq!(row(limits::IMPORT_LINE_BYTES), None);
    assert_eq!(row(limits::IMPORT_LINE_BYTES + 1).as_deref(), Some("the line is longer than 262144 bytes"));
}
