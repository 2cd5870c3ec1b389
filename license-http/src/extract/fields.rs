//! The fields of a JSON object, taken one by one, so that each error names its field.
//!
//! serde's own messages are not used: they repeat the rejected value, which may be a key.

use std::fmt;

use axum::extract::{FromRequest, Request};
use license_core::license::Reason;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::body::{check_type, read, read_json, without_byte_order_mark};
use super::query::NoQuery;
use super::unknown_name::UnknownName;
use super::value::{boolean, invalid, text_or_null, wrong_type};
use crate::problem::{Code, Problem};
use crate::state::HttpState;

/// Fields of a JSON object. No name occurs twice, at any depth. As an extractor, it refuses a query.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

impl FromRequest<HttpState> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        NoQuery::check(request.uri())?;
        Self::parse(&read_json(request, state).await?)
    }
}

/// Accepts no query, and an empty body or `{}`. An ignored field would mislead the caller.
#[derive(Debug)]
pub(crate) struct NoInput;

impl FromRequest<HttpState> for NoInput {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        Fields::optional(request, state).await?.only(&[]).map(|_| Self)
    }
}

/// Accepts an empty body or `{}`.
#[derive(Debug)]
pub(crate) struct NoBody;

impl FromRequest<HttpState> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, state.limits.body_timeout).await?;
        if !without_byte_order_mark(&bytes).is_empty() {
            check_type(&parts.headers)?;
            Fields::parse(&bytes)?.only(&[])?;
        }
        Ok(Self)
    }
}

/// An optional body with a `reason`: no body, `{}`, or `{"reason": "chargeback"}`. Accepts no query.
#[derive(Debug)]
pub(crate) struct ReasonBody(pub(crate) Option<Reason>);

impl FromRequest<HttpState> for ReasonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let fields = Fields::optional(request, state).await?;
        fields.only(&["reason"])?.take_reason().map(Self)
    }
}

/// An optional body with a switch: no body, `{}`, or `{"release": true}`. Accepts no query.
#[derive(Debug)]
pub(crate) struct ReleaseBody(pub(crate) bool);

impl FromRequest<HttpState> for ReleaseBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let fields = Fields::optional(request, state).await?;
        Ok(Self(fields.only(&["release"])?.take("release", boolean)?.unwrap_or(false)))
    }
}

impl Fields {
    /// Reads an optional body. Accepts no query.
    async fn optional(request: Request, state: &HttpState) -> Result<Self, Problem> {
        NoQuery::check(request.uri())?;
        let (parts, body) = request.into_parts();
        let bytes = read(body, state.limits.body_timeout).await?;
        if without_byte_order_mark(&bytes).is_empty() {
            return Ok(Self(Map::new()));
        }
        check_type(&parts.headers)?;
        Self::parse(&bytes)
    }

    /// Takes the field `reason`; null is as if it were absent.
    pub(crate) fn take_reason(&mut self) -> Result<Option<Reason>, Problem> {
        let reason = self.take("reason", |field, value| {
            let text = text_or_null(field, value)?;
            text.map(|text| Reason::parse(&text)).transpose().map_err(|error| invalid(field, &error))
        })?;
        Ok(reason.flatten())
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let mut duplicate = None;
        let mut deserializer = serde_json::Deserializer::from_slice(without_byte_order_mark(bytes));
        let value = ValueSeed { path: &JsonPath::Root, duplicate: &mut duplicate }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value));
        match (value, duplicate) {
            (Ok(Value::Object(map)), _) => Ok(Self(map)),
            (_, Some(field)) => Err(Problem::invalid_field(field, "This field occurs twice.")),
            (Ok(_), _) => Err(Problem::new(Code::InvalidField, "The body must be a JSON object.")),
            (Err(error), _) => Err(malformed(&error)),
        }
    }

    /// Returns the fields of an object within the body.
    pub(crate) fn of_object(field: &str, value: Value) -> Result<Self, Problem> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(wrong_type(field, "an object", &other)),
        }
    }

    /// Refuses fields with other names.
    pub(crate) fn only(self, names: &[&'static str]) -> Result<Self, Problem> {
        let Some(unknown) = self.0.keys().find(|name| !names.contains(&name.as_str())) else {
            return Ok(self);
        };
        let detail = UnknownName { kind: "field", name: unknown, known: names }.to_string();
        Err(Problem::invalid_field(unknown.clone(), detail))
    }

    /// Removes fields with other names, and returns the names of these.
    pub(crate) fn split_unknown(mut self, names: &[&str]) -> (Self, Vec<String>) {
        let is_unknown = |name: &&String| !names.contains(&name.as_str());
        let unknown: Vec<_> = self.0.keys().filter(is_unknown).cloned().collect();
        self.0.retain(|name, _| names.contains(&name.as_str()));
        (self, unknown)
    }

    /// Returns the remaining fields.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Takes a field and parses it with `read`. Returns `None` if it is absent; null is not absent.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'static str, Value) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.0.remove(name).map(|value| read(name, value)).transpose()
    }

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
        Category::Eof if error.column() == 0 => "The body is empty; it must be a JSON object.".to_owned(),
        _ => format!("The body is not valid JSON at line {}, column {}.", error.line(), error.column()),
    };
    Problem::new(Code::MalformedJson, detail)
}

/// Path of a value in the body, formatted only for errors: a string per value would be slow for many items.
enum JsonPath<'a> {
    Root,
    Name(&'a JsonPath<'a>, &'a str),
    Index(&'a JsonPath<'a>, usize),
}

impl fmt::Display for JsonPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Name(Self::Root, name) => f.write_str(name),
            Self::Name(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads one value and reports duplicate names; [`Value`] itself would keep the last one.
struct ValueSeed<'a> {
    path: &'a JsonPath<'a>,
    duplicate: &'a mut Option<String>,
}

macro_rules! visit_scalars {
    ($($visit:ident $type:ty,)+) => {
        $(fn $visit<E>(self, value: $type) -> Result<Value, E> {
            Ok(value.into())
        })+
    };
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    visit_scalars! {
        visit_bool bool, visit_u64 u64, visit_i64 i64, visit_f64 f64, visit_str &str, visit_string String,
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Self { path, duplicate } = self;
        let mut list = Vec::new();
        loop {
            let path = JsonPath::Index(path, list.len());
            match items.next_element_seed(ValueSeed { path: &path, duplicate: &mut *duplicate })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let Self { path, duplicate } = self;
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let path = JsonPath::Name(path, &name);
            if map.contains_key(&name) {
                *duplicate = Some(path.to_string());
                return Err(A::Error::custom("duplicate name"));
            }
            let value = entries.next_value_seed(ValueSeed { path: &path, duplicate: &mut *duplicate })?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}
