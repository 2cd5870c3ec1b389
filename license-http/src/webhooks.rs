//! Webhooks: signed events, delivered to endpoints at least once. Needs the feature `webhooks`.
//!
//! - [`Dispatcher`] delivers events. Run one beside the router, or alone.
//! - [`Destinations`] restricts where deliveries may go: by default to the public internet over HTTPS,
//!   whatever a host name resolves to.
//!
//! Deliveries follow [Standard Webhooks](https://www.standardwebhooks.com) 1.0. `webhook-id` is the id of
//! the event and the same for each attempt. `webhook-timestamp` and `webhook-signature` belong to the
//! attempt. The body is `{"type", "timestamp", "data"}`. A status of 200 to 299 is success. Redirects are
//! not followed.

mod destination;
mod dispatcher;
mod metrics;
mod public_address;
mod router_settings;
mod sender;

pub use destination::{DestinationError, Destinations, NameResolver};
pub use dispatcher::Dispatcher;
pub use ipnet::IpNet;
pub use router_settings::Webhooks;
pub use sender::SenderError;
