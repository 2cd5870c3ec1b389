//! Cases of trials: a device or a customer has one trial of a product.

use super::slots::{CALLERS, ROUNDS};
use crate::conformance::prelude::*;

const USED: Done = Err(DenialCode::TrialUsed);

fn spec_for(plan: &str, customer: &str) -> LicenseSpec {
    LicenseSpec::new(plan, email(customer))
}

fn to_customer(customer: &str) -> Command {
    Command::Change(LicensePatch::default().customer_email(Some(email(customer))))
}

fn to_plan(plan: &str) -> Command {
    Command::Change(patch(plan))
}

fn on_device(fingerprint: &str) -> Command {
    activate(None, Some(fingerprint))
}

async fn issue_for(store: &Handle, plan: &str, customer: &str) -> LicenseId {
    issue(store, &spec_for(plan, customer)).await.id
}

/// Asserts that a customer gets no other trial, and that nothing is stored.
async fn assert_denied(store: &Handle, plan: &str, customer: &str, why: &str) {
    let new = new_license(&spec_for(plan, customer));
    assert_eq!(ok!(store.create(&new)), Created::TrialUsed, "{customer}: {why}");
    assert_eq!(ok!(store.get(&new.license.id)), None, "{customer}: nothing is stored");
}

/// A customer gets one trial of each product, and other plans without limit.
pub async fn trial_is_issued_once_per_customer(Handles { store, other, .. }: &Handles) {
    issue_for(store, "trial", "ann@example.com").await;
    for store in [store, other] {
        assert_denied(store, "trial", "ann@example.com", "a second trial").await;
        assert_denied(store, "trial", "ANN@Example.com", "the same address").await;
    }
    for (plan, customer) in [
        ("editor_trial", "ann@example.com"),
        ("device_trial", "ann@example.com"),
        ("device_trial", "ann@example.com"),
        ("open", "ann@example.com"),
        ("trial", "bob@example.com"),
    ] {
        issue_for(other, plan, customer).await;
    }
    assert_denied(store, "editor_trial", "ann@example.com", "a second trial of the other product").await;
}

/// A repeated request returns the trial that it created.
pub async fn repeated_request_for_a_trial_returns_it(Handles { store, other, .. }: &Handles) {
    let mut new = new_license(&spec("trial"));
    new.idempotency = Some(idempotency("order", 1));
    assert_eq!(ok!(store.create(&new)), Created::New);
    let mut again = new_license(&spec("trial"));
    again.idempotency = new.idempotency;
    assert_eq!(ok!(other.create(&again)), Created::Existing(new.license.id));
}

/// A device activates one license of a trial. It can come back to that license.
pub async fn trial_is_activated_once_per_device(Handles { store, other, .. }: &Handles) {
    let first = issue_for(store, "device_trial", "ann@example.com").await;
    let second = issue_for(store, "device_trial", "bob@example.com").await;
    let held = ask(store, &first, &on_device("pc")).await.expect("the first trial of the device");
    for store in [store, other] {
        let before = detail(store, &second).await;
        let outcome = ok!(store.execute(&second, &on_device("pc"), &context(at(60))));
        let CommandOutcome::NotActivated(denied) = outcome else { panic!("{outcome:?}") };
        assert_eq!(denied.reasons(), [Denial::TrialUsed]);
        assert_eq!(denied.license().map(|license| license.devices_used), Some(0));
        assert_eq!(ask(store, &second, &activate(Some("a.com"), Some("pc"))).await, USED);
        assert_eq!(detail(store, &second).await, before, "nothing changed");
        assert_eq!(ask(store, &second, &activate(None, None)).await, Err(DenialCode::DeviceRequired));
        assert_eq!(ask(store, &first, &on_device("pc")).await, Ok(Arc::clone(&held)), "it holds a slot");
    }
    ask(store, &second, &on_device("phone")).await.expect("another device");
    let activation = detail(store, &first).await.devices[0].id.clone();
    ask(other, &first, &Command::Release(activation)).await.expect("an activation");
    assert_eq!(ask(store, &second, &on_device("pc")).await, USED, "it had its trial");
    ask(other, &first, &on_device("pc")).await.expect("the license of its trial");
}

/// A trial stays used, whatever becomes of its license.
pub async fn trial_stays_used_after_its_license(Handles { store, other, .. }: &Handles) {
    let erasure = |customer| Erasure { email: email(customer), pseudonym: email("erased-1@erased.invalid") };
    for (n, commands) in [
        vec![Command::Revoke],
        vec![rotate()],
        vec![Command::EraseCustomer(erasure("c2@example.com"))],
        vec![to_customer("heir3@example.com")],
        vec![to_plan("open"), to_customer("heir4@example.com"), Command::Revoke],
        vec![Command::Change(LicensePatch::default().expires_at(at(-1)))],
        vec![Command::Suspend],
    ]
    .into_iter()
    .enumerate()
    {
        let (customer, fingerprint) = (format!("c{n}@example.com"), format!("pc{n}"));
        let id = issue_for(store, "trial", &customer).await;
        ask(store, &id, &on_device(&fingerprint)).await.expect("the first trial");
        for command in &commands {
            ask(store, &id, command).await.expect("no rule denies it");
        }
        assert_denied(other, "trial", &customer, &format!("after {commands:?}")).await;
        let next = issue_for(other, "trial", &format!("next{n}@example.com")).await;
        assert_eq!(ask(other, &next, &on_device(&fingerprint)).await, USED, "after {commands:?}");
    }
    assert_denied(store, "trial", "heir3@example.com", "the trial moved to it").await;
    issue_for(store, "trial", "heir4@example.com").await;
}

/// A license that becomes a trial, or a trial of another customer, takes the trial of its customer.
pub async fn moved_license_takes_the_trial(Handles { store, other, .. }: &Handles) {
    let ann = issue_for(store, "open", "ann@example.com").await;
    let again = issue_for(store, "open", "ann@example.com").await;
    let without_customer = issue(store, &LicenseSpec::without_customer("open")).await.id;
    ask(store, &ann, &to_plan("trial")).await.expect("the first trial of the customer");
    for store in [store, other] {
        assert_eq!(ask(store, &again, &to_plan("trial")).await, USED);
        assert_eq!(ask(store, &without_customer, &to_plan("trial")).await, Err(DenialCode::CustomerRequired));
        let none = Command::Change(LicensePatch::default().customer_email(None));
        assert_eq!(ask(store, &ann, &none).await, Err(DenialCode::CustomerRequired));
        assert_eq!(detail(store, &again).await.license.version, 1, "nothing changed");
    }
    let bob = issue_for(store, "trial", "bob@example.com").await;
    assert_eq!(ask(other, &bob, &to_customer("ann@example.com")).await, USED);
    ask(other, &bob, &to_customer("eve@example.com")).await.expect("the first trial of the customer");
    ask(other, &bob, &to_customer("bob@example.com")).await.expect("the trial of this license");
    for plan in ["open", "trial", "device_trial", "trial", "trial"] {
        ask(other, &ann, &to_plan(plan)).await.expect("it has the trial");
    }
    assert_eq!(ask(store, &again, &to_plan("trial")).await, USED);
    ask(store, &again, &on_device("pc")).await.expect("no trial");
    ask(store, &ann, &on_device("pc")).await.expect("the first trial of the device");
}

/// A command or a create that is denied claims no trial.
pub async fn denied_change_claims_no_trial(Handles { store, other, .. }: &Handles) {
    let taken = issue_for(store, "trial", "taken@example.com").await;
    let key = detail(store, &taken).await.license.key_digest;
    let mut new = new_license(&spec_for("trial", "ann@example.com"));
    new.license.key_digest = key;
    store.create(&new).await.expect_err("the key is taken");
    let batch =
        ["ann@example.com", "taken@example.com"].map(|customer| new_license(&spec_for("trial", customer)));
    assert_eq!(ok!(store.create_all(&batch)), Created::TrialUsed);
    let batch = [(); 2].map(|()| new_license(&spec_for("trial", "ann@example.com")));
    assert_eq!(ok!(store.create_all(&batch)), Created::TrialUsed, "one customer gets one trial");
    assert_eq!(ok!(other.get(&batch[0].license.id)), None, "all or none");
    let full = issue_for(store, "small", "ann@example.com").await;
    ask(store, &full, &set_domains(["a.com", "b.com"])).await.expect("two slots");
    let too_many = LicensePatch { domains: Some(["a", "b", "c"].map(domain).to_vec()), ..patch("trial") };
    let expired = LicensePatch { expires_at: Some(at(-1).into()), max_domains: Some(2.into()), ..too_many };
    assert_eq!(ask(store, &full, &Command::Change(expired)).await, Err(DenialCode::DomainLimitReached));
    let stale = ask_in(store, &full, &to_plan("trial"), &expecting(Some(7))).await;
    assert_eq!(stale, Err(DenialCode::LicenseStale));
    issue_for(other, "trial", "ann@example.com").await;

    let closed = issue_for(store, "device_trial", "ann@example.com").await;
    let none = LicensePatch { max_devices: Some(0.into()), ..LicensePatch::default() };
    ask(store, &closed, &Command::Change(none)).await.expect("a limit");
    assert_eq!(ask(store, &closed, &on_device("pc")).await, Err(DenialCode::DeviceLimitReached));
    let other_trial = issue_for(other, "device_trial", "ann@example.com").await;
    ask(other, &other_trial, &on_device("pc")).await.expect("the first trial of the device");
}

/// One of many creates for the same customer stores a license.
pub async fn racing_creates_get_one_trial(Handles { both: handles, .. }: &Handles) {
    for round in 0..ROUNDS {
        let customer = format!("c{round}@example.com");
        let created = race(handles, CALLERS, |_, store| {
            let new = new_license(&spec_for("trial", &customer));
            async move { (new.license.id.clone(), ok!(store.create(&new))) }
        })
        .await;
        let wins = created.iter().filter(|(_, created)| *created == Created::New).count();
        assert_eq!(wins, 1, "{wins} of {CALLERS} creates got the one trial of a customer");
        for (id, created) in &created {
            assert!([Created::New, Created::TrialUsed].contains(created), "{created:?}");
            assert_eq!(ok!(handles[1].get(id)).is_some(), *created == Created::New, "one license is stored");
        }
    }
}

/// One of many licenses gets the trial of a device, and one that of a customer.
pub async fn racing_licenses_share_no_trial(Handles { both: handles, .. }: &Handles) {
    for round in 0..ROUNDS {
        let ids = issue_many(&handles[0], "device_trial", CALLERS).await;
        for command in [on_device(&format!("pc{round}")), {
            let customer = Some(Some(email(&format!("c{round}@example.com"))));
            Command::Change(LicensePatch { customer_email: customer, ..patch("trial") })
        }] {
            let won = race(handles, CALLERS, |task, store| {
                let (id, command) = (ids[task].clone(), command.clone());
                async move { ask(&store, &id, &command).await }
            })
            .await;
            let wins = won.iter().filter(|result| result.is_ok()).count();
            assert_eq!(wins, 1, "{wins} of {CALLERS} licenses got one trial: {command:?}");
            assert!(won.iter().all(|result| result.is_ok() || *result == USED), "{won:?}");
            for (id, result) in ids.iter().zip(&won) {
                let found = detail(&handles[1], id).await;
                assert_counts(&found);
                if let Ok(license) = result {
                    assert_eq!(found.license, *license, "the winner is stored");
                }
            }
        }
    }
}
