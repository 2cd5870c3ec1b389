//! Cases for [`CatalogStore`](license_core::store::CatalogStore).

pub mod plans;

cases! { $ catalog_store_tests CatalogStore catalog
    plans: plans_in_use_are_listed_once, licenses_are_counted_by_plan_and_status;
}
