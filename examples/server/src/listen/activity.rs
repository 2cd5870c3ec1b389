//! Activity of one connection, from which its read deadline follows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Maximum time for a request's head, from its first byte, and for a TLS handshake.
    pub head: Duration,
    /// Maximum time without a request in flight and without a byte of the next head.
    pub idle: Duration,
    /// Maximum time for the client to read an answer once the socket is full.
    pub write: Duration,
}

impl Default for Timeouts {
    /// The idle timeout is longer than the usual 60 s of load balancers, so that they close first.
    fn default() -> Self {
        Self { head: Duration::from_secs(10), idle: Duration::from_secs(75), write: Duration::from_secs(30) }
    }
}

/// Activity of one connection, shared by its stream and its requests.
///
/// hyper's own `header_read_timeout` starts when the previous answer ends, so it would close idle
/// connections as well. The stream sees the first byte of a head, and the service sees its end: together
/// they tell a slow head from an idle connection.
///
/// Bytes of a head that arrive while an earlier request is in flight do not start its timeout; the next
/// byte does, and the idle timeout still applies.
#[derive(Debug)]
pub(super) struct Activity {
    timeouts: Timeouts,
    protocol: Protocol,
    state: Mutex<State>,
}

/// Protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1: a byte between two requests belongs to the next head.
    Http1,
    /// HTTP/2: only bytes before the first request count as a head. Later ones may be pings or window
    /// updates.
    Http2,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    any_request: bool,
    head_since: Option<Instant>,
    idle_since: Instant,
    stopping: bool,
}

/// A request in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct RequestInFlight(Arc<Activity>);

impl Activity {
    /// Returns the activity of a connection that begins now.
    pub(super) fn new(protocol: Protocol, timeouts: Timeouts) -> Arc<Self> {
        let idle_since = Instant::now();
        let state = State { in_flight: 0, any_request: false, head_since: None, idle_since, stopping: false };
        Arc::new(Self { timeouts, protocol, state: Mutex::new(state) })
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Notes that bytes were received.
    pub(super) fn received(&self) {
        let mut state = self.state();
        let is_head = self.protocol == Protocol::Http1 || !state.any_request;
        if is_head && state.in_flight == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Notes that the head of a request is complete.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestInFlight {
        let mut state = self.state();
        state.in_flight += 1;
        (state.any_request, state.head_since) = (true, None);
        RequestInFlight(Arc::clone(self))
    }

    /// Ends the connection unless it has had a request. Otherwise half a preface or half a head would delay
    /// the shutdown.
    pub(super) fn stop(&self) {
        self.state().stopping = true;
    }

    /// Returns the current deadline for the next byte.
    pub(super) fn read_deadline(&self) -> Instant {
        let state = self.state();
        let Timeouts { head, idle, .. } = self.timeouts;
        match *state {
            State { in_flight: 1.., .. } => Instant::now() + idle,
            State { stopping: true, any_request: false, .. } => Instant::now(),
            State { head_since: Some(since), .. } => since + head,
            State { idle_since, .. } => idle_since + idle,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        state.idle_since = Instant::now();
    }
}
