//! Cases of `put_if_absent`.

use crate::conformance::prelude::*;

/// The first value of a name is kept.
pub async fn first_value_is_kept(Handles { store, other, .. }: &Handles) {
    for (name, value, expected) in [
        ("a", b"one".as_slice(), b"one".as_slice()),
        ("a", b"two", b"one"),
        ("b", b"two", b"two"),
        ("c", b"", b""),
    ] {
        let stored = ok!(store.put_if_absent(name, value));
        assert_eq!(stored, expected, "the first value of {name:?} is kept");
        let stored = ok!(other.put_if_absent(name, b"later"));
        assert_eq!(stored, expected, "the first value of {name:?} is kept on every handle");
    }
}

/// Racing callers all get the first value.
pub async fn racing_callers_get_the_first_value(Handles { both: handles, .. }: &Handles) {
    for round in 0..5 {
        let name = format!("round {round}");
        let stored = race(handles, 16, |task, store| {
            let name = name.clone();
            async move { ok!(store.put_if_absent(&name, &task.to_be_bytes())) }
        })
        .await;
        assert!(stored.iter().all(|value| *value == stored[0]), "all callers get one value: {stored:?}");
        assert_eq!(ok!(handles[1].put_if_absent(&name, b"later")), stored[0]);
    }
}
