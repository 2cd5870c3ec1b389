//! Batches that fail, and batches whose answer is lost.

use super::*;

/// A batch whose answer was lost is sent again with the same number.
#[tokio::test(start_paused = true)]
async fn lost_answer_is_counted_once() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Unavailable.after()), Some(Fault::Unavailable.after())]);
    fixture.record(0).await.expect("accepted");
    pass(300).await;
    fixture.record(1).await.expect("accepted");
    fixture.assert_recorded([0, 1]).await;
    let batches = batches(&fixture.store);
    let first = batches[0];
    assert_eq!(batches, [first, first, first, BatchId { number: first.number + 1, ..first }]);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn lost_answer_is_counted_once_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = crate::sql::sqlite::SqliteStore::open(folder.path().join("licenses.db")).await;
    let store = Arc::new(FaultStore::new(database.expect("a database")));
    let new = license(1);
    store.create(&new).await.expect("create");
    let id = new.license.id;
    let grouped = in_front(&store, GroupCommitOptions::default());
    store.script("record", [Some(Fault::Unavailable.after()), Some(Fault::Unavailable.after())]);
    for number in 0..4 {
        grouped.record(&[validation(&id, number)], None).await.expect("accepted");
    }
    grouped.drain().await;
    assert_eq!(recorded(&store, &id).await, (4, vec![0, 1, 2, 3]));
    assert_eq!(store.remaining(), 0);
}

#[tokio::test(start_paused = true)]
async fn contended_batch_is_retried_while_callers_wait() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Contended), Some(Fault::Contended), Some(Fault::Contended)]);
    let answer = fixture.calls([0]).await;
    pass(250).await;
    assert!(waits(&answer) && !fixture.grouped.is_down());
    fixture.assert_recorded([]).await;
    all_succeed(answer).await;
    fixture.assert_recorded([0]).await;
    let batches = batches(&fixture.store);
    assert_eq!(batches, [batches[0]; 4]);
}

/// A cut connection may never answer. The batch is sent again with the same number.
#[tokio::test(start_paused = true)]
async fn endless_attempt_is_aborted_and_repeated() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone()))]);
    fixture.record(0).await.expect("accepted");
    pass(60_000).await;
    fixture.assert_recorded([0]).await;
    let batches = batches(&fixture.store);
    assert_eq!(batches, [batches[0]; 2]);
    assert_eq!((fixture.store.in_progress(), fixture.grouped.is_down()), (0, false));
}

/// Other batches are recorded.
#[tokio::test(start_paused = true)]
async fn corrupt_row_fails_every_caller_of_its_batch() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone())), Some(Fault::Corrupt)]);
    let first = fixture.calls([0]).await;
    let second = fixture.calls(1..=3).await;
    fixture.hold.release();
    all_succeed(first).await;
    for result in results(second).await {
        let error = result.expect_err("corrupt");
        assert!(
            matches!(&error, StoreError::Corrupt { column: "plan", .. }) && !error.is_retryable(),
            "{error:?}"
        );
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert_eq!(cause, r#"licenses.plan of "lic_broken" cannot be read"#);
    }
    fixture.record(4).await.expect("recorded");
    fixture.assert_recorded([0, 4]).await;
    assert_eq!((fixture.grouped.is_down(), fixture.grouped.waiting()), (false, 0));
}

#[tokio::test(start_paused = true)]
async fn panic_fails_one_batch() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Hold(fixture.hold.clone())), Some(Fault::Panic)]);
    let first = fixture.calls([0]).await;
    let second = fixture.calls([1, 2]).await;
    fixture.hold.release();
    all_succeed(first).await;
    for result in results(second).await {
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
    }
    fixture.record(3).await.expect("recorded");
    fixture.assert_recorded([0, 3]).await;
}

#[tokio::test(start_paused = true)]
async fn failed_buffered_batch_is_counted_as_dropped() {
    let (log, _guard) = Log::capture();
    let fixture = Fixture::new(buffered()).await;
    fixture.store.script("record", [Some(Fault::Corrupt)]);
    fixture.record(0).await.expect("accepted");
    fixture.record(1).await.expect("accepted");
    pass(100).await;
    assert_eq!((fixture.counter("commit_dropped"), fixture.grouped.waiting()), (2, 0));
    let lines = log.lines("that were answered cannot be recorded");
    assert!(lines.len() == 1 && lines[0].contains("lost=2"), "{lines:?}");
    fixture.record(2).await.expect("accepted");
    pass(100).await;
    fixture.assert_recorded([2]).await;
}

#[tokio::test(start_paused = true)]
async fn store_that_rejects_a_batch_is_not_down() {
    let fixture = Fixture::new(GroupCommitOptions::default()).await;
    fixture.store.script("record", [Some(Fault::Unavailable), Some(Fault::Corrupt)]);
    fixture.record(0).await.expect("accepted");
    assert!(fixture.grouped.is_down());
    pass(200).await;
    assert!(!fixture.grouped.is_down());
    assert_eq!(fixture.counter("commit_dropped"), 1);
}
