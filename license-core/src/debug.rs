//! `Debug` of types with content that must not appear in logs.

/// Implements `Debug` for a type as its name only: `Secret(…)`.
macro_rules! opaque_debug {
    ($type:ident) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        }
    };
}

/// Implements `Debug` for a type with only these fields: `Event { at: …, .. }`.
macro_rules! partial_debug {
    ($type:ident $(<$lifetime:lifetime>)? { $($field:ident),+ }) => {
        impl std::fmt::Debug for $type $(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut shown = f.debug_struct(stringify!($type));
                shown$(.field(stringify!($field), &self.$field))+.finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use {opaque_debug, partial_debug};
