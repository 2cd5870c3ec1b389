//! Pages of lists.

use crate::limits;

/// Asks for one page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// Start behind this item; `None`: at the first.
    pub after: Option<C>,
    /// At most so many items, 1 to [`limits::PAGE_ITEMS`].
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
    /// Where the next page starts; `None` on the last.
    pub next: Option<C>,
}

impl<T, C> Default for Page<T, C> {
    fn default() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

impl<T, C> Page<T, C> {
    /// Makes a page of up to `limit + 1` items read from the start of it: the one too many shows that there
    /// is a next.
    #[must_use]
    pub fn from_one_more(mut items: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> C) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}
