//! Types of stored texts reject NUL characters, which PostgreSQL cannot store.

use license_core::catalog::{Plan, PlanCatalog};
use license_core::domain::DomainName;
use license_core::license::{ActivationId, Fingerprint, Grant, GrantSource};
use license_core::license::{CustomerEmail, LicenseId, Metadata};
use serde_json::json;

type Accepts = fn(&str) -> bool;

/// Each stored text: its column, a valid value, and its parser.
const TEXTS: &[(&str, &str, Accepts)] = &[
    ("licenses.id", "lic_a1b2", |text| LicenseId::parse(text).is_ok()),
    ("licenses.plan", "small", |text| PlanCatalog::new([Plan::new(text)]).is_ok()),
    ("licenses.customer_email", "dev@example.com", |text| CustomerEmail::parse(text).is_ok()),
    ("licenses.metadata, a text", "note", |text| Metadata::from_json(json!({"a": [{"b": text}]})).is_ok()),
    ("licenses.metadata, a key", "note", |text| Metadata::from_json(json!({"a": [{text: 1}]})).is_ok()),
    ("licenses.metadata, a first key", "note", |text| Metadata::from_json(json!({text: 1})).is_ok()),
    ("licenses.grants, a feature", "export", |text| Grant::new(text, true).is_ok()),
    ("licenses.grants, a value", "gold", |text| Grant::new("export", text).is_ok()),
    ("licenses.grants, a source", "sub_17", |text| GrantSource::parse(text).is_ok()),
    ("activations.id", "act_a1b2_1", |text| ActivationId::parse(text).is_ok()),
    ("activations.value, a domain", "*.example.com", |text| DomainName::parse_registered(text).is_ok()),
    ("activations.value, a device", "device 1", |text| Fingerprint::parse(text).is_ok()),
    ("validations.domain", "example.com", |text| DomainName::parse(text).is_ok()),
    ("validations.domain, read back", "example.com", |text| DomainName::from_stored(text).is_ok()),
];

#[test]
fn no_stored_text_has_a_nul_character() {
    for (column, good, accepts) in TEXTS {
        assert!(accepts(good), "{column} accepts {good:?}");
        for at in (0..=good.len()).filter(|&at| good.is_char_boundary(at)) {
            let (head, tail) = good.split_at(at);
            let bad = format!("{head}\0{tail}");
            assert!(!accepts(&bad), "{column} accepts {bad:?}");
        }
    }
}
