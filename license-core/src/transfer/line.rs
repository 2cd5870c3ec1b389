//! Parses the JSON lines of an import.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::error::ImportLineError;
use crate::catalog::Limit;
use crate::clock::whole_micros;
use crate::domain::DomainName;
use crate::key::{ImportedKeyFormat, SealedKey};
use crate::license::{
    ActivationId, Binding, Counters, CustomerEmail, Expiry, ExpiryNotified, Fingerprint, Label, LicenseId,
    LicenseState, Metadata,
};
use crate::limits;
use crate::usage::{Country, Day, LastSeen, Rollup, RollupKey, UsageSum, ValidationOutcome};

/// Format of days.
pub(crate) const DAY: &str = "%Y-%m-%d";
/// The export format version; only this one is read.
pub(crate) const VERSION: u64 = 1;

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

/// A license as given in a line. Fields that are `None` come from the plan or the time of the import.
#[derive(Debug)]
pub struct LicenseLine {
    pub(crate) id: Option<LicenseId>,
    pub(crate) key: Option<KeyLine>,
    pub(crate) state: LicenseState,
    pub(crate) plan: String,
    pub(crate) customer_email: CustomerEmail,
    pub(crate) max_domains: Option<Limit>,
    pub(crate) max_devices: Option<Limit>,
    /// Activations listed in the line of the license.
    pub(crate) bindings: Vec<Binding>,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) activated_at: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<Expiry>,
    pub(crate) metadata: Metadata,
    pub(crate) version: u64,
    pub(crate) last_event: Option<u64>,
    pub(crate) expiry_notified: Option<ExpiryNotified>,
    pub(crate) counters: Counters,
}

/// A key as given in a line.
pub(crate) enum KeyLine {
    Clear(Zeroizing<String>),
    Sealed(SealedKey),
}

/// Hides the key.
impl std::fmt::Debug for KeyLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Clear(_)) { "Clear(…)" } else { "Sealed(…)" })
    }
}

/// An activation as given in a line.
#[derive(Debug)]
pub(crate) struct ActivationLine {
    pub(crate) license: LicenseId,
    pub(crate) id: Option<ActivationId>,
    pub(crate) binding: Binding,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) label: Option<Label>,
    pub(crate) last_seen: LastSeen,
}

impl Line {
    /// Parses a line. An unknown field is an error, since ignoring it could lose data.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, ImportLineError> {
        if line.len() > limits::IMPORT_LINE_BYTES {
            return Err(ImportLineError::TooLong);
        }
        let fields: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| ImportLineError::Unreadable(format!("not a JSON object: {error}")))?;
        let mut fields = Fields(fields);
        let of_type: String = fields.need("type")?;
        let line = match of_type.as_str() {
            "export" => match fields.need("version")? {
                VERSION => Self::Export,
                found => return Err(ImportLineError::Version { found }),
            },
            "key_format" => {
                let (name, pattern): (String, String) = (fields.need("name")?, fields.need("pattern")?);
                let format = ImportedKeyFormat::declared(&name, &pattern);
                Self::KeyFormat(format.map_err(|error| ImportLineError::field("pattern", &error))?)
            }
            "license" => return LicenseLine::read(fields.0).map(|line| Self::License(line.into())),
            "activation" => Self::Activation(ActivationLine::read(&mut fields)?),
            "rollup" => Self::Rollup(rollup(&mut fields)?.into()),
            other => {
                let known = "types are export, key_format, license, activation and rollup";
                return Err(ImportLineError::field("type", &format!("{other:?} is unknown; {known}")));
            }
        };
        fields.end().map(|()| line)
    }
}

/// Returns whether an invalid line seems to be that of an activation.
pub(crate) fn is_of_activation(line: &[u8]) -> bool {
    const SAYS_SO: &[u8] = b"\"activation\"";
    match serde_json::from_slice::<Map<String, Value>>(line) {
        Ok(fields) => fields.get("type") == Some(&"activation".into()),
        Err(_) => line.windows(SAYS_SO.len()).any(|part| part == SAYS_SO),
    }
}

impl LicenseLine {
    /// Parses a license from the fields of an exported line, or with lists `domains` and `devices`.
    pub(crate) fn read(fields: Map<String, Value>) -> Result<Self, ImportLineError> {
        let mut fields = Fields(fields);
        let key = match (fields.take::<String>("key")?, fields.take::<String>("sealed_key")?) {
            (Some(text), None) => Some(KeyLine::Clear(Zeroizing::new(text))),
            (None, Some(text)) => {
                let sealed =
                    BASE64.decode(text).map_err(|error| ImportLineError::field("sealed_key", &error))?;
                Some(KeyLine::Sealed(SealedKey::from_bytes(sealed)))
            }
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(ImportLineError::field("sealed_key", "the line also has a key in clear"));
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
                    Metadata::from_json(value).map_err(|error| ImportLineError::field("metadata", &error))?
                }
            },
            version: fields.count("version")?.unwrap_or(1),
            last_event: fields.count("last_event")?,
            expiry_notified: fields.parsed("expiry_told", notified)?,
            counters: Counters {
                validation_count: fields.count("validation_count")?.unwrap_or_default(),
                last_validated_at: fields.time("last_validated_at")?,
                as_of: None,
            },
        };
        if line.version == 0 {
            return Err(ImportLineError::field("version", "it must be at least 1"));
        }
        fields.end().map(|()| line)
    }
}

impl ActivationLine {
    fn read(fields: &mut Fields) -> Result<Self, ImportLineError> {
        let (kind, value): (String, String) = (fields.need("kind")?, fields.need("value")?);
        let binding = match kind.as_str() {
            "domain" => domain("value", &value)?,
            "device" => device("value", &value)?,
            _ => return Err(ImportLineError::field("kind", "it must be domain or device")),
        };
        Ok(Self {
            license: fields.parsed("license", LicenseId::parse)?.ok_or_else(|| missing("license"))?,
            id: fields.parsed("id", ActivationId::parse)?,
            binding,
            created_at: fields.time("created_at")?,
            label: fields.parsed("label", Label::parse)?,
            last_seen: used(fields)?,
        })
    }
}

/// Parses the last-seen data of an activation; empty if the line has none.
fn used(fields: &mut Fields) -> Result<LastSeen, ImportLineError> {
    let usage = LastSeen {
        first_seen_at: fields.time("first_seen_at")?,
        last_seen_at: fields.time("last_seen_at")?,
        validations: fields.count("validations")?.unwrap_or_default(),
        country: fields.parsed("country", country)?,
        as_of: None,
    };
    if usage.last_seen_at.is_some() != (usage.validations > 0) {
        return Err(ImportLineError::field(
            "validations",
            "it must be above 0 exactly if there is a last_seen_at",
        ));
    }
    if usage.last_seen_at.is_some_and(|last| usage.first_seen_at.is_none_or(|first| first > last)) {
        return Err(ImportLineError::field(
            "first_seen_at",
            "it must not be after last_seen_at, nor missing if that is given",
        ));
    }
    Ok(usage)
}

fn country(text: &str) -> Result<Country, &'static str> {
    Country::parse(text).ok_or("a country must be two letters")
}

fn rollup(fields: &mut Fields) -> Result<Rollup, ImportLineError> {
    let date: String = fields.need("day")?;
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
    let day = NaiveDate::parse_from_str(&date, DAY).map(|date| Day::of(midnight(date)));
    let day = day.map_err(|_| ImportLineError::field("day", "this must be a date such as 2027-01-31"))?;
    let parsed = ValidationOutcome::from_stored;
    let key = RollupKey {
        day,
        license_id: fields.parsed("license", LicenseId::parse)?.ok_or_else(|| missing("license"))?,
        outcome: fields
            .parsed("outcome", |text| parsed(text).ok_or("unknown outcome"))?
            .ok_or_else(|| missing("outcome"))?,
        domain: fields.parsed("domain", DomainName::from_stored)?,
        device: fields.parsed("device", Fingerprint::parse)?,
        country: fields.parsed("country", country)?,
    };
    let count = fields.count("count")?.filter(|count| *count > 0).ok_or_else(|| missing("count"))?;
    let of_day = |name, time: Option<DateTime<Utc>>| {
        let time = time.ok_or_else(|| missing(name))?;
        if Day::of(time) == day {
            Ok(time)
        } else {
            Err(ImportLineError::field(name, "it must be within the day"))
        }
    };
    let first_at = of_day("first_at", fields.time("first_at")?)?;
    let last_at = of_day("last_at", fields.time("last_at")?)?;
    if last_at < first_at {
        return Err(ImportLineError::field("last_at", "it must not be before first_at"));
    }
    Ok(Rollup { key, sum: UsageSum { count, first_at, last_at } })
}

fn domain(field: &str, text: &str) -> Result<Binding, ImportLineError> {
    DomainName::parse_registered(text)
        .map(Binding::Domain)
        .map_err(|error| ImportLineError::field(field, &error))
}

fn device(field: &str, text: &str) -> Result<Binding, ImportLineError> {
    Fingerprint::parse(text).map(Binding::Device).map_err(|error| ImportLineError::field(field, &error))
}

fn state(text: &str) -> Result<LicenseState, &'static str> {
    LicenseState::parse(text).ok_or("it must be active, suspended or revoked")
}

fn notified(text: &str) -> Result<ExpiryNotified, &'static str> {
    let notified = [ExpiryNotified::Nothing, ExpiryNotified::Expiring, ExpiryNotified::Expired];
    notified
        .into_iter()
        .find(|notified| notified_name(*notified) == text)
        .ok_or("it must be nothing, expiring or expired")
}

pub(crate) fn notified_name(notified: ExpiryNotified) -> &'static str {
    match notified {
        ExpiryNotified::Nothing => "nothing",
        ExpiryNotified::Expiring => "expiring",
        ExpiryNotified::Expired => "expired",
    }
}

fn time(field: &str, text: &str) -> Result<DateTime<Utc>, ImportLineError> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| whole_micros(time.to_utc())).ok();
    let time = time.filter(|time| (0..=limits::LAST_YEAR).contains(&time.year()));
    time.ok_or_else(|| ImportLineError::field(field, "this must be a time such as 2027-01-31T00:00:00Z"))
}

fn missing(field: &str) -> ImportLineError {
    ImportLineError::field(field, "it is missing")
}

/// The fields of a line that are not parsed yet.
struct Fields(Map<String, Value>);

impl Fields {
    /// Takes a field that may be missing or `null`.
    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ImportLineError> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_value(value).map_err(|error| ImportLineError::field(name, &error))
    }

    /// Takes a limit, where `null` means unlimited.
    fn limit(&mut self, name: &str) -> Result<Option<Limit>, ImportLineError> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_value(value).map(Some).map_err(|error| ImportLineError::field(name, &error))
    }

    fn need<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ImportLineError> {
        self.take(name)?.ok_or_else(|| missing(name))
    }

    fn parsed<T, E: ToString>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ImportLineError> {
        let text = self.take::<String>(name)?;
        text.map(|text| parse(&text).map_err(|error| ImportLineError::field(name, &error))).transpose()
    }

    fn time(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, ImportLineError> {
        self.take::<String>(name)?.map(|text| time(name, &text)).transpose()
    }

    /// Takes a whole number that fits into an `i64` column.
    fn count(&mut self, name: &str) -> Result<Option<u64>, ImportLineError> {
        let count = self.take::<u64>(name)?;
        match count {
            Some(count) if i64::try_from(count).is_err() => {
                Err(ImportLineError::field(name, "it is too large"))
            }
            count => Ok(count),
        }
    }

    fn end(self) -> Result<(), ImportLineError> {
        match self.0.into_iter().next() {
            Some((field, _)) => Err(ImportLineError::UnknownField { field }),
            None => Ok(()),
        }
    }
}
