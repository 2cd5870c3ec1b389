//! Calls that do not block.

use std::thread;

use tokio::sync::oneshot;

use crate::check::Check;
use crate::client::Client;

impl Client {
    /// As [`Client::check`], without blocking: the check runs in a thread of its own.
    pub async fn check_async(&self) -> Check {
        self.run_async(Self::check).await
    }

    /// Runs any call in a thread of its own, as in `client.run_async(|client| client.devices()).await`. It
    /// works in every async runtime. If the future is dropped, a call that has begun runs to its end.
    pub async fn run_async<T: Send + 'static>(
        &self,
        call: impl Fn(&Self) -> T + Clone + Send + 'static,
    ) -> T {
        let (send, receive) = oneshot::channel();
        let (client, in_thread) = (self.clone(), call.clone());
        let thread = thread::Builder::new().name("license-call".to_owned()).spawn(move || {
            // The future may have been dropped.
            let _ = send.send(in_thread(&client));
        });
        match (thread, receive.await) {
            (Ok(_), Ok(result)) => result,
            // The system has no thread left. The call is short and bounded, so it runs here.
            _ => call(self),
        }
    }
}
