//! Terms: how long licenses of a plan last, and when that begins.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::period::{Period, PeriodError};
use crate::text_enum::text_enum;

text_enum! {
    /// When the term of a license starts.
    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    TermStart {
        /// With its issue.
        #[default]
        Issue = "issue",
        /// With its first valid answer.
        FirstUse = "first_use",
    }
}

/// The term of new licenses, which renewals add again. In JSON and TOML `{"years": 1, "starts": "issue"}`, with
/// one of `days`, `months` and `years`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "TermForm", into = "TermForm")]
pub struct Term {
    /// How long it lasts.
    pub period: Period,
    /// When it starts.
    pub starts: TermStart,
}

impl Term {
    /// Returns a term of some days that starts with the issue of a license.
    #[must_use]
    pub fn days(days: u32) -> Self {
        Period::Days(days).into()
    }

    /// Returns a term of some calendar months that starts with the issue of a license.
    #[must_use]
    pub fn months(months: u32) -> Self {
        Period::Months(months).into()
    }

    /// Returns a term of some calendar years that starts with the issue of a license.
    #[must_use]
    pub fn years(years: u32) -> Self {
        Period::Years(years).into()
    }

    /// Returns the term with another start.
    ///
    /// ```
    /// use license_core::catalog::{Plan, Term, TermStart};
    /// let plan = Plan::new("boxed").term(Term::years(1).starts(TermStart::FirstUse));
    /// ```
    #[must_use]
    pub fn starts(self, starts: TermStart) -> Self {
        Self { starts, ..self }
    }
}

impl From<Period> for Term {
    fn from(period: Period) -> Self {
        Self { period, starts: TermStart::Issue }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    months: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    years: Option<u32>,
    #[serde(default)]
    starts: TermStart,
}

impl TryFrom<TermForm> for Term {
    type Error = PeriodError;

    fn try_from(TermForm { days, months, years, starts }: TermForm) -> Result<Self, PeriodError> {
        Ok(Self { period: Period::given(days, months, years)?, starts })
    }
}

impl From<Term> for TermForm {
    fn from(Term { period, starts }: Term) -> Self {
        let [days, months, years] = period.numbers();
        Self { days, months, years, starts }
    }
}

/// Reads a term, its short form (a number of days), or a perpetual term (`null` or "perpetual").
pub(super) fn term_or_short_form<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Term>, D::Error> {
    deserializer.deserialize_any(TermVisitor)
}

struct TermVisitor;

impl<'de> Visitor<'de> for TermVisitor {
    type Value = Option<Term>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a term such as { years = 1 }, a whole number of days, or the word \"perpetual\"")
    }

    fn visit_u64<E: Error>(self, days: u64) -> Result<Self::Value, E> {
        // A number that does not fit is refused like any other beyond the limit.
        Ok(Some(Term::days(u32::try_from(days).unwrap_or(u32::MAX))))
    }

    fn visit_i64<E: Error>(self, days: i64) -> Result<Self::Value, E> {
        Ok(Some(Term::days(u32::try_from(days.max(0)).unwrap_or(u32::MAX))))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        if word == "perpetual" {
            return Ok(None);
        }
        Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Term::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn term_is_one_number_and_its_start() {
        let read = |text: &str| serde_json::from_str::<Term>(text);
        for (text, term, written) in [
            (r#"{"days":30}"#, Term::days(30), r#"{"days":30,"starts":"issue"}"#),
            (r#"{"months":1,"starts":"issue"}"#, Term::months(1), r#"{"months":1,"starts":"issue"}"#),
            (
                r#"{"starts":"first_use","years":1}"#,
                Term::years(1).starts(TermStart::FirstUse),
                r#"{"years":1,"starts":"first_use"}"#,
            ),
        ] {
            assert_eq!(read(text).unwrap(), term, "{text}");
            assert_eq!(serde_json::to_string(&term).unwrap(), written);
        }
        for (refused, part) in [
            ("{}", "exactly one of days, months and years"),
            (r#"{"days":1,"years":1}"#, "exactly one of days, months and years"),
            (r#"{"weeks":1}"#, "unknown field `weeks`"),
            (r#"{"days":-1}"#, "invalid value"),
            (r#"{"days":1,"starts":"first"}"#, "unknown variant `first`"),
        ] {
            let error = read(refused).expect_err(refused).to_string();
            assert!(error.contains(part), "{refused}: {error}");
        }
    }
}
