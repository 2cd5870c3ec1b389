//! Metadata that vendors store on licenses.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::limits;

/// A JSON object of the vendor, which the engine stores but never reads.
///
/// It has at most 64 keys, 8 KiB as JSON text, 8 levels and no NUL character. Numbers are stored as 64-bit
/// integers or 64-bit floats; put larger whole numbers into strings. No member of an object is null: a null
/// removes the member.
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
    /// Wraps a JSON object, without its null members.
    ///
    /// # Errors
    /// Returns [`MetadataError`] if the value is not an object or exceeds a limit.
    pub fn from_json(value: Value) -> Result<Self, MetadataError> {
        Self::default().merge(&MetadataPatch::from_json(value)?)
    }

    /// Returns the metadata after a merge patch of RFC 7396: null removes a member, an object is merged into
    /// the object of that name, and any other value replaces the old one.
    ///
    /// # Errors
    /// Returns [`MetadataError`] if the result exceeds a limit.
    pub fn merge(&self, patch: &MetadataPatch) -> Result<Self, MetadataError> {
        let mut map = self.0.clone();
        merge(&mut map, &patch.0);
        if map.len() > limits::METADATA_KEYS {
            return Err(MetadataError::TooManyKeys);
        }
        check_size(&map)?;
        Ok(Self(map))
    }

    /// Returns the object.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns the members that searches can find: texts of at most
    /// [`limits::INDEXED_METADATA_BYTES`], whose names are no longer.
    pub fn indexed(&self) -> impl Iterator<Item = (&str, &str)> {
        let fits = |text: &str| text.len() <= limits::INDEXED_METADATA_BYTES;
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .filter(move |(name, value)| fits(name) && fits(value))
    }

    /// Returns the estimated heap memory in bytes.
    pub(crate) fn heap_size(&self) -> usize {
        heap_size_of_map(&self.0)
    }
}

/// Changes of [`Metadata`], as a merge patch of RFC 7396. It has the limits of metadata.
///
/// ```
/// use license_core::license::{Metadata, MetadataPatch};
/// use serde_json::json;
/// let metadata = Metadata::from_json(json!({"order": "A-17", "note": "new", "seats": {"eu": 3}}))?;
/// let patch = MetadataPatch::from_json(json!({"note": null, "seats": {"us": 2}}))?;
/// let expected = Metadata::from_json(json!({"order": "A-17", "seats": {"eu": 3, "us": 2}}))?;
/// assert_eq!(metadata.merge(&patch)?, expected);
/// # Ok::<(), license_core::license::MetadataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetadataPatch(Map<String, Value>);

impl MetadataPatch {
    /// Wraps a JSON object.
    ///
    /// # Errors
    /// Returns [`MetadataError`] if the value is not an object or exceeds a limit.
    pub fn from_json(value: Value) -> Result<Self, MetadataError> {
        let Value::Object(map) = value else { return Err(MetadataError::NoObject) };
        if map.len() > limits::METADATA_KEYS {
            return Err(MetadataError::TooManyKeys);
        }
        map.iter().try_for_each(|(key, value)| check_member(key, value, limits::METADATA_DEPTH - 1))?;
        Ok(Self(map))
    }
}

fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(name)),
            Value::Object(patch) => {
                let member = target.entry(name).or_insert_with(|| Map::new().into());
                if !member.is_object() {
                    *member = Map::new().into();
                }
                if let Value::Object(member) = member {
                    merge(member, patch);
                }
            }
            value => drop(target.insert(name.clone(), value.clone())),
        }
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

fn check_size(map: &Map<String, Value>) -> Result<(), MetadataError> {
    // Maps of strings and numbers always serialise.
    let bytes = serde_json::to_string(map).map_or(usize::MAX, |text| text.len());
    if bytes > limits::METADATA_BYTES { Err(MetadataError::TooLarge) } else { Ok(()) }
}

fn check_member(key: &str, value: &Value, levels: usize) -> Result<(), MetadataError> {
    if key.contains('\0') {
        return Err(MetadataError::Nul);
    }
    check(value, levels)
}

fn check(value: &Value, levels: usize) -> Result<(), MetadataError> {
    let deeper = || levels.checked_sub(1).ok_or(MetadataError::TooDeep);
    match value {
        Value::String(text) if text.contains('\0') => Err(MetadataError::Nul),
        Value::Number(number) if is_beyond_64_bits(number) => Err(MetadataError::Number),
        Value::Array(items) => {
            let levels = deeper()?;
            items.iter().try_for_each(|item| check(item, levels))
        }
        Value::Object(map) => {
            let levels = deeper()?;
            map.iter().try_for_each(|(key, item)| check_member(key, item, levels))
        }
        _ => Ok(()),
    }
}

/// Returns whether a whole number was read as a float because it has more than 64 bits.
fn is_beyond_64_bits(number: &Number) -> bool {
    const LEAST: f64 = -9_223_372_036_854_775_808.0;
    const PAST_ALL: f64 = 18_446_744_073_709_551_616.0;
    number.is_f64() && number.as_f64().is_some_and(|float| float >= PAST_ALL || float <= LEAST)
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
    /// A whole number of more than 64 bits, whose digits would be lost.
    #[error("metadata numbers must fit into 64 bits; put larger ones into strings")]
    Number,
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
            (json!({"a": [u64::MAX, i64::MIN, 1e15, 0.5]}), Ok(())),
            (json!({"a": [18_446_744_073_709_551_616_f64]}), Err(MetadataError::Number)),
            (json!({"a": {"b": -9_223_372_036_854_775_809_f64}}), Err(MetadataError::Number)),
            (json!({"a": "x\0"}), Err(MetadataError::Nul)),
            (json!({"a": [{"\0": 1}]}), Err(MetadataError::Nul)),
        ] {
            assert_eq!(Metadata::from_json(value).map(drop), expected);
        }
    }

    /// The examples of RFC 7396, appendix A, whose target is an object.
    #[test]
    fn merge_follows_rfc_7396() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!({"a": 1}), json!({"a": {"b": 2}}), json!({"a": {"b": 2}})),
            (json!({"a": 1}), json!({}), json!({"a": 1})),
            (json!({"a": null, "b": {"c": null}}), json!({}), json!({"b": {}})),
            (json!({}), json!({"a": [null]}), json!({"a": [null]})),
        ] {
            let metadata = Metadata::from_json(target).unwrap();
            let merged = metadata.merge(&MetadataPatch::from_json(patch.clone()).unwrap()).unwrap();
            assert_eq!(Value::Object(merged.0), expected, "{patch}");
        }
    }

    #[test]
    fn limits_hold_for_the_merged_metadata() {
        let full = Metadata::from_json(keys(limits::METADATA_KEYS)).unwrap();
        let merge = |patch| full.merge(&MetadataPatch::from_json(patch).unwrap()).map(drop);
        assert_eq!(merge(json!({"new": 1})), Err(MetadataError::TooManyKeys));
        assert_eq!(merge(json!({"new": 1, "k0": null})), Ok(()));
        assert_eq!(merge(json!({"k0": "x".repeat(limits::METADATA_BYTES)})), Err(MetadataError::TooLarge));
        assert_eq!(
            MetadataPatch::from_json(keys(limits::METADATA_KEYS + 1)),
            Err(MetadataError::TooManyKeys)
        );
    }
}
