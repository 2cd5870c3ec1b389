//! Keys of other systems and of other secrets.

use std::sync::Arc;

use license_core::access::{Actor, AuditFilter, Principal};
use license_core::command::LicenseSpec;
use license_core::error::ServiceError;
use license_core::key::ImportedKeyFormat;
use license_core::license::CustomerEmail;
use license_core::service::{
    Deactivated, ExportKeys, ImportOptions, ImportReport, SlotHolder, ValidateRequest,
};
use license_core::store::PageRequest;
use license_core::validation::Verdict;

use super::server::{HEX, OTHER, line, server, server_with};

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
    assert!(matches!(error, ServiceError::OtherSecret { line: 6 }), "{error}");
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
    let (holder, actor) = (SlotHolder::Device("one"), Actor::new(Principal::Customer));
    let released = server.services.validation.deactivate(old, holder, actor).await;
    assert!(matches!(released, Ok(Deactivated::Denied(_))), "its license is found: {released:?}");
    // A rotation replaces it by a key of this server.
    let id = license_core::license::LicenseId::parse("lic_1").expect("an id");
    assert_eq!(server.services.licenses.get(&id).await.expect("a license").key.reveal(), old);
    let rotated = server.services.licenses.rotate_key(&id, false, None).await.expect("rotated").key;
    assert!(rotated.reveal().starts_with("TO-") && !rotated.is_imported());
    assert!(matches!(server.validate(old).await, Some(Verdict::NotFound)));
    assert!(matches!(server.validate(rotated.reveal()).await, Some(Verdict::Valid(_))));
    // A format keeps its pattern.
    let other = ImportedKeyFormat::new("any", ".*").expect("a form");
    let options = ImportOptions { key_formats: vec![other], ..ImportOptions::default() };
    let error = server.services.transfer.import(options).await.expect_err("the name has a pattern");
    assert_eq!(error.to_string(), "the key format any already has another pattern");
}

/// A format that an import declares is audited with its actor, once.
#[tokio::test]
async fn declared_format_is_audited_once() {
    let server = server(HEX, 41).await;
    let by = Actor::new(Principal::CommandLine);
    let format = ImportedKeyFormat::new("old-shop", "[A-Z]{4}-[0-9]{4}").expect("a format");
    for _ in 0..2 {
        let options = ImportOptions {
            key_formats: vec![format.clone()],
            by: Some(Arc::new(by.clone())),
            ..ImportOptions::default()
        };
        server.import("", options).await;
    }
    let page = PageRequest { after: None, limit: 9 };
    let filter = AuditFilter { action: Some("key_format.declare".to_owned()), ..AuditFilter::default() };
    let entries = server.store.list_audit(&filter, &page).await.expect("the audit log").items;
    let entries: Vec<_> = entries.iter().map(|one| (one.entry.action.as_str(), &one.entry.actor)).collect();
    assert_eq!(entries, [("key_format.declare", &by)]);
}
