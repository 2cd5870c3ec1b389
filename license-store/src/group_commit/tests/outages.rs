//! A store that is down, contended or hangs.

use super::*;

/// An outage of the database does not lock customers out.
#[tokio::test(start_paused = true)]
async fn validations_are_queued_while_store_is_down() {
    let (log, _guard) = Log::capture();
    let options = GroupCommitOptions { batch: few(4), ..GroupCommitOptions::default() };
    let fixture = Fixture::new(options).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone()))]);
    fixture.store.set(Fault::Unavailable);
    let first = fixture.calls([0]).await;
    let gathered = fixture.calls(1..=9).await;
    assert!(!fixture.grouped.is_down());
    fixture.hold.release();
    // The callers of the second batch return with those of the first.
    let begun = Instant::now();
    all_succeed(first).await;
    all_succeed(gathered).await;
    assert!(begun.elapsed() < RETRY_PAUSE && fixture.grouped.is_down());
    for number in 10..=20 {
        let begun = Instant::now();
        fixture.record(number).await.expect("accepted");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
    pass(60_000).await;
    fixture.assert_recorded([0]).await;
    assert!(fixture.grouped.is_down());
    assert_eq!(fixture.grouped.waiting(), 20);
    fixture.store.set(None);
    pass(200).await;
    fixture.assert_recorded(0..=20).await;
    assert!(!fixture.grouped.is_down());
    assert_eq!((fixture.grouped.waiting(), fixture.counter("commit_dropped")), (0, 0));
    // Calls are durable again.
    fixture.store.set(Fault::Hold(fixture.hold.clone()));
    let late = fixture.calls([21]).await;
    assert!(waits(&late));
    fixture.hold.release();
    all_succeed(late).await;
    // Each is logged once.
    assert_eq!(log.lines("cannot be recorded").len(), 1);
    assert_eq!(log.lines("recorded again").len(), 1);
}

/// Dropped validations are counted and logged.
#[tokio::test(start_paused = true)]
async fn full_queue_drops_the_oldest() {
    let (log, _guard) = Log::capture();
    let fixture = Fixture::new(keeping(5)).await;
    let mut expected = Vec::new();
    for (outage, first) in [(1, 0), (2, 10)] {
        fixture.store.set(Fault::Unavailable);
        // The first is in the batch that is retried.
        for number in first..=first + 8 {
            fixture.record(number).await.expect("accepted");
        }
        assert_eq!(fixture.grouped.waiting(), 5);
        assert_eq!(fixture.counter("commit_dropped"), 4 * outage);
        let lines = log.lines("the oldest are dropped");
        assert_eq!(lines.len() as u64, outage, "{lines:?}");
        fixture.store.set(None);
        pass(200).await;
        expected.push(first);
        expected.extend(first + 5..=first + 8);
        fixture.assert_recorded(expected.iter().copied()).await;
        let lines = log.lines("recorded again");
        assert!(lines.last().expect("a line").contains("dropped=4"), "{lines:?}");
    }
    // A call with several validations drops the same number of older ones.
    fixture.store.set(Fault::Unavailable);
    for number in 20..=24 {
        fixture.record(number).await.expect("accepted");
    }
    let many: Vec<_> = (25..28).map(|number| validation(&fixture.id, number)).collect();
    fixture.grouped.record(&many, None).await.expect("accepted");
    assert_eq!(fixture.counter("commit_dropped"), 8 + 3);
    fixture.store.set(None);
    pass(200).await;
    expected.extend([20, 24, 25, 26, 27]);
    fixture.assert_recorded(expected).await;
}

/// A caller that gets an error may ask again: nothing was recorded.
#[tokio::test(start_paused = true)]
async fn zero_queue_limit_returns_the_error() {
    let fixture = Fixture::new(keeping(0)).await;
    for (number, fault) in
        [(0, Fault::Unavailable), (1, Fault::Contended), (2, Fault::Hold(fixture.hold.clone()))]
    {
        fixture.store.script("record", [Some(fault)]);
        let begun = Instant::now();
        let error = fixture.record(number).await.expect_err("cannot be recorded");
        assert!(error.is_retryable(), "{error}");
        assert!(begun.elapsed() <= Duration::from_secs(1), "{number} waited {:?}", begun.elapsed());
        assert_eq!((fixture.grouped.is_down(), fixture.grouped.waiting()), (false, 0));
    }
    pass(60_000).await;
    fixture.assert_recorded([]).await;
    fixture.record(3).await.expect("recorded");
    // The aborted call stays aborted, even if the store can answer later.
    fixture.hold.release();
    settle().await;
    fixture.assert_recorded([3]).await;
    assert_eq!(fixture.counter("commit_dropped"), 0);
}

#[tokio::test(start_paused = true)]
async fn contention_until_the_deadline_is_an_outage() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.set(Fault::Contended);
    let begun = Instant::now();
    fixture.record(0).await.expect("accepted");
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited < Duration::from_millis(1_200), "{waited:?}");
    assert!(fixture.grouped.is_down());
    fixture.store.set(None);
    pass(200).await;
    fixture.assert_recorded([0]).await;
    assert!(!fixture.grouped.is_down());
}

/// Later callers do not wait at all.
#[tokio::test(start_paused = true)]
async fn hanging_store_delays_callers_by_the_deadline() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone()))]);
    let begun = Instant::now();
    let mut answers = fixture.calls([0]).await;
    pass(500).await;
    answers.extend(fixture.calls([1]).await);
    pass(400).await;
    assert!(waits(&answers) && !fixture.grouped.is_down());
    all_succeed(answers).await;
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited < Duration::from_millis(1_010), "{waited:?}");
    assert!(fixture.grouped.is_down());
    for number in 2..5 {
        let begun = Instant::now();
        fixture.record(number).await.expect("accepted");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
    pass(10_000).await;
    fixture.assert_recorded([]).await;
    fixture.hold.release();
    settle().await;
    fixture.assert_recorded(0..5).await;
    assert!(!fixture.grouped.is_down());
    assert_eq!(sizes(&fixture.store), [1, 4]);
}

/// One of several committers may lag behind.
#[tokio::test(start_paused = true)]
async fn late_retry_is_no_outage_if_others_succeed() {
    let fixture =
        Fixture::new(GroupCommitOptions { commits: Some(few(2)), ..GroupCommitOptions::default() }).await;
    fixture.store.set(Fault::Unavailable);
    fixture.record(0).await.expect("accepted");
    pass(1_540).await;
    assert!(fixture.grouped.is_down());
    // The other committer is faster.
    fixture.store.script("record", [None, Some(Fault::Hold(fixture.hold.clone()))]);
    fixture.record(1).await.expect("accepted");
    settle().await;
    fixture.assert_recorded([1]).await;
    // The deadline since the first failure has passed, the deadline of this attempt has not.
    pass(1_000).await;
    assert_eq!((fixture.store.in_progress(), fixture.grouped.is_down()), (1, false));
    fixture.hold.release();
    settle().await;
    fixture.assert_recorded([1, 0]).await;
}

/// A store may block its thread, for example on a full disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_store_delays_callers_by_the_deadline() {
    let options = GroupCommitOptions { deadline: Duration::from_millis(20), ..GroupCommitOptions::default() };
    let fixture = Fixture::new(options).await;
    let barrier = Arc::new(std::sync::Barrier::new(2));
    fixture.store.script("record", [Some(Fault::Block(Arc::clone(&barrier)))]);
    let answers = timeout(Duration::from_secs(30), async {
        fixture.record(1).await.expect("accepted, since the store is down");
        fixture.record(2).await.expect("accepted at once");
    });
    let answers = answers.await;
    let is_down = fixture.grouped.is_down();
    // Released even if the assertion fails, so that the runtime can end.
    tokio::task::spawn_blocking(move || barrier.wait()).await.expect("released");
    answers.expect("accepted before the store continues");
    assert!(is_down);
    fixture.grouped.close().await;
    assert!(!fixture.grouped.is_down());
    fixture.assert_recorded(1..=2).await;
}
