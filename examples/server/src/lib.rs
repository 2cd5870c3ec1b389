//! Listener of the license server. An embedder uses its own instead, such as `axum::serve`.

pub mod listen;
