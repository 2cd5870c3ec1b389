//! Tests of what services ask of a store.

use std::collections::HashSet;
use std::sync::Arc;

use mockall::predicate::{always, eq, ne};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::access::{Actor, Principal, TokenId};
use crate::catalog::{Limit, PlanCatalog};
use crate::clock::ManualClock;
use crate::command::{Command, CommandOutcome, IdempotencyKey, LicenseSpec, UsedKey, create};
use crate::domain::DomainName;
use crate::error::{Resource, ValidateError};
use crate::event::{EventId, Subject};
use crate::key::{DataKeys, DataKeysError, KeyFormat, KeyVault, Secret};
use crate::license::{
    ActivationKind, Binding, Counters, CustomerEmail, License, LicenseDetail, LicenseId, LicenseState,
};
use crate::store::{BoxError, Created, MockEventStore, MockLicenseStore, Page, StoreError};
use crate::trial::TrialKey;
use crate::usage::{Client, Location, Validation, ValidationOutcome};
use crate::validation::{Claim, Denial, DenialCode, DeniedLicense, LicenseSnapshot, Verdict};

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
    store
        .expect_put_if_absent()
        .with(eq(DataKeys::SETTING), always())
        .returning(|_, _| Ok(sealed_data_keys()));
    store
        .expect_put_if_absent()
        .with(ne(DataKeys::SETTING), always())
        .returning(|_, given| Ok(given.to_vec()));
    store
}

fn options() -> ServiceOptions {
    ServiceOptions::new(&secret(), ManualClock::at(now()), ChaCha20Rng::seed_from_u64(1))
}

/// Two services over one mocked store.
#[derive(Debug)]
struct Fixture {
    licenses: LicenseService,
    validation: ValidationService,
    context: Arc<ServiceContext>,
}

impl Fixture {
    async fn with(store: MockLicenseStore, events: Option<MockEventStore>) -> Self {
        let context = ServiceContext::open(&store, options()).await.unwrap();
        let store: Arc<dyn LicenseStore> = Arc::new(store);
        let events = events.map(|events| Arc::new(events) as _);
        let licenses = LicenseService::new(Arc::clone(&store), Arc::clone(&context));
        let validation = ValidationService::new(store, events, Health::default(), Arc::clone(&context));
        Self { licenses, validation, context }
    }
}

async fn licenses(store: MockLicenseStore) -> LicenseService {
    Fixture::with(store, None).await.licenses
}

async fn validation(store: MockLicenseStore) -> ValidationService {
    Fixture::with(store, None).await.validation
}

fn license() -> License {
    let vault = KeyVault::new(&data_keys());
    let key = KeyFormat::default().parse(KEY).unwrap();
    let sealed = vault.seal(&key, id().as_str(), &mut ChaCha20Rng::seed_from_u64(2)).unwrap();
    let key = (vault.digest(&key), sealed);
    let new = create(
        id(),
        key,
        &spec(),
        None,
        &PlanCatalog::standard(),
        &TrialKey::from_bytes([7; 32]).into(),
        now(),
    )
    .unwrap();
    License { activated_at: Some(now()), ..new.license }
}

fn id() -> LicenseId {
    LicenseId::parse("lic_a1").unwrap()
}

fn spec() -> LicenseSpec {
    LicenseSpec::new("starter", CustomerEmail::parse("dev@example.com").unwrap())
}

fn request<'a>(domain: Option<&'a str>, fingerprint: Option<&'a str>) -> ValidateRequest<'a> {
    ValidateRequest { key: KEY, domain, fingerprint, ..Default::default() }
}

/// Expects one lookup by key, which returns the license with these registered domains.
fn finds(store: &mut MockLicenseStore, license: License, domains: &[&str]) {
    finds_times(1, store, license, domains);
}

fn finds_times(times: usize, store: &mut MockLicenseStore, license: License, domains: &[&str]) {
    let domains = domains.iter().map(|text| Binding::Domain(DomainName::from_stored(text).unwrap()));
    let snapshot = LicenseSnapshot::new(Arc::new(license), domains.collect::<Vec<_>>());
    store
        .expect_find_by_key()
        .times(times)
        .returning(move |digest, _| Ok((*digest == snapshot.license().key_digest).then(|| snapshot.clone())));
}

/// The store returns the license by its id.
fn gets(store: &mut MockLicenseStore, license: License) {
    let license = Arc::new(license);
    store.expect_get().returning(move |_| {
        let (license, counters) = (Arc::clone(&license), Counters::default());
        Ok(Some(LicenseDetail { license, counters, domains: vec![], devices: vec![] }))
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
    StoreError::Unavailable { source: BoxError::from("down") }
}

#[tokio::test]
async fn malformed_request_does_not_reach_the_store() {
    let service = validation(store()).await;
    let of = |key, domain, fingerprint| ValidateRequest { key, domain, fingerprint, ..Default::default() };
    for (request, expected) in [
        (of("TO-7K3F-M2QA-ZZ81-94FZ", None, None), "Key(Check"),
        (of("", None, None), "Key(Length"),
        (of(KEY, Some("a..b"), None), "Domain("),
        (of(KEY, Some("*.example.com"), None), "Domain("),
        (of(KEY, None, Some("")), "Fingerprint("),
    ] {
        let error = format!("{:?}", service.validate(&request).await.unwrap_err());
        assert!(error.starts_with(expected), "{error}");
    }
}

/// The record has the location, the client, and the wildcard that covers the domain if the domain itself is
/// not registered.
#[tokio::test]
async fn record_has_location_client_and_wildcard() {
    let location = Location::of(crate::usage::Country::parse("DE").unwrap());
    for (bound, asked, covered_by) in [
        (&["*.example.com", "a.example.com"][..], Some("a.example.com"), None),
        (&["a.example.com", "*.example.com"], Some("a.example.com"), None),
        (&["b.example.com", "*.example.com"], Some("a.example.com"), Some("*.example.com")),
        (&["*.example.com"], None, None),
        (&["*.example.com"], Some("localhost"), None),
    ] {
        let mut store = store();
        finds(&mut store, license(), bound);
        let expected = (Some(location.clone()), Client::new("editor/2"));
        let covering = covered_by.map(|text| DomainName::from_stored(text).unwrap());
        store
            .expect_record()
            .times(1)
            .withf(move |batch, _| {
                let [Validation { location, client, covered_by, .. }] = batch else { return false };
                (location, client) == (&expected.0, &expected.1) && *covered_by == covering
            })
            .returning(|_, _| Ok(()));
        let request =
            ValidateRequest { client: Some("editor/2"), location: Some(&location), ..request(asked, None) };
        assert!(validation(store).await.validate(&request).await.unwrap().is_valid(), "{bound:?} {asked:?}");
    }
}

#[tokio::test]
async fn unknown_key_is_not_recorded() {
    let mut store = store();
    store.expect_find_by_key().times(1).returning(|_, _| Ok(None));
    let verdict = validation(store).await.validate(&request(None, None)).await;
    assert_eq!(verdict.unwrap(), Verdict::NotFound);
}

#[tokio::test]
async fn decided_verdict_executes_no_command() {
    let mut store = store();
    finds(&mut store, license(), &["example.com"]);
    records(&mut store, ValidationOutcome::Valid);
    let request =
        ValidateRequest { key: " to 7k3f m2qa zz81 94fy", ..request(Some("https://Example.com/x"), None) };
    let verdict = validation(store).await.validate(&request).await.unwrap();
    let Verdict::Valid(valid) = verdict else { panic!("{verdict:?}") };
    assert_eq!((valid.plan(), valid.features().len()), ("starter", 2));
}

#[tokio::test]
async fn denied_verdict_is_recorded_without_a_command() {
    for (state, code) in [
        (LicenseState::Suspended, DenialCode::LicenseSuspended),
        (LicenseState::Revoked, DenialCode::LicenseRevoked),
    ] {
        let mut store = store();
        finds(&mut store, License { state, ..license() }, &[]);
        records(&mut store, ValidationOutcome::Denied(code));
        let verdict = validation(store).await.validate(&request(Some("new.com"), Some("d"))).await.unwrap();
        assert!(matches!(verdict, Verdict::Denied(denied) if denied.code() == code));
    }
}

#[tokio::test]
async fn new_domain_and_device_are_one_command() {
    for granted in [true, false] {
        let mut store = store();
        finds(&mut store, license(), &[]);
        store
            .expect_execute()
            .times(1)
            .withf(|id, command, context| {
                id.as_str() == "lic_a1"
                    && matches!(
                        command,
                        Command::Activate(Claim { domain: Some(_), fingerprint: Some(_), .. })
                    )
                    && context.now == now()
            })
            .returning(move |_, _, _| {
                let full = Denial::DeviceLimitReached {
                    used: 2,
                    limit: Limit::AtMost(2),
                    held: 0,
                    next_free_at: None,
                };
                Ok(if granted {
                    CommandOutcome::Done(Arc::new(license()))
                } else {
                    let denied = DeniedLicense::new(vec![full], Arc::new(license())).unwrap();
                    CommandOutcome::NotActivated(denied)
                })
            });
        let denied = ValidationOutcome::Denied(DenialCode::DeviceLimitReached);
        records(&mut store, if granted { ValidationOutcome::Valid } else { denied });
        let verdict = validation(store).await.validate(&request(Some("new.com"), Some("d"))).await.unwrap();
        assert_eq!(verdict.is_valid(), granted);
    }
}

#[tokio::test]
async fn failed_record_is_not_answered() {
    let mut store = store();
    finds(&mut store, license(), &[]);
    store.expect_record().times(1).returning(|_, _| Err(down()));
    let result = validation(store).await.validate(&request(None, None)).await;
    assert!(matches!(result, Err(ValidateError::Store(error)) if error.is_retryable()));
}

#[tokio::test]
async fn license_of_unknown_plan_is_an_error() {
    let mut store = store();
    finds(&mut store, License { plan: "gone".to_owned(), ..license() }, &[]);
    let result = validation(store).await.validate(&request(None, None)).await;
    assert!(matches!(result, Err(ValidateError::PlanUnknown { plan, .. }) if plan == "gone"));
}

#[tokio::test]
async fn taken_key_is_generated_again_twice() {
    for (taken, created) in [(2, true), (3, false)] {
        let mut store = store();
        let mut sequence = mockall::Sequence::new();
        let error = |_: &_| Err(StoreError::AlreadyExists { what: "the license key" });
        store.expect_create_all().times(taken).in_sequence(&mut sequence).returning(error);
        if created {
            store.expect_create_all().times(1).in_sequence(&mut sequence).returning(|_| Ok(Created::New));
            store.expect_get().times(1).returning(|_| Err(down()));
        }
        let error = licenses(store).await.issue(&spec(), None).await.unwrap_err();
        let expected = if created { "Unavailable" } else { "AlreadyExists" };
        assert!(format!("{error:?}").contains(expected), "{error:?}");
    }
}

#[tokio::test]
async fn repeated_request_is_answered_even_if_now_denied() {
    let past = crate::license::Expiry::At(now() - chrono::TimeDelta::days(1));
    let spec = LicenseSpec { expires_at: Some(past), ..spec() };
    let key = || Some(IdempotencyKey::parse("order-1").unwrap());
    let event = EventId::new(Subject::License(id()), 1);
    for (is_used, same, expected) in [
        (true, true, "NotFound(License)"),
        (true, false, "Denied(KeyReused)"),
        (false, true, "Denied(Expired"),
    ] {
        let (mut store, event) = (store(), event.clone());
        store.expect_find_used_key().times(1).return_once(move |asked| {
            let request = if same { asked.request } else { [0; 32] };
            Ok(is_used.then_some(UsedKey { request, event, at: now() }))
        });
        store.expect_get().returning(|_| Ok(None));
        let error = format!("{:?}", licenses(store).await.issue(&spec, key()).await.unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn key_is_returned_to_its_owner_only() {
    let mut store = store();
    gets(&mut store, license());
    let service = Fixture::with(store, None).await;
    let keyed = service.licenses.get(&id()).await.unwrap();
    assert_eq!(keyed.key.reveal(), KEY);
    for shown in [format!("{keyed:?}"), format!("{:?}", request(None, None)), format!("{service:?}")] {
        assert!(!shown.contains("7K3F") && !shown.contains("M2QA") && !shown.contains("ZZ81"), "{shown}");
    }
}

#[tokio::test]
async fn sealed_key_of_another_license_is_an_error() {
    let mut store = store();
    let moved = LicenseId::parse("lic_b2").unwrap();
    gets(&mut store, License { id: moved.clone(), ..license() });
    let error = licenses(store).await.get(&moved).await.unwrap_err();
    assert!(matches!(error, ServiceError::SealedKey(_)));
}

#[tokio::test]
async fn start_needs_fitting_secret_plans_and_key_format() {
    let other_secret = Secret::from_hex(&"5b".repeat(32)).unwrap();
    let other = data_keys().seal(&other_secret, &mut ChaCha20Rng::seed_from_u64(4)).unwrap();
    let damaged = sealed_data_keys()[1..].to_vec();
    for (stored, expected) in [(other, DataKeysError::WrongSecret), (damaged, DataKeysError::Damaged)] {
        let mut store = MockLicenseStore::new();
        store.expect_put_if_absent().times(1).return_once(move |_, _| Ok(stored));
        let error = ServiceContext::open(&store, options()).await.unwrap_err();
        assert!(matches!(error, SetupError::DataKeys(found) if found == expected), "{error:?}");
    }
    let mut store_of_other_format = MockLicenseStore::new();
    let mut stored = [sealed_data_keys(), b"ACME-4".to_vec()].into_iter();
    store_of_other_format.expect_put_if_absent().times(2).returning(move |_, _| Ok(stored.next().unwrap()));
    let error = ServiceContext::open(&store_of_other_format, options()).await.unwrap_err();
    assert!(error.to_string().contains("ACME"), "{error}");
}

/// The digest of a key depends on the operation, the license, the caller and the key, and on nothing else.
#[tokio::test]
async fn idempotency_keys_are_scoped() {
    let context = ServiceContext::open(&store(), options()).await.unwrap();
    let token = |id: &str, name: &str| {
        Actor::new(Principal::Token { id: TokenId::parse(id).unwrap(), name: name.to_owned() })
    };
    let (ci, renamed, other) = (token("tok_1", "ci"), token("tok_1", "renamed"), token("tok_2", "ci"));
    let named = Actor::new(Principal::Named("tok_1".to_owned()));
    let digest = |operation, target, caller: Option<&Actor>, key| {
        let key = IdempotencyKey::parse(key).unwrap();
        context.idempotency(&key, operation, target, caller, "").key
    };
    let first = digest("license.renew", "lic_1", Some(&ci), "order 1");
    assert_eq!(first, digest("license.renew", "lic_1", Some(&renamed), "order 1"), "a renamed token");
    let others = [
        digest("license.create", "lic_1", Some(&ci), "order 1"),
        digest("license.renew", "lic_2", Some(&ci), "order 1"),
        digest("license.renew", "lic_1", Some(&other), "order 1"),
        digest("license.renew", "lic_1", Some(&named), "order 1"),
        digest("license.renew", "lic_1", Some(&Actor::new(Principal::CommandLine)), "order 1"),
        digest("license.renew", "lic_1", None, "order 1"),
        digest("license.renew", "lic_1", Some(&ci), "order 2"),
    ];
    let all: HashSet<_> = others.into_iter().chain([first]).collect();
    assert_eq!(all.len(), others.len() + 1);
    let text = format!("{all:?}");
    assert!(!text.contains("order"), "{text}");
}

/// Renewals and rotations pass the key on. Other commands are idempotent and ignore it.
#[tokio::test]
async fn only_repeatable_commands_pass_the_key() {
    let key = || Some(IdempotencyKey::parse("order 1").unwrap());
    for repeatable in [true, false] {
        let mut store = store();
        gets(&mut store, license());
        store
            .expect_execute()
            .times(1)
            .withf(move |_, _, context| context.idempotency.is_some() == repeatable)
            .returning(|_, _, _| Ok(CommandOutcome::Repeated(Arc::new(license()))));
        let service = licenses(store).await.with_idempotency_key(key());
        let done = if repeatable { service.renew(&id()).await } else { service.suspend(&id()).await };
        assert!(done.unwrap().repeated);
    }
}

/// A change waits for running validations, because they may have read the license before it.
#[tokio::test]
async fn revocation_waits_for_running_validations() {
    let mut store = store();
    let revoked = License { state: LicenseState::Revoked, ..license() };
    gets(&mut store, revoked.clone());
    store.expect_execute().times(1).return_once(|_, _, _| Ok(CommandOutcome::Done(Arc::new(revoked))));
    let service = Fixture::with(store, None).await;
    let (id, running) = (id(), service.context.barrier.begin());
    let mut revoke = std::pin::pin!(service.licenses.revoke(&id));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(revoke.as_mut().poll(&mut context).is_pending(), "one still runs");
    drop(running);
    assert_eq!(revoke.await.unwrap().detail.license.state, LicenseState::Revoked);
}

#[tokio::test]
async fn validation_runs_until_it_is_recorded() {
    let mut store = store();
    finds(&mut store, license(), &[]);
    let seen: Arc<std::sync::OnceLock<Arc<ServiceContext>>> = Arc::default();
    let context = Arc::clone(&seen);
    store.expect_record().times(1).returning(move |_, _| {
        let waiting = std::pin::pin!(context.get().unwrap().barrier.wait_for_earlier());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.poll(&mut context).is_pending(), "it runs while it is recorded");
        Ok(())
    });
    let service = Fixture::with(store, None).await;
    assert!(seen.set(Arc::clone(&service.context)).is_ok());
    assert!(service.validation.validate(&request(None, None)).await.unwrap().is_valid());
}

#[tokio::test]
async fn denial_of_command_differs_from_store_error() {
    let mut store = store();
    store.expect_execute().times(1).returning(|_, _, _| Ok(CommandOutcome::Denied(Denial::Revoked)));
    store.expect_execute().times(1).returning(|id, _, _| Err(StoreError::NotFound { id: id.clone() }));
    let service = licenses(store).await;
    assert!(matches!(service.suspend(&id()).await, Err(ServiceError::Denied(Denial::Revoked))));
    assert!(matches!(service.suspend(&id()).await, Err(ServiceError::NotFound(Resource::License))));
}

mod events {
    use super::*;
    use crate::event::{Event, EventType, Subject};
    use crate::store::{EventFilter, PageRequest, SequencedEvent};

    #[tokio::test]
    async fn keys_in_events_are_masked() {
        let mut events = MockEventStore::new();
        events.expect_assign_positions().times(1).returning(|_, _| Ok(0));
        events.expect_list_events().times(1).returning(|_, _| {
            let event = Event {
                subject: Subject::License(id()),
                sequence: 1,
                event_type: EventType::LicenseCreated,
                at: now(),
                data: serde_json::json!({ "license": { "id": "lic_a1" } }),
            };
            Ok(Page { items: vec![SequencedEvent { position: 1, event }], next: None })
        });
        let context = ServiceContext::open(&store(), options()).await.unwrap();
        let service = EventService { events: Arc::new(events), licenses: Arc::new(store()), context };
        let page = service.list(&EventFilter::default(), &PageRequest::default()).await.unwrap();
        assert_eq!(page.items[0].event.data["license"]["key"], "TO-****-****-****-****");
    }

    /// An error of the event store does not change the denial.
    #[tokio::test]
    async fn flood_of_denials_writes_one_limit_event() {
        for works in [true, false] {
            let license = License { domains_used: 1, max_domains: Limit::AtMost(1), ..license() };
            let mut store = store();
            finds_times(5, &mut store, license, &["a.com"]);
            store.expect_record().times(5).returning(|_, _| Ok(()));
            let mut events = MockEventStore::new();
            events
                .expect_write_limit_event()
                .times(1)
                .withf(|notice| notice.kind == ActivationKind::Domain && notice.at == now())
                .returning(move |notice| if works { Ok(Some(notice.at)) } else { Err(down()) });
            let service = Fixture::with(store, Some(events)).await.validation;
            for _ in 0..5 {
                let verdict = service.validate(&request(Some("b.com"), None)).await.unwrap();
                assert!(
                    matches!(&verdict, Verdict::Denied(denied) if denied.code() == DenialCode::DomainLimitReached),
                    "{verdict:?}"
                );
            }
        }
    }
}
