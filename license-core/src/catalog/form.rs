//! The fields of a plan as JSON: the form in databases, exports and the API.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::{Map, Value};

use super::name::check_name;
use super::{Plan, PlanCatalogError};

/// The short form of `term`, which files alone have.
const SHORT_FORM: &str = "term_days";
/// Longest part of a refused value that an error repeats, in characters.
const SHOWN_VALUE: usize = 100;

/// Fields of a plan to set. A member of `features` is set, or removed by `null`; every other field is
/// replaced. Fields that are not named stay.
///
/// ```
/// use license_core::catalog::{Limit, Plan, PlanPatch};
/// let plan = Plan::new("pro").max_devices(3).feature("export", true);
/// let patch = PlanPatch::default().set("max_devices", 5).set("features", serde_json::json!({"seats": 25}));
/// let changed = plan.patched(&patch)?;
/// assert_eq!(changed, plan.max_devices(5).feature("seats", 25));
/// # Ok::<(), license_core::catalog::PlanFieldError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanPatch(Map<String, Value>);

impl PlanPatch {
    /// Sets a field by its name in JSON.
    #[must_use]
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(field.into(), value.into());
        self
    }
}

impl From<Map<String, Value>> for PlanPatch {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

/// The reason why fields are not those of a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFieldError {
    /// A plan has no such field.
    #[error("a plan has no field {field:?}; its fields are {}", Plan::fields().join(", "))]
    Unknown {
        /// The name.
        field: String,
    },
    /// A required field is missing.
    #[error("the field {field} of a plan is missing")]
    Missing {
        /// The name.
        field: String,
    },
    /// A value is not accepted.
    #[error("{reason}")]
    Invalid {
        /// The name of the field.
        field: String,
        /// The value, and what is accepted.
        reason: String,
    },
}

impl PlanFieldError {
    /// Returns the name of the field.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Unknown { field } | Self::Missing { field } | Self::Invalid { field, .. } => field,
        }
    }
}

impl Plan {
    /// Returns the names of the fields in JSON. The name of the plan is not one of them.
    #[must_use]
    pub fn fields() -> Vec<&'static str> {
        let names = match Self::deserialize(FieldNames) {
            Err(Names(fields)) => fields,
            Ok(_) => &[],
        };
        names.iter().copied().filter(|name| *name != SHORT_FORM).collect()
    }

    /// Returns the fields as JSON.
    ///
    /// # Panics
    /// Never: the fields of a plan always serialize to an object.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            other => unreachable!("a plan is an object: {other:?}"),
        }
    }

    /// Creates a plan from its fields.
    ///
    /// # Errors
    /// Returns [`PlanFieldError`] with the first field at fault.
    pub fn from_json(name: &str, fields: Map<String, Value>) -> Result<Self, PlanFieldError> {
        check_name("a plan", name)
            .map_err(|reason| PlanFieldError::Invalid { field: "name".to_owned(), reason })?;
        for (field, value) in &fields {
            check_field(field, value)?;
        }
        parse(name, fields)
    }

    /// Returns the plan with the fields of a patch.
    ///
    /// # Errors
    /// Returns [`PlanFieldError`] with the first field at fault.
    pub fn patched(&self, PlanPatch(patch): &PlanPatch) -> Result<Self, PlanFieldError> {
        let mut fields = self.to_json();
        for (field, value) in patch {
            let value = match (field.as_str(), value) {
                ("features", Value::Object(members)) => merged(fields.remove(field), members),
                _ => value.clone(),
            };
            check_field(field, &value)?;
            fields.insert(field.clone(), value);
        }
        parse(&self.name, fields)
    }

    /// Checks all values, and names the field at fault.
    pub(crate) fn checked(&self) -> Result<(), PlanFieldError> {
        let Err(PlanCatalogError::Plan { reason, .. }) = self.check() else { return Ok(()) };
        let words = reason.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let field = words.into_iter().find(|word| Self::fields().contains(word));
        let field = field.unwrap_or("name").to_owned();
        Err(PlanFieldError::Invalid { field, reason })
    }

    /// Returns the names of the fields that differ.
    #[must_use]
    pub fn differing_fields(&self, other: &Self) -> Vec<String> {
        let (own, other) = (self.to_json(), other.to_json());
        let names = own.keys().chain(other.keys().filter(|name| !own.contains_key(*name)));
        names.filter(|name| own.get(*name) != other.get(*name)).cloned().collect()
    }
}

fn merged(features: Option<Value>, members: &Map<String, Value>) -> Value {
    let mut features = match features {
        Some(Value::Object(features)) => features,
        _ => Map::new(),
    };
    for (name, value) in members {
        if value.is_null() {
            features.remove(name);
        } else {
            features.insert(name.clone(), value.clone());
        }
    }
    Value::Object(features)
}

/// Checks one field alone, so that the error can name it.
fn check_field(field: &str, value: &Value) -> Result<(), PlanFieldError> {
    if !Plan::fields().contains(&field) {
        return Err(PlanFieldError::Unknown { field: field.to_owned() });
    }
    let alone = Map::from_iter([(field.to_owned(), value.clone())]);
    match serde_json::from_value::<Plan>(Value::Object(alone)) {
        Err(error) if missing_field(&error).is_none() => Err(invalid(field, value, &error)),
        _ => Ok(()),
    }
}

fn parse(name: &str, fields: Map<String, Value>) -> Result<Plan, PlanFieldError> {
    let plan: Plan = serde_json::from_value(Value::Object(fields)).map_err(|error| {
        // All fields that are given are valid.
        PlanFieldError::Missing { field: missing_field(&error).unwrap_or_default() }
    })?;
    let plan = Plan { name: name.to_owned(), ..plan };
    plan.checked()?;
    Ok(plan)
}

fn invalid(field: &str, value: &Value, error: &serde_json::Error) -> PlanFieldError {
    let mut shown = value.to_string();
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_VALUE) {
        shown.truncate(end);
        shown.push('…');
    }
    PlanFieldError::Invalid { field: field.to_owned(), reason: format!("{field} cannot be {shown}: {error}") }
}

/// Returns the name of a missing field from an error of serde.
fn missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let (name, _) = text.strip_prefix("missing field `")?.split_once('`')?;
    Some(name.to_owned())
}

/// A deserializer that returns the names of the fields of a struct as its error.
struct FieldNames;

#[derive(Debug)]
struct Names(&'static [&'static str]);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl std::error::Error for Names {}

impl de::Error for Names {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for FieldNames {
    type Error = Names;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Names> {
        Err(Names(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Names> {
        Err(Names(fields))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{DevicePolicy, Limit};

    fn object(value: Value) -> Map<String, Value> {
        if let Value::Object(map) = value { map } else { panic!("no object: {value}") }
    }

    fn full() -> Plan {
        Plan::new("pro")
            .product("editor")
            .max_domains(2)
            .term_days(365)
            .device_policy(DevicePolicy::EvictOldest)
            .feature("export", true)
            .feature("seats", 25)
    }

    #[test]
    fn every_field_is_read_back() {
        for plan in [Plan::new("pro"), full()] {
            let fields = plan.to_json();
            assert!(fields.keys().all(|name| Plan::fields().contains(&name.as_str())), "{fields:?}");
            assert_eq!(Plan::from_json("pro", fields), Ok(plan));
        }
    }

    #[test]
    fn errors_name_field_value_and_accepted_values() {
        let valid = || json!({"max_domains": 1, "max_devices": null, "term": {"days": 30}});
        for (field, value, part) in [
            ("gracedays", json!(3), "no field \"gracedays\""),
            ("term_days", json!(30), "no field \"term_days\""),
            ("max_domains", json!(-1), "max_domains cannot be -1: expected a whole number"),
            ("max_domains", json!(1.5), "max_domains cannot be 1.5"),
            ("max_domains", json!(10_000_001), "max_domains must be at most 10000000"),
            (
                "domain_policy",
                json!("any"),
                "domain_policy cannot be \"any\": unknown variant `any`, expected",
            ),
            ("exempt_hosts", json!("no such value"), "exempt_hosts cannot be \"no such value\""),
            ("features", json!({"a": [1]}), "features cannot be {\"a\":[1]}"),
            ("product", json!("An Editor"), "the name of a product must be"),
            ("grace_days", json!(36_526), "grace_days must be at most"),
        ] {
            let mut fields = object(valid());
            fields.insert(field.to_owned(), value.clone());
            let error = Plan::from_json("pro", fields).expect_err(field);
            assert_eq!(error.field(), field, "{error}");
            assert!(error.to_string().contains(part), "{error}");
            let patched = Plan::new("pro").patched(&PlanPatch::default().set(field, value));
            assert_eq!(patched.expect_err(field), error);
        }
        for field in ["max_domains", "max_devices"] {
            let mut fields = object(valid());
            fields.remove(field);
            let error = Plan::from_json("pro", fields).expect_err(field);
            assert_eq!(error, PlanFieldError::Missing { field: field.to_owned() });
        }
        assert_eq!(Plan::from_json("Pro", object(valid())).expect_err("a name").field(), "name");
    }

    #[test]
    fn patch_keeps_what_it_does_not_name() {
        let features = json!({"export": null, "seats": 5, "sso": true, "gone": null});
        let patch = PlanPatch::default().set("max_domains", Value::Null).set("features", features);
        let expected = Plan { features: Plan::new("").features, ..full() };
        let expected = expected.max_domains(Limit::Unlimited).feature("seats", 5).feature("sso", true);
        assert_eq!(full().patched(&patch), Ok(expected.clone()));
        assert_eq!(full().patched(&PlanPatch::default()), Ok(full()));
        assert_eq!(full().differing_fields(&expected), ["features", "max_domains"]);
    }
}
