//! The JSON lines of exports and imports.

use std::fmt::Display;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::error::ImportLineError;
use crate::catalog::Limit;
use crate::clock::whole_micros;
use crate::debug::opaque_debug;
use crate::domain::DomainName;
use crate::key::{ImportedKeyFormat, LicenseKey, SealedKey};
use crate::license::{
    Activation, ActivationId, ActivationKind, Binding, Counters, CustomerEmail, Expiry, ExpiryNotice,
    Fingerprint, Label, License, LicenseId, LicenseState, Metadata,
};
use crate::limits;
use crate::usage::{
    ActivationDetail, Country, Day, LastSeen, Rollup, RollupKey, UsageSum, ValidationOutcome,
};

/// The export format version; only this one is read.
const VERSION: u64 = 1;

/// A parsed line.
#[derive(Debug)]
pub(crate) enum Line {
    /// The first line.
    Export,
    /// A format of imported keys.
    KeyFormat(ImportedKeyFormat),
    License(Box<LicenseLine>),
    Activation(ActivationLine),
    Rollup(Box<Rollup>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportFields {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFormatFields {
    name: String,
    pattern: String,
}

/// A license as given in a line. Fields that are `None` are filled in as for a new license.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseLine {
    pub(crate) id: Option<LicenseId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<ClearKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_key: Option<SealedKey>,
    pub(crate) state: Option<LicenseState>,
    pub(crate) plan: String,
    pub(crate) customer_email: CustomerEmail,
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
    /// Domains and devices without lines of their own. An export has a line for each activation.
    #[serde(default, skip_serializing, deserialize_with = "registered")]
    pub(crate) domains: Vec<DomainName>,
    #[serde(skip_serializing)]
    pub(crate) devices: Option<Vec<Fingerprint>>,
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActivationFields {
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
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollupFields {
    day: Day,
    license: LicenseId,
    outcome: ValidationOutcome,
    domain: Option<DomainName>,
    device: Option<Fingerprint>,
    country: Option<Country>,
    count: u64,
    first_at: Time,
    last_at: Time,
}

impl Line {
    /// Parses a line. An unknown field is an error, since ignoring it could lose data.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, ImportLineError> {
        if line.len() > limits::IMPORT_LINE_BYTES {
            return Err(ImportLineError::too_long());
        }
        let mut fields: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| ImportLineError::new(format!("not a JSON object: {error}")))?;
        let of_type = fields.remove("type").ok_or_else(|| ImportLineError::missing_field("type"))?;
        Ok(match of_type.as_str().unwrap_or_default() {
            "export" => match read(fields)? {
                ExportFields { version: VERSION } => Self::Export,
                ExportFields { version } => {
                    let why = "is not supported: import with a newer version of this software";
                    return Err(ImportLineError::new(format!("export format version {version} {why}")));
                }
            },
            "key_format" => {
                let KeyFormatFields { name, pattern } = read(fields)?;
                let format = ImportedKeyFormat::new(&name, &pattern);
                Self::KeyFormat(format.map_err(|error| ImportLineError::field("pattern", error))?)
            }
            "license" => Self::License(LicenseLine::read(fields)?.into()),
            "activation" => Self::Activation(read::<ActivationFields>(fields)?.try_into()?),
            "rollup" => Self::Rollup(Box::new(read::<RollupFields>(fields)?.try_into()?)),
            _ => {
                let known = "types are export, key_format, license, activation and rollup";
                return Err(ImportLineError::field("type", format!("{of_type} is unknown; {known}")));
            }
        })
    }
}

/// Returns whether an invalid line probably describes an activation.
pub(crate) fn is_of_activation(line: &[u8]) -> bool {
    const TYPE: &[u8] = b"\"activation\"";
    match serde_json::from_slice::<Map<String, Value>>(line) {
        Ok(fields) => fields.get("type") == Some(&"activation".into()),
        Err(_) => line.windows(TYPE.len()).any(|part| part == TYPE),
    }
}

impl LicenseLine {
    /// Parses a license. Lines that are not from an export can list `domains` and `devices`.
    pub(crate) fn read(fields: Map<String, Value>) -> Result<Self, ImportLineError> {
        let line: Self = read(fields)?;
        if line.key.is_some() && line.sealed_key.is_some() {
            return Err(ImportLineError::field("sealed_key", "the line also has a key in clear"));
        }
        if line.version == Some(0) {
            return Err(ImportLineError::field("version", "it must be at least 1"));
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
        } = license.clone();
        let Counters { validation_count, last_validated_at, as_of: _ } = *counters;
        Self {
            id: Some(id),
            key: None,
            sealed_key: None,
            state: Some(state),
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
            domains: Vec::new(),
            devices: None,
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

impl ActivationLine {
    /// Creates an activation that its license lists without a line of its own.
    pub(crate) fn listed(license: &LicenseId, binding: Binding) -> Self {
        let (license, last_seen) = (license.clone(), LastSeen::default());
        Self { license, id: None, binding, created_at: None, label: None, last_seen }
    }
}

impl TryFrom<ActivationFields> for ActivationLine {
    type Error = ImportLineError;

    fn try_from(fields: ActivationFields) -> Result<Self, ImportLineError> {
        let ActivationFields { license, id, kind, value, created_at, label, .. } = fields;
        let wrong = |error: &dyn Display| ImportLineError::field("value", error);
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
        Ok(Self { license, id, binding, created_at, label, last_seen })
    }
}

impl TryFrom<RollupFields> for Rollup {
    type Error = ImportLineError;

    fn try_from(fields: RollupFields) -> Result<Self, ImportLineError> {
        let RollupFields { day, license, outcome, domain, device, country, count, .. } = fields;
        let (Time(first_at), Time(last_at)) = (fields.first_at, fields.last_at);
        if count == 0 {
            return Err(ImportLineError::missing_field("count"));
        }
        stored_count("count", Some(count))?;
        for (name, time) in [("first_at", first_at), ("last_at", last_at)] {
            if Day::of(time) != day {
                return Err(ImportLineError::field(name, "it must be within the day"));
            }
        }
        if last_at < first_at {
            return Err(ImportLineError::field("last_at", "it must not be before first_at"));
        }
        let key = RollupKey { day, license_id: license, outcome, domain, device, country };
        Ok(Self { key, sum: UsageSum { count, first_at, last_at } })
    }
}

/// Checks that a count fits into a column of a database.
fn stored_count(field: &str, count: Option<u64>) -> Result<(), ImportLineError> {
    match count.map(i64::try_from) {
        Some(Err(_)) => Err(ImportLineError::field(field, "it is too large")),
        _ => Ok(()),
    }
}

/// Returns the first line of an export.
pub(crate) fn export_line() -> String {
    written("export", &ExportFields { version: VERSION })
}

pub(crate) fn key_format_line(format: &ImportedKeyFormat) -> String {
    let (name, pattern) = (format.name().to_owned(), format.pattern().to_owned());
    written("key_format", &KeyFormatFields { name, pattern })
}

pub(crate) fn license_line(line: &LicenseLine) -> Zeroizing<String> {
    Zeroizing::new(written("license", line))
}

pub(crate) fn activation_line(license: &LicenseId, detail: &ActivationDetail) -> String {
    let ActivationDetail { activation: Activation { id, binding, created_at, label }, last_seen } = detail;
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
        },
    )
}

pub(crate) fn rollup_line(rollup: &Rollup) -> String {
    let Rollup { key, sum: UsageSum { count, first_at, last_at } } = rollup.clone();
    let RollupKey { day, license_id: license, outcome, domain, device, country } = key;
    let (first_at, last_at) = (Time(first_at), Time(last_at));
    let fields = RollupFields { day, license, outcome, domain, device, country, count, first_at, last_at };
    written("rollup", &fields)
}

/// Writes a line, its type first.
fn written(of_type: &str, fields: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Typed<'a, F> {
        r#type: &'a str,
        #[serde(flatten)]
        fields: &'a F,
    }
    // Serialising these types to JSON cannot fail.
    serde_json::to_string(&Typed { r#type: of_type, fields }).unwrap_or_default()
}

fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, ImportLineError> {
    T::deserialize(MapAccessDeserializer::new(LineFields { rest: fields.into_iter(), value: None }))
}

/// The fields of a line. The error of a value names its field.
struct LineFields {
    rest: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for LineFields {
    type Error = ImportLineError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        self.value = self.rest.next();
        self.value.as_ref().map(|(name, _)| seed.deserialize(name.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        let (name, value) = self.value.take().unwrap_or_default();
        seed.deserialize(value).map_err(|error| ImportLineError::field(name, error))
    }
}

/// Reads a field in which `null` is a value.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn registered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<DomainName>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    let domains = texts.iter().map(|text| DomainName::parse_registered(text));
    domains.collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// A time in RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl Time {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let time = DateTime::parse_from_rfc3339(text).map(|time| whole_micros(time.to_utc())).ok();
        let time = time.filter(|time| (0..=limits::LAST_YEAR).contains(&time.year()));
        time.map(Self).ok_or("this must be a time such as 2027-01-31T00:00:00Z")
    }

    fn to_text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.moment().map(Time).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map_or(Self::Never, |time| Self::At(time.0)))
    }
}

/// A license key in clear.
pub(crate) struct ClearKey(Zeroizing<String>);

opaque_debug!(ClearKey);

impl ClearKey {
    pub(crate) fn of(key: &LicenseKey) -> Self {
        Self(Zeroizing::new(key.reveal().to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Implements the JSON form of string types. Each row is a type, its parser, and its method to write it.
macro_rules! json_texts {
    ($($type:ty: $parse:expr, $text:ident;)+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.$text())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $parse(&Zeroizing::new(String::deserialize(deserializer)?)).map_err(D::Error::custom)
            }
        }
    )+};
}

json_texts! {
    LicenseId: LicenseId::parse, as_str;
    ActivationId: ActivationId::parse, as_str;
    CustomerEmail: CustomerEmail::parse, as_str;
    DomainName: DomainName::from_stored, as_str;
    Fingerprint: Fingerprint::parse, as_str;
    Label: Label::parse, as_str;
    ClearKey: |text: &str| Ok::<_, &str>(ClearKey(Zeroizing::new(text.to_owned()))), as_str;
    SealedKey: SealedKey::from_base64, to_base64;
    Time: Time::parse, to_text;
    Day: |text: &str| Day::parse(text).ok_or("this must be a date such as 2027-01-31"), to_string;
    Country: |text: &str| Country::parse(text).ok_or("a country must be two letters"), as_str;
    ActivationKind: |text: &str| ActivationKind::parse(text).ok_or("it must be domain or device"), as_str;
    LicenseState:
        |text: &str| LicenseState::parse(text).ok_or("it must be active, suspended or revoked"), as_str;
    ValidationOutcome: |text: &str| ValidationOutcome::from_stored(text).ok_or("unknown outcome"), as_str;
}
