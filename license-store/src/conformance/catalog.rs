//! Cases for [`CatalogStore`](license_core::store::CatalogStore).

pub mod plans;

use super::Case;

/// Makes a test of each case for [`CatalogStore`](license_core::store::CatalogStore).
#[macro_export]
macro_rules! catalog_store_tests {
    ($($mode:tt)+) => {
        $crate::conformance_cases! {
            [$($mode)+] catalog
            plans: plans_in_use_are_listed_once;
        }
    };
}

/// Every case with its name, `catalog::group::case`.
pub const CASES: &[(&str, Case)] = crate::catalog_store_tests!(@list);
