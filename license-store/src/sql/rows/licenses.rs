//! Rows of licenses.

use license_core::catalog::{Limit, TermStart};
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{
    ActivationKind, Blocks, Counters, CustomerEmail, CustomerName, ExpiryNotice, ExternalId, License,
    LicenseDetail, LicenseState, LicenseTerm, Metadata, Reason,
};
use license_core::validation::LicenseSnapshot;
use serde_json::json;

use super::reader::{Reader, int, micros, row_of};
use crate::Result;
use crate::sql::dialect::{SqlRow, Value};
use crate::sql::statements::LICENSE_COLUMNS;

impl<R: SqlRow> Reader<'_, R> {
    fn limit(&self, column: &'static str) -> Result<Limit> {
        let number = self.maybe_int(column)?.map(|n| self.parse(column, n, u32::try_from)).transpose()?;
        Ok(number.into())
    }

    pub(crate) fn license(&self) -> Result<License> {
        Ok(License {
            id: self.license_id("id")?,
            key_digest: self.key_digest()?,
            sealed_key: SealedKey::from_bytes(self.bytes("sealed_key")?),
            state: self.known("state", LicenseState::parse)?,
            product: self.text("product")?,
            plan: self.text("plan")?,
            customer_email: self.maybe_parsed("customer_email", CustomerEmail::parse)?,
            max_domains: self.limit("max_domains")?,
            max_devices: self.limit("max_devices")?,
            domains_used: self.count("domains_used")?,
            devices_used: self.count("devices_used")?,
            created_at: self.time("created_at")?,
            activated_at: self.maybe_time("activated_at")?,
            expires_at: self.maybe_time("expires_at")?,
            metadata: self.parsed("metadata", parse_metadata)?,
            version: self.count("version")?,
            last_event: self.count("last_event")?,
            expiry_notice: self.expiry_notice()?,
            customer_name: self.maybe_parsed("customer_name", CustomerName::parse)?,
            external_id: self.maybe_parsed("external_id", ExternalId::parse)?,
            anchor_day: self.anchor_day()?,
            term: LicenseTerm {
                starts: self.known("term_starts", TermStart::parse)?,
                started_at: self.maybe_time("term_started_at")?,
            },
            updates_until: self.maybe_time("updates_until")?,
            grants: self.parsed("grants", |text| serde_json::from_str(text))?,
            state_reason: self.maybe_parsed("state_reason", Reason::parse)?,
            blocks: self.parsed("blocks", Blocks::from_json)?,
            plan_version: self.parse("plan_version", self.int("plan_version")?, u32::try_from)?,
            overrides: self.json("overrides")?,
            leased_until: self.maybe_time("leased_until")?,
        })
    }

    fn expiry_notice(&self) -> Result<Option<ExpiryNotice>> {
        let Some(at) = self.maybe_time("expiry_notice_at")? else { return Ok(None) };
        let days = self.parse("expiry_notice_days", self.int("expiry_notice_days")?, u16::try_from)?;
        Ok(Some(ExpiryNotice { days, at }))
    }

    fn anchor_day(&self) -> Result<Option<u8>> {
        self.maybe_int("anchor_day")?.map(|day| self.parse("anchor_day", day, u8::try_from)).transpose()
    }

    pub(crate) fn key_digest(&self) -> Result<KeyDigest> {
        self.digest("key_digest").map(KeyDigest::from_bytes)
    }

    pub(crate) fn counters(&self) -> Result<Counters> {
        let counters = Reader { table: "license_counters", ..*self };
        Ok(Counters {
            validation_count: counters.count("validation_count")?,
            last_validated_at: counters.maybe_time("last_validated_at")?,
            as_of: self.maybe_time("as_of")?,
        })
    }

    pub(crate) fn detail(&self) -> Result<LicenseDetail> {
        Ok(LicenseDetail {
            license: self.license()?.into(),
            counters: self.counters()?,
            domains: self.listed("domains", ActivationKind::Domain)?,
            devices: self.listed("devices", ActivationKind::Device)?,
        })
    }

    pub(crate) fn snapshot(&self) -> Result<LicenseSnapshot> {
        Ok(LicenseSnapshot::new(self.license()?.into(), self.bindings()?))
    }
}

fn parse_metadata(text: &str) -> Result<Metadata, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Metadata::from_json(value).map_err(|error| error.to_string())
}

/// Stored instead of the days of a notice if there was none.
pub(crate) const NO_NOTICE: u16 = u16::MAX;

/// The end of a perpetual license, after all others.
pub(crate) const NEVER: i64 = i64::MAX;

/// The parameters of a license, in the order of the columns.
pub(crate) fn license_values(license: &License) -> [Value<'_>; LICENSE_COLUMNS.len()] {
    let License {
        id,
        key_digest,
        sealed_key,
        state,
        product,
        plan,
        customer_email,
        max_domains,
        max_devices,
        domains_used,
        devices_used,
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
        term: LicenseTerm { starts, started_at },
        updates_until,
        grants,
        state_reason,
        blocks,
        plan_version,
        overrides,
        leased_until,
    } = license;
    let email = customer_email.as_ref();
    [
        id.as_str().into(),
        key_digest.as_bytes().as_slice().into(),
        sealed_key.as_bytes().into(),
        state.as_str().into(),
        product.as_str().into(),
        plan.as_str().into(),
        email.map(CustomerEmail::as_str).into(),
        max_domains.as_number().map(i64::from).into(),
        max_devices.as_number().map(i64::from).into(),
        int(*domains_used).into(),
        int(*devices_used).into(),
        created_at.timestamp_micros().into(),
        micros(*activated_at).into(),
        micros(*expires_at).into(),
        json!(metadata).to_string().into(),
        int(*version).into(),
        int(*last_event).into(),
        i64::from(expiry_notice.map_or(NO_NOTICE, |notice| notice.days)).into(),
        micros(expiry_notice.map(|notice| notice.at)).into(),
        customer_name.as_ref().map(CustomerName::as_str).into(),
        external_id.as_ref().map(ExternalId::as_str).into(),
        email.map(CustomerEmail::domain).into(),
        i64::from(license.is_at_limit()).into(),
        expires_at.map_or(NEVER, |at| at.timestamp_micros()).into(),
        anchor_day.map(i64::from).into(),
        starts.as_str().into(),
        micros(*started_at).into(),
        micros(*updates_until).into(),
        json!(grants).to_string().into(),
        state_reason.as_ref().map(Reason::as_str).into(),
        blocks.to_json().into(),
        i64::from(*plan_version).into(),
        json!(overrides).to_string().into(),
        micros(*leased_until).into(),
    ]
}

/// The members of the metadata that searches find, as JSON rows.
pub(crate) fn metadata_rows(license: &License) -> Vec<serde_json::Value> {
    let row = |(name, value): (&str, &str)| json!([name, value, license.id.as_str()]);
    license.metadata.indexed().map(row).collect()
}

/// A license as a JSON row of its parameters.
pub(crate) fn license_row(license: &License) -> serde_json::Value {
    row_of(license_values(license))
}
