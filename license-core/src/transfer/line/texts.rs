//! Values that are text in a line.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::clock::whole_micros;
use crate::debug::opaque_debug;
use crate::domain::DomainName;
use crate::key::{LicenseKey, SealedKey};
use crate::license::{
    ActivationId, ActivationKind, CustomerEmail, CustomerName, Expiry, ExternalId, Fingerprint, Label,
    LeaseEnd, LeaseId, LicenseId, LicenseState, Reason,
};
use crate::limits;
use crate::signing::SigningKeyId;
use crate::usage::{Country, Day, ValidationOutcome};

/// A time in RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl Time {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let time = DateTime::parse_from_rfc3339(text).ok().and_then(|time| Self::supported(time.to_utc()));
        time.ok_or("it must be a time such as 2027-01-31T00:00:00Z")
    }

    /// Returns the time in whole microseconds, unless its year is not supported.
    pub(crate) fn supported(time: DateTime<Utc>) -> Option<Self> {
        let time = whole_micros(time);
        (0..=limits::LAST_YEAR).contains(&time.year()).then_some(Self(time))
    }

    pub(crate) fn to_text(self) -> String {
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

/// The state in the line of a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineState {
    /// The stored state.
    State(LicenseState),
    /// Active, and expired at the time of the import at the latest.
    Expired,
}

impl LineState {
    const EXPIRED: &str = "expired";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match LicenseState::parse(text) {
            Some(state) => Ok(Self::State(state)),
            None if text == Self::EXPIRED => Ok(Self::Expired),
            None => Err("it must be active, expired, suspended or revoked"),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::State(state) => state.as_str(),
            Self::Expired => Self::EXPIRED,
        }
    }
}

/// A license key in clear.
pub(crate) struct ClearKey(Zeroizing<String>);

opaque_debug!(ClearKey);

impl ClearKey {
    pub(crate) fn of(key: &LicenseKey) -> Self {
        Self(Zeroizing::new(key.reveal().to_owned()))
    }

    pub(crate) fn of_text(text: String) -> Self {
        Self(Zeroizing::new(text))
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
    CustomerName: CustomerName::parse, as_str;
    ExternalId: ExternalId::parse, as_str;
    DomainName: DomainName::from_stored, as_str;
    Fingerprint: Fingerprint::parse, as_str;
    Label: Label::parse, as_str;
    ClearKey: |text: &str| Ok::<_, &str>(ClearKey(Zeroizing::new(text.to_owned()))), as_str;
    SealedKey:
        |text: &str| SealedKey::from_base64(text).map_err(|_| "it is not a sealed key of an export"),
        to_base64;
    Time: Time::parse, to_text;
    Day: |text: &str| Day::parse(text).ok_or("it must be a date such as 2027-01-31"), to_string;
    Country: |text: &str| Country::parse(text).ok_or("it must be two letters, such as DE"), as_str;
    ActivationKind: |text: &str| ActivationKind::parse(text).ok_or("it must be domain or device"), as_str;
    LineState: LineState::parse, as_str;
    Reason: Reason::parse, as_str;
    ValidationOutcome:
        |text: &str| ValidationOutcome::from_stored(text).ok_or("it must be VALID or the code of a denial"),
        as_str;
    LeaseId: LeaseId::parse, as_str;
    LeaseEnd: |text: &str| LeaseEnd::parse(text).ok_or("it must be revoked or returned"), as_str;
    SigningKeyId: SigningKeyId::parse, as_str;
}
