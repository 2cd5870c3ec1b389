//! Cases for lists of jobs and of their licenses.

use license_core::bulk::{BulkJobId, LicenseOutcome, RefusedLicense};

use super::jobs::{DENIED, DONE, create, get, job_id, license, settle};
use crate::conformance::audit::entries::actor;
use crate::conformance::prelude::*;

/// Each job is on one page, the last id first, with the progress that a caller of `get_job` reads.
pub async fn jobs_are_listed_newest_first(Handles { store, other, .. }: &Handles) {
    let first = PageRequest { after: None, limit: 2 };
    assert_eq!(ok!(store.bulk_jobs().list_jobs(&first)).items, []);
    for number in 1..=5 {
        create(store, number, 3).await;
    }
    settle(store, 2, &[(1, DONE), (2, DENIED), (3, DONE)], 10).await;
    settle(store, 3, &[(1, DONE)], 20).await;
    ok!(store.bulk_jobs().cancel_job(&job_id(3), &actor(), at(30)));
    settle(store, 3, &[(2, DENIED)], 40).await;
    settle(store, 4, &[(3, LicenseOutcome::Failed)], 50).await;
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let page = PageRequest { after, limit: 2 };
        let found = ok!(other.bulk_jobs().list_jobs(&page));
        listed.extend(found.items);
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    let ids: Vec<BulkJobId> = listed.iter().map(|job| job.id.clone()).collect();
    assert_eq!(ids, [5, 4, 3, 2, 1].map(job_id));
    for (number, job) in [5, 4, 3, 2, 1].into_iter().zip(listed) {
        assert_eq!(job, get(store, number).await);
    }
}

/// The licenses that did not get the action are listed, and no others, also of a job that runs.
pub async fn refused_licenses_are_listed_with_their_outcome(Handles { store, other, .. }: &Handles) {
    create(store, 1, 7).await;
    create(store, 2, 7).await;
    let outcomes = [
        (1, DONE),
        (2, DENIED),
        (3, LicenseOutcome::NotFound),
        (4, DONE),
        (5, LicenseOutcome::Failed),
        (6, DENIED),
    ];
    settle(store, 1, &outcomes, 10).await;
    settle(store, 2, &[(7, DENIED)], 10).await;
    let refused = |number, outcome| RefusedLicense { id: license(number), outcome };
    let expected = [
        refused(2, DENIED),
        refused(3, LicenseOutcome::NotFound),
        refused(5, LicenseOutcome::Failed),
        refused(6, DENIED),
    ];
    let (mut after, mut listed) = (None, Vec::new());
    for _ in 0..2 {
        let found = ok!(other.bulk_jobs().list_refused(&job_id(1), &PageRequest { after, limit: 2 }));
        listed.extend(found.items);
        after = found.next;
    }
    assert_eq!((listed.as_slice(), after), (&expected[..], None));
    settle(store, 1, &[(7, DONE)], 20).await;
    let all = PageRequest { after: None, limit: 10 };
    assert_eq!(ok!(store.bulk_jobs().list_refused(&job_id(1), &all)).items, expected);
    assert_eq!(ok!(store.bulk_jobs().list_refused(&job_id(9), &all)).items, []);
}
