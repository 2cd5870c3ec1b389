//! Lines of leases.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::texts::Time;
use super::written;
use crate::license::{ActivationId, Lease, LeaseEnd, LeaseId, LicenseId};
use crate::signing::SigningKeyId;
use crate::transfer::error::ImportLineError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaseFields {
    license: LicenseId,
    id: LeaseId,
    device: ActivationId,
    domain: Option<ActivationId>,
    issued_at: Time,
    expires_at: Time,
    signing_key: SigningKeyId,
    claims: String,
    renewal: bool,
    ended_by: Option<LeaseEnd>,
    ended_at: Option<Time>,
}

impl TryFrom<LeaseFields> for Lease {
    type Error = ImportLineError;

    fn try_from(fields: LeaseFields) -> Result<Self, ImportLineError> {
        let LeaseFields { license, id, device, domain, signing_key, claims, renewal, .. } = fields;
        let (Time(issued_at), Time(expires_at)) = (fields.issued_at, fields.expires_at);
        let ended = match (fields.ended_by, fields.ended_at) {
            (Some(end), Some(Time(at))) => Some((end, at)),
            (None, None) => None,
            _ => {
                let why = "it is required if the lease has an ended_by, and not allowed otherwise";
                return Err(ImportLineError::field("ended_at", why));
            }
        };
        if expires_at.timestamp_subsec_nanos() > 0 {
            return Err(ImportLineError::field("expires_at", "it must be in whole seconds"));
        }
        let parsed: Value = serde_json::from_str(&claims).unwrap_or_default();
        if parsed["jti"] != id.as_str() || parsed["exp"] != expires_at.timestamp() {
            let why = "they must be the JSON that was signed, with the id as jti and the end as exp";
            return Err(ImportLineError::field("claims", why));
        }
        Ok(Self {
            id,
            license_id: license,
            device,
            domain,
            issued_at,
            expires_at,
            signing_key,
            claims,
            is_renewal: renewal,
            ended,
        })
    }
}

pub(crate) fn lease_line(lease: &Lease) -> String {
    let Lease {
        id,
        license_id: license,
        device,
        domain,
        issued_at,
        expires_at,
        signing_key,
        claims,
        is_renewal: renewal,
        ended,
    } = lease.clone();
    let (issued_at, expires_at) = (Time(issued_at), Time(expires_at));
    let (ended_by, ended_at) = ended.map(|(end, at)| (end, Time(at))).unzip();
    let fields = LeaseFields {
        license,
        id,
        device,
        domain,
        issued_at,
        expires_at,
        signing_key,
        claims,
        renewal,
        ended_by,
        ended_at,
    };
    written("lease", &fields)
}
