//! Cases for jobs whose licenses a search finds.

use license_core::bulk::{BulkJobStatus, CreatedJob, NewBulkJob};

use super::jobs::{get, job_id, new_job};
use crate::conformance::audit::entries::all_entries;
use crate::conformance::prelude::*;

fn search(filter: SearchFilter, expect: u64) -> JobLicenses {
    JobLicenses::Search { filter, expect }
}

fn of_plan(plan: &str) -> SearchFilter {
    SearchFilter { plan: Some(plan.to_owned()), ..SearchFilter::default() }
}

/// Returns the licenses of the only running job.
async fn licenses_of_job(store: &Handle) -> Vec<LicenseId> {
    ok!(store.bulk_jobs().next_job_step(None, 100)).expect("a job runs").licenses
}

/// A job has the licenses that matched when it was created, whatever happens to them later.
pub async fn licenses_of_a_search_are_fixed(Handles { store, other, .. }: &Handles) {
    let mut small = Vec::new();
    for plan in ["small", "open", "small", "small"] {
        let license = issue(store, &spec(plan)).await;
        if plan == "small" {
            small.push(license.id);
        }
    }
    let new = new_job(1);
    let created = ok!(store.bulk_jobs().create_job(&new, &search(of_plan("small"), 3)));
    assert_eq!(created, CreatedJob::New);
    issue(store, &spec("small")).await;
    let away = LicensePatch { plan: Some("open".to_owned()), ..LicensePatch::default() };
    ask(store, &small[0], &Command::Change(away)).await.expect("allowed");
    small.sort();
    assert_eq!(licenses_of_job(other).await, small);
    assert_eq!(get(other, 1).await.progress.open, 3);
    if let Some(audit) = &store.audit {
        assert_eq!(all_entries(&**audit).await, [new.audit(3).expect("an entry")]);
    }
}

/// Every filter of a search finds the licenses of a job, also those of a license that holds several names.
pub async fn every_filter_finds_the_licenses_of_a_job(Handles { store, .. }: &Handles) {
    let first = LicenseSpec {
        domains: vec![domain("shop.example.com"), domain("*.example.com")],
        external_id: ExternalId::parse("sub_1").ok(),
        metadata: Metadata::from_json(json!({ "order": "A-17" })).expect("metadata"),
        expires_at: Some(Expiry::At(at(500))),
        ..LicenseSpec::new("open", email("ada@example.com"))
    };
    let first = issue(store, &first).await;
    issue(store, &LicenseSpec::without_customer("small")).await;
    ask(store, &first.id, &activate(None, Some("dev'ice"))).await.expect("free");
    let all = SearchFilter::default();
    let until = |seconds| SearchRange { from: None, before: Some(at(seconds)) };
    let filters = [
        SearchFilter { key: Some(first.key_digest), ..all.clone() },
        SearchFilter { customer_email: Some(email("ada@example.com")), ..all.clone() },
        SearchFilter { email_prefix: EmailPrefix::parse("ad").ok(), ..all.clone() },
        SearchFilter { email_domain: EmailDomain::parse("example.com").ok(), ..all.clone() },
        SearchFilter { domain: Some(domain("shop.example.com")), ..all.clone() },
        SearchFilter { fingerprint: Some(device("dev'ice")), ..all.clone() },
        SearchFilter { external_id: ExternalId::parse("sub_1").ok(), ..all.clone() },
        SearchFilter { metadata: [("order".to_owned(), "A-17".to_owned())].into(), ..all.clone() },
        of_plan("open"),
        SearchFilter { status: Some(Status::Expired), ..all.clone() },
        SearchFilter { expires: until(501), ..all.clone() },
        SearchFilter { never_activated: Some(false), ..all.clone() },
        SearchFilter { at_limit: Some(false), status: Some(Status::Expired), ..all.clone() },
        SearchFilter {
            product: Some("default".to_owned()),
            external_id: ExternalId::parse("sub_1").ok(),
            ..all
        },
    ];
    for (number, filter) in (1..).zip(filters) {
        let new = NewBulkJob { created_at: at(1_000), ..new_job(number) };
        let licenses = search(filter, 1);
        let created = ok!(store.bulk_jobs().create_job(&new, &licenses));
        assert_eq!(created, CreatedJob::New, "{licenses:?}");
        assert_eq!(licenses_of_job(store).await, [first.id.clone()], "{licenses:?}");
        ok!(store.bulk_jobs().cancel_job(&new.id, &new.by.expect("an actor"), at(1_001)));
    }
    let none = SearchFilter { plan: Some("a\0b".to_owned()), ..SearchFilter::default() };
    let created = ok!(store.bulk_jobs().create_job(&new_job(99), &search(none, 1)));
    assert_eq!(created, CreatedJob::CountDiffers { matched: 0 });
}

/// If the number of licenses is not the expected one, nothing is written. A repeated request gets its job, even
/// if the number is another one by now.
pub async fn other_number_than_expected_creates_no_job(Handles { store, other, .. }: &Handles) {
    for _ in 0..3 {
        issue(store, &spec("small")).await;
    }
    let asked = Idempotency { key: IdempotencyDigest::from_bytes([1; 32]), request: [2; 32] };
    let new = NewBulkJob { idempotency: Some(asked), ..new_job(1) };
    for expect in [0, 2, 4] {
        let created = ok!(store.bulk_jobs().create_job(&new, &search(of_plan("small"), expect)));
        assert_eq!(created, CreatedJob::CountDiffers { matched: 3 }, "{expect} are expected");
        assert_eq!(ok!(other.bulk_jobs().get_job(&new.id)), None);
    }
    if let Some(audit) = &store.audit {
        assert_eq!(all_entries(&**audit).await, []);
    }
    let licenses = search(of_plan("small"), 3);
    assert_eq!(ok!(store.bulk_jobs().create_job(&new, &licenses)), CreatedJob::New);
    issue(store, &spec("small")).await;
    let again = NewBulkJob { id: job_id(2), ..new.clone() };
    assert_eq!(ok!(other.bulk_jobs().create_job(&again, &licenses)), CreatedJob::Existing(new.id));
    let none = NewBulkJob { idempotency: None, ..new_job(3) };
    let created = ok!(store.bulk_jobs().create_job(&none, &search(of_plan("unknown"), 0)));
    assert_eq!(created, CreatedJob::New);
    assert_eq!(get(other, 3).await.status, BulkJobStatus::Completed);
}

/// While other callers issue licenses, each job has exactly the number of licenses that its caller expects.
pub async fn racing_jobs_have_the_expected_number(Handles { both: handles, .. }: &Handles) {
    let created = race(handles, 12, |task, store| async move {
        if task % 3 == 0 {
            for _ in 0..6 {
                issue(&store, &spec("small")).await;
            }
            return Vec::new();
        }
        let mut created = Vec::new();
        // Another license may be issued between the count and the job.
        while created.len() < 3 {
            let expect = ok!(store.search().count_matches(&of_plan("small"), at(60), 1_000));
            let number = u32::try_from(task * 100 + created.len()).expect("few");
            let licenses = search(of_plan("small"), expect);
            if ok!(store.bulk_jobs().create_job(&new_job(number), &licenses)) == CreatedJob::New {
                created.push((number, expect));
            }
        }
        created
    })
    .await;
    let created: Vec<_> = created.into_iter().flatten().collect();
    for (number, expect) in created {
        let total = get(&handles[0], number).await.progress.total();
        assert_eq!(total, expect, "a job has {total} licenses, and its caller expected {expect}");
    }
}
