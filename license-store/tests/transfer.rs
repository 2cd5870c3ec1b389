//! Exports and imports through the services, on every store.

use std::sync::Arc;

use chrono::TimeDelta;
use license_core::access::{Actor, Who};
use license_core::catalog::{Limit, Plan, PlanCatalog};
use license_core::clock::ManualClock;
use license_core::command::{LicensePatch, LicenseSpec};
use license_core::domain::DomainName;
use license_core::error::ServiceError;
use license_core::key::{ImportedKeyFormat, Secret};
use license_core::license::{CustomerEmail, Fingerprint};
use license_core::limits;
use license_core::service::{
    Deactivated, ExportKeys, ImportOptions, ImportReport, ServiceOptions, Services, SlotHolder,
    ValidateRequest,
};
use license_core::store::{FullStore, LicenseFilter, LicenseQuery, PageRequest};
use license_core::transfer::Columns;
use license_core::validation::Verdict;
use license_store::memory::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";
const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

fn plans() -> PlanCatalog {
    let small = Plan::new("small").max_domains(Limit::AtMost(2)).max_devices(Limit::AtMost(1));
    PlanCatalog::new([small.term_days(Some(30)), Plan::new("open")]).expect("plans")
}

fn clock() -> ManualClock {
    ManualClock::at("2026-06-01T12:00:00.123456Z".parse().expect("a time"))
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The services of a server, with their store.
struct Server {
    services: Services,
    store: Arc<dyn FullStore>,
}

async fn server_with(store: Arc<dyn FullStore>, secret: &str, seed: u64) -> Server {
    let secret = Secret::from_hex(secret).expect("a secret");
    let options = ServiceOptions::new(&secret, clock(), rng(seed)).plans(plans());
    let services = Services::open(Arc::clone(&store), options).await.expect("services");
    Server { services, store }
}

async fn server(secret: &str, seed: u64) -> Server {
    server_with(Arc::new(MemoryStore::new()), secret, seed).await
}

impl Server {
    async fn export(&self, keys: ExportKeys) -> String {
        let mut exporter = self.services.transfer.export(keys).await.expect("an export");
        let mut text = String::new();
        while let Some(line) = exporter.next_line().await.expect("a line") {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// Imports lines. Returns the report and the faults as `line: reason`.
    async fn import(&self, text: &str, options: ImportOptions) -> (ImportReport, Vec<String>) {
        let mut importer = self.services.transfer.import(options).await.expect("an import");
        for (number, line) in (1..).zip(text.lines()) {
            importer.line(number, line.as_bytes()).await.expect("the import goes on");
        }
        let report = importer.finish().await.expect("the import ends");
        let faults = importer.take_faults().into_iter().map(|(line, fault)| format!("{line}: {fault}"));
        (report, faults.collect())
    }

    async fn validate(&self, key: &str) -> Option<Verdict> {
        self.services.validation.validate(&ValidateRequest { key, ..ValidateRequest::default() }).await.ok()
    }
}

fn domain(text: &str) -> DomainName {
    DomainName::parse_registered(text).expect("a domain")
}

/// Creates 601 licenses of every state, with activations, usage and imported keys: more than one page of an
/// export.
async fn fill(server: &Server) {
    let email = |n| CustomerEmail::parse(&format!("dev{n}@example.com")).expect("an address");
    let (old, uses) =
        (format!("{{\"type\":\"license\",\"key\":\"OLD-1 {}\",", "x".repeat(200)), &server.services.licenses);
    let old = format!(
        "{old}\"plan\":\"open\",\"customer_email\":\"old@example.com\",\"domains\":[\"*.old.example\"]}}"
    );
    let format = ImportedKeyFormat::new("old", "OLD-[^-]+").expect("a form");
    let options = ImportOptions { key_formats: vec![format], ..ImportOptions::default() };
    assert_eq!(server.import(&old, options).await.1, Vec::<String>::new());
    for n in 0..600 {
        let mut spec = LicenseSpec::new(if n % 2 == 0 { "open" } else { "small" }, email(n));
        if n % 3 == 0 {
            spec.domains = vec![domain("b.com"), domain("*.a.example.org")];
        }
        if n == 7 {
            spec.metadata = license_core::license::Metadata::from_json(
                serde_json::json!({"z": 0.1, "a": [u64::MAX, {"ä\u{7f}": "\u{1f511}\\\""}]}),
            )
            .expect("metadata");
        }
        let license = uses.issue(&spec, None).await.expect("a license");
        let (id, key) = (license.detail.license.id.clone(), license.key.reveal());
        let device = format!("device {n}");
        if n % 50 == 0 {
            let request = ValidateRequest { key, fingerprint: Some(&device), ..ValidateRequest::default() };
            server.services.validation.validate(&request).await.expect("a verdict");
        }
        match n {
            1 => drop(uses.suspend(&id).await.expect("suspended")),
            2 => drop(uses.revoke(&id).await.expect("revoked")),
            3 => {
                let ended = license_core::license::Expiry::At(server.services.now() - TimeDelta::days(1));
                let change = LicensePatch { expires_at: Some(ended), ..LicensePatch::default() };
                uses.change(&id, change).await.expect("changed");
            }
            _ => {}
        }
    }
}

async fn identical(from: &Server, into: &Server, keys: ExportKeys) {
    let exported = from.export(keys).await;
    let lines = exported.lines().count() as u64;
    let (report, faults) = into.import(&exported, ImportOptions::default()).await;
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!((report.imported, report.existing, report.refused), (601, 0, 0));
    assert_eq!(report.rollups, 12, "of those that were used");
    let sum = report.imported + report.activations + report.rollups;
    assert_eq!(1 + 1 + sum, lines, "a line for each, and two in front");
    assert!(into.export(keys).await == exported, "the second export is the first one, byte by byte");
    let (report, faults) = into.import(&exported, ImportOptions::default()).await;
    assert_eq!((report.imported, report.existing, faults.len()), (0, 601, 0), "once more: nothing twice");
    assert!(into.export(keys).await == exported);
}

/// Asserts that all keys of one server work on another.
async fn usable(from: &Server, into: &Server) {
    into.services.reload_key_formats().await.expect("forms");
    let page = PageRequest { after: None, limit: limits::PAGE_ITEMS };
    let licenses = from
        .services
        .licenses
        .list(&LicenseQuery { filter: LicenseFilter::default(), at: from.services.now(), page: page.clone() })
        .await;
    for license in licenses.expect("a list").items {
        let key = license.key.reveal();
        let there = into.services.licenses.get(&license.detail.license.id).await.expect("it is there");
        assert_eq!(there.key, license.key);
        assert!(!matches!(into.validate(key).await, None | Some(Verdict::NotFound)));
    }
    let old = format!("OLD-1 {}", "x".repeat(200));
    assert!(matches!(into.validate(&old).await, Some(Verdict::Valid(_))), "a key of another system");
}

#[tokio::test]
async fn imported_export_is_exported_byte_by_byte() {
    let from = server(HEX, 1).await;
    fill(&from).await;
    let (same, other) = (server(HEX, 11).await, server(OTHER, 21).await);
    identical(&from, &same, ExportKeys::Sealed).await;
    identical(&from, &other, ExportKeys::Clear).await;
    usable(&from, &same).await;
    usable(&from, &other).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn export_passes_through_every_database() {
    use license_store::sql::sqlite::SqliteStore;

    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = async |name: &str, seed| {
        let store = SqliteStore::open(folder.path().join(name)).await.expect("a database");
        server_with(Arc::new(store), HEX, seed).await
    };
    let first = sqlite("first.db", 1).await;
    fill(&first).await;
    let second = sqlite("second.db", 11).await;
    identical(&first, &second, ExportKeys::Sealed).await;
    #[cfg(feature = "postgres")]
    {
        use license_store::sql::postgres::{PostgresOptions, PostgresStore};
        let postgres = async |database: &test_database::TestDatabase, seed| {
            let options = PostgresOptions { max_connections: 3, ..PostgresOptions::default() };
            let store = PostgresStore::connect(&database.url(), &options).await.expect("a database");
            server_with(Arc::new(store), HEX, seed).await
        };
        let databases = (test_database::TestDatabase::new().await, test_database::TestDatabase::new().await);
        if let (Some(one), Some(two)) = databases {
            let (third, fourth) = (postgres(&one, 21).await, postgres(&two, 31).await);
            identical(&second, &third, ExportKeys::Sealed).await;
            identical(&third, &fourth, ExportKeys::Sealed).await;
            let last = sqlite("last.db", 41).await;
            identical(&fourth, &last, ExportKeys::Sealed).await;
            assert!(last.export(ExportKeys::Clear).await == first.export(ExportKeys::Clear).await);
            usable(&first, &third).await;
        }
    }
    usable(&first, &second).await;
}

fn line(fields: &str) -> String {
    format!(r#"{{"type":"license","plan":"open","customer_email":"dev@example.com",{fields}}}"#)
}

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
    let cases: Vec<(String, &str)> = vec![
        (r#"{"type":"export","version":1}"#.into(), ""),
        (
            r#"{"type":"export","version":2}"#.into(),
            "export format version 2 is not supported: import with a newer version of this software",
        ),
        (String::new(), ""),
        ("nonsense".into(), "not a JSON object: expected ident at line 1 column 2"),
        ("[]".into(), "not a JSON object: invalid type: sequence, expected a map at line 1 column 0"),
        ("{}".into(), "type: it is missing"),
        (
            r#"{"type":"roll"}"#.into(),
            "type: \"roll\" is unknown; types are export, key_format, license, activation and rollup",
        ),
        (
            r#"{"type":"key_format","name":"old","pattern":"("}"#.into(),
            "pattern: the pattern of the key format: unclosed group",
        ),
        (r#"{"type":"key_format","name":"old","pattern":"[a-z]{3}-.*|a+"}"#.into(), ""),
        (long, "the line has more than 262144 bytes"),
        (sealed.clone(), ""),
        (sealed, "line 11 has the same id"),
        (line(&format!(r#""id":"lic_other","key":"{key}""#)), "line 11 has the same key"),
        (moved, "sealed_key: it was altered, or sealed for another license or with another secret"),
        (line(r#""id":"lic_a1""#), ""),
        (line(r#""x":1,"id":"lic_a2""#), "x: unknown field"),
        (line(r#""id":"LIC_a2""#), "id: a license id must be lic_ and 1 to 40 of a–z and 0–9"),
        (line(r#""metadata":{}"#), "a license needs a key or an id, so that it is imported once"),
        (old(&typo), "key: the license key is mistyped: its check symbols do not match"),
        (old("what is this"), "key: it is neither a key of this server nor in a declared key format"),
        (old("abc-1 Ä"), "key: it is neither a key of this server nor in a declared key format"),
        (old(&many), "key: it is neither a key of this server nor in a declared key format"),
        (old("abc-1 2"), ""),
        (old("abc-1 2"), "line 23 has the same id"),
        (old(" abc-1 2\\r\\n"), "line 23 has the same id"),
        (old(&many[1..]), ""),
        (line(r#""id":"lic_b1","sealed_key":"!""#), "sealed_key: Invalid symbol 33, offset 0."),
        (
            line(r#""id":"lic_b1","sealed_key":"","key":"abc-9""#),
            "sealed_key: the line also has a key in clear",
        ),
        (line(r#""id":"lic_b1","state":"expired""#), "state: it must be active, suspended or revoked"),
        (line(r#""id":"lic_b1","max_domains":-1"#), "max_domains: invalid value: integer `-1`, expected u32"),
        (
            line(r#""id":"lic_b1","max_domains":10000001"#),
            "max_domains: a limit must be at most 10000000, or null for unlimited",
        ),
        (
            line(r#""id":"lic_b1","expires_at":"tomorrow""#),
            "expires_at: this must be a time such as 2027-01-31T00:00:00Z",
        ),
        (
            line(r#""id":"lic_b1","created_at":"-0001-01-01T00:00:00Z""#),
            "created_at: this must be a time such as 2027-01-31T00:00:00Z",
        ),
        (line(r#""id":"lic_b1","version":0"#), "version: it must be at least 1"),
        (
            line(r#""id":"lic_b1","validation_count":9223372036854775808"#),
            "validation_count: it is too large",
        ),
        (
            line(r#""id":"lic_b1","domains":["a..b"]"#),
            "domains: a host name cannot have an empty part (a dot too many)",
        ),
        (line(r#""id":"lic_b1","devices":[""]"#), "devices: a fingerprint must not be empty"),
        (line(r#""id":"lic_b1","domains":["a.com","www.a.com"]"#), "the license has this activation already"),
        (
            line(r#""id":"lic_b1","domains":["localhost"]"#),
            "localhost is always allowed on this plan and takes no slot; leave it out of the list.",
        ),
        (line(&metadata), "metadata: metadata can have at most 8192 bytes as JSON"),
        (
            line(r#""id":"lic_b1""#).replace("open", "gone"),
            "There is no plan \"gone\". The plans are: open, small.",
        ),
        (
            line(r#""id":"lic_b2","domains":["a.com","b.com","c.com"]"#).replace("open", "small"),
            "it holds 3 domains, but its limit is 2",
        ),
        (line(r#""id":"lic_b3","domains":["a.com","b.com"],"devices":["1"]"#).replace("open", "small"), ""),
        (act(""), "it does not follow the line of its license"),
        (line(r#""id":"lic_a5","last_event":5"#), ""),
        (act(r#","id":"act_a5_0000000005""#), ""),
        (act("").replace("x.com", "y.com"), ""),
        (act("").replace("lic_a5", "lic_a6"), "it does not follow the line of its license"),
        (line(r#""id":"lic_a5b","last_event":5"#), ""),
        (
            act(r#","id":"act_a5b_0000000006""#).replace("lic_a5", "lic_a5b"),
            "id: it belongs to another license, or its number is above the license's last_event",
        ),
        (line(r#""id":"lic_a7""#), ""),
        (act(r#","kinds":1"#).replace("lic_a5", "lic_a7"), "kinds: unknown field"),
        (act("").replace("lic_a5", "lic_a7"), ""),
        (act("").replace("lic_a5", "lic_a7").replace("x.com", "z.com"), ""),
        (line(&format!(r#""id":"lic_{suffix}x""#)), ""),
        (roll(""), ""),
        (roll(""), "line 56 has the same rollup key"),
        (roll("").replace("lic_a1", "lic_none"), "there is no license lic_none"),
        (roll("").replace("2026-01-02\"", "2026-01-32\""), "day: this must be a date such as 2027-01-31"),
        (roll("").replace("-02T01", "-03T01"), "first_at: it must be within the day"),
        (roll("").replace("T01", "T03"), "last_at: it must not be before first_at"),
        (roll("").replace("VALID", "FINE"), "outcome: unknown outcome"),
        (roll("").replace(":5", ":0"), "count: it is missing"),
        (roll(r#","country":"T1""#), "country: a country must be two letters"),
        (roll(r#","country":"DE","domain":null"#), ""),
        (roll("").replace("2026-01-02", "2999-01-02"), "day: it must not be in the future"),
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
            "label: a label must be 1 to 100 bytes of text without control characters",
        ),
        (line(r#""id":"lic_a11""#), ""),
        (act(r#","label":"desk","first_seen_at":"2026-02-01T00:00:00Z""#).replace("lic_a5", "lic_a11"), ""),
    ];
    let text: Vec<&str> = cases.iter().map(|(line, _)| line.as_str()).collect();
    let target = server(HEX, 31).await;
    let text = text.join("\n");
    let dry = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let (foreseen, foreseen_faults) = target.import(&text, dry).await;
    assert_eq!(
        target.store.plans_in_use().await.expect("plans"),
        Vec::<String>::new(),
        "a dry run writes nothing"
    );
    assert_eq!(target.export(ExportKeys::Sealed).await.lines().count(), 1, "not even a form of keys");
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
    assert!(faults[0].starts_with("3: value: "), "{faults:?}");
    let right = lines.join("\n").replace("b..com", "b.com");
    let (report, _) = server.import(&right, ImportOptions::default()).await;
    assert_eq!((report.imported, report.activations), (1, 3));
}

#[tokio::test]
async fn license_over_its_limit_needs_an_option() {
    let server = server(HEX, 1).await;
    let text = line(r#""id":"lic_1","max_devices":1,"devices":["1","2"]"#);
    let (report, faults) = server.import(&text, ImportOptions::default()).await;
    assert_eq!((report.imported, faults), (0, vec!["1: it holds 2 devices, but its limit is 1".to_owned()]));
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
    assert_eq!(faults, ["1: there is another license lic_1", "2: the license lic_1 has this key"]);
    assert!(server.export(ExportKeys::Sealed).await == before);
}

#[tokio::test]
async fn key_sealed_with_other_secret_ends_the_import() {
    let (from, into) = (server(HEX, 1).await, server(OTHER, 11).await);
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    from.services.licenses.issue(&spec, None).await.expect("a license");
    let text = from.export(ExportKeys::Sealed).await;
    let mut importer = into.services.transfer.import(ImportOptions::default()).await.expect("an import");
    for (number, line) in (1..).zip(text.lines()) {
        importer
            .line(number, line.as_bytes())
            .await
            .expect("nothing is opened before all lines of a license are there");
    }
    let error = importer.finish().await.expect_err("no key opens");
    assert!(matches!(error, ServiceError::OtherSecret { line: 2 }), "{error}");
}

/// Imported keys match exactly, never replace a key of this server, and are shown unchanged.
#[tokio::test]
async fn imported_keys_are_validated_exactly() {
    let server = server(HEX, 1).await;
    let spec = LicenseSpec::new("open", CustomerEmail::parse("dev@example.com").expect("an address"));
    let own = server.services.licenses.issue(&spec, None).await.expect("a license").key;
    let (old, ours) = ("OLD KEY/1", own.reveal());
    let swap = if ours.ends_with('7') { '8' } else { '7' };
    let typo = format!("{}{swap}", &ours[..ours.len() - 1]);
    let refused = async |key: &str| {
        let request = ValidateRequest { key, ..ValidateRequest::default() };
        server.services.validation.validate(&request).await.expect_err("no verdict").to_string()
    };
    // Without a declared format, any other key is malformed.
    assert!(refused(old).await.contains("prefix"));
    let any = ImportedKeyFormat::new("any", ".+").expect("a form");
    let options = ImportOptions { key_formats: vec![any], ..ImportOptions::default() };
    let other_node = server_with(Arc::clone(&server.store), HEX, 11).await;
    // One has the prefix of this server and another length.
    let text = [line(r#""id":"lic_1","key":"OLD KEY/1""#), line(r#""key":"TO-KEN-1""#)].join("\n");
    assert_eq!(
        server.import(&text, options).await,
        (ImportReport { imported: 2, ..ImportReport::default() }, vec![])
    );
    assert!(other_node.validate(old).await.is_none(), "until it loads the formats again");
    other_node.services.reload_key_formats().await.expect("formats");
    assert!(matches!(other_node.validate(old).await, Some(Verdict::Valid(_))));
    for key in [old, " OLD KEY/1", "OLD KEY/1\n", "TO-KEN-1", ours, &ours.to_lowercase()] {
        assert!(matches!(server.validate(key).await, Some(Verdict::Valid(_))), "{key}");
    }
    for key in ["OLD KEY/2", "old key/1", "OLD  KEY/1", "to-ken-1"] {
        assert_eq!(
            server.validate(key).await.map(|verdict| matches!(verdict, Verdict::NotFound)),
            Some(true),
            "{key}"
        );
    }
    for key in ["", "OLD KEY\n/1", "OLD\u{a0}KEY/1"] {
        assert!(server.validate(key).await.is_none(), "{key:?} is of no form");
    }
    assert!(refused(&typo).await.contains("mistyped"), "never a key of another system");
    let (holder, actor) = (SlotHolder::Device("one"), Actor::new(Who::Customer));
    let released = server.services.validation.deactivate(old, holder, actor).await;
    assert!(matches!(released, Ok(Deactivated::Denied(_))), "its license is found: {released:?}");
    // A rotation replaces it by a key of this server.
    let id = license_core::license::LicenseId::parse("lic_1").expect("an id");
    assert_eq!(server.services.licenses.get(&id).await.expect("a license").key.reveal(), old);
    let rotated = server.services.licenses.rotate_key(&id, None).await.expect("rotated").key;
    assert!(rotated.reveal().starts_with("TO-") && !rotated.is_imported());
    assert!(matches!(server.validate(old).await, Some(Verdict::NotFound)));
    assert!(matches!(server.validate(rotated.reveal()).await, Some(Verdict::Valid(_))));
    // A format keeps its pattern.
    let other = ImportedKeyFormat::new("any", ".*").expect("a form");
    let options = ImportOptions { key_formats: vec![other], ..ImportOptions::default() };
    let error = server.services.transfer.import(options).await.expect_err("the name has a pattern");
    assert_eq!(error.to_string(), "the key format any already has another pattern");
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
            license.expiry_notified,
            license_core::license::ExpiryNotified::Expired,
            "past expiries are not announced"
        );
    }
}

#[tokio::test]
async fn table_rows_are_imported_as_licenses() {
    let server = server(HEX, 1).await;
    let header =
        ["License Key", "Mail", "Sites", "Machines", "Ends", "Status", "Note", "max_domains", "Other"];
    let map = [
        "License Key=key",
        "Mail=customer_email",
        "Sites=domains",
        "Machines=devices",
        "Ends=expires_at",
        "Status=state",
        "Note=metadata.note",
    ];
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let columns = Columns::new(&header, &strings(&map), &strings(&["plan=small"])).expect("columns");
    assert_eq!(columns.left_out(), ["Other"]);
    let format = ImportedKeyFormat::new("old", "K-.").expect("a form");
    let options = ImportOptions { key_formats: vec![format], ..ImportOptions::default() };
    let mut importer = server.services.transfer.import(options).await.expect("an import");
    let rows: [&[&str]; 6] = [
        &["K-1", " Dev@Example.com ", "a.com, b.com", "m 1", "2030-05-06", "ACTIVE", "hi", "", "x"],
        &["K-2", "dev@example.com", "a.com;b.com c.com", "", "never", "expired", "", "unlimited", ""],
        &["K-3", "dev@example.com", "", "a;b", "", "", "", "", ""],
        &["K-4", "nobody", "", "", "", "", "", "", ""],
        &["K-5", "dev@example.com", "", "", "", "", "", "many", ""],
        &["K-6"],
    ];
    for (number, row) in (2..).zip(rows) {
        importer.row(number, columns.license(row)).await.expect("the import goes on");
    }
    assert_eq!(importer.finish().await.expect("it ends").imported, 2);
    let mut faults: Vec<_> =
        importer.take_faults().into_iter().map(|(line, fault)| format!("{line}: {fault}")).collect();
    faults.sort();
    assert_eq!(
        faults,
        [
            "4: it holds 2 devices, but its limit is 1",
            "5: customer_email: this is not an e-mail address",
            "6: max_domains: invalid type: string \"many\", expected u32",
            "7: it has 1 cells, but the header has 9",
        ]
    );
    let page = PageRequest { after: None, limit: limits::PAGE_ITEMS };
    let found = server
        .services
        .licenses
        .list(&LicenseQuery {
            filter: LicenseFilter::default(),
            at: server.services.now(),
            page: page.clone(),
        })
        .await
        .expect("a list");
    let one = found.items.iter().find(|one| one.key.reveal() == "K-1").expect("the first row");
    assert_eq!(one.detail.license.customer_email.as_str(), "dev@example.com");
    assert_eq!(one.detail.license.metadata.as_map()["note"], "hi");
    assert_eq!(one.detail.license.expires_at.expect("a term").to_rfc3339(), "2030-05-06T00:00:00+00:00");
    assert_eq!(one.detail.license.max_domains, Limit::AtMost(2), "of its plan");
    assert_eq!(one.detail.domains.len(), 2);
    let device = license_core::license::Binding::Device(Fingerprint::parse("m 1").expect("a fingerprint"));
    assert_eq!(one.detail.devices[0].binding, device);
    let two = found.items.iter().find(|one| one.key.reveal() == "K-2").expect("the second row");
    assert_eq!((two.detail.license.expires_at, two.detail.license.max_domains), (None, Limit::Unlimited));
}

#[test]
fn invalid_columns_are_rejected() {
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let both = ["plan=open", "customer_email=a@example.com"];
    for (map, set, expected) in [
        (&["a"][..], &both[..], "\"a\" has no ="),
        (&["b=key"], &both, "the table has no column \"b\""),
        (&["a=keys"], &both, "\"keys\" is not a field; fields are id, key,"),
        (&["a=metadata."], &both, "\"metadata.\" is not a field"),
        (&["a=plan"], &both, "plan is given twice"),
        (&["a=key", "id=key"], &both, "key is given twice"),
        (
            &["a=key"],
            &both[..1],
            "no column is customer_email: map one with COLUMN=customer_email, or set it for all rows",
        ),
        (&[], &["plan"], "\"plan\" has no ="),
    ] {
        let error = Columns::new(&["a", "id"], &strings(map), &strings(set)).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
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
    assert_eq!(faults, ["1: the line has more than 262144 bytes"]);
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
    assert_eq!(row(limits::IMPORT_LINE_BYTES + 1).as_deref(), Some("the line has more than 262144 bytes"));
}
