//! When validations are committed together.

use std::collections::BTreeMap;

use super::*;

/// Calls that arrive during a commit cost one more commit.
#[tokio::test(start_paused = true)]
async fn calls_during_a_commit_share_the_next_one() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone()))]);
    let first = fixture.calls([0]).await;
    let others = fixture.calls(1..=20).await;
    assert!(waits(&first) && waits(&others));
    assert_eq!(sizes(&fixture.store), [1]);
    assert_eq!((fixture.grouped.waiting(), fixture.counter("commit_waiting")), (21, 21));
    fixture.hold.release();
    all_succeed(first).await;
    all_succeed(others).await;
    assert_eq!(sizes(&fixture.store), [1, 20]);
    fixture.assert_recorded(0..=20).await;
    assert_eq!(fixture.observed("commit_validations"), (2, 21));
    assert_eq!(fixture.observed("commit_seconds").0, 2);
    assert_eq!((fixture.grouped.waiting(), fixture.counter("commit_waiting")), (0, 0));
}

/// A durable call returns after its commit, and is counted at once.
#[tokio::test(start_paused = true)]
async fn durable_call_returns_after_its_commit() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.set(Fault::Hold(fixture.hold.clone()));
    for (number, seconds, latest) in [(1, 5, 5), (2, 3, 5), (3, 9, 9)] {
        let answer = fixture.call(vec![Validation { at: at(seconds), ..validation(&fixture.id, number) }]);
        // Shorter than the deadline.
        pass(900).await;
        assert!(!answer.is_finished());
        assert_eq!(recorded(&fixture.store, &fixture.id).await.0, u64::from(number) - 1);
        fixture.hold.release();
        all_succeed(vec![answer]).await;
        let counters =
            fixture.store.inner().get(&fixture.id).await.expect("get").expect("the license exists").counters;
        assert_eq!(
            (counters.validation_count, counters.last_validated_at),
            (u64::from(number), Some(at(latest)))
        );
        assert_eq!(recorded(&fixture.store, &fixture.id).await.1.len() as u64, u64::from(number));
    }
}

/// Each concurrent commit has its own writer, with growing numbers.
#[tokio::test(start_paused = true)]
async fn concurrent_commits_are_limited() {
    for commits in [1, 3] {
        let options = GroupCommitOptions {
            commits: Some(few(commits)),
            batch: few(1),
            // No commit is late.
            deadline: Duration::from_hours(1),
            ..GroupCommitOptions::default()
        };
        let fixture = Fixture::new(options).await;
        fixture.store.set(Fault::Hold(fixture.hold.clone()));
        let answers = fixture.calls(0..10).await;
        for answered in 0..10 {
            settle().await;
            assert_eq!(fixture.store.in_progress(), commits.min(10 - answered), "after {answered} commits");
            assert_eq!(answers.iter().filter(|answer| answer.is_finished()).count(), answered);
            fixture.hold.release();
        }
        all_succeed(answers).await;
        let mut recorded = recorded(&fixture.store, &fixture.id).await;
        recorded.1.sort_unstable();
        assert_eq!(recorded, (10, (0..10).collect()));
        let mut streams: BTreeMap<[u8; 16], Vec<u64>> = BTreeMap::new();
        for BatchId { writer, number } in batches(&fixture.store) {
            streams.entry(*writer.as_bytes()).or_default().push(number);
        }
        assert_eq!(streams.len(), commits);
        for numbers in streams.values() {
            assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
        }
    }
}

/// The validations of one call are never split, even if the batch exceeds its bound.
#[tokio::test(start_paused = true)]
async fn batch_is_bounded_and_keeps_calls_whole() {
    let fixture = Fixture::new(GroupCommitOptions { batch: few(5), ..GroupCommitOptions::default() }).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone()))]);
    let mut answers = fixture.calls([0]).await;
    let mut next = 1;
    for size in [3, 3, 2, 9, 1, 4] {
        answers.push(fixture.call((next..next + size).map(|n| validation(&fixture.id, n)).collect()));
        next += size;
    }
    settle().await;
    fixture.hold.release();
    all_succeed(answers).await;
    assert_eq!(sizes(&fixture.store), [1, 3, 5, 9, 5]);
    fixture.assert_recorded(0..next).await;
}

/// Buffered calls return at once, and their validations share a commit.
#[tokio::test(start_paused = true)]
async fn buffered_validations_are_written_within_100_ms() {
    let fixture = Fixture::new(buffered()).await;
    let begun = Instant::now();
    for number in 0..5 {
        fixture.record(number).await.expect("accepted");
    }
    assert_eq!((begun.elapsed(), sizes(&fixture.store).len()), (Duration::ZERO, 0));
    fixture.assert_recorded([]).await;
    pass(100).await;
    fixture.assert_recorded(0..5).await;
    assert_eq!(sizes(&fixture.store), [5]);
    // Also if validations arrive without pause.
    for number in 5..100 {
        fixture.record(number).await.expect("accepted");
        pass(10).await;
        let all = recorded(&fixture.store, &fixture.id).await.0;
        assert!(all + 10 > number.into(), "of {number}, {all} are written");
    }
}

/// A batch in another commit does not shorten the wait of the next one.
#[tokio::test(start_paused = true)]
async fn buffered_validations_gather_during_a_commit() {
    let fixture =
        Fixture::new(GroupCommitOptions { commits: Some(few(2)), batch: few(3), ..buffered() }).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone()))]);
    for number in 0..3 {
        fixture.record(number).await.expect("accepted");
    }
    for number in 3..5 {
        settle().await;
        assert_eq!(sizes(&fixture.store), [3]);
        fixture.record(number).await.expect("accepted");
    }
    pass(100).await;
    assert_eq!(sizes(&fixture.store), [3, 2]);
    fixture.assert_recorded([3, 4]).await;
}

#[tokio::test(start_paused = true)]
async fn full_batch_is_written_at_once() {
    let fixture = Fixture::new(GroupCommitOptions { batch: few(5), ..buffered() }).await;
    for number in 0..5 {
        fixture.record(number).await.expect("accepted");
    }
    settle().await;
    fixture.assert_recorded(0..5).await;
}

/// Bounds memory if the store is slow.
#[tokio::test(start_paused = true)]
async fn buffered_call_waits_if_the_queue_is_full() {
    let fixture = Fixture::new(GroupCommitOptions { max_buffered: 3, ..buffered() }).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone()))]);
    fixture.record(0).await.expect("accepted");
    pass(100).await;
    assert_eq!(fixture.store.in_progress(), 1);
    for number in 1..=2 {
        fixture.record(number).await.expect("accepted");
    }
    let late = fixture.calls([3]).await;
    assert!(waits(&late));
    fixture.hold.release();
    all_succeed(late).await;
    fixture.assert_recorded(0..=3).await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_call_is_recorded() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone()))]);
    let mut answers = fixture.calls([0]).await;
    answers.extend(fixture.calls(1..=3).await);
    for gone in [2, 0] {
        let gone = answers.remove(gone);
        gone.abort();
        assert!(gone.await.expect_err("a cancelled task").is_cancelled());
    }
    assert!(waits(&answers));
    fixture.hold.release();
    all_succeed(answers).await;
    fixture.assert_recorded(0..=3).await;
    assert_eq!(sizes(&fixture.store), [1, 3]);
}

/// The caller may itself be a group commit.
#[tokio::test(start_paused = true)]
async fn numbered_batch_is_forwarded() {
    let fixture = Fixture::new(buffered()).await;
    let batch = BatchId { writer: WriterId::from_bytes([7; 16]), number: 3 };
    for _ in 0..2 {
        fixture.grouped.record(&[validation(&fixture.id, 0)], Some(batch)).await.expect("recorded");
        fixture.assert_recorded([0]).await;
    }
    fixture.grouped.record(&[], None).await.expect("nothing");
    let received = fixture.store.batches();
    assert_eq!(
        received.iter().map(|received| received.batch).collect::<Vec<_>>(),
        [Some(batch), Some(batch), None]
    );
}
