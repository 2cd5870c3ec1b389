//! Random faults.

use std::collections::HashSet;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;

/// Two nodes with two commits each share a database that fails in all ways that a retry can fix.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_neither_lose_nor_double_validations() {
    const TASKS: u32 = 16;
    const CALLS: u32 = 50;
    let store = Arc::new(FaultStore::new(MemoryStore::new()));
    let ids: Vec<_> = [license(1), license(2), license(3)].map(|new| new.license.id).into();
    for number in 1..=3 {
        store.create(&license(number)).await.expect("create");
    }
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let faults = [
        None,
        None,
        None,
        Some(Fault::Unavailable.after()),
        Some(Fault::Unavailable),
        Some(Fault::Contended),
    ];
    store.script("record", (0..80).map(|_| faults.choose(&mut rng).expect("at least one").clone()));
    let options =
        GroupCommitOptions { commits: Some(few(2)), batch: few(4), ..GroupCommitOptions::default() };
    let nodes = [in_front(&store, options), in_front(&store, options)];
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (grouped, ids) = (Arc::clone(&nodes[task as usize % 2]), ids.clone());
            let mut rng = ChaCha20Rng::seed_from_u64(task.into());
            tokio::spawn(async move {
                let mut asked = Vec::new();
                for call in 0..CALLS {
                    let id = ids.choose(&mut rng).expect("at least one");
                    let numbers: Vec<_> =
                        (0..rng.random_range(1..=3)).map(|n| (task * CALLS + call) * 3 + n).collect();
                    let validations: Vec<_> = numbers.iter().map(|number| validation(id, *number)).collect();
                    grouped.record(&validations, None).await.expect("accepted");
                    asked.extend(numbers.into_iter().map(|number| (id.clone(), number)));
                }
                asked
            })
        })
        .collect();
    let mut expected = HashSet::new();
    for task in tasks {
        expected.extend(task.await.expect("no panic"));
    }
    for grouped in &nodes {
        grouped.close().await;
        assert!(!grouped.is_down());
        assert_eq!(grouped.waiting(), 0);
    }
    assert_eq!(store.remaining(), 0, "all faults have struck");
    let mut found = HashSet::new();
    for id in &ids {
        let (count, numbers) = recorded(&store, id).await;
        assert_eq!(count, numbers.len() as u64);
        for number in numbers {
            assert!(found.insert((id.clone(), number)), "{number} of {id} is recorded twice");
        }
    }
    assert_eq!(found, expected);
}
