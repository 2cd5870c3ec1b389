//! Exports and imports through the services, on every store.

mod transfer {
    mod databases;
    mod keys;
    mod leases;
    mod lines;
    mod round_trips;
    mod server;
    mod tables;
    mod terms;
    mod trials;
}
