//! The rules that the values of a plan keep.

use super::PlanCatalogError;
use super::feature_name::FeatureName;
use super::name::check_name;
use super::plan::Plan;
use crate::limits;

impl Plan {
    pub(super) fn check(&self) -> Result<(), PlanCatalogError> {
        let bad = |reason: String| PlanCatalogError::Plan { plan: self.name.clone(), reason };
        check_name("a plan", &self.name).map_err(bad)?;
        check_name("a product", &self.product).map_err(bad)?;
        let (slots, days) = (limits::MAX_SLOTS, limits::PLAN_DAYS);
        for (name, number, most) in [
            ("max_domains", self.max_domains.as_number(), slots),
            ("max_devices", self.max_devices.as_number(), slots),
            ("grace_days", Some(self.grace_days), days),
            ("over_limit.domains", Some(self.over_limit.domains), slots),
            ("over_limit.devices", Some(self.over_limit.devices), slots),
        ] {
            if number.is_some_and(|number| number > most) {
                return Err(bad(format!("{name} must be at most {most}")));
            }
        }
        for (name, number, most) in [
            ("idle_days", self.idle_days, days),
            ("max_countries_per_day", self.max_countries_per_day, slots),
            ("max_devices_per_day", self.max_devices_per_day, slots),
            ("offline_days", self.offline_days, days),
            ("offline_slots", self.offline_slots, slots),
        ] {
            if number.is_some_and(|number| number == 0 || number > most) {
                return Err(bad(format!("{name} must be 1 to {most}")));
            }
        }
        let (term, updates) = (self.term.map(|term| term.period), self.updates.map(|updates| updates.period));
        for (name, period) in [("term", term), ("updates", updates)] {
            if period.is_some_and(|period| !period.is_supported()) {
                let (months, years) = (limits::PLAN_MONTHS, limits::PLAN_YEARS);
                return Err(bad(format!(
                    "{name} must be 1 to {days} days, 1 to {months} months or 1 to {years} years"
                )));
            }
        }
        if self.exempt_hosts.listed().len() > limits::EXEMPT_HOSTS {
            return Err(bad(format!("exempt_hosts can list at most {} hosts", limits::EXEMPT_HOSTS)));
        }
        if self.trial.as_ref().is_some_and(|trial| trial.once_per.is_empty()) {
            return Err(bad("trial.once_per must name device, customer or both".to_owned()));
        }
        if self.features.len() > limits::PLAN_FEATURES {
            return Err(bad(format!("a plan can have at most {} features", limits::PLAN_FEATURES)));
        }
        for (name, value) in &*self.features {
            FeatureName::parse(name).map_err(|error| bad(format!("feature {name:?}: {error}")))?;
            value.check().map_err(|error| bad(format!("feature {name:?}: {error}")))?;
        }
        Ok(())
    }
}
