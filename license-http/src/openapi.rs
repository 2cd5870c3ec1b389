//! The contract: OpenAPI 3.1 at `/openapi.json`, and as a page at `/docs`.

mod derived;
mod docs_page;
mod document;
mod error_responses;
mod handlers;
mod operation;
mod operations;
mod request_bodies;
mod responses;
mod schema;

pub use document::openapi;
pub(crate) use document::routes;
pub(crate) use handlers::router;
