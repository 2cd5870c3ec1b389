//! A whole database moves.

use std::sync::Arc;

use chrono::TimeDelta;
use license_core::command::{LicensePatch, LicenseSpec};
use license_core::key::ImportedKeyFormat;
use license_core::license::CustomerEmail;
use license_core::limits;
use license_core::service::{ExportKeys, ImportOptions, ValidateRequest};
use license_core::store::{LicenseFilter, PageRequest};
use license_core::validation::Verdict;

use super::server::{HEX, OTHER, Server, domain, server, server_with};

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
            spec.domains = vec![domain("www.www.my_shop.b.com"), domain("*.www.a.example.org")];
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
    assert_eq!(
        1 + 1 + 1 + 3 + sum,
        lines,
        "the export, a form of keys, a product, three plans, and a line for each"
    );
    assert!(into.export(keys).await == exported, "the second export is the first one, byte by byte");
    let (report, faults) = into.import(&exported, ImportOptions::default()).await;
    assert_eq!((report.imported, report.existing, faults.len()), (0, 601, 0), "once more: nothing twice");
    assert!(into.export(keys).await == exported);
}

/// Asserts that all keys of one server work on another.
async fn usable(from: &Server, into: &Server) {
    into.services.reload_key_formats().await.expect("forms");
    let page = PageRequest { after: None, limit: limits::PAGE_ITEMS };
    let licenses = from.services.licenses.list(&LicenseFilter::default(), &page).await;
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
