//! A check that is answered by the state on disk. It must take less than a millisecond.
//!
//! ```text
//! cargo bench -p license-client
//! ```

#[expect(dead_code, reason = "the server of the tests; not all of it is needed here")]
#[path = "../tests/client/server.rs"]
mod server;
#[expect(dead_code, reason = "the test keys of license-verify; not all of them are needed here")]
#[path = "../../verify/tests/vectors/signer.rs"]
mod signer;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use license_client::Client;

use crate::server::{Server, valid};
use crate::signer::{FINGERPRINT, NOW, PRODUCT, TestKey};

fn check_from_cache(criterion: &mut Criterion) {
    let server = Server::new(valid);
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client::builder(&server.url())
        .product(PRODUCT)
        .public_keys([TestKey::Active.public()])
        .license_key("TO-KG5R-ZJ6N-N7RN-EGAX")
        .device_id(FINGERPRINT)
        .state_file(folder.path().join("state"))
        .clock(|| NOW)
        .build()
        .expect("a client");
    assert!(client.check().is_allowed());
    criterion.bench_function("check from cache", |bencher| bencher.iter(|| black_box(client.check())));
    assert_eq!(server.asked().len(), 1, "all checks but the first came from the cache");
}

criterion_group!(benches, check_from_cache);
criterion_main!(benches);
