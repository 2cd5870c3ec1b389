//! Messages to systemd, which started the server with `Type=notify`. Without systemd, they do nothing.

#[cfg(unix)]
use sd_notify::NotifyState;

/// Says that the server answers calls, and shows a status.
pub(crate) fn ready(status: &str) {
    #[cfg(unix)]
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
    #[cfg(not(unix))]
    let _ = status;
}

/// Says that files are being reloaded. [`ready`] ends it.
pub(crate) fn reloading() {
    #[cfg(unix)]
    match NotifyState::monotonic_usec_now() {
        // systemd ignores a reload that has no time, or an earlier time than its request.
        Ok(time) => send(&[NotifyState::Reloading, time]),
        Err(error) => tracing::warn!(%error, "cannot read the clock of the machine"),
    }
}

/// Says that the server finishes its requests and then ends.
pub(crate) fn stopping() {
    #[cfg(unix)]
    send(&[NotifyState::Stopping, NotifyState::Status("finishing requests")]);
}

#[cfg(unix)]
fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot send a message to systemd, at the socket of NOTIFY_SOCKET");
    }
}
