//! Cases for the methods of `BulkJobStore`.

use license_core::bulk::{
    BulkAction, BulkJob, BulkJobId, BulkJobStatus, BulkJobStep, BulkProgress, CreatedJob, LicenseOutcome,
    NewBulkJob,
};

use crate::conformance::audit::entries::{actor, all_entries};
use crate::conformance::prelude::*;

pub(super) const DONE: LicenseOutcome = LicenseOutcome::Done;
pub(super) const DENIED: LicenseOutcome = LicenseOutcome::Denied(DenialCode::LicenseRevoked);

pub(super) fn job_id(number: u32) -> BulkJobId {
    BulkJobId::parse(&format!("job_{number:03}")).expect("an id")
}

pub(super) fn license(number: u32) -> LicenseId {
    LicenseId::parse(&format!("lic_{number:03}")).expect("an id")
}

/// A job with this number.
pub(super) fn new_job(number: u32) -> NewBulkJob {
    NewBulkJob {
        id: job_id(number),
        action: BulkAction::MovePlan { plan: "small".to_owned() },
        created_at: at(number.into()),
        by: Some(actor()),
        idempotency: None,
        reason: Reason::parse("chargeback of 'June' ü").ok(),
    }
}

/// The licenses 1 to `count`. The store does not check whether they exist.
fn ids(count: u32) -> JobLicenses {
    JobLicenses::Ids((1..=count).map(license).collect())
}

pub(super) async fn create(store: &Handle, number: u32, licenses: u32) -> NewBulkJob {
    let new = new_job(number);
    assert_eq!(ok!(store.bulk_jobs().create_job(&new, &ids(licenses))), CreatedJob::New);
    new
}

pub(super) async fn get(store: &Handle, number: u32) -> BulkJob {
    ok!(store.bulk_jobs().get_job(&job_id(number))).expect("the job exists")
}

pub(super) async fn settle(store: &Handle, job: u32, outcomes: &[(u32, LicenseOutcome)], seconds: i64) {
    let outcomes: Vec<_> = outcomes.iter().map(|(number, outcome)| (license(*number), *outcome)).collect();
    ok!(store.bulk_jobs().settle_job_step(&job_id(job), &outcomes, at(seconds)));
}

pub(super) fn progress<const N: usize>(open: u64, outcomes: [(LicenseOutcome, u64); N]) -> BulkProgress {
    BulkProgress { open, outcomes: outcomes.into() }
}

/// Every handle reads each field of a job, and its next licenses. A job without licenses is completed.
pub async fn job_is_stored_unchanged(Handles { store, other, .. }: &Handles) {
    let new = create(store, 1, 3).await;
    let NewBulkJob { id, action, created_at, by, idempotency: _, reason } = new.clone();
    let expected = BulkJob {
        id: id.clone(),
        action: action.clone(),
        status: BulkJobStatus::Running,
        created_at,
        finished_at: None,
        by: by.clone(),
        progress: progress(3, []),
        reason: reason.clone(),
    };
    for store in [store, other] {
        assert_eq!(get(store, 1).await, expected);
        let step = ok!(store.bulk_jobs().next_job_step(None, 2));
        let licenses = vec![license(1), license(2)];
        let (id, action, by, reason) = (id.clone(), action.clone(), by.clone(), reason.clone());
        assert_eq!(step, Some(BulkJobStep { id, action, by, licenses, reason }));
    }
    assert_eq!(ok!(store.bulk_jobs().get_job(&job_id(9))), None);
    if let Some(audit) = &store.audit {
        assert_eq!(all_entries(&**audit).await, [new.audit(3).expect("an entry")]);
    }
    let empty = NewBulkJob { by: None, reason: None, ..new_job(2) };
    ok!(store.bulk_jobs().create_job(&empty, &ids(0)));
    let empty = get(store, 2).await;
    let finished = (empty.status, empty.finished_at, empty.by, empty.progress.total());
    assert_eq!(finished, (BulkJobStatus::Completed, Some(at(2)), None, 0));
    assert_eq!(empty.reason, None);
}

/// An id is used once.
pub async fn taken_job_id_is_rejected(Handles { store, .. }: &Handles) {
    create(store, 1, 3).await;
    assert_error!(store.bulk_jobs().create_job(&new_job(1), &ids(2)).await, AlreadyExists);
    assert_eq!(get(store, 1).await.progress, progress(3, []));
}

/// Of racing requests with one idempotency key, one creates its job, and the others get that job. Another
/// request with the key creates none.
pub async fn one_job_per_idempotency_key_wins(Handles { both: handles, .. }: &Handles) {
    let asked = Idempotency { key: IdempotencyDigest::from_bytes([1; 32]), request: [2; 32] };
    let created = race(handles, 12, |task, store| async move {
        let number = u32::try_from(task).expect("few");
        let new = NewBulkJob { idempotency: Some(asked), ..new_job(number) };
        (new.id.clone(), ok!(store.bulk_jobs().create_job(&new, &ids(3))))
    })
    .await;
    let new: Vec<_> = created.iter().filter(|(_, created)| *created == CreatedJob::New).collect();
    assert_eq!(new.len(), 1, "{created:?} were created with one key");
    let first = CreatedJob::Existing(new[0].0.clone());
    assert!(created.iter().all(|(_, created)| *created == CreatedJob::New || *created == first));
    let other = Idempotency { request: [3; 32], ..asked };
    let new = NewBulkJob { idempotency: Some(other), ..new_job(99) };
    assert_eq!(ok!(handles[0].bulk_jobs().create_job(&new, &ids(3))), CreatedJob::KeyReused);
    assert_eq!(ok!(handles[1].bulk_jobs().get_job(&job_id(99))), None);
}

/// The first outcome of a license is kept, and the last license completes the job.
pub async fn first_outcome_is_kept(Handles { store, other, .. }: &Handles) {
    create(store, 1, 3).await;
    settle(store, 1, &[(1, DONE), (2, DENIED), (7, DONE)], 10).await;
    assert_eq!(get(other, 1).await.progress, progress(1, [(DONE, 1), (DENIED, 1)]));
    settle(other, 1, &[(1, DENIED), (2, DONE)], 20).await;
    assert_eq!(get(store, 1).await.progress, progress(1, [(DONE, 1), (DENIED, 1)]));
    assert_eq!(get(store, 1).await.status, BulkJobStatus::Running);
    settle(store, 1, &[(3, LicenseOutcome::NotFound)], 30).await;
    let job = get(other, 1).await;
    assert_eq!((job.status, job.finished_at), (BulkJobStatus::Completed, Some(at(30))));
    assert_eq!(job.progress, progress(0, [(DONE, 1), (DENIED, 1), (LicenseOutcome::NotFound, 1)]));
    settle(store, 1, &[(3, DONE)], 40).await;
    assert_eq!(get(store, 1).await, job);
    assert_eq!(ok!(store.bulk_jobs().next_job_step(None, 5)), None);
}

/// Nodes that run the same steps at once complete the job, and each license has one outcome.
pub async fn racing_steps_complete_the_job_once(Handles { both: handles, .. }: &Handles) {
    create(&handles[0], 1, 40).await;
    race(handles, 8, |_, store| async move {
        while let Some(step) = ok!(store.bulk_jobs().next_job_step(None, 3)) {
            let outcomes: Vec<_> = step.licenses.into_iter().map(|id| (id, DONE)).collect();
            ok!(store.bulk_jobs().settle_job_step(&step.id, &outcomes, at(50)));
        }
    })
    .await;
    let job = get(&handles[1], 1).await;
    assert_eq!((job.status, job.progress), (BulkJobStatus::Completed, progress(0, [(DONE, 40)])));
}

/// A long job does not delay a later one.
pub async fn jobs_take_turns(Handles { store, .. }: &Handles) {
    for number in [1, 2, 3] {
        create(store, number, 2).await;
    }
    settle(store, 2, &[(1, DONE), (2, DONE)], 10).await;
    let mut after = None;
    let mut order = Vec::new();
    for _ in 0..4 {
        let step = ok!(store.bulk_jobs().next_job_step(after, 1)).expect("two jobs run");
        assert_eq!(step.licenses, [license(1)]);
        after = Some(step.id.clone());
        order.push(step.id);
    }
    assert_eq!(order, [1, 3, 1, 3].map(job_id));
}

/// A canceled job has no further steps. Outcomes of a step that was running are stored. A finished job is not
/// canceled.
pub async fn canceled_job_stops(Handles { store, other, .. }: &Handles) {
    create(store, 1, 3).await;
    settle(store, 1, &[(1, DONE)], 10).await;
    let canceled = ok!(store.bulk_jobs().cancel_job(&job_id(1), &actor(), at(20))).expect("the job exists");
    assert_eq!((canceled.status, canceled.finished_at), (BulkJobStatus::Canceled, Some(at(20))));
    assert_eq!(get(other, 1).await, canceled);
    assert_eq!(ok!(other.bulk_jobs().next_job_step(None, 5)), None);
    settle(other, 1, &[(2, DONE), (3, DONE)], 30).await;
    let job = get(store, 1).await;
    assert_eq!((job.status, job.finished_at), (BulkJobStatus::Canceled, Some(at(20))));
    assert_eq!(job.progress, progress(0, [(DONE, 3)]));
    assert_eq!(ok!(other.bulk_jobs().cancel_job(&job_id(1), &actor(), at(40))), Some(job));
    assert_eq!(ok!(store.bulk_jobs().cancel_job(&job_id(9), &actor(), at(40))), None);
    if let Some(audit) = &store.audit {
        let actions: Vec<_> = all_entries(&**audit).await.into_iter().map(|entry| entry.action).collect();
        assert_eq!(actions, ["job.cancel", "job.create"], "newest first");
    }
}

/// Finished jobs are deleted with their licenses, the first finished one first. Running jobs are kept.
pub async fn finished_jobs_are_pruned_in_batches(Handles { store, other, .. }: &Handles) {
    for number in [1, 2, 3] {
        create(store, number, 3).await;
    }
    settle(store, 2, &[(1, DONE), (2, DONE), (3, DONE)], 10).await;
    settle(store, 1, &[(1, DONE), (2, DONE), (3, DONE)], 20).await;
    assert_eq!(ok!(store.bulk_jobs().prune_jobs(at(10), 2)), 0, "nothing finished before");
    for deleted in [2, 2, 0] {
        assert_eq!(ok!(store.bulk_jobs().prune_jobs(at(20), 2)), deleted);
    }
    assert_eq!(ok!(other.bulk_jobs().get_job(&job_id(2))), None);
    assert_eq!(get(other, 1).await.progress, progress(0, [(DONE, 3)]));
    assert_eq!(get(other, 3).await.progress, progress(3, []));
}
