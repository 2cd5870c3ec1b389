//! The fields of a JSON object, taken one by one, so that each fault is told with the name of its field.
//!
//! serde's own messages are not used: they repeat the value that they refuse, and it may be a key.

use std::fmt;

use axum::extract::{FromRequest, Request};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::JsonBytes;
use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// The fields of a body that is one JSON object, in which no name stands twice, at any depth.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

impl FromRequest<HttpState> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, state).await?;
        Self::parse(&bytes)
    }
}

impl Fields {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut twice = None;
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = Node { place: &Place::Root, twice: &mut twice }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value));
        match (value, twice) {
            (Ok(Value::Object(map)), _) => Ok(Self(map)),
            (_, Some(field)) => Err(Problem::invalid_field(field, "This field stands twice.")),
            (Ok(_), _) => {
                let detail = "The body is not a JSON object.";
                Err(Problem::new(Code::InvalidField, detail))
            }
            (Err(error), _) => Err(malformed(&error)),
        }
    }

    /// Refuses every field that is not among these.
    pub(crate) fn only(self, names: &[&str]) -> Result<Self, Problem> {
        let Some(unknown) = self.0.keys().find(|name| !names.contains(&name.as_str())) else {
            return Ok(self);
        };
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(Problem::invalid_field(
            unknown.clone(),
            format!("There is no such field here. Known fields: {known}."),
        ))
    }

    /// A field as `read` understands it; `None` where it is absent. `null` is not absent.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'static str, Value) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.0.remove(name).map(|value| read(name, value)).transpose()
    }

    /// A field that must be there.
    pub(crate) fn require<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'static str, Value) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.take(name, read)?.ok_or_else(|| Problem::invalid_field(name, "This field is missing."))
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = match error.classify() {
        Category::Eof if error.column() == 0 => "The body is empty; a JSON object belongs there.".to_owned(),
        _ => format!("The body is not JSON at line {}, column {}.", error.line(), error.column()),
    };
    Problem::new(Code::MalformedJson, detail)
}

/// Where in the body a value stands. Linked upwards and written out only when needed: texts built on the way down would
/// let a long name over many items cost its length for each of them.
enum Place<'a> {
    Root,
    Name(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Name(Self::Root, name) => f.write_str(name),
            Self::Name(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads one value and remembers where a name stands twice; [`Value`] itself would keep the last one.
struct Node<'a> {
    place: &'a Place<'a>,
    twice: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Self { place, twice } = self;
        let mut list = Vec::new();
        loop {
            let place = Place::Index(place, list.len());
            match items.next_element_seed(Node { place: &place, twice: &mut *twice })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let Self { place, twice } = self;
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let place = Place::Name(place, &name);
            if map.contains_key(&name) {
                *twice = Some(place.to_string());
                return Err(A::Error::custom("a name stands twice"));
            }
            let value = entries.next_value_seed(Node { place: &place, twice: &mut *twice })?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}
