//! The fields of a line.

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::transfer::error::ImportLineError;

pub(super) fn read<T: DeserializeOwned>(fields: &Map<String, Value>) -> Result<T, ImportLineError> {
    T::deserialize(MapAccessDeserializer::new(LineFields { rest: fields.iter(), value: None }))
}

/// The fields of a line. The error of a value names its field and shows the value.
struct LineFields<'de> {
    rest: serde_json::map::Iter<'de>,
    value: Option<(&'de String, &'de Value)>,
}

impl<'de> MapAccess<'de> for LineFields<'de> {
    type Error = ImportLineError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        self.value = self.rest.next();
        self.value.as_ref().map(|(name, _)| seed.deserialize(name.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        let (name, value) = self.value.take().ok_or_else(|| ImportLineError::new("a field has no value"))?;
        seed.deserialize(value).map_err(|error| ImportLineError::value(name, value, error))
    }
}

/// Reads a field in which `null` is a value.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Checks that a count fits into a column of a database.
pub(super) fn stored_count(field: &str, count: Option<u64>) -> Result<(), ImportLineError> {
    match count {
        Some(count) if i64::try_from(count).is_err() => {
            let why = format!("it must be at most {}", i64::MAX);
            Err(ImportLineError::value(field, &count.into(), why))
        }
        _ => Ok(()),
    }
}
