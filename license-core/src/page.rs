//! Pages of lists.

use crate::limits;

/// A request for one page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// The page starts after this item; `None` starts at the first.
    pub after: Option<C>,
    /// Maximum number of items, 1 to [`limits::PAGE_ITEMS`].
    pub limit: u32,
}

impl<C> Default for PageRequest<C> {
    fn default() -> Self {
        Self { after: None, limit: limits::PAGE_ITEMS_DEFAULT }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items in order.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<C>,
}

impl<T, C> Default for Page<T, C> {
    fn default() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

impl<T, C> Page<T, C> {
    /// Creates a page from up to `limit + 1` items. The additional item shows that there is a next page.
    #[must_use]
    pub fn from_one_more(mut items: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> C) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}
