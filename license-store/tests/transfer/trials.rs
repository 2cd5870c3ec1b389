//! Used trials of exports and imports.

use std::sync::Arc;

use license_core::catalog::{Plan, PlanCatalog, Trial, TrialHolder};
use license_core::command::LicenseSpec;
use license_core::error::ServiceError;
use license_core::license::CustomerEmail;
use license_core::service::{ExportKeys, ImportOptions, ImportReport, ValidateRequest};
use license_core::validation::{Denial, DenialCode, Verdict};
use license_store::memory::MemoryStore;

use super::server::{HEX, OTHER, Server, server_of, server_with};

fn plans() -> PlanCatalog {
    let trial = Trial::once_per([TrialHolder::Device, TrialHolder::Customer]);
    PlanCatalog::new([Plan::new("open"), Plan::new("trial").trial(trial)]).expect("plans")
}

async fn server(secret: &str, seed: u64) -> Server {
    server_of(Arc::new(MemoryStore::new()), secret, seed, plans()).await
}

impl Server {
    /// Issues a trial. Returns its key, or `None` if the customer had one.
    async fn trial_of(&self, customer: &str) -> Option<String> {
        let spec = LicenseSpec::new("trial", CustomerEmail::parse(customer).expect("an address"));
        match self.services.licenses.issue(&spec, None).await {
            Ok(license) => Some(license.key.reveal().to_owned()),
            Err(ServiceError::Denied(Denial::TrialUsed)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn on_device(&self, key: &str, device: &str) -> Option<DenialCode> {
        let request = ValidateRequest { key, fingerprint: Some(device), ..ValidateRequest::default() };
        match self.services.validation.validate(&request).await.expect("a verdict") {
            Verdict::Valid(_) => None,
            Verdict::Denied(denied) => Some(denied.code()),
            Verdict::NotFound => panic!("the key is known"),
        }
    }
}

fn claims(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains("trial_claim")).collect()
}

/// A trial that was used in one database is used in another, whatever their secrets and data keys.
#[tokio::test]
async fn used_trial_moves_to_another_database() {
    for (keys, secret) in [(ExportKeys::Sealed, HEX), (ExportKeys::Clear, OTHER)] {
        let (from, into) = (server(HEX, 1).await, server(secret, 11).await);
        let other_node = server_of(Arc::clone(&into.store), secret, 12, plans()).await;
        let key = from.trial_of("ann@example.com").await.expect("the first trial");
        assert_eq!(from.on_device(&key, "pc").await, None);
        assert!(into.trial_of("ann@example.com").await.is_some(), "another database");
        let gone = from.trial_of("bob@example.com").await.expect("the first trial");
        assert_eq!(from.on_device(&gone, "old pc").await, None);
        let text = from.export(keys).await;
        assert_eq!(text.lines().filter(|line| line.contains("trial_key")).count(), 1);
        assert_eq!(claims(&text).len(), 4);
        // Without the licenses of the trials.
        let lines: Vec<_> =
            text.lines().filter(|line| !line.contains("lic_") || line.contains("trial_claim")).collect();
        let lines = lines.join("\n");
        let dry = into.import(&lines, ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
        for trial_claims in [4, 0] {
            let report = ImportReport { trial_claims, ..ImportReport::default() };
            let imported = into.import(&lines, ImportOptions::default()).await;
            assert_eq!(imported, (report, vec![]), "{keys:?}");
            assert!(trial_claims == 0 || dry == imported, "a dry run has the same result");
        }
        assert_eq!(into.trial_of("bob@example.com").await, None);
        assert_eq!(into.trial_of("BOB@example.com").await, None);
        let key = into.trial_of("eve@example.com").await.expect("the first trial");
        for device in ["pc", "old pc"] {
            assert_eq!(into.on_device(&key, device).await, Some(DenialCode::TrialUsed), "{device}");
        }
        assert_eq!(into.on_device(&key, "new pc").await, None);
        other_node.services.reload_key_formats().await.expect("keys");
        assert_eq!(other_node.trial_of("bob@example.com").await, None, "on another node");
        let restarted = server_of(Arc::clone(&into.store), secret, 13, plans()).await;
        assert_eq!(restarted.trial_of("bob@example.com").await, None, "after a restart");
        // The trials of both databases move on to a third one.
        let third = server(secret, 21).await;
        third.import(&into.export(keys).await, ImportOptions::default()).await;
        for customer in ["ann@example.com", "bob@example.com", "eve@example.com"] {
            assert_eq!(third.trial_of(customer).await, None, "{customer}");
        }
    }
}

#[tokio::test]
async fn export_without_trials_has_no_line_of_them() {
    let server = server_with(Arc::new(MemoryStore::new()), HEX, 1).await;
    let text = server.export(ExportKeys::Clear).await;
    assert!(!text.contains("trial_key") && claims(&text).is_empty(), "{text}");
}

/// A line that is not of an export takes the trials of its customer and of its devices.
#[tokio::test]
async fn imported_license_of_another_system_takes_its_trials() {
    let server = server(HEX, 1).await;
    let line = |id: &str, customer: &str| {
        format!(
            r#"{{"type":"license","plan":"trial","id":"{id}","customer_email":"{customer}","devices":["pc"]}}"#
        )
    };
    // The second one is imported although its trials are used.
    let text = [line("lic_1", "ann@example.com"), line("lic_2", "ann@example.com")].join("\n");
    for (imported, existing) in [(2, 0), (0, 2)] {
        let activations = imported;
        let report = ImportReport { imported, activations, existing, ..ImportReport::default() };
        assert_eq!(server.import(&text, ImportOptions::default()).await, (report, vec![]));
    }
    assert_eq!(server.trial_of("ann@example.com").await, None);
    let key = server.trial_of("bob@example.com").await.expect("the first trial");
    assert_eq!(server.on_device(&key, "pc").await, Some(DenialCode::TrialUsed));
}

#[tokio::test]
async fn damaged_lines_of_trials_are_rejected() {
    let (from, into) = (server(HEX, 1).await, server(OTHER, 11).await);
    from.trial_of("ann@example.com").await.expect("the first trial");
    let text = from.export(ExportKeys::Sealed).await;
    let key = text.lines().find(|line| line.contains("trial_key")).expect("a key");
    let claim = claims(&text)[0];
    for (line, why) in [
        (key.to_owned(), "1: key: it was altered, or sealed with another secret; export again"),
        (r#"{"type":"trial_key","id":"a1"}"#.to_owned(), "1: key: give either the key or the sealed_key"),
        (
            r#"{"type":"trial_key","id":"a1","key":"a1"}"#.to_owned(),
            "1: key: it must be 64 hexadecimal digits",
        ),
        (claim.replace("lic_", "act_"), "1: license \""),
        (claim.replace("license", "of"), "1: of: there is no such field"),
    ] {
        let (report, faults) = into.import(&line, ImportOptions::default()).await;
        assert_eq!((report.refused, faults.len()), (1, 1), "{line}");
        assert!(faults[0].starts_with(why), "{faults:?}");
    }
    assert!(into.trial_of("ann@example.com").await.is_some(), "nothing was imported");
}
