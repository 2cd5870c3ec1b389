//! The listener of the license server. Apps that embed the router use another one, such as `axum::serve`.

pub mod listen;
