#![doc = include_str!("../../README.md")]

#[doc = include_str!("../../docs/embedding.md")]
#[cfg(doctest)]
mod embedding {}

#[doc = include_str!("../../docs/webhooks.md")]
#[cfg(doctest)]
mod webhooks {}
