//! Runs the fuzzing corpus through the fuzz targets.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

#[path = "../../fuzz/targets.rs"]
mod targets;

#[test]
fn every_corpus_entry_passes_its_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::ALL {
        let entries: Vec<_> =
            std::fs::read_dir(corpus.join(name)).expect("the corpus of the target").collect();
        assert!(entries.len() >= 5, "{name} has {}", entries.len());
        for entry in entries {
            let path = entry.expect("an entry").path();
            let data = std::fs::read(&path).expect("a readable entry");
            let passed = std::panic::catch_unwind(|| target(&data)).is_ok();
            assert!(passed, "{} panics", path.display());
        }
    }
}
