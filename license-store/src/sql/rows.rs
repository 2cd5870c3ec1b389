//! Rows as nouns, and nouns as parameters.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use license_core::activation::{Activation, ActivationId, ActivationKind, Binding, Fingerprint, Label};
use license_core::client::Client;
use license_core::customer::CustomerEmail;
use license_core::domain::DomainName;
use license_core::event::{Event, EventType, Subject};
use license_core::key::{KeyDigest, SealedKey};
use license_core::license::{Counters, ExpiryTold, License, LicenseDetail, LicenseId, LicenseState};
use license_core::metadata::Metadata;
use license_core::place::{Country, Place, Region};
use license_core::plan::Limit;
use license_core::seen::{ActivationDetail, ActivationUsage, SeenActivation};
use license_core::store::{Source, StoreError};
use license_core::usage::{Day, RollupKey, UsageSum, Validation, ValidationCursor, ValidationOutcome};
use license_core::verdict::Claim;
use serde_json::json;

use super::dialect::{Columns, Value};

/// A row of one table, and the name it goes by in errors.
pub(super) struct Reader<'a, R> {
    pub(super) row: &'a R,
    pub(super) table: &'static str,
    pub(super) id: &'a str,
}

impl<R: Columns> Reader<'_, R> {
    pub(super) fn corrupt(&self, column: &'static str, source: impl Into<Source>) -> StoreError {
        StoreError::Corrupt { table: self.table, column, id: self.id.to_owned(), source: source.into() }
    }

    pub(super) fn present<T>(&self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(column, "it is NULL"))
    }

    /// Reads a value from what stands in the row.
    pub(super) fn parse<T, V, E: Display>(
        &self,
        column: &'static str,
        value: V,
        parse: impl FnOnce(V) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        parse(value).map_err(|error| self.corrupt(column, error.to_string()))
    }

    pub(super) fn maybe_int(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.row.int(column).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        self.present(column, self.maybe_int(column)?)
    }

    pub(super) fn count(&self, column: &'static str) -> Result<u64, StoreError> {
        let value = self.int(column)?;
        self.parse(column, value, u64::try_from)
    }

    pub(super) fn maybe_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.row.text(column).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.present(column, self.maybe_text(column)?)
    }

    pub(super) fn maybe_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.row.bytes(column).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.present(column, self.maybe_bytes(column)?)
    }

    /// 32 bytes, as digests have.
    pub(super) fn digest(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let bytes = self.bytes(column)?;
        self.parse(column, bytes, |bytes| {
            <[u8; 32]>::try_from(bytes.as_slice())
                .map_err(|_| format!("it has {} bytes, not 32", bytes.len()))
        })
    }

    pub(super) fn maybe_time(&self, column: &'static str) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.maybe_int(column)?.map(|value| self.parse(column, value, time)).transpose()
    }

    pub(super) fn time(&self, column: &'static str) -> Result<DateTime<Utc>, StoreError> {
        self.present(column, self.maybe_time(column)?)
    }

    fn limit(&self, column: &'static str) -> Result<Limit, StoreError> {
        let number =
            self.maybe_int(column)?.map(|value| self.parse(column, value, u32::try_from)).transpose()?;
        Ok(number.into())
    }

    pub(super) fn license_id(&self, column: &'static str) -> Result<LicenseId, StoreError> {
        let text = self.text(column)?;
        self.parse(column, text.as_str(), LicenseId::parse)
    }

    pub(super) fn outcome(&self) -> Result<ValidationOutcome, StoreError> {
        let text = self.text("outcome")?;
        self.parse("outcome", text.as_str(), |text| {
            ValidationOutcome::from_stored(text).ok_or("no known outcome")
        })
    }

    pub(super) fn license(&self) -> Result<License, StoreError> {
        let (state, email, metadata) =
            (self.text("state")?, self.text("customer_email")?, self.text("metadata")?);
        Ok(License {
            id: self.license_id("id")?,
            key_digest: self.key_digest()?,
            sealed_key: SealedKey::from_bytes(self.bytes("sealed_key")?),
            state: self.parse("state", state.as_str(), |text| {
                LicenseState::from_stored(text).ok_or("no known state")
            })?,
            plan: self.text("plan")?,
            customer_email: self.parse("customer_email", email.as_str(), CustomerEmail::parse)?,
            max_domains: self.limit("max_domains")?,
            max_devices: self.limit("max_devices")?,
            domains_used: self.count("domains_used")?,
            devices_used: self.count("devices_used")?,
            created_at: self.time("created_at")?,
            activated_at: self.maybe_time("activated_at")?,
            expires_at: self.maybe_time("expires_at")?,
            metadata: self.parse("metadata", metadata.as_str(), parse_metadata)?,
            version: self.count("version")?,
            last_event: self.count("last_event")?,
            expiry_told: self.parse("expiry_notified", self.int("expiry_notified")?, |number| {
                ExpiryTold::from_stored(number).ok_or("no known number")
            })?,
        })
    }

    pub(super) fn key_digest(&self) -> Result<KeyDigest, StoreError> {
        self.digest("key_digest").map(KeyDigest::from_bytes)
    }

    pub(super) fn counters(&self) -> Result<Counters, StoreError> {
        let counters = Reader { table: "license_counters", ..*self };
        Ok(Counters {
            validation_count: counters.count("validation_count")?,
            last_validated_at: counters.maybe_time("last_validated_at")?,
            as_of: self.maybe_time("as_of")?,
        })
    }

    pub(super) fn detail(&self) -> Result<LicenseDetail, StoreError> {
        Ok(LicenseDetail {
            license: self.license()?.into(),
            counters: self.counters()?,
            domains: self.listed("domains", ActivationKind::Domain)?,
            devices: self.listed("devices", ActivationKind::Device)?,
        })
    }

    /// A JSON array of `[id, value, created_at, label]`, of rows of `activations`.
    fn listed(&self, column: &'static str, kind: ActivationKind) -> Result<Vec<Activation>, StoreError> {
        let text = self.text(column)?;
        let listed: Vec<(String, String, i64, Option<String>)> =
            self.parse(column, text.as_str(), serde_json::from_str)?;
        let row = Reader { table: "activations", ..*self };
        let read = |(id, value, created_at, label): (String, String, i64, Option<String>)| {
            row.bound(&id, kind, &value, created_at, label.as_deref())
        };
        let mut activations: Vec<_> = listed.into_iter().map(read).collect::<Result<_, _>>()?;
        // Whether an aggregate keeps the order of its select differs between databases.
        activations.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(activations)
    }

    /// A JSON array of `[kind, value]`, of rows of `activations`.
    pub(super) fn bindings(&self) -> Result<Vec<Binding>, StoreError> {
        let text = self.text("bindings")?;
        let listed: Vec<(String, String)> = self.parse("bindings", text.as_str(), serde_json::from_str)?;
        let row = Reader { table: "activations", ..*self };
        listed.into_iter().map(|(kind, value)| row.binding(row.kind(&kind)?, &value)).collect()
    }

    pub(super) fn activation(&self) -> Result<Activation, StoreError> {
        let (id, kind, value) = (self.text("id")?, self.text("kind")?, self.text("value")?);
        let label = self.maybe_text("label")?;
        self.bound(&id, self.kind(&kind)?, &value, self.int("created_at")?, label.as_deref())
    }

    pub(super) fn seen_activation(&self) -> Result<SeenActivation, StoreError> {
        Ok(SeenActivation { activation: self.activation()?, seen_at: self.time("seen_at")? })
    }

    pub(super) fn activation_detail(&self) -> Result<ActivationDetail, StoreError> {
        let usage = ActivationUsage {
            first_seen_at: self.maybe_time("first_seen_at")?,
            last_seen_at: self.maybe_time("last_seen_at")?,
            validations: self.count("validations")?,
            country: self.maybe_text("country")?.map(|text| self.country(&text)).transpose()?,
            as_of: self.maybe_time("as_of")?,
        };
        Ok(ActivationDetail { activation: self.activation()?, usage })
    }

    fn kind(&self, text: &str) -> Result<ActivationKind, StoreError> {
        let kinds = [ActivationKind::Domain, ActivationKind::Device];
        let kind = kinds.into_iter().find(|known| known.as_str() == text);
        kind.ok_or_else(|| self.corrupt("kind", "no known kind"))
    }

    fn binding(&self, kind: ActivationKind, value: &str) -> Result<Binding, StoreError> {
        Ok(match kind {
            ActivationKind::Domain => Binding::Domain(self.parse("value", value, DomainName::from_stored)?),
            ActivationKind::Device => Binding::Device(self.parse("value", value, Fingerprint::parse)?),
        })
    }

    fn bound(
        &self,
        id: &str,
        kind: ActivationKind,
        value: &str,
        created_at: i64,
        label: Option<&str>,
    ) -> Result<Activation, StoreError> {
        let binding = self.binding(kind, value)?;
        let id = self.parse("id", id, ActivationId::parse)?;
        let label = label.map(|text| self.parse("label", text, Label::parse)).transpose()?;
        Ok(Activation { id, binding, created_at: self.parse("created_at", created_at, time)?, label })
    }

    pub(super) fn event_type(&self) -> Result<EventType, StoreError> {
        let text = self.text("event_type")?;
        self.parse("event_type", text.as_str(), |text| EventType::from_stored(text).ok_or("no known type"))
    }

    pub(super) fn event(&self, subject: Subject) -> Result<Event, StoreError> {
        let data = self.text("data")?;
        Ok(Event {
            subject,
            sequence: self.count("sequence")?,
            event_type: self.event_type()?,
            at: self.time("at")?,
            data: self.parse("data", data.as_str(), serde_json::from_str)?,
        })
    }

    /// Columns `n`, `first_at` and `last_at`.
    pub(super) fn usage_sum(&self) -> Result<UsageSum, StoreError> {
        let (first_at, last_at) = (self.time("first_at")?, self.time("last_at")?);
        Ok(UsageSum { count: self.count("n")?, first_at, last_at })
    }

    pub(super) fn rollup_key(&self) -> Result<RollupKey, StoreError> {
        let told = |column| self.text(column).map(|text| Some(text).filter(|text| !text.is_empty()));
        let (domain, device, country) = (told("domain")?, told("device")?, told("country")?);
        Ok(RollupKey {
            day: Day::from_number(self.int("day")?),
            license_id: self.license_id("license_id")?,
            outcome: self.outcome()?,
            domain: domain
                .map(|text| self.parse("domain", text.as_str(), DomainName::from_stored))
                .transpose()?,
            device: device.map(|text| self.parse("device", text.as_str(), Fingerprint::parse)).transpose()?,
            country: country.map(|text| self.country(&text)).transpose()?,
        })
    }

    fn country(&self, text: &str) -> Result<Country, StoreError> {
        Country::parse(text).ok_or_else(|| self.corrupt("country", "no two letters"))
    }

    pub(super) fn validation(&self) -> Result<(ValidationCursor, Validation), StoreError> {
        let at = self.time("at")?;
        let domain = self.maybe_text("domain")?;
        let device = self.maybe_text("device")?;
        let claim = Claim {
            domain: domain
                .map(|text| self.parse("domain", text.as_str(), DomainName::from_stored))
                .transpose()?,
            fingerprint: device
                .map(|text| self.parse("device", text.as_str(), Fingerprint::parse))
                .transpose()?,
        };
        let country = self.maybe_text("country")?;
        let place = country
            .map(|text| {
                let country = self.country(&text)?;
                let region = self.maybe_text("region")?.as_deref().and_then(Region::parse);
                Ok::<_, StoreError>(Place { country, region })
            })
            .transpose()?;
        let client = self.maybe_text("client")?;
        let client = client.map(|text| self.parse("client", text.as_str(), Client::parse)).transpose()?;
        let covered_by = self.maybe_text("covered_by")?;
        let covered_by = covered_by
            .map(|text| self.parse("covered_by", text.as_str(), DomainName::from_stored))
            .transpose()?;
        let (license_id, outcome) = (self.license_id("license_id")?, self.outcome()?);
        let validation = Validation { license_id, at, outcome, claim, covered_by, place, client };
        Ok((ValidationCursor { at, sequence: self.count("sequence")? }, validation))
    }
}

pub(super) fn time(micros: i64) -> Result<DateTime<Utc>, &'static str> {
    DateTime::from_timestamp_micros(micros).ok_or("out of range")
}

fn parse_metadata(text: &str) -> Result<Metadata, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Metadata::from_json(value).map_err(|error| error.to_string())
}

/// A count as databases keep it. None reaches the end of their range: 292,000 years of one a microsecond.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn micros(time: Option<DateTime<Utc>>) -> Option<i64> {
    time.map(|time| time.timestamp_micros())
}

/// Which parameters of a license stand in an index: the key, the state, the plan, the customer, the end of the term and its notice.
pub(super) const INDEXED_COLUMNS: [usize; 6] = [1, 3, 4, 5, 12, 16];

/// The parameters of a license, in the order of the columns. Destructured whole, so that no field is forgotten.
pub(super) fn license_values<'a>(license: &'a License, metadata: &'a str) -> [Value<'a>; 17] {
    let License {
        id,
        key_digest,
        sealed_key,
        state,
        plan,
        customer_email,
        max_domains,
        max_devices,
        domains_used,
        devices_used,
        created_at,
        activated_at,
        expires_at,
        metadata: _,
        version,
        last_event,
        expiry_told,
    } = license;
    [
        id.as_str().into(),
        key_digest.as_bytes().as_slice().into(),
        sealed_key.as_bytes().into(),
        state.as_str().into(),
        plan.as_str().into(),
        customer_email.as_str().into(),
        max_domains.as_number().map(i64::from).into(),
        max_devices.as_number().map(i64::from).into(),
        int(*domains_used).into(),
        int(*devices_used).into(),
        created_at.timestamp_micros().into(),
        micros(*activated_at).into(),
        micros(*expires_at).into(),
        metadata.into(),
        int(*version).into(),
        int(*last_event).into(),
        i64::from(expiry_told.as_number()).into(),
    ]
}

/// An activation as the JSON row that the insert reads. `seen_at`: when it was seen, or counts as seen.
pub(super) fn activation_row(
    license: &License,
    activation: &Activation,
    usage: &ActivationUsage,
    seen_at: DateTime<Utc>,
) -> serde_json::Value {
    let Activation { id, binding, created_at, label } = activation;
    let ActivationUsage { first_seen_at, last_seen_at: _, validations, country, as_of: _ } = usage;
    json!([
        license.id.as_str(),
        binding.kind().as_str(),
        binding.value(),
        id.as_str(),
        created_at.timestamp_micros(),
        label.as_ref().map(Label::as_str),
        idle_plan(license),
        micros(*first_seen_at),
        seen_at.timestamp_micros(),
        Day::of(seen_at).number(),
        int(*validations),
        country.as_ref().map(Country::as_str),
    ])
}

/// The plan by which idle devices of a license are found: none once it is revoked.
pub(super) fn idle_plan(license: &License) -> Option<&str> {
    (license.state != LicenseState::Revoked).then_some(license.plan.as_str())
}

/// A license as the JSON row that the insert of many reads: its parameters in their order, bytes in hex.
pub(super) fn imported_row(license: &License) -> serde_json::Value {
    let metadata = json!(license.metadata).to_string();
    let values = license_values(license, &metadata).into_iter().map(|value| match value {
        Value::Int(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::Bytes(value) => json!(value.map(hex)),
    });
    values.collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

/// Events as the JSON rows that the insert reads.
pub(super) fn event_rows(events: &[Event]) -> String {
    json_rows(events.iter().map(event_row))
}

pub(super) fn event_row(event: &Event) -> serde_json::Value {
    let Event { subject, sequence, event_type, at, data } = event;
    json!([subject.as_str(), sequence, event_type.as_str(), at.timestamp_micros(), data.to_string()])
}

pub(super) fn json_rows(rows: impl Iterator<Item = serde_json::Value>) -> String {
    serde_json::Value::Array(rows.collect()).to_string()
}
