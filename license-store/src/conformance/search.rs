//! Cases for [`SearchStore`](license_core::store::SearchStore).

pub mod customers;
pub mod external_ids;
pub mod finds;
mod fixture;
pub mod many;
pub mod ranges;

cases! { $ search_store_tests SearchStore search
    finds: every_filter_finds_its_licenses, filters_combine, pages_follow_the_order_of_the_sort,
        found_licenses_follow_changes, erased_customer_is_not_found;
    many: many_licenses_are_counted_and_found;
    customers: customers_are_summed, customer_pages_are_complete;
    ranges: pages_of_ranges_are_complete;
    external_ids: external_id_is_unique, removed_external_id_is_free, import_keeps_external_ids_unique,
        racing_callers_share_no_external_id;
}
