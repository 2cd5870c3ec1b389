//! The end of a group commit.

use super::*;

/// Calls after the close are forwarded one by one.
#[tokio::test(start_paused = true)]
async fn close_writes_queued_validations() {
    for options in [GroupCommitOptions::default(), buffered()] {
        let fixture =
            Fixture::new(GroupCommitOptions { commits: Some(few(2)), batch: few(2), ..options }).await;
        fixture.store.script(
            "record",
            [Some(Fault::Hold(fixture.hold.clone())), Some(Fault::Hold(fixture.hold.clone()))],
        );
        let answers = fixture.calls(0..9).await;
        pass(100).await;
        assert_eq!(fixture.grouped.waiting(), 9);
        // The first caller gives up; the others wait for all.
        let given_up = timeout_at(Instant::now() + Duration::from_millis(10), fixture.grouped.close()).await;
        given_up.expect_err("not closed yet");
        let closing = [(), ()].map(|()| {
            let grouped = Arc::clone(&fixture.grouped);
            tokio::spawn(async move { grouped.close().await })
        });
        settle().await;
        assert!(closing.iter().all(|closing| !closing.is_finished()));
        fixture.hold.release();
        settle().await;
        assert!(closing.iter().all(|closing| !closing.is_finished()));
        fixture.hold.release();
        for closing in closing {
            closing.await.expect("no panic");
            assert_eq!(recorded(&fixture.store, &fixture.id).await.0, 9);
            assert_eq!(fixture.grouped.waiting(), 0);
        }
        all_succeed(answers).await;
        fixture.record(9).await.expect("recorded");
        assert_eq!(recorded(&fixture.store, &fixture.id).await.0, 10);
        let last = fixture.store.batches().pop().expect("a batch");
        assert_eq!((last.batch, numbers(&last)), (None, vec![9]));
        fixture.store.set(Fault::Unavailable);
        fixture.record(10).await.expect_err("not queued");
        fixture.grouped.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn drop_writes_queued_validations() {
    let options = GroupCommitOptions { commits: Some(few(3)), ..buffered() };
    let Fixture { store, grouped, id, .. } = Fixture::new(options).await;
    for number in 0..5 {
        grouped.record(&[validation(&id, number)], None).await.expect("accepted");
    }
    drop(grouped);
    pass(100).await;
    assert_eq!(recorded(&store, &id).await, (5, (0..5).collect()));
    // No task holds the store, not even an idle one.
    assert_eq!(Arc::strong_count(&store), 1);
}

#[tokio::test(start_paused = true)]
async fn close_of_empty_queue_returns_at_once() {
    let fixture =
        Fixture::new(GroupCommitOptions { commits: Some(few(3)), ..GroupCommitOptions::default() }).await;
    settle().await;
    let begun = Instant::now();
    timeout(Duration::from_secs(1), fixture.grouped.close()).await.expect("it ends");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// A caller that gives up can read the number of lost validations from `waiting`.
#[tokio::test(start_paused = true)]
async fn close_waits_until_store_answers() {
    let fixture =
        Fixture::new(GroupCommitOptions { commits: Some(few(2)), batch: few(2), ..keeping(100) }).await;
    fixture.store.set(Fault::Unavailable);
    for number in 0..5 {
        fixture.record(number).await.expect("accepted");
    }
    let grouped = Arc::clone(&fixture.grouped);
    let closing = tokio::spawn(async move { grouped.close().await });
    pass(60_000).await;
    assert!(!closing.is_finished());
    assert_eq!(fixture.grouped.waiting(), 5);
    fixture.record(5).await.expect_err("not queued");
    fixture.store.set(None);
    closing.await.expect("no panic");
    assert_eq!(fixture.grouped.waiting(), 0);
    let (count, mut numbers) = recorded(&fixture.store, &fixture.id).await;
    numbers.sort_unstable();
    assert_eq!((count, numbers), (5, (0..5).collect()));
}
