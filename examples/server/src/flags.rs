//! What can be set, by flag or by environment variable.

use std::net::IpAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use crate::access::AuditFlags;
use crate::byte_size::ByteSize;
use crate::command::Command;
use crate::edge::EdgeFlags;
use crate::usage::UsageFlags;
use clap::{Args, Parser, ValueEnum};
use license_core::delivery::Schedule;
use license_core::key::{KeyFormat, Secret};
use license_core::plan::PlanCatalog;
use license_http::webhooks::{Destinations, IpNet};
use license_store::cache::CacheOptions;
use license_store::group_commit::{GroupCommitOptions, Recording};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Shortest admin token that may be set by hand, in bytes: short ones can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Memory for cached API tokens, in bytes; each takes about 600.
const TOKEN_CACHE_SIZE: usize = 8 << 20;

/// Issues, validates and manages licenses over HTTP.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "LICENSE_SECRET (64 hex digits) seals the license keys; without it a file beside \
    the database is used, and made on the first start."
)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "LICENSE_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,

    #[command(flatten)]
    pub(crate) database: DatabaseFlags,

    #[command(flatten)]
    pub(crate) validations: ValidationFlags,

    #[command(flatten)]
    pub(crate) edge: EdgeFlags,

    #[command(flatten)]
    pub(crate) audit: AuditFlags,

    #[command(flatten)]
    pub(crate) usage: UsageFlags,

    #[command(flatten)]
    pub(crate) webhooks: WebhookFlags,

    /// Token for admin calls, instead of the one made on the first start
    #[arg(long, env = "LICENSE_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<String>,

    /// TOML file of the plans, instead of starter, professional and enterprise
    #[arg(long, global = true, env = "LICENSE_PLANS", value_name = "FILE")]
    plans: Option<PathBuf>,

    /// What license keys start with: 1 to 10 of A-Z and 0-9
    #[arg(long, global = true, env = "LICENSE_KEY_PREFIX", default_value = "TO")]
    key_prefix: String,

    /// Form of the log on standard error
    #[arg(long, env = "LICENSE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// What the log tells: debug has a line for each validation as well
    #[arg(long, env = "LICENSE_LOG_LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
}

/// Where licenses are kept.
#[derive(Debug, Args)]
pub(crate) struct DatabaseFlags {
    /// Where licenses are kept
    #[arg(
        long,
        global = true,
        help = "Where licenses are kept: sqlite://FILE, postgres://USER:PASSWORD@HOST/NAME, or memory: (gone when the \
                server stops)",
        env = "LICENSE_DATABASE",
        hide_env_values = true,
        default_value = "sqlite://licenses.db"
    )]
    pub(crate) database: String,

    /// PostgreSQL: most connections of this node
    #[arg(long, global = true, env = "LICENSE_DATABASE_CONNECTIONS", value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) database_connections: u16,

    /// PostgreSQL: seconds that a call waits for a connection before it is answered 503
    #[arg(long, global = true, env = "LICENSE_DATABASE_TIMEOUT", value_name = "SECONDS", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) database_timeout: u16,

    /// PostgreSQL: a pooler in transaction mode, such as pgbouncer, stands between; see docs/postgres.md
    #[arg(long, global = true, env = "LICENSE_DATABASE_POOLER")]
    pub(crate) database_pooler: bool,

    /// PostgreSQL: where to listen for changes of other nodes, where --database is a pooler
    #[arg(long, global = true, env = "LICENSE_DATABASE_LISTEN", hide_env_values = true, value_name = "URL")]
    pub(crate) database_listen: Option<String>,
}

/// How validations are answered and recorded.
#[derive(Debug, Args)]
pub(crate) struct ValidationFlags {
    /// When a validation is answered: after the commit that counts it, or at once
    #[arg(
        long,
        env = "LICENSE_RECORDING",
        value_enum,
        default_value_t = RecordingFlag::Durable,
        help = "When a validation is answered: durable, after the commit that counts it; buffered, at once, and written \
                within 100 ms (a killed process loses those)"
    )]
    recording: RecordingFlag,

    /// Memory for cached licenses, such as 64MiB or 2GiB; a license with few activations takes about 650 bytes
    #[arg(long, env = "LICENSE_CACHE_SIZE", value_name = "SIZE", default_value = "256MiB")]
    cache_size: ByteSize,

    /// Seconds after which a license in memory is read again, whatever was heard of it
    #[arg(long, env = "LICENSE_CACHE_TTL", value_name = "SECONDS", default_value_t = CacheOptions::default().ttl.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    cache_ttl: u64,

    /// Milliseconds after which a database that does not answer is taken for down: licenses in memory are answered for, and
    /// their validations kept
    #[arg(long, env = "LICENSE_OUTAGE_AFTER", value_name = "MILLISECONDS", default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(1..=60_000))]
    outage_after: u64,

    /// Seconds for which licenses in memory are answered for while the database is down
    #[arg(long, env = "LICENSE_OUTAGE_CACHE", value_name = "SECONDS", default_value_t = CacheOptions::default().outage.as_secs(),
        value_parser = clap::value_parser!(u64).range(0..=2_592_000))]
    outage_cache: u64,

    /// Validations that are kept in memory while the database is down; of more, the oldest are dropped
    #[arg(long, env = "LICENSE_OUTAGE_RECORDS", value_name = "N", default_value_t = GroupCommitOptions::default().kept)]
    outage_records: usize,
}

/// Where webhooks may go, and when.
#[derive(Debug, Args)]
pub(crate) struct WebhookFlags {
    /// Network that webhooks may reach although it is not of the public internet; may stand several times
    #[arg(long = "webhook-allow", env = "LICENSE_WEBHOOK_ALLOW", value_name = "CIDR", value_delimiter = ',',
        value_parser = network)]
    allow: Vec<IpNet>,

    /// Let webhooks go over plain HTTP as well
    #[arg(long = "webhook-allow-http", env = "LICENSE_WEBHOOK_ALLOW_HTTP")]
    allow_http: bool,

    /// Seconds that a receiver of webhooks may take to answer
    #[arg(long = "webhook-timeout", env = "LICENSE_WEBHOOK_TIMEOUT", value_name = "SECONDS", default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,

    /// When a webhook is sent again: the pause before each try, such as 0s,5s,10m,2h
    #[arg(
        long = "webhook-schedule",
        env = "LICENSE_WEBHOOK_SCHEDULE",
        value_name = "PAUSES",
        default_value = "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h"
    )]
    pub(crate) schedule: Schedule,

    /// Days before the end of a term that it is told as license.expiring
    #[arg(long, env = "LICENSE_EXPIRING_DAYS", value_name = "DAYS", default_value_t = 7,
        value_parser = clap::value_parser!(u16).range(1..=365))]
    pub(crate) expiring_days: u16,
}

impl WebhookFlags {
    /// Where they may go.
    pub(crate) fn destinations(&self) -> Destinations {
        let rules = self.allow.iter().fold(Destinations::public(), |rules, network| rules.allow(*network));
        if self.allow_http { rules.allow_http() } else { rules }
    }

    /// How long an attempt may take.
    pub(crate) fn attempt_time(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// `10.0.0.0/8`, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "a network such as 10.0.0.0/8 or an address".to_owned())
}

/// When a validation is answered.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RecordingFlag {
    /// After its commit.
    Durable,
    /// At once.
    Buffered,
}

impl ValidationFlags {
    /// The cache of licenses.
    pub(crate) fn cache(&self) -> CacheOptions {
        CacheOptions {
            size: self.cache_size.0,
            ttl: Duration::from_secs(self.cache_ttl),
            deadline: Duration::from_millis(self.outage_after),
            outage: Duration::from_secs(self.outage_cache),
        }
    }

    /// The cache of API tokens, with the times of the license cache.
    pub(crate) fn token_cache(&self) -> CacheOptions {
        CacheOptions { size: TOKEN_CACHE_SIZE, ..self.cache() }
    }

    pub(crate) fn recording(&self) -> Recording {
        match self.recording {
            RecordingFlag::Durable => Recording::Durable,
            RecordingFlag::Buffered => Recording::Buffered,
        }
    }

    /// How validations are committed, so many commits at once.
    pub(crate) fn group_commit(&self, commits: NonZero<usize>) -> GroupCommitOptions {
        GroupCommitOptions {
            recording: self.recording(),
            commits,
            deadline: Duration::from_millis(self.outage_after),
            kept: self.outage_records,
            ..GroupCommitOptions::default()
        }
    }
}

/// The form of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// What the log tells.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogLevel {
    /// Faults of the server and of its database.
    Error,
    /// And what may become one.
    Warn,
    /// And each request but validations.
    Info,
    /// And each validation.
    Debug,
}

impl LogFormat {
    /// Starts logging, to standard error.
    pub(crate) fn start(self, level: LogLevel) {
        let level = match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        // The driver passes on what PostgreSQL remarks on, such as tables that are there already.
        let levels = Targets::new()
            .with_default(level.min(LevelFilter::INFO))
            .with_target("license", level)
            .with_target("sqlx", level.min(LevelFilter::WARN));
        // A log that can't be written (its disk is full) is no reason to fail a request.
        let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).log_internal_errors(false);
        let log = tracing_subscriber::registry();
        match self {
            Self::Text => {
                let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
                log.with(lines.with_ansi(colours).with_filter(levels)).init();
            }
            Self::Json => log.with(lines.json().flatten_event(true).with_filter(levels)).init(),
        }
    }
}

impl Flags {
    /// The form of keys.
    pub(crate) fn key_format(&self) -> Result<KeyFormat, String> {
        KeyFormat::new(&self.key_prefix, KeyFormat::default().groups())
            .map_err(|error| format!("--key-prefix: {error}"))
    }

    /// The plans, and where they come from.
    pub(crate) fn plans(&self) -> Result<(PlanCatalog, String), String> {
        let Some(path) = &self.plans else { return Ok((PlanCatalog::standard(), "built in".to_owned())) };
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("--plans {shown}: {error}"))?;
        let plans = PlanCatalog::from_toml(&text)
            .map_err(|error| format!("--plans {shown}: {}", one_line(&error)))?;
        Ok((plans, shown.to_string()))
    }

    /// The admin token, where one is set.
    pub(crate) fn admin_token(&self) -> Result<Option<String>, String> {
        match &self.admin_token {
            Some(token)
                if token.len() < SHORTEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Err(format!(
                    "--admin-token: at least {SHORTEST_TOKEN} printable ASCII characters without spaces"
                ))
            }
            token => Ok(token.clone()),
        }
    }
}

/// The secret of the environment, where one is set. Not a flag: flags are seen by every user of the machine.
pub(crate) fn secret_of_environment() -> Result<Option<Secret>, String> {
    match std::env::var("LICENSE_SECRET") {
        Ok(text) => Secret::from_hex(&text).map(Some).map_err(|error| format!("LICENSE_SECRET: {error}")),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err("LICENSE_SECRET: not 64 hex digits".to_owned()),
    }
}

/// An error's text on one line; TOML errors draw the place in several.
fn one_line(error: &impl ToString) -> String {
    error.to_string().lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
