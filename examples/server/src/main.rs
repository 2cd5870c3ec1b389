//! The licensing engine as a server: flags, the [engine](license_store::engine::Engine) and a listener.
//! `license-server --help` lists the flags.

mod backup;
mod byte_size;
mod catalog;
mod clock;
mod command;
mod completions;
mod config_file;
#[cfg(test)]
mod configuration;
mod console;
mod database;
mod database_url;
mod doctor;
mod duration;
mod environment;
#[cfg(test)]
mod example_file;
mod flags;
mod given_secret;
mod healthcheck;
mod lease;
mod man_pages;
mod migration;
mod network;
mod private_file;
mod reload;
mod retention;
mod secret;
mod secret_rotation;
mod service_manager;
mod services;
mod settings;
mod signals;
mod signing_keys;
mod startup_message;
mod tokens;
mod transfer;
mod verify;

use std::process::ExitCode;

use axum::Router;
use flags::Flags;
use license_console::ConsoleOptions;
use license_core::access::{TokenDigest, TokenId};
use license_core::catalog::{DomainPolicy, Limit, Plan, PlanCatalog};
use license_core::clock::SystemRng;
use license_core::error::SetupError;
use license_core::key::DataKeysError;
use license_core::service::FirstToken;
use license_http::webhooks::Dispatcher;
use license_http::{AccessLogLayer, AdminAuth, Api, TokenAuth};
use license_server::listen::{self, ListenOptions};
use license_store::engine::Engine;
use tokio::net::TcpListener;

use database::Database;
use reload::ReloadableFiles;
use startup_message::{AdminToken, StartupMessage};

/// A validation allocates dozens of times, and frees much of it on another thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(code) => code,
        Err(reason) => {
            #[expect(clippy::print_stderr, reason = "the one line of a failed start")]
            {
                eprintln!("license-server: {reason}");
            }
            ExitCode::from(2)
        }
    }
}

async fn start() -> Result<ExitCode, String> {
    let flags = environment::parse_flags()?;
    flags.log_format.start(flags.log_level);
    match &flags.command {
        Some(command) => command.run(&flags).await,
        None => run(flags).await.map(|()| ExitCode::SUCCESS),
    }
}

/// Starts, serves until a signal, and stops. Wrong settings are found before anything is created.
async fn run(flags: Flags) -> Result<(), String> {
    let key_format = flags.key_format()?;
    let plans = flags.plans()?;
    let database = Database::parse(&flags.database)?;
    let given_token = flags.admin_token()?;
    let options = flags.network.listen_options()?;
    let log = AccessLogLayer::new(&mut SystemRng).map_err(text)?;
    let (geoip, geoip_file) = flags.network.geoip()?;
    let listener = TcpListener::bind(&flags.listen).await;
    let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", flags.listen))?;
    let address = listener.local_addr().map_err(text)?;
    let metrics_listener = metrics_listener(flags.network.metrics_listen.as_deref()).await?;

    // Others that start meanwhile wait, and find the secret and the database of this start.
    let starting = database.lock_folder();
    let shown = if database.is_new() { format!("{database} (created)") } else { database.to_string() };
    database.check()?;
    let (stop, hangup) = signals::register().map_err(text)?;
    let secret = secret::load(&database, &flags.database, flags.database.create)?;
    let store = database.open(flags.database.migrate).await.inspect_err(|_| secret.discard(&database))?;
    drop(starting);
    database.warn_about_readable_files();
    let builder = Engine::builder(store, &secret.secret);
    let managed_by = plans.as_ref().map(|(_, file)| file.clone());
    let builder = plans.into_iter().fold(builder, |builder, (plans, file)| builder.plans_of(plans, file));
    let has_tls = options.tls.is_some();
    let scheme = if has_tls { "https" } else { "http" };
    let builder = flags.tokens.configure(builder, format!("{scheme}://{address}"));
    let engine = builder
        .key_format(key_format)
        .cache(flags.validations.cache())
        .token_cache(flags.validations.token_cache())
        .recording(flags.validations.group_commit())
        .webhook_schedule(flags.webhooks.schedule.clone())
        .jobs(flags.jobs())
        .start()
        .await
        .map_err(|error| setup_error(&database, &error))?;

    let served = async {
        let dispatcher = Dispatcher::new(engine.services().webhooks, flags.webhooks.destinations());
        let dispatcher = dispatcher.map_err(text)?.attempt_timeout(flags.webhooks.attempt_timeout());
        let webhooks = dispatcher.webhooks();
        engine.spawn(dispatcher);
        let (auth, admin_token) = auth(&engine, given_token).await?;
        let (app, metrics_app) = Api::new(engine.services(), auth)
            .token_routes()
            .well_known_routes()
            .webhooks(webhooks)
            .limits(flags.network.limits())
            .geoip(geoip)
            .store_addresses(flags.retention.store_addresses)
            .routers();
        let app = with_console(app, &engine, &flags, &admin_token, has_tls).layer(log);
        let console =
            console_line(&engine, &admin_token, flags.console.url(scheme, &address.to_string())).await;
        if options.tls.is_none() && !address.ip().is_loopback() && !flags.network.has_trusted_proxy() {
            tracing::warn!(
                %address,
                "the server listens without TLS: keys and tokens cross the network in clear. Set --tls-cert and \
                --tls-key, or name the TLS proxy in front by --trusted-proxy"
            );
        }
        StartupMessage {
            scheme,
            address,
            database: shown,
            secret: secret.note,
            plans: shown_plans(&engine.catalog.current(), managed_by.as_deref()),
            plan: plan_for_commands(&engine.catalog.current()).into(),
            admin_token,
            console,
            metrics: metrics_listener.as_ref().map(TcpListener::local_addr).transpose().map_err(text)?,
        }
        .print();
        let files = ReloadableFiles { tls: options.tls.clone(), geoip: geoip_file };
        let status = format!("listening on {scheme}://{address}");
        service_manager::ready(&status);
        let mut watched_files = files.watch(hangup, status);
        let stop = async {
            stop.await;
            service_manager::stopping();
            engine.stop();
        };
        let metrics_served = metrics_listener.map(|listener| {
            let stopped = engine.shutdown_signal();
            tokio::spawn(listen::serve(listener, metrics_app, ListenOptions::default(), stopped))
        });
        let served = listen::serve(listener, app, options, stop).await;
        if let Some(metrics_served) = metrics_served {
            metrics_served.await.map_err(text)?.map_err(text)?;
        }
        watched_files.abort_all();
        served.map_err(text)
    };
    let served = served.await;
    engine.shutdown().await;
    served
}

/// Listens for calls of metrics, if an address for them is set.
async fn metrics_listener(address: Option<&str>) -> Result<Option<TcpListener>, String> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).map_err(|error| format!("cannot listen on {address} for metrics: {error}"))
}

/// Adds the console, unless it is off.
fn with_console(
    app: Router,
    engine: &Engine,
    flags: &Flags,
    admin_token: &AdminToken,
    has_tls: bool,
) -> Router {
    let services = engine.services();
    let options = ConsoleOptions::new()
        .store_addresses(flags.retention.store_addresses)
        .destinations(flags.webhooks.destinations())
        .customer_export(move |email| license_http::export_customer(services.clone(), email));
    let options = match admin_token {
        // As a bearer token, it is rejected too.
        AdminToken::Configured => options.excluding(TokenId::first()),
        AdminToken::Created(_) | AdminToken::Existing => options,
    };
    flags.console.mount(app, engine.services(), has_tls, options)
}

/// Returns the address of the console and how to sign in.
async fn console_line(engine: &Engine, admin_token: &AdminToken, url: Option<String>) -> Option<String> {
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    Some(console::sign_in_line(&engine.access, admin_token, &url?, is_terminal).await)
}

/// Authenticates by the tokens of the database. A token given for this run replaces the first one.
async fn auth(engine: &Engine, given: Option<String>) -> Result<(TokenAuth, AdminToken), String> {
    let auth = TokenAuth::new(engine.services().access);
    if let Some(token) = given {
        let given = AdminAuth::new([TokenDigest::of(&token)]);
        return Ok((auth.with_admins(given).excluding(TokenId::first()), AdminToken::Configured));
    }
    let token = match engine.access.first_token().await.map_err(text)? {
        FirstToken::Created(token) => AdminToken::Created(token),
        FirstToken::Existing => AdminToken::Existing,
    };
    Ok((auth, token))
}

/// Returns the plan with which the printed commands show a limit soonest.
fn plan_for_commands(plans: &PlanCatalog) -> Plan {
    let soonest = |plan: &&Plan| {
        // Such plans deny commands that can be pasted twice.
        let strict = plan.domain_policy == DomainPolicy::RegisteredOnly || plan.trial.is_some();
        let most = plan.max_domains.as_number().unwrap_or(u32::MAX);
        (strict, plan.max_domains == Limit::AtMost(0), most)
    };
    let available = plans.entries().filter(|entry| entry.is_available());
    let available = available.map(|entry| &*entry.current().plan);
    available.min_by_key(soonest).map_or_else(|| Plan::new("none"), Clone::clone)
}

/// Returns the names of the plans that can be sold, and where they are managed.
fn shown_plans(plans: &PlanCatalog, file: Option<&str>) -> String {
    let managed_in = file.unwrap_or("the database; manage them with /api/v1/plans");
    format!("{} (in {managed_in})", plans.available().join(", "))
}

/// Describes why the engine does not start on a database, in terms of flags.
fn setup_error(database: &Database, error: &SetupError) -> String {
    match error {
        SetupError::KeyFormatDiffers { prefix } => {
            format!("{database}: its keys start with {prefix}; start with --key-prefix {prefix}")
        }
        SetupError::Catalog(denial) => format!("{database}: --plans: {denial}"),
        SetupError::DataKeys(DataKeysError::WrongSecret) => {
            format!("{database}: {error}{}", secret_rotation::hint(database))
        }
        error => format!("{database}: {error}"),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
