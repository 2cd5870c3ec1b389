//! The order of found licenses.

use crate::text_enum::text_enum;

text_enum! {
    /// The order of found licenses. Ids follow the time of creation.
    SearchSort {
        /// By descending id.
        NewestFirst = "-created_at",
        /// By ascending id.
        OldestFirst = "created_at",
        /// By end of the term, earliest first; perpetual licenses last.
        EarliestEnd = "expires_at",
        /// By end of the term, latest first; perpetual licenses first.
        LatestEnd = "-expires_at",
    }
}

impl SearchSort {
    /// Returns whether licenses are sorted by the end of their term.
    #[must_use]
    pub fn is_by_end(self) -> bool {
        matches!(self, Self::EarliestEnd | Self::LatestEnd)
    }

    /// Returns whether the order is descending.
    #[must_use]
    pub fn is_descending(self) -> bool {
        matches!(self, Self::NewestFirst | Self::LatestEnd)
    }
}
