//! Builders of small schemas.

use license_core::event::EventType;
use utoipa::openapi::schema::{AdditionalProperties, Object, SchemaType};
use utoipa::openapi::{ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat, Type};

pub(super) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A string of 1 to `max` characters. If the limit is in bytes, a shorter string that is not ASCII may be
/// refused.
pub(super) fn text(max: usize) -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(max))
}

pub(super) fn matching(pattern: impl Into<String>) -> ObjectBuilder {
    string().pattern(Some(pattern))
}

/// An id with this prefix.
pub(super) fn id(prefix: &str) -> ObjectBuilder {
    matching(format!("^{prefix}_[0-9a-z]{{1,40}}$"))
}

pub(super) fn activation_id() -> ObjectBuilder {
    matching("^act_[0-9a-z_]{1,68}$")
}

pub(super) fn event_id() -> ObjectBuilder {
    matching("^evt_(whe_)?[0-9a-z]{1,40}_[0-9]{10,19}$")
}

/// The event types that an endpoint may select.
pub(super) fn selectable_events() -> ArrayBuilder {
    // A test event is delivered without being selected.
    let types = EventType::ALL.iter().filter(|kind| **kind != EventType::EndpointTest);
    array(one_of(["*"].into_iter().chain(types.map(|kind| kind.as_str()))))
}

pub(super) fn time() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

pub(super) fn email(max: usize) -> ObjectBuilder {
    text(max).format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
}

pub(super) fn whole(min: u32, max: u32) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(f64::from(min)))
        .maximum(Some(f64::from(max)))
}

/// A whole number of at least 0.
pub(super) fn count() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0))
}

pub(super) fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

/// A boolean that always has this value.
pub(super) fn constant(value: bool) -> ObjectBuilder {
    boolean().enum_values(Some([value]))
}

pub(super) fn one_of(values: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    string().enum_values(Some(values))
}

pub(super) fn array(items: impl Into<RefOr<Schema>>) -> ArrayBuilder {
    ArrayBuilder::new().items(items.into())
}

/// Allows null too.
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

/// An object with exactly these fields. Those that are not optional are required.
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

/// Forbids other fields.
pub(super) fn closed(object: ObjectBuilder) -> ObjectBuilder {
    object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

/// An object with any fields.
pub(super) fn open_object() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
}

/// A reference to a schema.
pub(super) fn named(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}
