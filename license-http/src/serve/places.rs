//! Who has a connection: so many in all, and so many of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::ClientAddress;

/// The places for connections. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// As many entries at most as there are places.
    by_address: HashMap<IpAddr, usize>,
    /// Whether the last caller found none.
    full: bool,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    address: Option<IpAddr>,
}

impl Places {
    pub(super) fn new(most: usize, most_per_address: usize) -> Self {
        Self(Arc::new(Shared { most, most_per_address, taken: Mutex::default() }))
    }

    /// A place, where there is one; `exempt`: be there ever so many of that address.
    pub(super) fn take(&self, client: ClientAddress, exempt: bool) -> Option<Place> {
        let Shared { most, most_per_address, ref taken } = *self.0;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= most {
            // Once for as long as it lasts: a line for each would be the next flood.
            if !std::mem::replace(&mut taken.full, true) {
                tracing::warn!(most, "all connections are in use; further ones are refused");
            }
            return None;
        }
        let address = (!exempt).then(|| client.network());
        if let Some(address) = address {
            let held = taken.by_address.entry(address).or_default();
            if *held >= most_per_address {
                return None;
            }
            *held += 1;
        }
        taken.all += 1;
        Some(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        // Not at the first that goes, or a server at its limit would say so all the time.
        if taken.all < self.places.0.most / 2 {
            taken.full = false;
        }
        let Some(address) = self.address else { return };
        if let Some(held) = taken.by_address.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                taken.by_address.remove(&address);
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
    fn so_many_in_all_and_of_one_address() {
        let places = Places::new(5, 2);
        let take = |address, exempt| places.take(client(address), exempt);
        let first = take("192.0.2.1", false).unwrap();
        let second = take("192.0.2.1", false).unwrap();
        assert!(take("192.0.2.1", false).is_none(), "two of one address");
        let six = [take("2001:db8::1", false).unwrap(), take("2001:db8::2", false).unwrap()];
        assert!(take("2001:db8::3", false).is_none(), "one network is one caller");
        let proxy = take("192.0.2.1", true).unwrap();
        assert!(take("192.0.2.9", false).is_none() && take("192.0.2.9", true).is_none(), "five in all");
        drop(first);
        let again = take("192.0.2.1", false).unwrap();
        drop((second, again, six, proxy));
        let taken = places.0.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0), "nothing is left behind");
    }
}
