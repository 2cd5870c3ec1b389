//! Trials: plans that a device or a customer can have once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A holder of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialHolder {
    /// A device, by its fingerprint. Validations without one are `DEVICE_REQUIRED`.
    Device,
    /// A customer, by its e-mail address. Licenses without one are `CUSTOMER_REQUIRED`.
    Customer,
}

/// The terms of a trial: a device or a customer that had a trial of a product gets no second one. In JSON and
/// TOML `{"once_per": ["device", "customer"]}`.
///
/// ```
/// use license_core::catalog::{Plan, Trial, TrialHolder};
/// let plan = Plan::new("trial").term_days(14).trial(Trial::once_per([TrialHolder::Device]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Each of them can have one trial of the product.
    pub once_per: BTreeSet<TrialHolder>,
}

impl Trial {
    /// Creates a trial that each of these holders can have once.
    #[must_use]
    pub fn once_per(holders: impl IntoIterator<Item = TrialHolder>) -> Self {
        Self { once_per: holders.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_read_as_they_are_written() {
        let both = Trial::once_per([TrialHolder::Customer, TrialHolder::Device]);
        let text = r#"{"once_per":["device","customer"]}"#;
        assert_eq!(serde_json::to_string(&both).unwrap(), text);
        for (text, trial) in [
            (text, both.clone()),
            (r#"{"once_per":["customer","device","customer"]}"#, both),
            (r#"{"once_per":["device"]}"#, Trial::once_per([TrialHolder::Device])),
        ] {
            assert_eq!(serde_json::from_str::<Trial>(text).unwrap(), trial, "{text}");
        }
        for refused in [
            "{}",
            "true",
            r#"{"once_per":"device"}"#,
            r#"{"once_per":["user"]}"#,
            r#"{"once_per":[],"per":1}"#,
        ] {
            assert!(serde_json::from_str::<Trial>(refused).is_err(), "{refused}");
        }
    }
}
