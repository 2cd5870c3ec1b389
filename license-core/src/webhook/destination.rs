//! The rule for the URLs of endpoints.

use std::fmt;

use async_trait::async_trait;

/// Says which URLs an endpoint can have. The sender of webhooks has the rule, since it knows the network.
#[async_trait]
pub trait DestinationRule: fmt::Debug + Send + Sync + 'static {
    /// Checks the URL of a new or changed endpoint.
    ///
    /// # Errors
    /// Returns the reason why the sender would not deliver to this URL.
    async fn check_url(&self, url: &str) -> Result<(), String>;
}
