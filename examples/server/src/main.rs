//! The licensing engine as a server. `license-server --help` says what can be set.

mod access;
mod background;
mod banner;
mod byte_size;
mod command;
mod database;
mod edge;
mod flags;
mod front;
mod secret;
mod tokens;
mod transfer;
mod usage;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use flags::Flags;
use license_core::clock::{SystemClock, SystemRng};
use license_core::key::KeyFormat;
use license_core::plan::{DomainPolicy, Limit, Plan};
use license_core::service::LicenseService;
use license_core::store::LicenseStore;
use license_http::{Api, LogRequests};
use license_server::listen;
use tokio::net::TcpListener;

use access::Access;
use background::Background;
use banner::Banner;
use database::Database;
use front::Front;

/// Each validation allocates some dozens of times, on any thread, and much of it is freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The name under which a database keeps the form of its keys.
const KEY_FORMAT: &str = "key_format";

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    flags.log_format.start(flags.log_level);
    let done = match &flags.command {
        Some(command) => command.run(&flags).await,
        None => run(flags).await.map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(reason) => {
            #[expect(clippy::print_stderr, reason = "the one clear line that a failed start is")]
            {
                eprintln!("license-server: {reason}");
            }
            ExitCode::from(2)
        }
    }
}

/// Starts, serves until a signal, stops. What can be wrong is found before anything is made: the address, the plans, the
/// form of keys, the database's name, then the secret.
async fn run(flags: Flags) -> Result<(), String> {
    let key_format = flags.key_format()?;
    let (plans, plans_from) = flags.plans()?;
    let database = Database::parse(&flags.database)?;
    let given_token = flags.admin_token()?;
    let options = flags.edge.listen_options()?;
    let log = LogRequests::new(&mut SystemRng).map_err(|error| error.to_string())?;
    let (geography, geo_file) = flags.edge.geography()?;
    let listener = TcpListener::bind(&flags.listen).await;
    let listener = listener.map_err(|error| format!("can't listen on {}: {error}", flags.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;

    let shown = if database.is_new() { format!("{database} (made now)") } else { database.to_string() };
    database.check()?;
    let stop = stop_signal().map_err(|error| error.to_string())?;
    let secret = secret::find(&database)?;
    let opened = database.open().await.inspect_err(|_| secret.forget())?;
    let front = Front::new(Arc::clone(&opened.store), &flags.validations, opened.commits)?;
    let access = Access::new(&opened, &flags.audit, flags.validations.token_cache());
    let store = &front.store;
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let started = async {
        // For the commands: where a limit is soon seen to hold.
        let soonest = |plan: &&Plan| {
            let registered = plan.domain_policy == DomainPolicy::RegisteredOnly;
            (
                registered,
                plan.max_domains == Limit::AtMost(0),
                plan.max_domains.as_number().unwrap_or(u32::MAX),
            )
        };
        let plan = plans.iter().min_by_key(soonest).map_or_else(|| Plan::new("none"), Clone::clone);
        let names = plans.iter().map(|plan| plan.name.clone()).collect::<Vec<_>>().join(", ");
        let service = LicenseService::builder(Arc::clone(store), &secret.secret, SystemClock, SystemRng)
            .plans(plans)
            .key_format(key_format.clone())
            .outbox(Arc::clone(&opened.outbox))
            .transfer(Arc::clone(&opened.transfer))
            .webhook_schedule(flags.webhooks.schedule.clone())
            .build()
            .await
            .map_err(|error| format!("{database}: {error}"))?;
        check_key_format(&**store, &key_format).await.map_err(|error| format!("{database}: {error}"))?;
        let (auth, admin_token) = access.auth(&**store, given_token).await?;
        let service = Arc::new(service);
        let (background, webhooks) = Background::start(&service, &flags.webhooks, flags.usage.retention())?;
        let api = Api::new(service, auth).access(Arc::clone(&access.service)).webhooks(webhooks);
        let app = api
            .edge(flags.edge.edge_options())
            .geography(geography)
            .store_addresses(flags.audit.store_addresses);
        let plans = format!("{names} ({plans_from})");
        Banner {
            scheme,
            address,
            database: shown,
            secret: secret.note,
            plans,
            plan: plan.into(),
            admin_token,
        }
        .print();
        Ok((app, background))
    };
    let renewals = options.tls.clone().map(|tls| tokio::spawn(tls.watch()));
    let new_places = geo_file.map(|file| tokio::spawn(file.watch()));
    let served = match started.await {
        Ok((app, background)) => {
            let app = app.router().layer(log);
            let served = listen::serve(listener, app, options, background.stop_at(stop)).await;
            background.close().await;
            served.map_err(|error| error.to_string())
        }
        Err(reason) => Err(reason),
    };
    access.close().await;
    for watch in [renewals, new_places].into_iter().flatten() {
        watch.abort();
    }
    front.close().await;
    opened.close().await;
    served
}

/// A database whose keys are of another form would refuse every one of them.
async fn check_key_format(store: &dyn LicenseStore, format: &KeyFormat) -> Result<(), String> {
    let form = format!("{}-{}", format.prefix(), format.groups());
    let kept = store.keep_first(KEY_FORMAT, form.as_bytes()).await.map_err(|error| error.to_string())?;
    if kept == form.as_bytes() {
        return Ok(());
    }
    let kept = String::from_utf8_lossy(&kept);
    let prefix = kept.split('-').next().unwrap_or_default();
    Err(format!("its keys start with {prefix}; start with --key-prefix {prefix}"))
}

/// Ctrl-C or SIGTERM, from now on: whoever reads that the server has started may stop it.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let signal = {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    };
    #[cfg(not(unix))]
    let signal = async {
        // Where it can't be listened to, it ends the process as it always does.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    Ok(async move {
        signal.await;
        tracing::info!("stopping: running requests are finished first");
    })
}
