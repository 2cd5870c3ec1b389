//! Setters of builders.

/// Implements a setter for each field, which takes a value of this type.
macro_rules! setters {
    ($($field:ident: $type:ty,)+) => {
        $(#[doc = concat!("Sets [`", stringify!($field), "`](field@Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field.into();
            self
        })+
    };
}

/// Implements a setter for each field of type `Option`, which takes any value that converts into the type.
macro_rules! optional_setters {
    ($($field:ident: $type:ty,)+) => {
        $(#[doc = concat!("Sets [`", stringify!($field), "`](field@Self::", stringify!($field), "), which is `None` without this call.")]
        #[must_use]
        pub fn $field(mut self, $field: impl Into<$type>) -> Self {
            self.$field = Some($field.into());
            self
        })+
    };
}

pub(crate) use {optional_setters, setters};
