//! Lines of JSON: what an export is made of, and an import reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::fault::ImportFault;
use crate::activation::{Activation, ActivationId, Binding, Fingerprint, Label};
use crate::clock::whole_micros;
use crate::customer::CustomerEmail;
use crate::domain::DomainName;
use crate::json;
use crate::key::{ForeignFormat, LicenseKey, SealedKey};
use crate::license::{Counters, Expiry, ExpiryTold, License, LicenseId, LicenseState};
use crate::limits;
use crate::metadata::Metadata;
use crate::place::Country;
use crate::plan::Limit;
use crate::seen::{ActivationDetail, ActivationUsage};
use crate::usage::{Day, Rollup, RollupKey, UsageSum, ValidationOutcome};

/// How a day is written.
const DAY: &str = "%Y-%m-%d";
/// The form of exports that is written here; others are not read.
const VERSION: u64 = 1;

/// What a line says.
#[derive(Debug)]
pub(super) enum Line {
    /// The first one.
    Export,
    /// A form that keys of other systems have.
    KeyFormat(ForeignFormat),
    License(Box<LicenseLine>),
    Activation(ActivationLine),
    Rollup(Box<Rollup>),
}

/// A license as a line has it. What is `None` comes from its plan, or from the moment of the import.
#[derive(Debug)]
pub struct LicenseLine {
    pub(super) id: Option<LicenseId>,
    pub(super) key: Option<KeyLine>,
    pub(super) state: LicenseState,
    pub(super) plan: String,
    pub(super) customer_email: CustomerEmail,
    pub(super) max_domains: Option<Limit>,
    pub(super) max_devices: Option<Limit>,
    /// Beside those that have lines of their own.
    pub(super) bindings: Vec<Binding>,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) activated_at: Option<DateTime<Utc>>,
    pub(super) expires_at: Option<Expiry>,
    pub(super) metadata: Metadata,
    pub(super) version: u64,
    pub(super) last_event: Option<u64>,
    pub(super) expiry_told: Option<ExpiryTold>,
    pub(super) counters: Counters,
}

/// A key as a line has it.
pub(super) enum KeyLine {
    Clear(Zeroizing<String>),
    Sealed(SealedKey),
}

/// Neither form is for logs.
impl std::fmt::Debug for KeyLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Clear(_)) { "Clear(…)" } else { "Sealed(…)" })
    }
}

/// An activation as a line has it.
#[derive(Debug)]
pub(super) struct ActivationLine {
    pub(super) license: LicenseId,
    pub(super) id: Option<ActivationId>,
    pub(super) binding: Binding,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) label: Option<Label>,
    pub(super) usage: ActivationUsage,
}

impl Line {
    /// Reads a line. Its fields stand in any order; one that is not known is refused, since leaving it out could lose something.
    pub(super) fn parse(line: &[u8]) -> Result<Self, ImportFault> {
        if line.len() > limits::IMPORT_LINE_BYTES {
            return Err(ImportFault::TooLong);
        }
        let fields: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| ImportFault::Unreadable(format!("no JSON object: {error}")))?;
        let mut fields = Fields(fields);
        let of_type: String = fields.need("type")?;
        let line = match of_type.as_str() {
            "export" => match fields.need("version")? {
                VERSION => Self::Export,
                found => return Err(ImportFault::Version { found }),
            },
            "key_format" => {
                let (name, pattern): (String, String) = (fields.need("name")?, fields.need("pattern")?);
                let format = ForeignFormat::declared(&name, &pattern);
                Self::KeyFormat(format.map_err(|error| ImportFault::field("pattern", &error))?)
            }
            "license" => return LicenseLine::read(fields.0).map(|line| Self::License(line.into())),
            "activation" => Self::Activation(ActivationLine::read(&mut fields)?),
            "rollup" => Self::Rollup(rollup(&mut fields)?.into()),
            other => {
                let known = "known are export, key_format, license, activation and rollup";
                return Err(ImportFault::field("type", &format!("{other:?} is not known; {known}")));
            }
        };
        fields.end().map(|()| line)
    }
}

/// Whether a line that can't be read is of an activation, as far as can be told.
pub(super) fn is_of_activation(line: &[u8]) -> bool {
    const SAYS_SO: &[u8] = b"\"activation\"";
    match serde_json::from_slice::<Map<String, Value>>(line) {
        Ok(fields) => fields.get("type") == Some(&"activation".into()),
        Err(_) => line.windows(SAYS_SO.len()).any(|part| part == SAYS_SO),
    }
}

impl LicenseLine {
    /// Reads a license, of the fields that a line of an export has, or `domains` and `devices` as lists.
    pub(super) fn read(fields: Map<String, Value>) -> Result<Self, ImportFault> {
        let mut fields = Fields(fields);
        let key = match (fields.take::<String>("key")?, fields.take::<String>("sealed_key")?) {
            (Some(text), None) => Some(KeyLine::Clear(Zeroizing::new(text))),
            (None, Some(text)) => {
                let sealed = BASE64.decode(text).map_err(|error| ImportFault::field("sealed_key", &error))?;
                Some(KeyLine::Sealed(SealedKey::from_bytes(sealed)))
            }
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(ImportFault::field("sealed_key", "the line has a key in clear as well"));
            }
        };
        let mut bindings = Vec::new();
        for text in fields.take::<Vec<String>>("domains")?.unwrap_or_default() {
            bindings.push(domain("domains", &text)?);
        }
        for text in fields.take::<Vec<String>>("devices")?.unwrap_or_default() {
            bindings.push(device("devices", &text)?);
        }
        let line = Self {
            id: fields.parsed("id", LicenseId::parse)?,
            key,
            state: fields.parsed("state", state)?.unwrap_or(LicenseState::Active),
            plan: fields.need("plan")?,
            customer_email: fields
                .parsed("customer_email", CustomerEmail::parse)?
                .ok_or_else(|| missing("customer_email"))?,
            max_domains: fields.limit("max_domains")?,
            max_devices: fields.limit("max_devices")?,
            bindings,
            created_at: fields.time("created_at")?,
            activated_at: fields.time("activated_at")?,
            expires_at: match fields.0.get("expires_at") {
                Some(Value::Null) => fields.0.remove("expires_at").map(|_| Expiry::Never),
                _ => fields.time("expires_at")?.map(Expiry::At),
            },
            metadata: match fields.0.remove("metadata") {
                None => Metadata::default(),
                Some(value) => {
                    Metadata::from_json(value).map_err(|error| ImportFault::field("metadata", &error))?
                }
            },
            version: fields.count("version")?.unwrap_or(1),
            last_event: fields.count("last_event")?,
            expiry_told: fields.parsed("expiry_told", told)?,
            counters: Counters {
                validation_count: fields.count("validation_count")?.unwrap_or_default(),
                last_validated_at: fields.time("last_validated_at")?,
                as_of: None,
            },
        };
        if line.version == 0 {
            return Err(ImportFault::field("version", "the first version is 1"));
        }
        fields.end().map(|()| line)
    }
}

impl ActivationLine {
    fn read(fields: &mut Fields) -> Result<Self, ImportFault> {
        let (kind, value): (String, String) = (fields.need("kind")?, fields.need("value")?);
        let binding = match kind.as_str() {
            "domain" => domain("value", &value)?,
            "device" => device("value", &value)?,
            _ => return Err(ImportFault::field("kind", "it is domain or device")),
        };
        Ok(Self {
            license: fields.parsed("license", LicenseId::parse)?.ok_or_else(|| missing("license"))?,
            id: fields.parsed("id", ActivationId::parse)?,
            binding,
            created_at: fields.time("created_at")?,
            label: fields.parsed("label", Label::parse)?,
            usage: used(fields)?,
        })
    }
}

/// What validations said of an activation; none where the line says nothing of it.
fn used(fields: &mut Fields) -> Result<ActivationUsage, ImportFault> {
    let usage = ActivationUsage {
        first_seen_at: fields.time("first_seen_at")?,
        last_seen_at: fields.time("last_seen_at")?,
        validations: fields.count("validations")?.unwrap_or_default(),
        country: fields.parsed("country", country)?,
        as_of: None,
    };
    if usage.last_seen_at.is_some() != (usage.validations > 0) {
        return Err(ImportFault::field(
            "validations",
            "they are above 0 where, and only where, there is a last_seen_at",
        ));
    }
    if usage.last_seen_at.is_some_and(|last| usage.first_seen_at.is_none_or(|first| first > last)) {
        return Err(ImportFault::field(
            "first_seen_at",
            "it is not after last_seen_at, and there where that is",
        ));
    }
    Ok(usage)
}

fn country(text: &str) -> Result<Country, &'static str> {
    Country::parse(text).ok_or("a country is two letters")
}

fn rollup(fields: &mut Fields) -> Result<Rollup, ImportFault> {
    let date: String = fields.need("day")?;
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
    let day = NaiveDate::parse_from_str(&date, DAY).map(|date| Day::of(midnight(date)));
    let day = day.map_err(|_| ImportFault::field("day", "this must be a date such as 2027-01-31"))?;
    let parsed = ValidationOutcome::from_stored;
    let key = RollupKey {
        day,
        license_id: fields.parsed("license", LicenseId::parse)?.ok_or_else(|| missing("license"))?,
        outcome: fields
            .parsed("outcome", |text| parsed(text).ok_or("there is no such outcome"))?
            .ok_or_else(|| missing("outcome"))?,
        domain: fields.parsed("domain", DomainName::from_stored)?,
        device: fields.parsed("device", Fingerprint::parse)?,
        country: fields.parsed("country", country)?,
    };
    let count = fields.count("count")?.filter(|count| *count > 0).ok_or_else(|| missing("count"))?;
    let of_day = |name, time: Option<DateTime<Utc>>| {
        let time = time.ok_or_else(|| missing(name))?;
        if Day::of(time) == day { Ok(time) } else { Err(ImportFault::field(name, "it is of another day")) }
    };
    let first_at = of_day("first_at", fields.time("first_at")?)?;
    let last_at = of_day("last_at", fields.time("last_at")?)?;
    if last_at < first_at {
        return Err(ImportFault::field("last_at", "it is before first_at"));
    }
    Ok(Rollup { key, sum: UsageSum { count, first_at, last_at } })
}

fn domain(field: &str, text: &str) -> Result<Binding, ImportFault> {
    DomainName::parse_registered(text).map(Binding::Domain).map_err(|error| ImportFault::field(field, &error))
}

fn device(field: &str, text: &str) -> Result<Binding, ImportFault> {
    Fingerprint::parse(text).map(Binding::Device).map_err(|error| ImportFault::field(field, &error))
}

fn state(text: &str) -> Result<LicenseState, &'static str> {
    LicenseState::from_stored(text).ok_or("it is active, suspended or revoked")
}

fn told(text: &str) -> Result<ExpiryTold, &'static str> {
    let told = [ExpiryTold::Nothing, ExpiryTold::Expiring, ExpiryTold::Expired];
    told.into_iter().find(|told| told_name(*told) == text).ok_or("it is nothing, expiring or expired")
}

fn told_name(told: ExpiryTold) -> &'static str {
    match told {
        ExpiryTold::Nothing => "nothing",
        ExpiryTold::Expiring => "expiring",
        ExpiryTold::Expired => "expired",
    }
}

fn time(field: &str, text: &str) -> Result<DateTime<Utc>, ImportFault> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| whole_micros(time.to_utc())).ok();
    let time = time.filter(|time| (0..=limits::LAST_YEAR).contains(&time.year()));
    time.ok_or_else(|| ImportFault::field(field, "this must be a time such as 2027-01-31T00:00:00Z"))
}

fn missing(field: &str) -> ImportFault {
    ImportFault::field(field, "it is missing")
}

/// The fields of a line that are not read yet.
struct Fields(Map<String, Value>);

impl Fields {
    /// A field that may be missing or `null`.
    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ImportFault> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_value(value).map_err(|error| ImportFault::field(name, &error))
    }

    /// A whole number, or `null` for none.
    fn limit(&mut self, name: &str) -> Result<Option<Limit>, ImportFault> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_value(value).map(Some).map_err(|error| ImportFault::field(name, &error))
    }

    fn need<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ImportFault> {
        self.take(name)?.ok_or_else(|| missing(name))
    }

    fn parsed<T, E: ToString>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ImportFault> {
        let text = self.take::<String>(name)?;
        text.map(|text| parse(&text).map_err(|error| ImportFault::field(name, &error))).transpose()
    }

    fn time(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, ImportFault> {
        self.take::<String>(name)?.map(|text| time(name, &text)).transpose()
    }

    /// A whole number that every database can keep.
    fn count(&mut self, name: &str) -> Result<Option<u64>, ImportFault> {
        let count = self.take::<u64>(name)?;
        match count {
            Some(count) if i64::try_from(count).is_err() => Err(ImportFault::field(name, "it is too large")),
            count => Ok(count),
        }
    }

    fn end(self) -> Result<(), ImportFault> {
        match self.0.into_iter().next() {
            Some((field, _)) => Err(ImportFault::UnknownField { field }),
            None => Ok(()),
        }
    }
}

/// How the key of a license stands in its line.
#[derive(Debug)]
pub(super) enum ShownKey<'a> {
    Clear(&'a LicenseKey),
    Sealed(&'a SealedKey),
}

/// The first line of an export.
pub(super) fn export_line() -> String {
    written(&WrittenExport { r#type: "export", version: VERSION })
}

pub(super) fn key_format_line(format: &ForeignFormat) -> String {
    written(&WrittenFormat { r#type: "key_format", name: format.name(), pattern: format.pattern() })
}

/// How many slots it uses is told by the lines of its activations.
pub(super) fn license_line(license: &License, counters: &Counters, key: &ShownKey<'_>) -> Zeroizing<String> {
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
        expiry_told,
    } = license;
    let Counters { validation_count, last_validated_at, as_of: _ } = *counters;
    let (key, sealed_key) = match key {
        ShownKey::Clear(key) => (Some(key.reveal()), None),
        ShownKey::Sealed(sealed) => (None, Some(BASE64.encode(sealed.as_bytes()))),
    };
    Zeroizing::new(written(&WrittenLicense {
        r#type: "license",
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
        expiry_told: told_name(*expiry_told),
        validation_count,
        last_validated_at,
    }))
}

pub(super) fn activation_line(license: &LicenseId, detail: &ActivationDetail) -> String {
    let ActivationDetail { activation: Activation { id, binding, created_at, label }, usage } = detail;
    let ActivationUsage { first_seen_at, last_seen_at, validations, country, as_of: _ } = usage;
    written(&WrittenActivation {
        r#type: "activation",
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

pub(super) fn rollup_line(rollup: &Rollup) -> String {
    let Rollup { key, sum: UsageSum { count, first_at, last_at } } = rollup;
    let RollupKey { day, license_id, outcome, domain, device, country } = key;
    written(&WrittenRollup {
        r#type: "rollup",
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

fn written(line: &impl Serialize) -> String {
    // Nothing in it fails to be JSON.
    serde_json::to_string(line).unwrap_or_default()
}

#[derive(Serialize)]
struct WrittenExport {
    r#type: &'static str,
    version: u64,
}

#[derive(Serialize)]
struct WrittenFormat<'a> {
    r#type: &'static str,
    name: &'a str,
    pattern: &'a str,
}

#[derive(Serialize)]
struct WrittenLicense<'a> {
    r#type: &'static str,
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
    expiry_told: &'static str,
    validation_count: u64,
    #[serde(serialize_with = "json::time_or_null")]
    last_validated_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct WrittenRollup<'a> {
    r#type: &'static str,
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
}

#[derive(Serialize)]
struct WrittenActivation<'a> {
    r#type: &'static str,
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
}
