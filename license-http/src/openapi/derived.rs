//! Schemas derived from Rust types.

use serde_json::Value;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::schema::closed;

pub(super) type NamedSchema = (String, RefOr<Schema>);

/// A derived schema under construction.
pub(super) struct DerivedSchema {
    name: String,
    object: ObjectBuilder,
}

impl DerivedSchema {
    /// Starts with all fields required and no others allowed.
    pub(super) fn of<T: ToSchema + PartialSchema>() -> Self {
        let mut object = match T::schema() {
            RefOr::T(Schema::Object(object)) => object,
            // Not a struct with named fields.
            _ => ObjectBuilder::new().build(),
        };
        object.required = object.properties.keys().cloned().collect();
        Self { name: T::name().into_owned(), object: closed(object.into()) }
    }

    pub(super) fn optional(self, name: &str) -> Self {
        let mut object = self.object.build();
        object.required.retain(|required| required != name);
        Self { object: object.into(), ..self }
    }

    pub(super) fn required(self, name: &str) -> Self {
        Self { object: self.object.required(name), ..self }
    }

    /// Replaces the schema of a field and keeps its description.
    pub(super) fn rule(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        let mut object = self.object.build();
        if let Some(field) = object.properties.get_mut(name) {
            let description = description(field);
            *field = schema.into();
            describe(field, description);
        }
        Self { object: object.into(), ..self }
    }

    /// Adds a field that this type does not have.
    pub(super) fn extra(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        Self { object: self.object.property(name, schema), ..self }
    }

    pub(super) fn example(self, example: Value) -> Self {
        Self { object: self.object.examples([example]), ..self }
    }

    pub(super) fn build(self) -> NamedSchema {
        (self.name, self.object.into())
    }
}

fn description(schema: &RefOr<Schema>) -> Option<String> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.description.clone(),
        RefOr::T(Schema::Array(array)) => array.description.clone(),
        _ => None,
    }
}

fn describe(schema: &mut RefOr<Schema>, description: Option<String>) {
    match schema {
        RefOr::T(Schema::Object(object)) if object.description.is_none() => object.description = description,
        RefOr::T(Schema::Array(array)) if array.description.is_none() => array.description = description,
        _ => {}
    }
}
