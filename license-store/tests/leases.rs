//! Leases through the services: issued, handed back and revoked, as clients see them.

mod leases {
    mod hand_back;
    mod issue;
    mod revocations;
    mod server;
    mod signing;
}
