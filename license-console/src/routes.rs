//! The routes, with the scopes that they need.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use license_core::access::Scope;
use license_core::service::Services;
use tokio::sync::Semaphore;

use crate::assets::asset;
use crate::console::{Console, Shared};
use crate::failure::Failure;
use crate::failure_limit::FailureLimit;
use crate::guard::{guard, require};
use crate::options::ConsoleOptions;
use crate::pages::{
    actions, audit, blocks, bulk, customer, customers, delivery, edit, event, grants, issue, job, jobs, key,
    leases, license, licenses, licenses_csv, overview, plan, plan_edit, plan_new, plans, product,
    release_code, rotate_key, search, shortcuts, sign_in, signing_keys, slots, system, theme, time_zone,
    tokens, unusual, usage, webhook, webhook_form, webhooks,
};

/// A route of the console for people who are signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below the prefix, with its parameters in braces.
    pub path: &'static str,
    /// The scopes that it needs.
    pub scopes: &'static [Scope],
}

/// One line per route.
macro_rules! table {
    ($($method:ident $path:literal [$($scope:ident),*] $handler:path;)+) => {
        vec![$((
            Route { method: Method::$method, path: $path, scopes: &[$(Scope::$scope),*] },
            on(MethodFilter::$method, $handler),
        )),+]
    };
}

fn table() -> Vec<(Route, MethodRouter<Console>)> {
    table! {
        GET "/" [] overview::overview;
        POST "/sign-out" [] sign_in::sign_out;
        GET "/licenses" [LicensesRead] licenses::list;
        POST "/search" [LicensesRead] search::search;
        GET "/licenses/{id}" [LicensesRead] license::license;
        POST "/licenses/{id}/key" [LicensesRead] key::reveal;
        GET "/licenses/{id}/{action}" [LicensesWrite] actions::ask;
        POST "/licenses/{id}/{action}" [LicensesWrite] actions::act;
        POST "/licenses/{id}/slots/{activation}/release" [LicensesWrite] slots::release;
        GET "/issue" [LicensesWrite] issue::ask;
        POST "/issue" [LicensesWrite] issue::issue;
        GET "/licenses/{id}/edit" [LicensesRead, LicensesWrite] edit::ask;
        POST "/licenses/{id}/edit" [LicensesRead, LicensesWrite] edit::edit;
        GET "/licenses/{id}/rotate-key" [LicensesRead, LicensesWrite] rotate_key::ask;
        POST "/licenses/{id}/rotate-key" [LicensesWrite] rotate_key::rotate;
        POST "/licenses/{id}/grants" [LicensesWrite] grants::add;
        POST "/licenses/{id}/grants/remove" [LicensesWrite] grants::remove;
        GET "/licenses/{id}/block" [LicensesWrite] blocks::ask;
        POST "/licenses/{id}/block" [LicensesWrite] blocks::block;
        POST "/licenses/{id}/block/ask" [LicensesWrite] blocks::ask_for_slot;
        POST "/licenses/{id}/blocks/{block}/remove" [LicensesWrite] blocks::unblock;
        GET "/leases" [LeasesWrite] leases::ask;
        POST "/leases" [LeasesWrite] leases::issue;
        GET "/tokens" [TokensWrite] tokens::list;
        GET "/tokens/new" [TokensWrite] tokens::ask;
        POST "/tokens" [TokensWrite] tokens::create;
        GET "/tokens/{token}/revoke" [TokensWrite] tokens::ask_to_revoke;
        POST "/tokens/{token}/revoke" [TokensWrite] tokens::revoke;
        POST "/tokens/{token}/end" [TokensWrite] tokens::end;
        GET "/audit" [AuditRead] audit::list;
        GET "/webhooks" [WebhooksRead] webhooks::list;
        GET "/webhooks/new" [WebhooksWrite] webhook_form::ask;
        POST "/webhooks" [WebhooksWrite] webhook_form::create;
        GET "/webhooks/{endpoint}" [WebhooksRead] webhook::show;
        POST "/webhooks/{endpoint}/enable" [WebhooksWrite] webhook::enable;
        POST "/webhooks/{endpoint}/disable" [WebhooksWrite] webhook::disable;
        POST "/webhooks/{endpoint}/test" [WebhooksWrite] webhook::test;
        GET "/webhooks/{endpoint}/rotate-secret" [WebhooksWrite] webhook::ask_to_rotate;
        POST "/webhooks/{endpoint}/rotate-secret" [WebhooksWrite] webhook::rotate;
        GET "/webhooks/{endpoint}/delete" [WebhooksWrite] webhook::ask_to_delete;
        POST "/webhooks/{endpoint}/delete" [WebhooksWrite] webhook::delete;
        GET "/webhooks/{endpoint}/deliveries/{event}" [WebhooksRead] delivery::show;
        POST "/webhooks/{endpoint}/deliveries/{event}/replay" [WebhooksWrite] delivery::replay;
        POST "/webhooks/{endpoint}/replay" [WebhooksWrite] delivery::replay_since;
        GET "/plans" [CatalogRead] plans::list;
        GET "/plans.toml" [CatalogRead] plans::download;
        GET "/plans/{plan}" [CatalogRead] plan::show;
        GET "/plans/{plan}/edit" [CatalogRead, CatalogWrite] plan_edit::ask;
        POST "/plans/{plan}/edit" [CatalogRead, CatalogWrite] plan_edit::preview;
        POST "/plans/{plan}/change" [CatalogWrite] plan_edit::change;
        GET "/plans/{plan}/archive" [CatalogWrite] plan::ask_to_archive;
        POST "/plans/{plan}/archive" [CatalogWrite] plan::archive;
        POST "/plans/{plan}/unarchive" [CatalogWrite] plan::unarchive;
        GET "/customers" [LicensesRead] customers::list;
        POST "/customers" [LicensesRead] customers::search;
        POST "/customers/open" [LicensesRead] customers::open;
        GET "/licenses/{id}/customer" [LicensesRead] customer::show;
        GET "/licenses/{id}/customer/erase" [LicensesWrite] customer::ask_to_erase;
        POST "/licenses/{id}/customer/erase" [LicensesWrite] customer::erase;
        GET "/usage" [UsageRead] usage::show;
        GET "/usage.csv" [UsageRead] usage::download;
        GET "/events/{event}" [WebhooksRead] event::show;
        GET "/system" [UsageRead] system::show;
        GET "/signing-keys" [KeysWrite] signing_keys::list;
        GET "/signing-keys/rotate" [KeysWrite] signing_keys::ask_to_rotate;
        POST "/signing-keys/rotate" [KeysWrite] signing_keys::rotate;
        GET "/signing-keys/{key}/revoke" [KeysWrite] signing_keys::ask_to_revoke;
        POST "/signing-keys/{key}/revoke" [KeysWrite] signing_keys::revoke;
        GET "/webhooks/{endpoint}/edit" [WebhooksRead, WebhooksWrite] webhook_form::ask_to_change;
        POST "/webhooks/{endpoint}/edit" [WebhooksRead, WebhooksWrite] webhook_form::change;
        GET "/leases/release" [LeasesWrite] release_code::ask;
        POST "/leases/release" [LeasesWrite] release_code::release;
        GET "/licenses/{id}/customer/export" [LicensesRead, UsageRead] customer::export;
        GET "/shortcuts" [] shortcuts::show;
        GET "/time-zone" [] time_zone::ask;
        POST "/time-zone" [] time_zone::choose;
        GET "/new-plan" [CatalogRead, CatalogWrite] plan_new::ask;
        POST "/new-plan" [CatalogRead, CatalogWrite] plan_new::create;
        GET "/new-product" [CatalogWrite] product::ask_for_new;
        POST "/new-product" [CatalogWrite] product::create;
        GET "/products/{product}/edit" [CatalogRead, CatalogWrite] product::ask;
        POST "/products/{product}/edit" [CatalogRead, CatalogWrite] product::change;
        GET "/products/{product}/delete" [CatalogRead, CatalogWrite] product::ask_to_delete;
        POST "/products/{product}/delete" [CatalogWrite] product::delete;
        GET "/licenses.csv" [LicensesRead] licenses_csv::download;
        GET "/licenses/unusual" [LicensesRead] unusual::list;
        GET "/licenses/bulk" [LicensesRead, LicensesWrite] bulk::ask;
        POST "/licenses/bulk" [LicensesRead, LicensesWrite] bulk::start;
        GET "/jobs" [LicensesRead] jobs::list;
        GET "/jobs/{job}" [LicensesRead] job::show;
        POST "/jobs/{job}/cancel" [LicensesRead, LicensesWrite] job::cancel;
    }
}

/// Returns the routes for people who are signed in. The router is built from the same list.
#[must_use]
pub fn routes() -> Vec<Route> {
    table().into_iter().map(|(route, _)| route).collect()
}

/// Returns the console. Mount it with [`Router::nest`].
pub fn router(services: Services, options: ConsoleOptions) -> Router {
    let pages = Arc::new(Semaphore::new(options.pages_at_once.get().min(Semaphore::MAX_PERMITS)));
    let console = Console::new(Shared { services, options, failures: FailureLimit::default(), pages });
    let router = table().into_iter().fold(Router::new(), |router, (route, handler)| {
        let state = (Console::clone(&console), route.scopes);
        router.route(route.path, handler.layer(from_fn_with_state(state, require)))
    });
    let router = if console.options.authenticator.is_none() {
        router
            .route("/sign-in", get(sign_in::ask).post(sign_in::sign_in))
            .route("/link", get(sign_in::ask_for_link).post(sign_in::open_link))
    } else {
        router
    };
    router
        .route("/theme", post(theme::choose))
        .route("/assets/{version}/{name}", get(asset))
        .fallback(async || Failure::page_not_found())
        .method_not_allowed_fallback(async || Failure::method_not_allowed())
        .layer(from_fn_with_state(Console::clone(&console), guard))
        .with_state(console)
}
