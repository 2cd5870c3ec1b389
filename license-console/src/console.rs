//! What all requests share.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use license_core::service::Services;
use tokio::sync::Semaphore;

use crate::failure_limit::FailureLimit;
use crate::options::ConsoleOptions;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) services: Services,
    pub(crate) options: ConsoleOptions,
    pub(crate) failures: FailureLimit,
    /// Places of the requests that run at once.
    pub(crate) pages: Arc<Semaphore>,
}

/// The state of the router.
pub(crate) type Console = Arc<Shared>;

impl Shared {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.services.now()
    }
}
