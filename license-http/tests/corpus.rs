//! What fuzzing found worth keeping, through the functions that were fuzzed.
#![expect(clippy::expect_used, reason = "a broken promise is to be seen")]

use std::path::Path;

#[path = "../../fuzz/targets.rs"]
mod targets;

#[test]
fn every_entry_of_the_corpus_keeps_the_promises() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::ALL {
        let entries: Vec<_> = std::fs::read_dir(corpus.join(name)).expect("a folder of the corpus").collect();
        assert!(entries.len() >= 5, "{name} has {}", entries.len());
        for entry in entries {
            let path = entry.expect("an entry").path();
            let data = std::fs::read(&path).expect("a readable entry");
            let kept = std::panic::catch_unwind(|| target(&data)).is_ok();
            assert!(kept, "{} breaks a promise", path.display());
        }
    }
}
