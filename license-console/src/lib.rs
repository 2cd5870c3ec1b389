//! The web console: what a vendor does with licenses in a day, in a browser.
//!
//! Mount the router with [`Router::nest`](axum::Router::nest), under any prefix:
//!
//! ```
//! use axum::{Router, routing::get};
//! use license_console::ConsoleOptions;
//! # use std::sync::Arc;
//! # use license_core::{clock::SystemRng, key::Secret};
//! # use license_store::{engine::Engine, memory::MemoryStore};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = Secret::generate(&mut SystemRng)?;
//! # let engine = Engine::builder(Arc::new(MemoryStore::new()), &secret).start().await?;
//! let options = ConsoleOptions::new().public_origin("https://vendor.example.com");
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "my own page" }))
//!     .nest("/console", license_console::router(engine.services(), options));
//! # Ok(())
//! # }
//! ```
//!
//! People sign in with an API token or a one-time link, and see what the scopes of the token allow. An app
//! with its own sign-in gives its [`Authenticator`](license_core::service::Authenticator).
//!
//! Pages work without JavaScript: every control is a link or a form. The scripts make them smoother.
//!
//! Architecture invariants: the console has no rule of licensing and no SQL; it calls
//! [`Services`](license_core::service::Services). No page loads anything from another origin, and no page has
//! an inline script or style. No license key and no address of a customer is in a URL.

mod action;
mod assets;
mod bulk_action;
mod chart;
mod connection;
mod console;
mod day;
mod failure;
mod failure_limit;
mod filters;
mod form;
mod guard;
mod moment;
mod numbers;
mod options;
mod page;
mod pages;
mod prefix;
mod qr;
mod routes;
mod selection;
mod session_cookie;
mod theme;
mod visit;
mod zone;

pub use connection::Connection;
pub use options::ConsoleOptions;
pub use routes::{Route, router, routes};
