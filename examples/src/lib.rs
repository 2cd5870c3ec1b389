#![doc = include_str!("../../README.md")]

#[doc = include_str!("../../docs/embedding.md")]
#[cfg(doctest)]
mod embedding {}

#[doc = include_str!("../../docs/console.md")]
#[cfg(doctest)]
mod console {}

#[doc = include_str!("../../docs/webhooks.md")]
#[cfg(doctest)]
mod webhooks {}

#[cfg(test)]
mod tests {
    /// The limits that keep them readable in one sitting.
    #[test]
    fn documents_and_smallest_store_stay_short() {
        for (name, text, limit) in [
            ("README.md", include_str!("../../README.md"), 150),
            ("docs/performance.md", include_str!("../../docs/performance.md"), 80),
            ("examples/custom_store.rs", include_str!("../custom_store.rs"), 149),
        ] {
            let lines = text.lines().count();
            assert!(lines <= limit, "{name} has {lines} lines, more than {limit}");
        }
    }
}
