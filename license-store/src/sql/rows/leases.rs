//! Rows of leases.

use license_core::license::{ActivationId, Lease, LeaseEnd, LeaseId, LeaseUsage};
use license_core::signing::SigningKeyId;
use serde_json::json;

use super::reader::{Reader, micros};
use crate::Result;
use crate::sql::dialect::SqlRow;

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn lease(&self) -> Result<Lease> {
        let end = self.maybe_text("ended_by")?;
        let end = end.map(|_| self.known("ended_by", LeaseEnd::parse)).transpose()?;
        Ok(Lease {
            id: self.lease_id()?,
            license_id: self.license_id("license_id")?,
            device: self.parsed("device_id", ActivationId::parse)?,
            domain: self.maybe_parsed("domain_id", ActivationId::parse)?,
            issued_at: self.time("issued_at")?,
            expires_at: self.time("expires_at")?,
            signing_key: self.parsed("signing_key", SigningKeyId::parse)?,
            claims: self.text("claims")?,
            is_renewal: self.int("is_renewal")? != 0,
            ended: end.map(|end| Ok((end, self.time("ended_at")?))).transpose()?,
        })
    }

    pub(crate) fn lease_id(&self) -> Result<LeaseId> {
        self.parsed("id", LeaseId::parse)
    }

    pub(crate) fn lease_usage(&self) -> Result<LeaseUsage> {
        Ok(LeaseUsage {
            held: self.count("held")?,
            next_free_at: self.maybe_time("next_free_at")?,
            issued: self.count("issued")?,
            first_issued_at: self.maybe_time("first_issued_at")?,
        })
    }
}

/// Returns the columns of a lease.
pub(crate) fn lease_row(lease: &Lease) -> serde_json::Value {
    let Lease {
        id,
        license_id,
        device,
        domain,
        issued_at,
        expires_at,
        signing_key,
        claims,
        is_renewal,
        ended,
    } = lease;
    json!([
        license_id.as_str(),
        id.as_str(),
        device.as_str(),
        domain.as_ref().map(ActivationId::as_str),
        issued_at.timestamp_micros(),
        expires_at.timestamp_micros(),
        signing_key.as_str(),
        claims,
        i64::from(*is_renewal),
        ended.map(|(end, _)| end.as_str()),
        micros(ended.map(|(_, at)| at)),
    ])
}
