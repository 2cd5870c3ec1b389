//! Deletion of old sessions.

use license_core::access::{Scope, TokenName};
use license_core::limits;
use license_core::service::{SignIn, SignInRequest, TokenSpec};

use super::*;

/// Sessions are deleted when they are old, on any node. Their token stays, and so does a session that is
/// younger.
#[tokio::test(start_paused = true)]
async fn old_sessions_are_deleted_and_tokens_stay() {
    let clock = clock();
    let [engine, other] = nodes(&clock, PlanCatalog::standard()).await;
    let by = Actor::new(Principal::CommandLine);
    let name = TokenName::parse("Ada").expect("a name");
    let spec = TokenSpec { name, scopes: Scope::Admin.into(), expires_at: None };
    let (token, secret) = engine.access.create(&spec, Scope::Admin.into(), &by).await.expect("a token");
    let sign_in = async || {
        let opened = engine.access.sign_in(secret.reveal(), SignInRequest::default()).await;
        let Ok(SignIn::Opened(session, _)) = opened else { panic!("{opened:?}") };
        session.id
    };
    let ids = async || {
        sleep(retention::INTERVAL * 2).await;
        let page = PageRequest { after: None, limit: 100 };
        let found = engine.access.tokens(&page).await.expect("tokens").items;
        let mut ids: Vec<_> = found.into_iter().map(|token| token.id).collect();
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<_>| {
        ids.sort();
        ids
    };
    let first = sign_in().await;
    clock.advance(TimeDelta::days(1));
    let second = sign_in().await;
    clock.advance(TimeDelta::days(i64::from(limits::SESSION_DAYS) - 2));
    let all = sorted(vec![token.id.clone(), first, second.clone()]);
    assert_eq!(ids().await, all, "no session is old");
    clock.advance(TimeDelta::days(1) + TimeDelta::seconds(1));
    assert_eq!(ids().await, sorted(vec![token.id.clone(), second]), "the first session is old");
    clock.advance(TimeDelta::days(365));
    assert_eq!(ids().await, [token.id], "a token is kept");
    engine.shutdown().await;
    other.shutdown().await;
}
