//! What runs beside the requests: webhooks are delivered, and what the clock does is told.

use std::future::Future;
use std::sync::Arc;

use chrono::TimeDelta;
use license_core::service::LicenseService;
use license_core::usage::UsageRetention;
use license_http::webhooks::{Dispatcher, Webhooks};
use license_store::forgetting::Forgetting;
use license_store::sweeper::{Sweeper, SweeperOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::flags::WebhookFlags;

/// Ends when it is told to, after what it has begun.
#[derive(Debug)]
pub(crate) struct Background {
    dispatching: JoinHandle<()>,
    stop: watch::Sender<bool>,
    _sweeper: Sweeper,
    _forgetting: Forgetting,
}

impl Background {
    /// Begins; and what the routes need to know of it.
    pub(crate) fn start(
        service: &Arc<LicenseService>,
        flags: &WebhookFlags,
        retention: UsageRetention,
    ) -> Result<(Self, Webhooks), String> {
        let dispatcher = Dispatcher::new(Arc::clone(service), flags.destinations());
        let dispatcher = dispatcher.map_err(|error| error.to_string())?.attempt_time(flags.attempt_time());
        let webhooks = dispatcher.webhooks();
        let (stop, mut stopped) = watch::channel(false);
        let dispatching = tokio::spawn(dispatcher.run(async move {
            // The sender is gone: that is a stop as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        }));
        let expiring = TimeDelta::days(flags.expiring_days.into());
        let options = SweeperOptions { expiring, ..SweeperOptions::default() };
        let sweeper = Sweeper::spawn(Arc::clone(service), options);
        let forgetting = Forgetting::spawn(Arc::clone(service), retention);
        Ok((Self { dispatching, stop, _sweeper: sweeper, _forgetting: forgetting }, webhooks))
    }

    /// Tells it to stop as soon as `signal` comes, beside the requests that are finished then.
    pub(crate) fn stop_at<F: Future<Output = ()>>(&self, signal: F) -> impl Future<Output = ()> + use<F> {
        let stop = self.stop.clone();
        async move {
            signal.await;
            let _ = stop.send(true);
        }
    }

    /// Waits for its end.
    pub(crate) async fn close(self) {
        let _ = self.stop.send(true);
        if self.dispatching.await.is_err() {
            tracing::error!("the delivery of webhooks ended by a panic");
        }
    }
}
