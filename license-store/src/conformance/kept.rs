//! Cases of `keep_first`.

use super::Harness;
use super::fixture::race;

/// The first value under a name stays.
pub async fn the_first_value_stays(harness: &dyn Harness) {
    let (store, other) = (harness.open().await, harness.open().await);
    for (name, value, expected) in [
        ("a", b"one".as_slice(), b"one".as_slice()),
        ("a", b"two", b"one"),
        ("b", b"two", b"two"),
        ("c", b"", b""),
    ] {
        let kept = store.keep_first(name, value).await.expect("keep_first");
        assert_eq!(kept, expected, "the first value under {name:?} stays");
        let kept = other.keep_first(name, b"later").await.expect("keep_first");
        assert_eq!(kept, expected, "the first value under {name:?} stays, on every handle");
    }
}

/// Of callers that race, all get the value of one.
pub async fn racing_callers_agree(harness: &dyn Harness) {
    let handles = [harness.open().await, harness.open().await];
    for round in 0..5 {
        let name = format!("round {round}");
        let kept = race(&handles, 16, |task, store| {
            let name = name.clone();
            async move { store.keep_first(&name, &task.to_be_bytes()).await.expect("keep_first") }
        })
        .await;
        assert!(kept.iter().all(|value| *value == kept[0]), "all get one value: {kept:?}");
        assert_eq!(handles[1].keep_first(&name, b"later").await.expect("keep_first"), kept[0]);
    }
}
