//! Lines of activations.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::fields::stored_count;
use super::texts::Time;
use super::written;
use crate::domain::DomainName;
use crate::license::{Activation, ActivationId, ActivationKind, Binding, Fingerprint, Label, LicenseId};
use crate::transfer::error::ImportLineError;
use crate::usage::{ActivationDetail, Country, LastSeen};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActivationFields {
    license: LicenseId,
    id: Option<ActivationId>,
    kind: ActivationKind,
    value: String,
    created_at: Option<Time>,
    label: Option<Label>,
    first_seen_at: Option<Time>,
    last_seen_at: Option<Time>,
    validations: Option<u64>,
    country: Option<Country>,
    held_until: Option<Time>,
    returned: Option<bool>,
}

/// An activation as given in a line.
#[derive(Debug)]
pub(crate) struct ActivationLine {
    pub(crate) license: LicenseId,
    pub(crate) id: Option<ActivationId>,
    pub(crate) binding: Binding,
    pub(crate) created_at: Option<Time>,
    pub(crate) label: Option<Label>,
    pub(crate) last_seen: LastSeen,
    pub(crate) held_until: Option<Time>,
    pub(crate) is_returned: bool,
}

impl ActivationLine {
    /// Creates an activation that its license lists without a line of its own.
    pub(crate) fn listed(license: &LicenseId, binding: Binding) -> Self {
        let (license, last_seen) = (license.clone(), LastSeen::default());
        let (held_until, is_returned) = (None, false);
        Self { license, id: None, binding, created_at: None, label: None, last_seen, held_until, is_returned }
    }
}

impl TryFrom<ActivationFields> for ActivationLine {
    type Error = ImportLineError;

    fn try_from(fields: ActivationFields) -> Result<Self, ImportLineError> {
        let ActivationFields { license, id, kind, value, created_at, label, .. } = fields;
        let wrong = |error: &dyn Display| ImportLineError::value("value", &value.as_str().into(), error);
        let binding = match kind {
            ActivationKind::Domain => {
                Binding::Domain(DomainName::parse_registered(&value).map_err(|error| wrong(&error))?)
            }
            ActivationKind::Device => {
                Binding::Device(Fingerprint::parse(&value).map_err(|error| wrong(&error))?)
            }
        };
        stored_count("validations", fields.validations)?;
        let last_seen = LastSeen {
            first_seen_at: fields.first_seen_at.map(|time| time.0),
            last_seen_at: fields.last_seen_at.map(|time| time.0),
            validations: fields.validations.unwrap_or_default(),
            country: fields.country,
            as_of: None,
        };
        let LastSeen { first_seen_at, last_seen_at, validations, .. } = last_seen;
        if last_seen_at.is_some() != (validations > 0) {
            let why = "it must be above 0 if there is a last_seen_at, and 0 otherwise";
            return Err(ImportLineError::field("validations", why));
        }
        if last_seen_at.is_some_and(|last| first_seen_at.is_none_or(|first| first > last)) {
            let why = "it is required if last_seen_at is given, and must not be after it";
            return Err(ImportLineError::field("first_seen_at", why));
        }
        let (held_until, is_returned) = (fields.held_until, fields.returned.unwrap_or_default());
        if is_returned && held_until.is_none() {
            let why = "it can be true only if there is a held_until";
            return Err(ImportLineError::field("returned", why));
        }
        Ok(Self { license, id, binding, created_at, label, last_seen, held_until, is_returned })
    }
}

pub(crate) fn activation_line(license: &LicenseId, detail: &ActivationDetail) -> String {
    let ActivationDetail { activation, last_seen } = detail;
    let Activation { id, binding, created_at, label, held_until, is_returned } = activation;
    let LastSeen { first_seen_at, last_seen_at, validations, country, as_of: _ } = *last_seen;
    written(
        "activation",
        &ActivationFields {
            license: license.clone(),
            id: Some(id.clone()),
            kind: binding.kind(),
            value: binding.value().to_owned(),
            created_at: Some(Time(*created_at)),
            label: label.clone(),
            first_seen_at: first_seen_at.map(Time),
            last_seen_at: last_seen_at.map(Time),
            validations: Some(validations),
            country,
            held_until: held_until.map(Time),
            returned: held_until.map(|_| *is_returned),
        },
    )
}
