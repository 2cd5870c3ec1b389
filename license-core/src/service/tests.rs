//! What the service asks of a store, and what it must not.

use std::sync::Arc;

use mockall::predicate::{always, eq};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::activation::Binding;
use crate::clock::ManualClock;
use crate::customer::CustomerEmail;
use crate::key::{DataKeys, DataKeysError};
use crate::license::{Counters, License, LicenseState};
use crate::plan::{Limit, Plan};
use crate::store::{MockLicenseStore, Source};
use crate::verdict::{DenialCode, Standing};

const KEY: &str = "TO-7K3F-M2QA-ZZ81-94FY";

fn now() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn secret() -> Secret {
    Secret::from_hex(&"5a".repeat(32)).unwrap()
}

fn data_keys() -> DataKeys {
    DataKeys::generate(&mut ChaCha20Rng::seed_from_u64(3)).unwrap()
}

/// The value of the setting that holds the data keys.
fn sealed_data_keys() -> Vec<u8> {
    data_keys().seal(&secret(), &mut ChaCha20Rng::seed_from_u64(4)).unwrap()
}

/// A mock that any service can start on.
fn store() -> MockLicenseStore {
    let mut store = MockLicenseStore::new();
    store.expect_keep_first().with(eq(DataKeys::SETTING), always()).returning(|_, _| Ok(sealed_data_keys()));
    store.expect_plans_in_use().returning(|| Ok(vec!["starter".to_owned()]));
    store
}

async fn service(store: MockLicenseStore) -> LicenseService {
    let rng = ChaCha20Rng::seed_from_u64(1);
    LicenseService::builder(Arc::new(store), &secret(), ManualClock::at(now()), rng).build().await.unwrap()
}

fn license() -> License {
    let vault = KeyVault::new(&data_keys());
    let key = KeyFormat::default().parse(KEY).unwrap();
    let id = LicenseId::parse("lic_a1").unwrap();
    let sealed = vault.seal(&key, id.as_str(), &mut ChaCha20Rng::seed_from_u64(2)).unwrap();
    let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").unwrap());
    let new = create(id, (vault.digest(&key), sealed), &spec, None, &PlanCatalog::standard(), now()).unwrap();
    License { activated_at: Some(now()), ..new.license }
}

fn finds(store: &mut MockLicenseStore, license: License, domains: &[&str]) {
    let bindings: Vec<_> =
        domains.iter().map(|text| Binding::Domain(DomainName::parse(text).unwrap())).collect();
    let standing = Standing::new(Arc::new(license), bindings);
    store.expect_recall().returning(|_, _, _| None);
    store.expect_license_by_key().times(1).returning(move |digest, _, asked| {
        assert_eq!(asked, now());
        Ok((*digest == standing.license().key_digest).then(|| standing.clone()))
    });
}

fn records(store: &mut MockLicenseStore, outcome: ValidationOutcome) {
    store
        .expect_record()
        .times(1)
        .withf(move |batch, _| batch.len() == 1 && batch[0].outcome == outcome && batch[0].at == now())
        .returning(|_, _| Ok(()));
}

fn down() -> StoreError {
    StoreError::Unavailable { source: Source::from("down") }
}

#[tokio::test]
async fn a_malformed_request_touches_no_store() {
    let service = service(store()).await;
    let of = |key, domain, fingerprint| ValidateRequest { key, domain, fingerprint, ..Default::default() };
    for (request, expected) in [
        (of("TO-7K3F-M2QA-ZZ81-94FZ", None, None), "Key(Check"),
        (of("", None, None), "Key(Length"),
        (of(KEY, Some("a..b"), None), "Domain("),
        (of(KEY, Some("*.example.com"), None), "Domain("),
        (of(KEY, None, Some("")), "Fingerprint("),
        (ValidateRequest { key: KEY, client: Some("a/"), ..Default::default() }, "Client("),
    ] {
        let error = format!("{:?}", service.validate(&request).await.unwrap_err());
        assert!(error.starts_with(expected), "{error}");
    }
}

/// The record says where it came from, which software asked, and which wildcard covered the domain where no activation has
/// its very name.
#[tokio::test]
async fn a_record_tells_what_was_told() {
    let place = Place::of(crate::place::Country::parse("DE").unwrap());
    for (bound, asked, covered_by) in [
        (&["*.example.com", "a.example.com"][..], Some("a.example.com"), None),
        (&["a.example.com", "*.example.com"], Some("a.example.com"), None),
        (&["b.example.com", "*.example.com"], Some("a.example.com"), Some("*.example.com")),
        (&["*.example.com"], None, None),
        (&["*.example.com"], Some("localhost"), None),
    ] {
        let mut store = store();
        let standing = Standing::new(
            Arc::new(license()),
            bound
                .iter()
                .map(|text| Binding::Domain(DomainName::from_stored(text).unwrap()))
                .collect::<Vec<_>>(),
        );
        store.expect_recall().returning(move |_, _, _| Some(standing.clone()));
        let expected = (Some(place.clone()), Client::parse("editor/2").ok());
        let covering = covered_by.map(|text| DomainName::from_stored(text).unwrap());
        store
            .expect_record()
            .times(1)
            .withf(move |batch, _| {
                let [Validation { place, client, covered_by, .. }] = batch else { return false };
                (place, client) == (&expected.0, &expected.1) && *covered_by == covering
            })
            .returning(|_, _| Ok(()));
        let request = ValidateRequest {
            key: KEY,
            domain: asked,
            client: Some("editor/2"),
            place: Some(&place),
            ..Default::default()
        };
        assert!(service(store).await.validate(&request).await.unwrap().is_valid(), "{bound:?} {asked:?}");
    }
}

#[tokio::test]
async fn an_unknown_key_is_not_found_and_not_recorded() {
    let mut store = store();
    store.expect_recall().times(1).returning(|_, _, _| None);
    store.expect_license_by_key().times(1).returning(|_, _, _| Ok(None));
    let verdict = service(store).await.validate(&ValidateRequest { key: KEY, ..Default::default() }).await;
    assert_eq!(verdict.unwrap(), Verdict::NotFound);
}

#[tokio::test]
async fn a_settled_verdict_asks_no_command() {
    let mut store = store();
    finds(&mut store, license(), &["example.com"]);
    records(&mut store, ValidationOutcome::Valid);
    let request = ValidateRequest {
        key: " to 7k3f m2qa zz81 94fy",
        domain: Some("https://Example.com/x"),
        ..Default::default()
    };
    let verdict = service(store).await.validate(&request).await.unwrap();
    let Verdict::Valid(valid) = verdict else { panic!("{verdict:?}") };
    assert_eq!((valid.plan(), valid.features().len()), ("starter", 2));
}

#[tokio::test]
async fn what_is_remembered_is_not_asked_for() {
    let mut store = store();
    store.expect_recall().times(1).returning(|_, _, _| Some(Standing::new(Arc::new(license()), [])));
    records(&mut store, ValidationOutcome::Valid);
    let verdict = service(store).await.validate(&ValidateRequest { key: KEY, ..Default::default() }).await;
    assert!(verdict.unwrap().is_valid());
}

#[tokio::test]
async fn a_denied_verdict_asks_no_command_and_is_recorded() {
    for (state, code) in [
        (LicenseState::Suspended, DenialCode::LicenseSuspended),
        (LicenseState::Revoked, DenialCode::LicenseRevoked),
    ] {
        let mut store = store();
        finds(&mut store, License { state, ..license() }, &[]);
        records(&mut store, ValidationOutcome::Denied(code));
        let request = ValidateRequest {
            key: KEY,
            domain: Some("new.com"),
            fingerprint: Some("d"),
            ..Default::default()
        };
        let verdict = service(store).await.validate(&request).await.unwrap();
        assert!(matches!(verdict, Verdict::Denied(denial) if denial.code() == code));
    }
}

#[tokio::test]
async fn a_new_domain_and_device_are_one_command_and_its_word_counts() {
    for granted in [true, false] {
        let mut store = store();
        finds(&mut store, license(), &[]);
        store
            .expect_execute()
            .times(1)
            .withf(|id, command, context| {
                id.as_str() == "lic_a1"
                    && matches!(command, Command::Activate(Claim { domain: Some(_), fingerprint: Some(_) }))
                    && context.now == now()
            })
            .returning(move |_, _, _| {
                let full = Denial::DeviceLimitReached { used: 2, limit: Limit::AtMost(2) };
                Ok(if granted { Outcome::Done(Arc::new(license())) } else { Outcome::Denied(full) })
            });
        let denied = ValidationOutcome::Denied(DenialCode::DeviceLimitReached);
        records(&mut store, if granted { ValidationOutcome::Valid } else { denied });
        let request = ValidateRequest {
            key: KEY,
            domain: Some("new.com"),
            fingerprint: Some("d"),
            ..Default::default()
        };
        assert_eq!(service(store).await.validate(&request).await.unwrap().is_valid(), granted);
    }
}

#[tokio::test]
async fn what_is_not_recorded_is_not_answered() {
    let mut store = store();
    finds(&mut store, license(), &[]);
    store.expect_record().times(1).returning(|_, _| Err(down()));
    let result = service(store).await.validate(&ValidateRequest { key: KEY, ..Default::default() }).await;
    assert!(matches!(result, Err(ValidateError::Store(error)) if error.is_retryable()));
}

#[tokio::test]
async fn a_license_of_an_unknown_plan_is_a_fault_not_an_answer() {
    let mut store = store();
    finds(&mut store, License { plan: "gone".to_owned(), ..license() }, &[]);
    let result = service(store).await.validate(&ValidateRequest { key: KEY, ..Default::default() }).await;
    assert!(matches!(result, Err(ValidateError::PlanUnknown { plan, .. }) if plan == "gone"));
}

#[tokio::test]
async fn a_taken_key_is_drawn_again_a_few_times() {
    for (taken, created) in [(2, true), (3, false)] {
        let mut store = store();
        let mut sequence = mockall::Sequence::new();
        let error = |_: &_| Err(StoreError::AlreadyExists { what: "the license key" });
        store.expect_create().times(taken).in_sequence(&mut sequence).returning(error);
        if created {
            store.expect_create().times(1).in_sequence(&mut sequence).returning(|_| Ok(Created::New));
            store.expect_license().times(1).returning(|_| Err(down()));
        }
        let spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").unwrap());
        let error = service(store).await.issue(&spec, None).await.unwrap_err();
        let expected = if created { "Unavailable" } else { "AlreadyExists" };
        assert!(format!("{error:?}").contains(expected), "{error:?}");
    }
}

#[tokio::test]
async fn a_repeated_request_is_answered_also_where_it_would_be_denied_by_now() {
    let mut spec = LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").unwrap());
    spec.expires_at = Some(crate::license::Expiry::At(now() - chrono::TimeDelta::days(1)));
    let key = || Some(IdempotencyKey::parse("order-1").unwrap());
    for (found, expected) in
        [(Some(Created::Before(LicenseId::parse("lic_a1").unwrap())), "lic_a1"), (None, "Denied(Expired")]
    {
        let mut store = store();
        let request = spec.digest();
        store
            .expect_created()
            .times(1)
            .withf(move |asked| asked.request == request)
            .return_once(|_| Ok(found));
        store.expect_license().returning(|id| Err(StoreError::NotFound { id: id.clone() }));
        let error = format!("{:?}", service(store).await.issue(&spec, key()).await.unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_key_comes_back_to_its_owner_and_is_nowhere_else() {
    let mut store = store();
    let kept = license();
    store.expect_license().returning(move |_| {
        let license = Arc::new(kept.clone());
        Ok(Some(LicenseDetail { license, counters: Counters::default(), domains: vec![], devices: vec![] }))
    });
    let service = service(store).await;
    let keyed = service.get(&LicenseId::parse("lic_a1").unwrap()).await.unwrap();
    assert_eq!(keyed.key.reveal(), KEY);
    let request = ValidateRequest { key: KEY, ..Default::default() };
    for shown in [format!("{keyed:?}"), format!("{request:?}"), format!("{service:?}")] {
        assert!(!shown.contains("7K3F") && !shown.contains("M2QA") && !shown.contains("ZZ81"), "{shown}");
    }
}

#[tokio::test]
async fn a_sealed_key_of_another_license_is_a_fault() {
    let mut store = store();
    let moved = License { id: LicenseId::parse("lic_b2").unwrap(), ..license() };
    store.expect_license().returning(move |_| {
        let license = Arc::new(moved.clone());
        Ok(Some(LicenseDetail { license, counters: Counters::default(), domains: vec![], devices: vec![] }))
    });
    let error = service(store).await.get(&LicenseId::parse("lic_b2").unwrap()).await.unwrap_err();
    assert!(matches!(error, ServiceError::SealedKey { .. }));
}

#[tokio::test]
async fn service_starts_only_if_secret_and_plans_fit() {
    let build = async |store: MockLicenseStore, plans: PlanCatalog| {
        let rng = ChaCha20Rng::seed_from_u64(1);
        let builder = LicenseService::builder(Arc::new(store), &secret(), ManualClock::at(now()), rng);
        builder.plans(plans).build().await
    };
    let other_secret = Secret::from_hex(&"5b".repeat(32)).unwrap();
    let other = data_keys().seal(&other_secret, &mut ChaCha20Rng::seed_from_u64(4)).unwrap();
    let damaged = sealed_data_keys()[1..].to_vec();
    for (stored, expected) in [(other, DataKeysError::WrongSecret), (damaged, DataKeysError::Damaged)] {
        let mut store = MockLicenseStore::new();
        store.expect_keep_first().times(1).return_once(move |_, _| Ok(stored));
        let error = build(store, PlanCatalog::standard()).await.unwrap_err();
        assert!(matches!(error, SetupError::DataKeys(found) if found == expected), "{error:?}");
    }
    let plans = PlanCatalog::new([Plan::new("large")]).unwrap();
    let error = build(store(), plans).await.unwrap_err();
    assert_eq!(error.to_string(), "licenses have the plan \"starter\", which is not in the catalog: add it");
    assert!(build(store(), PlanCatalog::standard()).await.is_ok());
}

/// A change is acknowledged after the validations that may have read the license before it.
#[tokio::test]
async fn a_revocation_waits_for_validations_that_run() {
    let mut store = store();
    let revoked = Arc::new(License { state: LicenseState::Revoked, ..license() });
    let shown = Arc::clone(&revoked);
    store.expect_execute().times(1).returning(move |_, _, _| Ok(Outcome::Done(Arc::clone(&revoked))));
    store.expect_license().returning(move |_| {
        let license = Arc::clone(&shown);
        Ok(Some(LicenseDetail { license, counters: Counters::default(), domains: vec![], devices: vec![] }))
    });
    let service = service(store).await;
    let id = LicenseId::parse("lic_a1").unwrap();
    let running = service.in_flight.begin();
    let mut revoke = std::pin::pin!(service.revoke(&id));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(revoke.as_mut().poll(&mut context).is_pending(), "one still runs");
    drop(running);
    assert_eq!(revoke.await.unwrap().detail.license.state, LicenseState::Revoked);
}

/// And a validation counts as running until its answer is there.
#[tokio::test]
async fn a_validation_runs_until_it_is_recorded() {
    let mut store = store();
    finds(&mut store, license(), &[]);
    let seen: Arc<std::sync::OnceLock<Arc<LicenseService>>> = Arc::default();
    let service_in_record = Arc::clone(&seen);
    store.expect_record().times(1).returning(move |_, _| {
        let drained = std::pin::pin!(service_in_record.get().unwrap().in_flight.drained());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(drained.poll(&mut context).is_pending(), "it runs while it is recorded");
        Ok(())
    });
    let service = Arc::new(service(store).await);
    assert!(seen.set(Arc::clone(&service)).is_ok());
    assert!(service.validate(&ValidateRequest { key: KEY, ..Default::default() }).await.unwrap().is_valid());
}

#[tokio::test]
async fn denials_of_commands_are_told_apart_from_faults() {
    let mut store = store();
    store.expect_execute().times(1).returning(|_, _, _| Ok(Outcome::Denied(Denial::Revoked)));
    store.expect_execute().times(1).returning(|id, _, _| Err(StoreError::NotFound { id: id.clone() }));
    let service = service(store).await;
    let id = LicenseId::parse("lic_a1").unwrap();
    assert!(matches!(service.suspend(&id).await, Err(ServiceError::Denied(Denial::Revoked))));
    assert!(matches!(service.suspend(&id).await, Err(ServiceError::Store(StoreError::NotFound { .. }))));
}

mod outbox {
    use super::*;
    use crate::event::{Event, EventType, Subject};
    use crate::outbox::{EventFilter, MockOutbox, Published};

    async fn with(store: MockLicenseStore, outbox: MockOutbox) -> LicenseService {
        let rng = ChaCha20Rng::seed_from_u64(1);
        let builder = LicenseService::builder(Arc::new(store), &secret(), ManualClock::at(now()), rng);
        builder.outbox(Arc::new(outbox)).build().await.unwrap()
    }

    #[tokio::test]
    async fn keys_in_events_are_masked() {
        let mut outbox = MockOutbox::new();
        outbox.expect_publish().times(1).returning(|_, _| Ok(0));
        outbox.expect_published().times(1).returning(|_, _| {
            let event = Event {
                subject: Subject::License(LicenseId::parse("lic_a1").unwrap()),
                sequence: 1,
                event_type: EventType::LicenseCreated,
                at: now(),
                data: serde_json::json!({ "license": { "id": "lic_a1" } }),
            };
            Ok(Page { items: vec![Published { position: 1, event }], next: None })
        });
        let service = with(store(), outbox).await;
        let page = service.events(&EventFilter::default(), &PageRequest::default()).await.unwrap();
        assert_eq!(page.items[0].event.data["license"]["key"], "TO-****-****-****-****");
    }

    /// A flood of denials reaches the store once; the denial stands, whatever the store says of it.
    #[tokio::test]
    async fn a_reached_limit_is_told_of_once_by_a_flood() {
        for works in [true, false] {
            let license = License { domains_used: 1, max_domains: Limit::AtMost(1), ..license() };
            let standing =
                Standing::new(Arc::new(license), [Binding::Domain(DomainName::parse("a.com").unwrap())]);
            let mut store = store();
            store.expect_recall().returning(move |_, _, _| Some(standing.clone()));
            store.expect_is_down().returning(|| false);
            store.expect_record().times(5).returning(|_, _| Ok(()));
            let mut outbox = MockOutbox::new();
            outbox
                .expect_tell_limit()
                .times(1)
                .withf(|notice| notice.kind == ActivationKind::Domain && notice.at == now())
                .returning(move |notice| if works { Ok(Some(notice.at)) } else { Err(down()) });
            let service = with(store, outbox).await;
            for _ in 0..5 {
                let request = ValidateRequest { key: KEY, domain: Some("b.com"), ..Default::default() };
                let verdict = service.validate(&request).await.unwrap();
                assert!(matches!(verdict, Verdict::Denied(Denial::DomainLimitReached { .. })), "{verdict:?}");
            }
        }
    }

    #[tokio::test]
    async fn without_an_outbox_it_says_so() {
        let service = service(store()).await;
        assert!(!service.has_outbox());
        let result = service.events(&EventFilter::default(), &PageRequest::default()).await;
        assert!(matches!(result, Err(ServiceError::NoOutbox)), "{result:?}");
    }
}
