//! Metadata that vendors store on licenses.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits;

/// A JSON object of the vendor, which the engine stores but never reads.
///
/// It has at most 64 keys, 8 KiB as JSON text, 8 levels and no NUL character. Numbers are stored as 64-bit
/// integers or 64-bit floats; put larger numbers into strings.
///
/// ```
/// use license_core::license::Metadata;
/// let metadata = Metadata::from_json(serde_json::json!({"order": "A-17"}))?;
/// assert_eq!(metadata.as_map()["order"], "A-17");
/// # Ok::<(), license_core::license::MetadataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// Wraps a JSON object.
    ///
    /// # Errors
    /// Returns [`MetadataError`] if the value is not an object or exceeds a limit.
    pub fn from_json(value: Value) -> Result<Self, MetadataError> {
        let Value::Object(map) = value else { return Err(MetadataError::NoObject) };
        if map.len() > limits::METADATA_KEYS {
            return Err(MetadataError::TooManyKeys);
        }
        let value = Value::Object(map);
        check(&value, limits::METADATA_DEPTH)?;
        if value.to_string().len() > limits::METADATA_BYTES {
            return Err(MetadataError::TooLarge);
        }
        let Value::Object(map) = value else { unreachable!("made an object above") };
        Ok(Self(map))
    }

    /// Returns the object.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns the estimated heap memory in bytes.
    pub(crate) fn heap_size(&self) -> usize {
        heap_size_of_map(&self.0)
    }
}

impl TryFrom<Value> for Metadata {
    type Error = MetadataError;

    fn try_from(value: Value) -> Result<Self, MetadataError> {
        Self::from_json(value)
    }
}

/// Assumes B-tree nodes with room for 11 entries, all but the root at least half full.
fn heap_size_of_map(map: &Map<String, Value>) -> usize {
    const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 16 * size_of::<usize>();
    let nodes = map.len().div_ceil(5) * NODE;
    nodes + map.iter().map(|(key, value)| key.capacity() + heap_size_of_value(value)).sum::<usize>()
}

fn heap_size_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.capacity(),
        Value::Array(items) => {
            items.capacity() * size_of::<Value>() + items.iter().map(heap_size_of_value).sum::<usize>()
        }
        Value::Object(map) => heap_size_of_map(map),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn check(value: &Value, levels: usize) -> Result<(), MetadataError> {
    let deeper = || levels.checked_sub(1).ok_or(MetadataError::TooDeep);
    match value {
        Value::String(text) if text.contains('\0') => Err(MetadataError::Nul),
        Value::Array(items) => {
            let levels = deeper()?;
            items.iter().try_for_each(|item| check(item, levels))
        }
        Value::Object(map) => {
            let levels = deeper()?;
            if map.keys().any(|key| key.contains('\0')) {
                return Err(MetadataError::Nul);
            }
            map.values().try_for_each(|item| check(item, levels))
        }
        _ => Ok(()),
    }
}

/// The reason why metadata is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Not a JSON object.
    #[error("metadata must be a JSON object")]
    NoObject,
    /// More than [`limits::METADATA_KEYS`] keys.
    #[error("metadata can have at most {} keys", limits::METADATA_KEYS)]
    TooManyKeys,
    /// Longer than [`limits::METADATA_BYTES`] as JSON text.
    #[error("metadata can have at most {} bytes as JSON", limits::METADATA_BYTES)]
    TooLarge,
    /// Deeper than [`limits::METADATA_DEPTH`].
    #[error("metadata can be at most {} levels deep", limits::METADATA_DEPTH)]
    TooDeep,
    /// A NUL character, which databases cannot store.
    #[error("metadata must not have NUL characters")]
    Nul,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
    }

    fn keys(count: usize) -> Value {
        Value::Object((0..count).map(|n| (format!("k{n}"), json!(n))).collect())
    }

    /// `{"a":"…"}` adds 8 bytes to the text.
    fn bytes(len: usize) -> Value {
        json!({ "a": "x".repeat(len - 8) })
    }

    #[test]
    fn metadata_limits_hold_at_the_edge_and_one_past() {
        for (value, expected) in [
            (json!([]), Err(MetadataError::NoObject)),
            (json!(null), Err(MetadataError::NoObject)),
            (json!({}), Ok(())),
            (nested(limits::METADATA_DEPTH), Ok(())),
            (nested(limits::METADATA_DEPTH + 1), Err(MetadataError::TooDeep)),
            (keys(limits::METADATA_KEYS), Ok(())),
            (keys(limits::METADATA_KEYS + 1), Err(MetadataError::TooManyKeys)),
            (bytes(limits::METADATA_BYTES), Ok(())),
            (bytes(limits::METADATA_BYTES + 1), Err(MetadataError::TooLarge)),
            (json!({"a": "x\0"}), Err(MetadataError::Nul)),
            (json!({"a": [{"\0": 1}]}), Err(MetadataError::Nul)),
        ] {
            assert_eq!(Metadata::from_json(value).map(drop), expected);
        }
    }
}
