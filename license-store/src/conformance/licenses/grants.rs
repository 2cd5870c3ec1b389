//! Cases for grants.

use super::slots::CALLERS;
use crate::conformance::prelude::*;

fn grant(source: &str, value: impl Into<FeatureValue>) -> Grant {
    Grant::new("seats", value).expect("a grant").source(source.parse().expect("a source"))
}

fn stored(license: &License) -> Vec<&Grant> {
    license.grants.iter().collect()
}

/// Every handle reads the grants in their order, by id and by key.
pub async fn grants_are_stored_in_order(Handles { store, other, .. }: &Handles) {
    let spec = LicenseSpec { grants: vec![grant("a", 1), grant("b", 2)], ..spec("open") };
    let license = issue(store, &spec).await;
    let [replaced, text, off] = [
        grant("a", i64::MIN).until(at(86_400) + TimeDelta::microseconds(1)).expect("a time in range"),
        grant("\u{1f511} 'c'", "größe \"x\""),
        Grant::new("export", false).expect("a grant"),
    ];
    let commands = [
        (Command::AddGrant(replaced.clone()), vec![grant("b", 2), replaced.clone()]),
        (Command::AddGrant(text.clone()), vec![grant("b", 2), replaced.clone(), text.clone()]),
        (Command::RemoveGrant(grant("b", 0).id()), vec![replaced.clone(), text.clone()]),
        (Command::AddGrant(off.clone()), vec![replaced, text, off]),
    ];
    for (command, expected) in commands {
        ask(store, &license.id, &command).await.expect("allowed");
        let expected: Vec<_> = expected.iter().collect();
        assert_eq!(stored(&detail(other, &license.id).await.license), expected, "after {command:?}");
        let found =
            ok!(store.find_by_key(&license.key_digest, &Claim::default())).expect("the license exists");
        assert_eq!(stored(found.license()), expected, "found by its key after {command:?}");
    }
    let removed = ask(store, &license.id, &Command::RemoveGrant(grant("b", 0).id())).await;
    assert_eq!(removed, Err(DenialCode::GrantNotFound));
}

/// The largest grants fit, and one more is denied.
pub async fn largest_grants_are_stored(Handles { store, other, .. }: &Handles) {
    let largest = |n: usize| {
        let source = format!("{n:0width$}", width = limits::GRANT_SOURCE_BYTES);
        let text = "\"".repeat(limits::FEATURE_TEXT_BYTES);
        let feature = "f".repeat(limits::FEATURE_NAME_BYTES);
        Grant::new(&feature, text.as_str()).expect("a grant").source(source.parse().expect("a source"))
    };
    let grants: Vec<_> = (0..limits::GRANTS).map(largest).collect();
    let license = issue(store, &LicenseSpec { grants: grants.clone(), ..spec("open") }).await;
    let denied = ask(store, &license.id, &Command::AddGrant(largest(limits::GRANTS))).await;
    assert_eq!(denied, Err(DenialCode::GrantLimitReached));
    assert_eq!(stored(&detail(other, &license.id).await.license), grants.iter().collect::<Vec<_>>());
}

/// A grant ends at its microsecond, for validations and for claims that ask for its feature.
pub async fn grants_end_to_the_microsecond(Handles { store, other, .. }: &Handles) {
    let end = at(1_000);
    let license = issue(store, &spec("open")).await;
    ask(store, &license.id, &activate(None, None)).await.expect("active");
    ask(store, &license.id, &Command::AddGrant(grant("base", 5))).await.expect("active");
    ask(store, &license.id, &Command::AddGrant(grant("addon", 0).until(end).expect("a time in range")))
        .await
        .expect("active");
    let asking = Claim { features: vec!["seats".parse().expect("a name")], ..Claim::default() };
    let micro = TimeDelta::microseconds(1);
    for (now, value, asked) in [(end - micro, 0, Err(DenialCode::FeatureMissing)), (end, 5, Ok(()))] {
        let found = ok!(other.find_by_key(&license.key_digest, &asking)).expect("the license exists");
        let evaluation = evaluate(&found, &Claim::default(), &plans(), now).expect("the plan exists");
        let Evaluation::Decided(Verdict::Valid(valid)) = evaluation else { panic!("{evaluation:?}") };
        assert_eq!(valid.feature("seats").and_then(FeatureValue::as_i64), Some(value), "at {now}");
        let done = ask_in(store, &license.id, &Command::Activate(asking.clone()), &context(now)).await;
        assert_eq!(done.map(drop), asked, "at {now}");
    }
}

/// Grants that are added at once are all stored.
pub async fn racing_grants_are_all_stored(Handles { both: handles, .. }: &Handles) {
    let license = issue(&handles[0], &spec("open")).await;
    let added = race(handles, CALLERS, |task, store| {
        let (id, command) = (license.id.clone(), Command::AddGrant(grant(&format!("s{task}"), 1)));
        async move { ask(&store, &id, &command).await }
    })
    .await;
    assert!(added.iter().all(Result::is_ok), "{added:?}");
    let found = detail(&handles[1], &license.id).await.license;
    let sources: BTreeSet<_> = found.grants.iter().map(Grant::id).collect();
    assert_eq!(sources.len(), CALLERS, "{} of {CALLERS} racing grants are stored", sources.len());
    assert_eq!(found.version, 1 + CALLERS as u64);
}
