//! Benchmarks: `cargo bench -p license-benches`.
