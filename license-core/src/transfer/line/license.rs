//! Lines of licenses.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::fields::{given, read, stored_count};
use super::texts::{ClearKey, LineState, Time};
use super::written;
use crate::catalog::{Limit, TermStart};
use crate::domain::DomainName;
use crate::key::SealedKey;
use crate::license::{
    Blocks, Counters, CustomerEmail, CustomerName, Expiry, ExpiryNotice, ExternalId, Fingerprint, Grants,
    License, LicenseId, LicenseTerm, Metadata, Reason,
};
use crate::transfer::ImportNote;
use crate::transfer::error::ImportLineError;

/// A license as given in a line. Fields that are `None` are filled in as for a new license.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseLine {
    pub(crate) id: Option<LicenseId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<ClearKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_key: Option<SealedKey>,
    pub(crate) state: Option<LineState>,
    pub(crate) plan: String,
    pub(crate) customer_email: Option<CustomerEmail>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) max_domains: Option<Limit>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) max_devices: Option<Limit>,
    pub(crate) created_at: Option<Time>,
    pub(crate) activated_at: Option<Time>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) expires_at: Option<Expiry>,
    #[serde(default)]
    pub(crate) metadata: Metadata,
    pub(crate) version: Option<u64>,
    pub(crate) last_event: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) expiry_notice: Option<NoticeLine>,
    pub(crate) validation_count: Option<u64>,
    pub(crate) last_validated_at: Option<Time>,
    pub(crate) customer_name: Option<CustomerName>,
    pub(crate) external_id: Option<ExternalId>,
    /// Domains and devices without lines of their own. An export has a line for each activation.
    #[serde(default, skip_serializing, deserialize_with = "registered")]
    pub(crate) domains: Vec<DomainName>,
    #[serde(skip_serializing)]
    pub(crate) devices: Option<Vec<Fingerprint>>,
    #[serde(default)]
    pub(crate) grants: Grants,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Blocks::is_empty")]
    pub(crate) blocks: Blocks,
    /// `None` is the current version of the plan.
    pub(crate) plan_version: Option<u32>,
    /// Remarks on values of a table that were converted.
    #[serde(skip)]
    pub(crate) notes: Vec<ImportNote>,
    pub(crate) anchor_day: Option<u8>,
    pub(crate) term: Option<TermLine>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) updates_until: Option<Expiry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) leased_until: Option<Time>,
}

/// The start of a term.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TermLine {
    starts: TermStart,
    started_at: Option<Time>,
}

impl From<LicenseTerm> for TermLine {
    fn from(LicenseTerm { starts, started_at }: LicenseTerm) -> Self {
        Self { starts, started_at: started_at.map(Time) }
    }
}

impl From<TermLine> for LicenseTerm {
    fn from(TermLine { starts, started_at }: TermLine) -> Self {
        Self { starts, started_at: started_at.map(|time| time.0) }
    }
}

/// The last event about the end of a term, or `null`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct NoticeLine(pub(crate) Option<NoticeFields>);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoticeFields {
    days: u16,
    at: Time,
}

impl From<ExpiryNotice> for NoticeFields {
    fn from(ExpiryNotice { days, at }: ExpiryNotice) -> Self {
        Self { days, at: Time(at) }
    }
}

impl From<NoticeFields> for ExpiryNotice {
    fn from(NoticeFields { days, at }: NoticeFields) -> Self {
        Self { days, at: at.0 }
    }
}

impl LicenseLine {
    /// Parses a license. Lines that are not from an export can list `domains` and `devices`.
    pub(crate) fn read(fields: &Map<String, Value>) -> Result<Self, ImportLineError> {
        let line: Self = read(fields)?;
        if line.key.is_some() && line.sealed_key.is_some() {
            return Err(ImportLineError::field(
                "sealed_key",
                "the line also has a key in clear; remove one of the two",
            ));
        }
        if line.version == Some(0) {
            return Err(ImportLineError::value("version", &0.into(), "it must be at least 1"));
        }
        stored_count("version", line.version)?;
        stored_count("last_event", line.last_event)?;
        stored_count("validation_count", line.validation_count)?;
        Ok(line)
    }

    /// Returns the line of a license, without its key. An import counts slots from the activation lines.
    pub(crate) fn of(license: &License, counters: &Counters) -> Self {
        let License {
            id,
            key_digest: _,
            sealed_key: _,
            state,
            product: _,
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
            expiry_notice,
            customer_name,
            external_id,
            anchor_day,
            term,
            updates_until,
            grants,
            state_reason,
            blocks,
            plan_version,
            overrides: _,
            leased_until,
        } = license.clone();
        let Counters { validation_count, last_validated_at, as_of: _ } = *counters;
        Self {
            id: Some(id),
            key: None,
            sealed_key: None,
            state: Some(LineState::State(state)),
            plan,
            customer_email,
            max_domains: Some(max_domains),
            max_devices: Some(max_devices),
            created_at: Some(Time(created_at)),
            activated_at: activated_at.map(Time),
            expires_at: Some(expires_at.map_or(Expiry::Never, Expiry::At)),
            metadata,
            version: Some(version),
            last_event: Some(last_event),
            expiry_notice: Some(NoticeLine(expiry_notice.map(Into::into))),
            validation_count: Some(validation_count),
            last_validated_at: last_validated_at.map(Time),
            customer_name,
            external_id,
            domains: Vec::new(),
            devices: None,
            grants,
            state_reason,
            blocks,
            plan_version: Some(plan_version),
            notes: Vec::new(),
            anchor_day,
            term: Some(term.into()),
            updates_until: Some(updates_until.map_or(Expiry::Never, Expiry::At)),
            leased_until: leased_until.map(Time),
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            validation_count: self.validation_count.unwrap_or_default(),
            last_validated_at: self.last_validated_at.map(|time| time.0),
            as_of: None,
        }
    }
}

pub(crate) fn license_line(line: &LicenseLine) -> Zeroizing<String> {
    Zeroizing::new(written("license", line))
}

fn registered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DomainName>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    let domains = texts.iter().map(|text| {
        DomainName::parse_registered(text)
            .map_err(|error| D::Error::custom(format_args!("{text:?}: {error}")))
    });
    domains.collect()
}
