//! Updates windows: which versions of the software a license covers.

use serde::{Deserialize, Serialize};

use super::period::{Period, PeriodError};

/// What an expired license still allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterExpiry {
    /// Nothing: `LICENSE_EXPIRED`.
    #[default]
    Deny,
    /// Versions that the license covers, on domains and devices that already hold a slot. The software must
    /// send the time of its release.
    OldVersions,
}

/// The updates window of a plan: a license covers the versions that are released within it. In JSON and TOML
/// `{"months": 12, "after_expiry": "deny"}`, with one of `days`, `months` and `years`.
///
/// ```
/// use license_core::catalog::{AfterExpiry, Period, Plan, Updates};
/// let fallback = Updates::new(Period::Years(1)).after_expiry(AfterExpiry::OldVersions);
/// let plan = Plan::new("pro").term_days(365).updates(fallback);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "UpdatesForm", into = "UpdatesForm")]
pub struct Updates {
    /// How long new versions are covered. A renewal adds it again.
    pub period: Period,
    /// What an expired license still allows.
    pub after_expiry: AfterExpiry,
}

impl Updates {
    /// Returns a window of this length; an expired license allows nothing.
    #[must_use]
    pub fn new(period: Period) -> Self {
        Self { period, after_expiry: AfterExpiry::Deny }
    }

    /// Returns the window with another rule for expired licenses.
    #[must_use]
    pub fn after_expiry(self, after_expiry: AfterExpiry) -> Self {
        Self { after_expiry, ..self }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdatesForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    months: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    years: Option<u32>,
    #[serde(default)]
    after_expiry: AfterExpiry,
}

impl TryFrom<UpdatesForm> for Updates {
    type Error = PeriodError;

    fn try_from(form: UpdatesForm) -> Result<Self, PeriodError> {
        let UpdatesForm { days, months, years, after_expiry } = form;
        Ok(Self { period: Period::given(days, months, years)?, after_expiry })
    }
}

impl From<Updates> for UpdatesForm {
    fn from(Updates { period, after_expiry }: Updates) -> Self {
        let [days, months, years] = period.numbers();
        Self { days, months, years, after_expiry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_read_as_they_are_written() {
        let year = Updates::new(Period::Months(12));
        for (text, updates) in [
            (r#"{"months":12,"after_expiry":"deny"}"#, year),
            (r#"{"months":12,"after_expiry":"old_versions"}"#, year.after_expiry(AfterExpiry::OldVersions)),
        ] {
            assert_eq!(serde_json::from_str::<Updates>(text).unwrap(), updates);
            assert_eq!(serde_json::to_string(&updates).unwrap(), text);
        }
        assert_eq!(serde_json::from_str::<Updates>(r#"{"months":12}"#).unwrap(), year);
        for refused in ["{}", r#"{"months":12,"years":1}"#, r#"{"months":12,"after":"deny"}"#, "12"] {
            assert!(serde_json::from_str::<Updates>(refused).is_err(), "{refused}");
        }
    }
}
