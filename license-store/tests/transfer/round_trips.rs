//! Properties of exports, imports and changes that repeat what was read.

use std::collections::BTreeSet;

use license_core::command::{LicensePatch, LicenseSpec};
use license_core::domain::DomainName;
use license_core::key::ImportedKeyFormat;
use license_core::license::{
    ActivationTarget, Binding, CustomerEmail, CustomerName, Expiry, ExternalId, Fingerprint, LicenseId,
    Metadata, MetadataPatch, Reason,
};
use license_core::service::{ExportKeys, ImportOptions};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::leases::{lease_action, store_leases};
use super::server::{HEX, OTHER, Server, leasing_server, line, server};

/// Hosts and wildcards in unusual spellings.
fn odd_domain() -> impl Strategy<Value = String> {
    let prefix = prop::sample::select(vec!["", "www.", "www.www.", "*.", "*.www.", "http//", "https:", "//"]);
    let labels =
        prop_oneof!["[a-c]{1,2}", "_[a-b]{1,2}", "w{2,4}", "Bücher", "xn--bcher-kva", "ｗｗｗ", "a_b"];
    let base = prop::sample::select(vec![
        "example.com",
        "com",
        "www.com",
        "EXAMPLE。com.",
        "shop.test",
        "bücher.de",
    ]);
    (prefix, labels, base).prop_map(|(prefix, labels, base)| format!("{prefix}{labels}.{base}"))
}

fn odd_email() -> impl Strategy<Value = String> {
    let name = prop_oneof!["[a-zA-Z.+]{1,6}x", "x\\.{1,3}y\\.?", "jörg", "İ{1,3}"];
    let host =
        prop::sample::select(vec!["example.com", "Bücher.example", "xn--bcher-kva.example", "www.a。b"]);
    (name, host).prop_map(|(name, host)| format!("{name}@{host}"))
}

fn metadata() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!(0.1)),
        Just(json!([null, {"a": true}]))
    ];
    prop::collection::btree_map("[a-z0-9_]{1,8}|größe", value, 0..4).prop_map(|map| json!(map))
}

/// A license as a caller gives it.
#[derive(Clone, Debug)]
struct Odd {
    email: String,
    domains: Vec<String>,
    metadata: Value,
    key: Option<String>,
    devices: Vec<String>,
    label: Option<String>,
}

fn odd_license() -> impl Strategy<Value = Odd> {
    let key = of("K[ -~]{0,20}k");
    let devices = (vec("\\PC{1,12}x", 0..3), of("[a-zö]{1,9}"));
    let parts = (odd_email(), vec(odd_domain(), 0..5), metadata(), key, devices);
    parts.prop_map(|(email, domains, metadata, key, (devices, label))| Odd {
        email,
        domains,
        metadata,
        key,
        devices,
        label,
    })
}

impl Odd {
    /// The grants of the license, if it has a label.
    fn grants(&self) -> Value {
        let until = "2999-12-31T23:59:59.000001Z";
        let grants = self.label.iter().flat_map(|label| {
            [
                json!({"feature": label, "value": self.email, "until": until, "source": label}),
                json!({"feature": label, "value": i64::MIN, "until": null, "source": null}),
            ]
        });
        grants.collect()
    }

    /// Stores the license, if its values are valid: by an import if it has a key or devices, otherwise
    /// issued.
    async fn store(&self, server: &Server, number: usize) -> Option<LicenseId> {
        let id = LicenseId::parse(&format!("lic_{number}")).expect("an id");
        if self.key.is_some() || !self.devices.is_empty() {
            let fields = json!({"id": id.as_str(), "key": self.key, "metadata": self.metadata, "domains": self.domains, "grants": self.grants()});
            let fields = fields.to_string();
            let mut text = line(&fields[1..fields.len() - 1]).replace("dev@example.com", &self.email);
            for device in &self.devices {
                let device = json!({"type": "activation", "license": id.as_str(), "kind": "device", "value": device,
                    "label": self.label});
                text = [text, device.to_string()].join("\n");
            }
            let key_formats = vec![ImportedKeyFormat::new("any", "K.*k").expect("a format")];
            let options = ImportOptions { key_formats, ..ImportOptions::default() };
            return (server.import(&text, options).await.0.imported == 1).then_some(id);
        }
        let mut spec = LicenseSpec::new("open", CustomerEmail::parse(&self.email).ok()?);
        spec.customer_name = CustomerName::parse(&self.email).ok();
        spec.external_id = ExternalId::parse(&format!("{number} {}", self.email)).ok();
        spec.domains = self.domains.iter().flat_map(|text| DomainName::parse_registered(text)).collect();
        spec.metadata = Metadata::from_json(self.metadata.clone()).ok()?;
        spec.grants = serde_json::from_value(self.grants()).expect("grants");
        Some(server.services.licenses.issue(&spec, None).await.ok()?.detail.license.id.clone())
    }
}

/// Reasons and blocks are in the line of their license, and an import denies as the export did.
#[tokio::test]
async fn reasons_and_blocks_are_exported_and_imported() {
    let from = server(HEX, 1).await;
    let email = CustomerEmail::parse("dev@example.com").expect("an address");
    let issued =
        from.services.licenses.issue(&LicenseSpec::new("open", email), None).await.expect("a license");
    let id = &issued.detail.license.id;
    let because = from.services.licenses.with_reason(Reason::parse("№ 17, \"stolen\"").ok());
    let device = Binding::Device(Fingerprint::parse("d1").expect("a fingerprint"));
    let wildcard = Binding::Domain(DomainName::parse_registered("*.a.com").expect("a domain"));
    because.block(id, ActivationTarget::Binding(device)).await.expect("blocked");
    from.services.licenses.block(id, ActivationTarget::Binding(wildcard)).await.expect("blocked");
    because.suspend(id).await.expect("suspended");
    let text = from.export(ExportKeys::Clear).await;
    let into = server(OTHER, 2).await;
    let (_, faults) = into.import(&text, ImportOptions::default()).await;
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(into.export(ExportKeys::Clear).await, text);
    let [before, after] = [&from, &into].map(|server| server.store.get(id));
    let (before, after) =
        (before.await.expect("read").expect("one"), after.await.expect("read").expect("one"));
    assert_eq!(after.license.state_reason, before.license.state_reason);
    assert_eq!(after.license.blocks, before.license.blocks);
    assert_eq!(after.license.blocks.iter().count(), 2);
    // A later block gets an id of its own.
    into.services.licenses.reinstate(id).await.expect("reinstated");
    let other = Binding::Device(Fingerprint::parse("d2").expect("a fingerprint"));
    let blocked = into.services.licenses.block(id, ActivationTarget::Binding(other)).await.expect("blocked");
    let ids: BTreeSet<_> = blocked.detail.license.blocks.iter().map(|block| block.id.as_str()).collect();
    assert_eq!(ids.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn export_of_an_import_is_the_same_bytes(
        licenses in vec(odd_license(), 1..8),
        leases in vec(vec(lease_action(), 0..8), 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let from = leasing_server(HEX, 1).await;
            for (number, license) in licenses.iter().enumerate() {
                license.store(&from, number).await;
            }
            for actions in &leases {
                store_leases(&from, actions).await;
            }
            for (into, keys) in [
                (leasing_server(HEX, 11).await, ExportKeys::Sealed),
                (leasing_server(OTHER, 21).await, ExportKeys::Clear),
            ] {
                let text = from.export(keys).await;
                let (_, faults) = into.import(&text, ImportOptions::default()).await;
                assert_eq!(faults, Vec::<String>::new());
                assert_eq!(into.export(keys).await, text);
            }
        });
    }

    #[test]
    fn change_to_the_same_values_changes_nothing(license in odd_license()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let server = server(HEX, 1).await;
            let Some(id) = license.store(&server, 1).await else { return };
            let before = server.store.get(&id).await.expect("read").expect("a license");
            let shown = &before.license;
            // As a client would send it: from the texts of an answer.
            let domains = before.domains.iter().map(|one| DomainName::parse_registered(one.binding.value()));
            let patch = LicensePatch {
                plan: Some(shown.plan.clone()),
                customer_email: Some(parsed(shown.customer_email.as_ref())),
                max_domains: Some(shown.max_domains),
                max_devices: Some(shown.max_devices),
                domains: Some(domains.collect::<Result<_, _>>().expect("domains")),
                expires_at: Some(shown.expires_at.map_or(Expiry::Never, Expiry::At)),
                metadata: Some(MetadataPatch::from_json(json!(shown.metadata)).expect("metadata")),
                state: None,
                customer_name: Some(parsed(shown.customer_name.as_ref())),
                external_id: Some(parsed(shown.external_id.as_ref())),
            };
            server.services.licenses.change(&id, patch).await.expect("nothing to refuse");
            assert_eq!(server.store.get(&id).await.expect("read").expect("a license"), before);
        });
    }
}

/// Parses a value again, as a client would send it: from its text.
fn parsed<T: AsRef<str> + std::str::FromStr<Err: std::fmt::Debug>>(shown: Option<&T>) -> Option<T> {
    shown.map(|shown| shown.as_ref().parse().expect("a text that was shown"))
}
