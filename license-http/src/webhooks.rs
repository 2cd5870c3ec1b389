//! Webhooks: what happened is sent to endpoints, signed, at least once. Needs the feature `webhooks`.
//!
//! - [`Dispatcher`] delivers; a program runs one beside its router, or alone.
//! - [`Destinations`] says where deliveries may go: by default to the public internet over HTTPS, and nowhere inside of a
//!   network, whatever a name or a number says.
//!
//! Deliveries follow [Standard Webhooks](https://www.standardwebhooks.com) 1.0: `webhook-id` is the id of the event, the same
//! for each attempt; `webhook-timestamp` and `webhook-signature` are of the attempt. The body is `{"type", "timestamp",
//! "data"}`. Any answer of 200 to 299 is success, nothing else is; redirects are not followed.

mod address;
mod destination;
mod dispatcher;
mod figures;
mod sender;

use std::sync::Arc;

use license_core::figure::Figure;

pub use destination::{DestinationError, Destinations, NameResolver};
pub use dispatcher::Dispatcher;
pub use ipnet::IpNet;
pub use sender::SetupError;

/// What routes need to know of webhooks: which URLs are allowed, and the figures of a dispatcher of this process.
#[derive(Clone, Debug, Default)]
pub struct Webhooks {
    pub(crate) destinations: Destinations,
    figures: Option<Arc<figures::Figures>>,
}

impl Webhooks {
    /// Where a dispatcher runs elsewhere, with the same rules.
    #[must_use]
    pub fn elsewhere(destinations: Destinations) -> Self {
        Self { destinations, figures: None }
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        self.figures.as_ref().map(|figures| figures.all()).unwrap_or_default()
    }
}
