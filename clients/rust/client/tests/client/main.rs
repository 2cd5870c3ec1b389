//! The client against servers, proxies and portals, and with its file.

mod answers;
mod leases;
mod server;
#[expect(dead_code, reason = "the test keys of license-verify; not all of them are needed here")]
#[path = "../../../verify/tests/vectors/signer.rs"]
mod signer;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use license_client::{Client, ClientBuilder};

use crate::signer::{FINGERPRINT, NOW, PRODUCT, TestKey};

const KEY: &str = "TO-KG5R-ZJ6N-N7RN-EGAX";

/// A client that has the active key, at `NOW`.
fn builder(url: &str) -> ClientBuilder {
    Client::builder(url)
        .product(PRODUCT)
        .public_keys([TestKey::Active.public()])
        .license_key(KEY)
        .device_id(FINGERPRINT)
        .deadline(Duration::from_mins(1))
        .clock(|| NOW)
}

fn client(url: &str) -> Client {
    builder(url).build().expect("a client")
}

/// A clock that a test moves.
#[derive(Clone)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    fn set(&self, builder: ClientBuilder) -> ClientBuilder {
        let time = self.0.clone();
        builder.clock(move || time.load(Ordering::SeqCst))
    }
}
