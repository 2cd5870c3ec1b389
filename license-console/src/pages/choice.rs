//! The choices of a list in a form.

/// A choice of a list.
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) is_chosen: bool,
}

impl Choice {
    /// Returns a choice whose label is its value.
    pub(super) fn new(value: &str, chosen: &str) -> Self {
        Self { value: value.to_owned(), label: value.to_owned(), is_chosen: value == chosen }
    }
}

/// Returns the values after a choice that stands for any of them.
pub(super) fn choices(
    any: &str,
    values: impl IntoIterator<Item = (String, String)>,
    chosen: Option<&str>,
) -> Vec<Choice> {
    let any = Choice { value: String::new(), label: any.to_owned(), is_chosen: chosen.is_none() };
    let all = values.into_iter().map(|(value, label)| Choice {
        is_chosen: chosen == Some(value.as_str()),
        value,
        label,
    });
    std::iter::once(any).chain(all).collect()
}
