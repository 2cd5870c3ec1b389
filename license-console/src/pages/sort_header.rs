//! Headers of columns that sort a list.

use license_core::store::SearchSort;

use crate::filters::Filters;
use crate::visit::Visit;

/// The header of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SortHeader {
    pub(super) label: &'static str,
    /// The list in another order; `None` if the filters do not allow it.
    pub(super) url: Option<String>,
    /// The value of `aria-sort`, if the list is sorted by the column.
    pub(super) order: Option<&'static str>,
}

impl SortHeader {
    /// Returns the header of the time of creation.
    pub(super) fn issued(filters: &Filters, visit: &Visit) -> Self {
        Self::new("Issued", [SearchSort::NewestFirst, SearchSort::OldestFirst], filters, visit)
    }

    /// Returns the header of the end of the term.
    pub(super) fn ends(filters: &Filters, visit: &Visit) -> Self {
        Self::new("Ends", [SearchSort::EarliestEnd, SearchSort::LatestEnd], filters, visit)
    }

    /// The first order is the one of the first click.
    fn new(label: &'static str, [first, second]: [SearchSort; 2], filters: &Filters, visit: &Visit) -> Self {
        let request = filters.request();
        let order = [first, second]
            .contains(&request.sort)
            .then(|| if request.sort.is_descending() { "descending" } else { "ascending" });
        let next = if request.sort == first { second } else { first };
        let url = request.filter.can_sort(next).then(|| {
            let filters = Filters { sort: Some(next), ..filters.clone() };
            visit.url(&format!("/licenses?{}", filters.query()))
        });
        Self { label, url, order }
    }
}
