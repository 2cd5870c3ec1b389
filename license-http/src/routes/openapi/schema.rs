//! The small shapes that schemas are made of.

use utoipa::openapi::schema::{AdditionalProperties, Object, SchemaType};
use utoipa::openapi::{ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type};

pub(super) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A text of 1 to `most` characters. Where a limit is in bytes, texts that are no ASCII may be refused before.
pub(super) fn text(most: usize) -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(most))
}

pub(super) fn matching(pattern: impl Into<String>) -> ObjectBuilder {
    string().pattern(Some(pattern))
}

/// An id: a prefix and some letters and digits.
pub(super) fn id(prefix: &str) -> ObjectBuilder {
    matching(format!("^{prefix}_[0-9a-z]{{1,40}}$"))
}

pub(super) fn activation_id() -> ObjectBuilder {
    matching("^act_[0-9a-z_]{1,68}$")
}

pub(super) fn event_id() -> ObjectBuilder {
    matching("^evt_(whe_)?[0-9a-z]{1,40}_[0-9]{10,19}$")
}

pub(super) fn time() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

pub(super) fn email(most: usize) -> ObjectBuilder {
    text(most).format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
}

pub(super) fn whole(least: u32, most: u32) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(f64::from(least)))
        .maximum(Some(f64::from(most)))
}

pub(super) fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

pub(super) fn one_of(values: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    string().enum_values(Some(values))
}

pub(super) fn array(items: impl Into<RefOr<Schema>>) -> ArrayBuilder {
    ArrayBuilder::new().items(items.into())
}

/// A schema of one type, or null.
pub(super) fn nullable(schema: ObjectBuilder) -> ObjectBuilder {
    let mut object: Object = schema.build();
    if let SchemaType::Type(one) = object.schema_type {
        object.schema_type = SchemaType::from_iter([one, Type::Null]);
    }
    if let Some(values) = &mut object.enum_values {
        values.push(serde_json::Value::Null);
    }
    object.into()
}

/// An object with these fields and no others; those that are not optional are always there.
pub(super) fn object<S: Into<RefOr<Schema>>>(
    fields: impl IntoIterator<Item = (&'static str, S)>,
    optional: &[&str],
) -> ObjectBuilder {
    fields.into_iter().fold(
        closed(ObjectBuilder::new().schema_type(Type::Object)),
        |object, (name, field)| {
            let object = object.property(name, field);
            if optional.contains(&name) { object } else { object.required(name) }
        },
    )
}

/// Without further fields.
pub(super) fn closed(object: ObjectBuilder) -> ObjectBuilder {
    object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

/// An object with whatever fields.
pub(super) fn open_object() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
}

pub(super) fn named(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}
