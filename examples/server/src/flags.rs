//! Command-line flags. Each has an environment variable.

use std::net::IpAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::byte_size::ByteSize;
use crate::command::ServerCommand;
use crate::console::ConsoleFlags;
use crate::duration;
use crate::environment::switch;
use crate::given_secret::GivenSecret;
use crate::network::NetworkFlags;
use crate::retention::RetentionFlags;
use crate::settings::Settings;
use clap::{ArgAction, Args, Parser, ValueEnum};
use license_core::catalog::PlanCatalog;
use license_core::key::{KeyFormat, Secret};
use license_core::license::Reminders;
use license_core::signing::TokenAlgorithm;
use license_core::webhook::Schedule;
use license_http::webhooks::{Destinations, IpNet};
use license_store::cache::CacheOptions;
use license_store::engine::{EngineBuilder, JobOptions};
use license_store::group_commit::{GroupCommitOptions, Recording};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Minimum length of an admin token that is set by hand, in bytes.
const MIN_ADMIN_TOKEN_LENGTH: usize = 16;

/// Issues, validates and manages licenses over HTTP.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "LICENSE_SECRET (64 hex digits), or the file that LICENSE_SECRET_FILE names, seals the license keys. \
    Without both, the secret is in a file next to the SQLite database, which the first start creates."
)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<ServerCommand>,

    /// TOML file with settings. A key is the name of a flag, such as cache-ttl = "5m"; flags and variables
    /// win
    #[arg(long, global = true, env = "LICENSE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// All settings and their sources.
    #[arg(skip)]
    pub(crate) settings: Settings,

    /// Address and port to listen on; port 0 selects a free port
    #[arg(long, env = "LICENSE_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,

    #[command(flatten)]
    pub(crate) database: DatabaseFlags,

    #[command(flatten)]
    pub(crate) validations: ValidationFlags,

    #[command(flatten)]
    pub(crate) network: NetworkFlags,

    #[command(flatten)]
    pub(crate) retention: RetentionFlags,

    #[command(flatten)]
    pub(crate) webhooks: WebhookFlags,

    #[command(flatten)]
    pub(crate) tokens: TokenFlags,

    #[command(flatten)]
    pub(crate) console: ConsoleFlags,

    /// Token for admin calls, instead of the one generated on the first start
    #[arg(
        long = "admin-token",
        env = "LICENSE_ADMIN_TOKEN",
        hide_env_values = true,
        value_name = "ADMIN_TOKEN"
    )]
    admin_token_text: Option<String>,

    /// File with the token for admin calls
    #[arg(long, env = "LICENSE_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,

    /// The token, or its file.
    #[arg(skip)]
    pub(crate) admin_token: GivenSecret,

    /// TOML file with plans, which are applied at each start and cannot be changed by the API. Without it,
    /// starter, professional and enterprise are written into a new database
    #[arg(long, global = true, env = "LICENSE_PLANS", value_name = "FILE")]
    plans: Option<PathBuf>,

    /// Prefix of license keys: 1 to 10 of A-Z and 0-9
    #[arg(long, global = true, env = "LICENSE_KEY_PREFIX", default_value = "TO")]
    key_prefix: String,

    /// Format of the log, which goes to standard error
    #[arg(long, env = "LICENSE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// Log level; debug adds a line for each validation
    #[arg(long, env = "LICENSE_LOG_LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
}

/// Flags of the database. `Debug` does not show the URLs, which may contain passwords.
#[derive(Args)]
pub(crate) struct DatabaseFlags {
    #[arg(
        long,
        global = true,
        help = "Database: sqlite://FILE, postgres://USER:PASSWORD@HOST/NAME, or memory: (lost when the server stops)",
        env = "LICENSE_DATABASE",
        hide_env_values = true,
        default_value = "sqlite://licenses.db"
    )]
    pub(crate) database: String,

    /// Create a new database although its secret exists; without this flag, a missing database is an error
    #[arg(long)]
    pub(crate) create: bool,

    /// Whether a start creates the tables and migrates the schema of an earlier version. If off, run
    /// license-server migrate before
    #[arg(long, env = "LICENSE_MIGRATE", value_name = "on|off", value_parser = switch,
        action = ArgAction::Set, default_value = "on")]
    pub(crate) migrate: bool,

    /// PostgreSQL: maximum number of connections of this node, without three for lists and changes
    #[arg(long, global = true, env = "LICENSE_DATABASE_CONNECTIONS", value_name = "N", default_value = "10")]
    pub(crate) database_connections: NonZero<u16>,

    /// PostgreSQL: time that a call waits for a connection; then it is answered 503
    #[arg(
        long,
        global = true,
        env = "LICENSE_DATABASE_TIMEOUT",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration::within("1s", "1h")
    )]
    pub(crate) database_timeout: Duration,

    /// PostgreSQL: --database is a pooler in transaction mode, such as pgbouncer; see docs/postgres.md
    #[arg(long, global = true, env = "LICENSE_DATABASE_POOLER", value_parser = switch)]
    pub(crate) database_pooler: bool,

    /// PostgreSQL: URL without the pooler, to listen for changes of other nodes
    #[arg(long, global = true, env = "LICENSE_DATABASE_LISTEN", hide_env_values = true, value_name = "URL")]
    pub(crate) database_listen: Option<String>,

    /// File with the value of --database, whose URL may contain a password
    #[arg(long, global = true, env = "LICENSE_DATABASE_FILE", value_name = "FILE")]
    database_file: Option<PathBuf>,

    /// File with the value of --database-listen
    #[arg(long, global = true, env = "LICENSE_DATABASE_LISTEN_FILE", value_name = "FILE")]
    database_listen_file: Option<PathBuf>,

    /// PostgreSQL: URL of a streaming replica for usage reports and rollups
    #[arg(long, env = "LICENSE_READ_REPLICA", hide_env_values = true, value_name = "URL")]
    pub(crate) read_replica: Option<String>,

    /// File with the value of --read-replica
    #[arg(long, env = "LICENSE_READ_REPLICA_FILE", value_name = "FILE")]
    read_replica_file: Option<PathBuf>,

    /// File with the secret that seals the license keys: 64 hex digits. Without it, the file next to the
    /// SQLite database
    #[arg(long, global = true, env = "LICENSE_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// The secret, or its file.
    #[arg(skip)]
    pub(crate) secret: GivenSecret,
}

impl DatabaseFlags {
    /// Returns the secret if it is set.
    pub(crate) fn secret(&self) -> Result<Option<Secret>, String> {
        let text = self.secret.read()?;
        let secret = text.map(|text| Secret::from_hex(&text)).transpose();
        secret.map_err(|error| format!("{}: {error}", self.secret.name()))
    }
}

impl std::fmt::Debug for DatabaseFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseFlags").field("create", &self.create).finish_non_exhaustive()
    }
}

/// Flags of the cache and of the recording of validations.
#[derive(Debug, Args)]
pub(crate) struct ValidationFlags {
    /// durable answers a validation after the commit that counts it; buffered answers at once and commits
    /// within 100 ms, so that a killed process loses what is not committed
    #[arg(long, env = "LICENSE_RECORDING", value_enum, default_value_t = RecordingFlag::Durable)]
    recording: RecordingFlag,

    /// Memory for cached licenses, such as 64MiB or 2GiB; a license with few activations takes about 650
    /// bytes
    #[arg(long, env = "LICENSE_CACHE_SIZE", value_name = "SIZE", default_value = "256MiB")]
    cache_size: ByteSize,

    /// Time after which a cached license is reloaded, even if no change was announced
    #[arg(long, env = "LICENSE_CACHE_TTL", value_name = "DURATION", default_value = "5m",
        value_parser = duration::within("1s", "24h"))]
    cache_ttl: Duration,

    /// Time after which a database that does not answer counts as down; then cached licenses keep
    /// validating, and their validations are queued
    #[arg(long, env = "LICENSE_OUTAGE_AFTER", value_name = "DURATION", default_value = "1s",
        value_parser = duration::within("1ms", "1m"))]
    outage_after: Duration,

    /// Time for which cached licenses keep validating while the database is down
    #[arg(long, env = "LICENSE_OUTAGE_CACHE", value_name = "DURATION", default_value = "1h",
        value_parser = duration::within("0s", "30d"))]
    outage_cache: Duration,

    /// Maximum number of validations that are queued while the database is down; the oldest are dropped first
    #[arg(long, env = "LICENSE_OUTAGE_RECORDS", value_name = "N", default_value_t = GroupCommitOptions::default().max_buffered)]
    outage_records: usize,
}

/// Flags of webhooks.
#[derive(Debug, Args)]
pub(crate) struct WebhookFlags {
    /// Private network or address that webhooks may reach; may be repeated
    #[arg(long = "webhook-allow", env = "LICENSE_WEBHOOK_ALLOW", value_name = "CIDR", value_delimiter = ',',
        value_parser = network)]
    allow: Vec<IpNet>,

    /// Allows webhooks over plain HTTP
    #[arg(long = "webhook-allow-http", env = "LICENSE_WEBHOOK_ALLOW_HTTP", value_parser = switch)]
    allow_http: bool,

    /// Time that a webhook receiver has to answer
    #[arg(long = "webhook-timeout", env = "LICENSE_WEBHOOK_TIMEOUT", value_name = "DURATION", default_value = "15s",
        value_parser = duration::within("1s", "1m"))]
    timeout: Duration,

    /// Delay before each attempt to send a webhook, such as 0s,5s,10m,2h
    #[arg(
        long = "webhook-schedule",
        env = "LICENSE_WEBHOOK_SCHEDULE",
        value_name = "PAUSES",
        default_value = "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h"
    )]
    pub(crate) schedule: Schedule,

    /// Times before expiry at which the event license.expiring is sent, such as 30d,7d,1d
    #[arg(long, env = "LICENSE_EXPIRING_REMINDERS", value_name = "DURATIONS", default_value = "7d",
        value_parser = duration::reminders)]
    pub(crate) expiring_reminders: Reminders,
}

impl WebhookFlags {
    /// Returns the allowed destinations.
    pub(crate) fn destinations(&self) -> Destinations {
        let rules = self.allow.iter().fold(Destinations::public(), |rules, network| rules.allow(*network));
        if self.allow_http { rules.allow_http() } else { rules }
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.timeout
    }
}

/// Flags of signed tokens.
#[derive(Debug, Args)]
pub(crate) struct TokenFlags {
    /// Issuer in signed tokens (iss), such as the public URL; without it, the URL that the server listens on
    #[arg(long, env = "LICENSE_ISSUER", value_name = "URL")]
    issuer: Option<String>,

    /// Name of the algorithm in signed tokens (alg). The signatures are the same
    #[arg(long = "token-algorithm", env = "LICENSE_TOKEN_ALGORITHM", value_enum, default_value_t = AlgorithmFlag::EdDsa)]
    algorithm: AlgorithmFlag,
}

/// Name of the algorithm.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum AlgorithmFlag {
    /// The name that most JWT libraries know (RFC 8037).
    #[value(name = "EdDSA")]
    EdDsa,
    /// The newer name (RFC 9864).
    #[value(name = "Ed25519")]
    Ed25519,
}

impl TokenFlags {
    /// Configures the tokens of a server that listens on this URL.
    pub(crate) fn configure(&self, builder: EngineBuilder, url: String) -> EngineBuilder {
        let algorithm = match self.algorithm {
            AlgorithmFlag::EdDsa => TokenAlgorithm::EdDsa,
            AlgorithmFlag::Ed25519 => TokenAlgorithm::Ed25519,
        };
        builder.issuer(self.issuer.clone().unwrap_or(url)).token_algorithm(algorithm)
    }
}

/// Parses a network or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "must be a network such as 10.0.0.0/8, or an address".to_owned())
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
    /// Returns the options of the license cache.
    pub(crate) fn cache(&self) -> CacheOptions {
        CacheOptions {
            size: self.cache_size.0,
            ttl: self.cache_ttl,
            deadline: self.outage_after,
            outage: self.outage_cache,
        }
    }

    /// Returns the options of the token cache, with the times of the license cache.
    pub(crate) fn token_cache(&self) -> CacheOptions {
        CacheOptions { size: CacheOptions::tokens().size, ..self.cache() }
    }

    pub(crate) fn recording(&self) -> Recording {
        match self.recording {
            RecordingFlag::Durable => Recording::Durable,
            RecordingFlag::Buffered => Recording::Buffered,
        }
    }

    /// Returns the options of the recorder.
    pub(crate) fn group_commit(&self) -> GroupCommitOptions {
        GroupCommitOptions {
            recording: self.recording(),
            deadline: self.outage_after,
            max_buffered: self.outage_records,
            ..GroupCommitOptions::default()
        }
    }
}

/// Format of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// Log level.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogLevel {
    /// Faults of the server and of its database.
    Error,
    /// Also conditions that may become a fault.
    Warn,
    /// Also requests, except validations.
    Info,
    /// Also validations.
    Debug,
}

impl LogFormat {
    /// Starts logging to standard error.
    pub(crate) fn start(self, level: LogLevel) {
        let level = match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        // sqlx logs PostgreSQL notices, such as existing tables, at info level.
        let levels = Targets::new()
            .with_default(level.min(LevelFilter::INFO))
            .with_target("license", level)
            .with_target("sqlx", level.min(LevelFilter::WARN));
        // A log that cannot be written, such as on a full disk, must not fail a request.
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
    /// Settings of the background jobs.
    pub(crate) fn jobs(&self) -> JobOptions {
        JobOptions {
            reminders: self.webhooks.expiring_reminders.clone(),
            usage_retention: self.retention.usage(),
            audit_days: self.retention.audit_retention,
            ..JobOptions::default()
        }
    }

    /// Returns the format of license keys.
    pub(crate) fn key_format(&self) -> Result<KeyFormat, String> {
        KeyFormat::new(&self.key_prefix, KeyFormat::default().groups())
            .map_err(|error| format!("--key-prefix: {error}"))
    }

    /// Loads the plans of the file, if one is set. Returns them with its name.
    pub(crate) fn plans(&self) -> Result<Option<(PlanCatalog, String)>, String> {
        let Some(path) = &self.plans else { return Ok(None) };
        let plans = read_plans(path).map_err(|error| format!("--plans {error}"))?;
        Ok(Some((plans, path.display().to_string())))
    }

    /// Returns the admin token if one is set.
    pub(crate) fn admin_token(&self) -> Result<Option<String>, String> {
        let token = self.admin_token.read()?;
        let is_valid = |token: &String| {
            token.len() >= MIN_ADMIN_TOKEN_LENGTH && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if token.as_ref().is_some_and(|token| !is_valid(token)) {
            return Err(format!(
                "--admin-token must be at least {MIN_ADMIN_TOKEN_LENGTH} printable ASCII characters without spaces"
            ));
        }
        Ok(token)
    }
}

/// Reads a file of plans.
pub(crate) fn read_plans(path: &Path) -> Result<PlanCatalog, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    PlanCatalog::from_toml(&text).map_err(|error| format!("{shown}: {}", one_line(&error)))
}

/// Returns the text of an error on one line. TOML errors have several.
fn one_line(error: &impl ToString) -> String {
    error.to_string().lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An embedder who sets nothing gets the engine that the server has without flags.
    #[test]
    fn server_defaults_are_engine_defaults() {
        let flags = Flags::parse_from(["license-server"]);
        assert_eq!(flags.validations.cache(), CacheOptions::default());
        assert_eq!(flags.validations.token_cache(), CacheOptions::tokens());
        assert_eq!(flags.validations.group_commit(), GroupCommitOptions::default());
        assert_eq!(flags.webhooks.schedule, Schedule::default());
        assert_eq!(flags.jobs(), JobOptions::default());
        assert_eq!(flags.key_format().map(|format| format.masked()), Ok(KeyFormat::default().masked()));
    }
}
