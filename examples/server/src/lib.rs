//! Listener of the license server: the part that an embedder replaces with its own server, such as `axum::serve`.

pub mod listen;
