//! Signals: SIGTERM and Ctrl-C stop the server, SIGHUP reloads files.

use std::future::{Future, pending};
use std::io::{self, IsTerminal};

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Requests to reload files, if SIGHUP is one.
#[derive(Debug, Default)]
pub(crate) struct Hangups {
    #[cfg(unix)]
    signal: Option<Signal>,
}

impl Hangups {
    /// Waits for the next request.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        pending::<()>().await;
    }
}

/// Returns a future that resolves when the server must stop, and the requests to reload. Signals count from
/// this call on. If standard input is a terminal, SIGHUP stops the server, because the terminal was closed.
pub(crate) fn register() -> io::Result<(impl Future<Output = ()>, Hangups)> {
    #[cfg(unix)]
    let (signal, hangups) = {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let hangups = Hangups { signal: Some(signal(SignalKind::hangup())?) };
        let (mut closed, hangups) = if io::stdin().is_terminal() {
            (hangups, Hangups::default())
        } else {
            (Hangups::default(), hangups)
        };
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = closed.next() => {}
            }
        };
        (stop, hangups)
    };
    #[cfg(not(unix))]
    let (signal, hangups) = {
        let stop = async {
            // If the handler cannot be set, the signal ends the process.
            if tokio::signal::ctrl_c().await.is_err() {
                pending::<()>().await;
            }
        };
        (stop, Hangups::default())
    };
    let stop = async move {
        signal.await;
        tracing::info!("stopping: running requests are finished first");
    };
    Ok((stop, hangups))
}
