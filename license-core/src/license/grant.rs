//! Features that one license has beyond its plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};

use super::grant_source::GrantSource;
use crate::catalog::{FeatureName, FeatureNameError, FeatureValue, FeatureValueError, Features};
use crate::clock::whole_micros;
use crate::limits;

/// The value of a feature on one license, in place of the value of the plan.
///
/// ```
/// use license_core::license::Grant;
/// let grant = Grant::new("seats", 25)?.until("2027-01-31T00:00:00Z".parse()?)?.source("sub_17".parse()?);
/// assert_eq!(grant.value().as_i64(), Some(25));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "GrantFields")]
pub struct Grant {
    feature: FeatureName,
    value: FeatureValue,
    until: Option<DateTime<Utc>>,
    source: Option<GrantSource>,
}

impl Grant {
    /// Creates a grant without an end and without a source.
    ///
    /// # Errors
    /// Returns [`GrantError`] if the name or the value is invalid.
    pub fn new(feature: &str, value: impl Into<FeatureValue>) -> Result<Self, GrantError> {
        let (feature, value) = (FeatureName::parse(feature)?, value.into());
        value.check()?;
        Ok(Self { feature, value, until: None, source: None })
    }

    /// Sets the end, in whole microseconds. From then on, the grant has no effect.
    ///
    /// # Errors
    /// Returns [`GrantError::End`] if the year is not supported.
    pub fn until(mut self, end: DateTime<Utc>) -> Result<Self, GrantError> {
        if !(0..=limits::LAST_YEAR).contains(&end.year()) {
            return Err(GrantError::End);
        }
        self.until = Some(whole_micros(end));
        Ok(self)
    }

    /// Sets the source.
    #[must_use]
    pub fn source(mut self, source: GrantSource) -> Self {
        self.source = Some(source);
        self
    }

    /// Returns the name of the feature.
    #[must_use]
    pub fn feature(&self) -> &FeatureName {
        &self.feature
    }

    /// Returns the value of the feature.
    #[must_use]
    pub fn value(&self) -> &FeatureValue {
        &self.value
    }

    /// Returns the end; `None` is never.
    #[must_use]
    pub fn end(&self) -> Option<DateTime<Utc>> {
        self.until
    }

    /// Returns the feature and the source. A license has one grant with both.
    #[must_use]
    pub fn id(&self) -> GrantId {
        GrantId { feature: self.feature.clone(), source: self.source.clone() }
    }

    /// Returns whether the grant has an effect at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|end| now < end)
    }
}

/// Names a grant of a license.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId {
    /// The feature.
    pub feature: FeatureName,
    /// The source of the grant, if it has one.
    pub source: Option<GrantSource>,
}

/// The fields of a grant as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantFields {
    feature: String,
    value: FeatureValue,
    until: Option<DateTime<Utc>>,
    source: Option<GrantSource>,
}

impl TryFrom<GrantFields> for Grant {
    type Error = GrantError;

    fn try_from(GrantFields { feature, value, until, source }: GrantFields) -> Result<Self, GrantError> {
        let grant = Self { source, ..Self::new(&feature, value)? };
        until.map_or(Ok(grant.clone()), |end| grant.until(end))
    }
}

/// The grants of a license, in the order in which they were added: at most [`limits::GRANTS`], and one for
/// each feature and source.
///
/// If several grants of a feature are in force, the last one wins. When it ends or is removed, the one before
/// it applies again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Grant>")]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// Returns the grants, also those that have ended.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// Returns whether there are no grants.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value that the grants give a feature at `now`.
    #[must_use]
    pub fn value(&self, feature: &str, now: DateTime<Utc>) -> Option<&FeatureValue> {
        let of_feature = |grant: &&Grant| grant.feature.as_str() == feature && grant.is_in_force(now);
        self.0.iter().rev().find(of_feature).map(Grant::value)
    }

    /// Returns the features of a plan with the grants of `now`. Without grants in force, nothing is copied.
    #[must_use]
    pub fn applied_to(&self, of_plan: &Arc<Features>, now: DateTime<Utc>) -> Arc<Features> {
        let mut features = Arc::clone(of_plan);
        for Grant { feature, value, .. } in self.0.iter().filter(|grant| grant.is_in_force(now)) {
            Arc::make_mut(&mut features).insert(feature.as_str().to_owned(), value.clone());
        }
        features
    }

    /// Adds a grant as the last one, in place of one with its feature and source. Removes ended grants.
    /// Changes nothing if the license has this very grant.
    ///
    /// # Errors
    /// Returns [`GrantsError::TooMany`] if there is no room.
    pub(crate) fn add(&mut self, grant: Grant, now: DateTime<Utc>) -> Result<(), GrantsError> {
        if self.0.contains(&grant) {
            return Ok(());
        }
        let id = grant.id();
        self.0.retain(|other| other.is_in_force(now) && other.id() != id);
        if self.0.len() >= limits::GRANTS {
            return Err(GrantsError::TooMany);
        }
        self.0.push(grant);
        Ok(())
    }

    /// Removes a grant, and ended ones. Returns whether there was such a grant.
    pub(crate) fn remove(&mut self, id: &GrantId, now: DateTime<Utc>) -> bool {
        let found = self.0.iter().any(|grant| grant.id() == *id);
        if found {
            self.0.retain(|grant| grant.is_in_force(now) && grant.id() != *id);
        }
        found
    }

    /// Returns the estimated heap memory in bytes.
    pub(crate) fn heap_size(&self) -> usize {
        let texts = |Grant { feature, value, source, .. }: &Grant| {
            let source = source.as_ref().map_or(0, |source| source.as_str().len());
            feature.as_str().len() + value.as_str().map_or(0, str::len) + source
        };
        self.0.capacity() * size_of::<Grant>() + self.0.iter().map(texts).sum::<usize>()
    }
}

impl TryFrom<Vec<Grant>> for Grants {
    type Error = GrantsError;

    fn try_from(grants: Vec<Grant>) -> Result<Self, GrantsError> {
        if grants.len() > limits::GRANTS {
            return Err(GrantsError::TooMany);
        }
        let mut ids = BTreeSet::new();
        if grants.iter().all(|grant| ids.insert(grant.id())) {
            Ok(Self(grants))
        } else {
            Err(GrantsError::Repeated)
        }
    }
}

/// The reason why a grant is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The name of the feature.
    #[error(transparent)]
    Feature(#[from] FeatureNameError),
    /// The value.
    #[error(transparent)]
    Value(#[from] FeatureValueError),
    /// The end.
    #[error("a grant must end in the years 0 to {}", limits::LAST_YEAR)]
    End,
}

/// The reason why grants cannot be on one license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// More than [`limits::GRANTS`].
    #[error("a license can have at most {} grants", limits::GRANTS)]
    TooMany,
    /// Two grants have the same feature and source.
    #[error("two grants have the same feature and source")]
    Repeated,
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    fn of(source: &str, value: i64) -> Grant {
        Grant::new("seats", value).unwrap().source(source.parse().unwrap())
    }

    fn seats(grants: &Grants, at: DateTime<Utc>) -> Option<i64> {
        grants.value("seats", at).and_then(FeatureValue::as_i64)
    }

    /// The last grant in force wins, and the one before it applies again after its end.
    #[test]
    fn last_grant_in_force_wins() {
        let mut grants = Grants::default();
        let end = now() + TimeDelta::days(1);
        let micro = TimeDelta::microseconds(1);
        for grant in [
            of("base", 50),
            of("promotion", 80).until(end).unwrap(),
            of("trial", 5).until(end - micro).unwrap(),
        ] {
            grants.add(grant, now()).unwrap();
        }
        let moments = [end - micro - micro, end - micro, end].map(|at| seats(&grants, at));
        assert_eq!(moments, [Some(5), Some(80), Some(50)]);
        let plan =
            Arc::new(Features::from([("seats".to_owned(), 1.into()), ("api".to_owned(), true.into())]));
        let features = grants.applied_to(&plan, end);
        assert_eq!((features["seats"].as_i64(), features["api"].as_bool()), (Some(50), Some(true)));
    }

    #[test]
    fn features_of_the_plan_are_shared_without_grants_in_force() {
        let plan = Arc::new(Features::default());
        let mut grants = Grants::default();
        grants.add(of("a", 1).until(now() + TimeDelta::days(1)).unwrap(), now()).unwrap();
        for (grants, at, shared) in [
            (&Grants::default(), now(), true),
            (&grants, now() + TimeDelta::days(1), true),
            (&grants, now(), false),
        ] {
            assert_eq!(Arc::ptr_eq(&grants.applied_to(&plan, at), &plan), shared);
        }
    }

    #[test]
    fn grant_replaces_one_with_its_feature_and_source() {
        let mut grants = Grants::default();
        for grant in [of("a", 1), of("b", 2), of("a", 3), of("b", 2)] {
            grants.add(grant, now()).unwrap();
        }
        let values: Vec<_> = grants.iter().map(|grant| grant.value().as_i64().unwrap()).collect();
        assert_eq!(values, [2, 3], "the same grant again keeps its place");
        assert!(!grants.remove(&GrantId { source: None, ..of("a", 0).id() }, now()), "another source");
        assert!(grants.remove(&of("a", 0).id(), now()));
        assert_eq!(seats(&grants, now()), Some(2));
    }

    #[test]
    fn ended_grants_make_room() {
        let end = now() + TimeDelta::days(1);
        let mut grants = Grants::default();
        for n in 0..limits::GRANTS {
            grants.add(of(&format!("s{n}"), 1).until(end).unwrap(), now()).unwrap();
        }
        assert_eq!(grants.add(of("new", 1), end - TimeDelta::microseconds(1)), Err(GrantsError::TooMany));
        assert_eq!(grants.add(of("s0", 2), now()), Ok(()), "a replacement needs no room");
        assert_eq!(grants.add(of("new", 1), end), Ok(()));
        assert_eq!(grants.iter().count(), 2, "s0, whose new grant has no end, and the new one");
    }

    #[test]
    fn json_of_grants_is_checked() {
        let long = "x".repeat(limits::FEATURE_TEXT_BYTES);
        let read = |value: Value| serde_json::from_value::<Grants>(value).map(|grants| grants.0.len());
        let many = |count| (0..count).map(|n| json!({"feature": format!("f{n}"), "value": 1})).collect();
        for (value, expected) in [
            (json!([]), Some(0)),
            (json!([{"feature": "a", "value": true}, {"feature": "a", "value": 1, "source": "s"}]), Some(2)),
            (
                json!([{"feature": "a", "value": long, "until": "2027-01-01T00:00:00Z", "source": null}]),
                Some(1),
            ),
            (many(limits::GRANTS), Some(limits::GRANTS)),
            (many(limits::GRANTS + 1), None),
            (json!([{"feature": "a", "value": 1}, {"feature": "a", "value": 2}]), None),
            (json!([{"feature": "a", "value": format!("{long}x")}]), None),
            (json!([{"feature": "a", "value": "x\0"}]), None),
            (json!([{"feature": "a", "value": null}]), None),
            (json!([{"feature": "a", "value": 1.5}]), None),
            (json!([{"feature": "", "value": 1}]), None),
            (json!([{"feature": "a", "value": 1, "source": ""}]), None),
            (json!([{"feature": "a", "value": 1, "end": null}]), None),
            (json!([{"feature": "a", "value": 1, "until": "9999-12-31T23:59:59-01:00"}]), None),
        ] {
            assert_eq!(read(value.clone()).ok(), expected, "{value}");
        }
        let grant = of("a", 1).until(now() + TimeDelta::microseconds(1)).unwrap();
        let written =
            json!({"feature": "seats", "value": 1, "until": "2026-06-01T12:00:00.000001Z", "source": "a"});
        assert_eq!(json!(grant), written);
        assert_eq!(serde_json::from_value::<Grant>(written).unwrap(), grant);
    }
}
