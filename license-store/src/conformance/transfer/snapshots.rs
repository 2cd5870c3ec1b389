//! Cases for snapshots and settings.

use super::fixture::{import, incoming, read_all, read_leases};
use super::rollups::{batch_of, rollup, rollups};
use crate::conformance::prelude::*;

/// A snapshot is ordered by id, and the same with any page size.
pub async fn snapshot_is_ordered(Handles { store, .. }: &Handles) {
    let mut licenses: Vec<_> = (0..7).map(|_| incoming()).collect();
    licenses.reverse();
    import(store, licenses.clone()).await;
    licenses.reverse();
    let expected: Vec<_> = licenses.iter().map(|one| (Arc::new(one.license.clone()), one.counters)).collect();
    let bound: Vec<_> = licenses
        .iter()
        .flat_map(|one| one.activations.iter().map(|activation| (one.license.id.clone(), activation.clone())))
        .collect();
    let leases: Vec<_> = licenses.iter().flat_map(|one| one.leases.clone()).collect();
    for limit in [1, 3, 7, 1_000] {
        let (found, activations) = read_all(store, limit).await;
        assert_eq!(found, expected, "licenses in pages of {limit}");
        assert_eq!(activations, bound, "activations in pages of {limit}");
        assert_eq!(read_leases(store, at(100), limit).await, leases, "leases in pages of {limit}");
    }
}

/// A snapshot has what was recorded before it, and no later commit.
pub async fn snapshot_is_of_one_moment(Handles { store, other, .. }: &Handles) {
    let (first, last) = (issue(other, &spec("open")).await, issue(other, &spec("open")).await);
    record_and_count(other, &[validation(&last.id, 5, VALID)]).await;
    let mut snapshot = ok!(store.transfer().snapshot());
    let page = ok!(snapshot.licenses(None, 1));
    assert_eq!(page[0].0.id, first.id);
    ask(other, &last.id, &activate(Some("late.com"), None)).await.expect("a free slot");
    record_and_count(other, &[validation(&last.id, 6, VALID)]).await;
    import(other, [incoming()]).await;
    let page = ok!(snapshot.licenses(Some(&first.id), 9));
    let counted = Counters { validation_count: 1, last_validated_at: Some(at(5)), as_of: None };
    assert_eq!(page, [(Arc::new(last), counted)], "as of the start of the snapshot");
    assert_eq!(ok!(snapshot.activations(None, 9)), [], "no later activation");
}

/// Rollups of a snapshot are ordered by key, with any page size, and include earlier validations.
pub async fn snapshot_rollups_are_ordered(Handles { store, .. }: &Handles) {
    let (one, two) = (incoming(), incoming());
    let ids = [one.license.id.clone(), two.license.id.clone()];
    import(store, [one, two]).await;
    let mut all: Vec<_> = (20_000..20_004)
        .flat_map(|day| ids.each_ref().map(|id| [rollup(id, day, None, 1), rollup(id, day, Some("SE"), 2)]))
        .flatten()
        .collect();
    all.reverse();
    ok!(store.transfer().import_rollups(&batch_of(&all)));
    record_and_count(store, &[validation(&ids[0], 5, VALID)]).await;
    all.push(Rollup::of(&validation(&ids[0], 5, VALID)));
    all.sort_by(|a, b| a.key.cmp(&b.key));
    for limit in [1, 4, 1_000] {
        assert_eq!(rollups(store, limit).await, all, "in pages of {limit}");
    }
}

/// A snapshot has the leases that software may still accept, and no later one.
pub async fn snapshot_has_leases_that_are_not_over(Handles { store, other, .. }: &Handles) {
    let (long, mut short) = (incoming(), incoming());
    short.leases.iter_mut().for_each(|lease| lease.expires_at -= TimeDelta::seconds(10));
    import(store, [long.clone(), short.clone()]).await;
    let mut snapshot = ok!(store.transfer().snapshot());
    assert_eq!(ok!(snapshot.leases(None, at(100), 1)), long.leases[..1]);
    import(other, [incoming()]).await;
    let last = long.leases[0].accepted_until() - TimeDelta::microseconds(1);
    assert_eq!(ok!(snapshot.leases(None, at(100), 9)), [long.leases.clone(), short.leases].concat());
    assert_eq!(ok!(snapshot.leases(None, last, 9)), long.leases, "the others are over");
    let after = (&long.license.id, &long.leases[0].id);
    assert_eq!(ok!(snapshot.leases(Some(after), last, 9)), long.leases[1..]);
    assert_eq!(ok!(snapshot.leases(None, long.leases[0].accepted_until(), 9)), []);
}

/// Settings with a prefix are listed by name.
pub async fn settings_are_listed_by_prefix(Handles { store, other, .. }: &Handles) {
    assert_eq!(ok!(store.transfer().settings_with_prefix("p/")), []);
    for (name, value) in
        [("p/b", b"2".as_slice()), ("p", b"no"), ("p0", b"no"), ("P/a", b"no"), ("p/a\u{10fffe}", b"")]
    {
        ok!(store.put_if_absent(name, value));
    }
    let listed = [("p/a\u{10fffe}".to_owned(), Vec::new()), ("p/b".to_owned(), b"2".to_vec())];
    assert_eq!(ok!(other.transfer().settings_with_prefix("p/")), listed);
}
