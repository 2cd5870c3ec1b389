//! Limit on open connections, in total and per client network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use license_http::ClientAddress;

/// Limits how many connections are open. Clones share the limit.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimit(Arc<SharedLimit>);

#[derive(Debug)]
struct SharedLimit {
    max: usize,
    max_per_network: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// At most `max` entries: networks without a connection are removed.
    per_network: HashMap<IpAddr, usize>,
    /// Whether a full limit has been logged.
    full: bool,
}

/// One open connection of the limit, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limit: ConnectionLimit,
    network: Option<IpAddr>,
}

impl ConnectionLimit {
    pub(super) fn new(max: usize, max_per_network: usize) -> Self {
        Self(Arc::new(SharedLimit { max, max_per_network, open: Mutex::default() }))
    }

    /// Returns a permit unless a limit is reached. An exempt client has no limit per network.
    pub(super) fn acquire(&self, client: ClientAddress, exempt: bool) -> Option<ConnectionPermit> {
        let SharedLimit { max, max_per_network, ref open } = *self.0;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= max {
            // Logged once: a line per refusal would flood the log.
            if !std::mem::replace(&mut open.full, true) {
                tracing::warn!(max, "the connection limit is reached; further connections are refused");
            }
            return None;
        }
        let network = (!exempt).then(|| client.network());
        if let Some(network) = network {
            let held = open.per_network.entry(network).or_default();
            if *held >= max_per_network {
                return None;
            }
            *held += 1;
        }
        open.total += 1;
        Some(ConnectionPermit { limit: self.clone(), network })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limit.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        // Hysteresis: otherwise a server at its limit would log whenever a connection closes.
        if open.total < self.limit.0.max / 2 {
            open.full = false;
        }
        let Some(network) = self.network else { return };
        if let Some(held) = open.per_network.get_mut(&network) {
            *held -= 1;
            if *held == 0 {
                open.per_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddress {
        ClientAddress(text.parse().unwrap())
    }

    #[test]
    fn connections_are_limited_in_total_and_per_network() {
        let limit = ConnectionLimit::new(5, 2);
        let acquire = |address, exempt| limit.acquire(client(address), exempt);
        let first = acquire("192.0.2.1", false).unwrap();
        let second = acquire("192.0.2.1", false).unwrap();
        assert!(acquire("192.0.2.1", false).is_none(), "two of one address");
        let six = [acquire("2001:db8::1", false).unwrap(), acquire("2001:db8::2", false).unwrap()];
        assert!(acquire("2001:db8::3", false).is_none(), "an IPv6 network is one client");
        let proxy = acquire("192.0.2.1", true).unwrap();
        assert!(
            acquire("192.0.2.9", false).is_none() && acquire("192.0.2.9", true).is_none(),
            "five in total"
        );
        drop(first);
        let again = acquire("192.0.2.1", false).unwrap();
        drop((second, again, six, proxy));
        let open = limit.0.open.lock().unwrap();
        assert_eq!((open.total, open.per_network.len()), (0, 0), "nothing is left behind");
    }
}
