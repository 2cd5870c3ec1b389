//! Writes the JSON lines of an export.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use serde::Serialize;
use zeroize::Zeroizing;

use super::line::{DAY, VERSION, notified_name};
use crate::catalog::Limit;
use crate::domain::DomainName;
use crate::json;
use crate::key::{ImportedKeyFormat, LicenseKey, SealedKey};
use crate::license::{Activation, Counters, Fingerprint, Label, License, LicenseId, Metadata};
use crate::usage::{ActivationDetail, Country, LastSeen, Rollup, RollupKey, UsageSum};

/// The key of a license as written to its line.
#[derive(Debug)]
pub(crate) enum ShownKey<'a> {
    Clear(&'a LicenseKey),
    Sealed(&'a SealedKey),
}

/// Returns the first line of an export.
pub(crate) fn export_line() -> String {
    written(&Written::Export { version: VERSION })
}

pub(crate) fn key_format_line(format: &ImportedKeyFormat) -> String {
    written(&Written::KeyFormat { name: format.name(), pattern: format.pattern() })
}

/// Writes a license. Slots are not written, since they follow from the activation lines.
pub(crate) fn license_line(license: &License, counters: &Counters, key: &ShownKey<'_>) -> Zeroizing<String> {
    let License {
        id,
        key_digest: _,
        sealed_key: _,
        state,
        plan,
        customer_email,
        max_domains,
        max_devices,
        domains_used: _,
        devices_used: _,
        created_at,
        activated_at,
        expires_at,
        metadata,
        version,
        last_event,
        expiry_notified,
    } = license;
    let Counters { validation_count, last_validated_at, as_of: _ } = *counters;
    let (key, sealed_key) = match key {
        ShownKey::Clear(key) => (Some(key.reveal()), None),
        ShownKey::Sealed(sealed) => (None, Some(BASE64.encode(sealed.as_bytes()))),
    };
    Zeroizing::new(written(&Written::License {
        id: id.as_str(),
        key,
        sealed_key,
        state: state.as_str(),
        plan,
        customer_email: customer_email.as_str(),
        max_domains: *max_domains,
        max_devices: *max_devices,
        created_at: *created_at,
        activated_at: *activated_at,
        expires_at: *expires_at,
        metadata,
        version: *version,
        last_event: *last_event,
        expiry_notified: notified_name(*expiry_notified),
        validation_count,
        last_validated_at,
    }))
}

pub(crate) fn activation_line(license: &LicenseId, detail: &ActivationDetail) -> String {
    let ActivationDetail { activation: Activation { id, binding, created_at, label }, last_seen } = detail;
    let LastSeen { first_seen_at, last_seen_at, validations, country, as_of: _ } = last_seen;
    written(&Written::Activation {
        license: license.as_str(),
        id: id.as_str(),
        kind: binding.kind().as_str(),
        value: binding.value(),
        created_at: *created_at,
        label: label.as_ref().map(Label::as_str),
        first_seen_at: *first_seen_at,
        last_seen_at: *last_seen_at,
        validations: *validations,
        country: country.as_ref().map(Country::as_str),
    })
}

pub(crate) fn rollup_line(rollup: &Rollup) -> String {
    let Rollup { key, sum: UsageSum { count, first_at, last_at } } = rollup;
    let RollupKey { day, license_id, outcome, domain, device, country } = key;
    written(&Written::Rollup {
        day: day.start().format(DAY).to_string(),
        license: license_id.as_str(),
        outcome: outcome.as_str(),
        domain: domain.as_ref().map(DomainName::as_str),
        device: device.as_ref().map(Fingerprint::as_str),
        country: country.as_ref().map(Country::as_str),
        count: *count,
        first_at: *first_at,
        last_at: *last_at,
    })
}

fn written(line: &Written<'_>) -> String {
    // Serialising these types to JSON cannot fail.
    serde_json::to_string(line).unwrap_or_default()
}

/// A written line. The type comes first, and the fields keep this order.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Written<'a> {
    Export {
        version: u64,
    },
    KeyFormat {
        name: &'a str,
        pattern: &'a str,
    },
    License {
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sealed_key: Option<String>,
        state: &'static str,
        plan: &'a str,
        customer_email: &'a str,
        max_domains: Limit,
        max_devices: Limit,
        #[serde(serialize_with = "json::time")]
        created_at: DateTime<Utc>,
        #[serde(serialize_with = "json::time_or_null")]
        activated_at: Option<DateTime<Utc>>,
        #[serde(serialize_with = "json::time_or_null")]
        expires_at: Option<DateTime<Utc>>,
        metadata: &'a Metadata,
        version: u64,
        last_event: u64,
        #[serde(rename = "expiry_told")]
        expiry_notified: &'static str,
        validation_count: u64,
        #[serde(serialize_with = "json::time_or_null")]
        last_validated_at: Option<DateTime<Utc>>,
    },
    Activation {
        license: &'a str,
        id: &'a str,
        kind: &'static str,
        value: &'a str,
        #[serde(serialize_with = "json::time")]
        created_at: DateTime<Utc>,
        label: Option<&'a str>,
        #[serde(serialize_with = "json::time_or_null")]
        first_seen_at: Option<DateTime<Utc>>,
        #[serde(serialize_with = "json::time_or_null")]
        last_seen_at: Option<DateTime<Utc>>,
        validations: u64,
        country: Option<&'a str>,
    },
    Rollup {
        day: String,
        license: &'a str,
        outcome: &'a str,
        domain: Option<&'a str>,
        device: Option<&'a str>,
        country: Option<&'a str>,
        count: u64,
        #[serde(serialize_with = "json::time")]
        first_at: DateTime<Utc>,
        #[serde(serialize_with = "json::time")]
        last_at: DateTime<Utc>,
    },
}
