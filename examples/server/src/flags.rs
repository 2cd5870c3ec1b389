//! What can be set, by flag or by environment variable.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use license_core::key::{KeyFormat, Secret};
use license_core::plan::PlanCatalog;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Shortest admin token that may be set by hand, in bytes: short ones can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Issues, validates and manages licenses over HTTP.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "LICENSE_SECRET (64 hex digits) seals the license keys; without it a file beside \
    the database is used, and made on the first start."
)]
pub(crate) struct Flags {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "LICENSE_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,

    #[command(flatten)]
    pub(crate) database: DatabaseFlags,

    /// Token for admin calls, instead of the one made on the first start
    #[arg(long, env = "LICENSE_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<String>,

    /// TOML file of the plans, instead of starter, professional and enterprise
    #[arg(long, env = "LICENSE_PLANS", value_name = "FILE")]
    plans: Option<PathBuf>,

    /// What license keys start with: 1 to 10 of A-Z and 0-9
    #[arg(long, env = "LICENSE_KEY_PREFIX", default_value = "TO")]
    key_prefix: String,

    /// Form of the log on standard error
    #[arg(long, env = "LICENSE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// Where licenses are kept.
#[derive(Debug, Args)]
pub(crate) struct DatabaseFlags {
    /// Where licenses are kept
    #[arg(
        long,
        help = "Where licenses are kept: sqlite://FILE, postgres://USER:PASSWORD@HOST/NAME, or memory: (gone when the \
                server stops)",
        env = "LICENSE_DATABASE",
        hide_env_values = true,
        default_value = "sqlite://licenses.db"
    )]
    pub(crate) database: String,

    /// PostgreSQL: most connections of this node
    #[arg(long, env = "LICENSE_DATABASE_CONNECTIONS", value_name = "N", default_value_t = 10,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) database_connections: u16,

    /// PostgreSQL: seconds that a call waits for a connection before it is answered 503
    #[arg(long, env = "LICENSE_DATABASE_TIMEOUT", value_name = "SECONDS", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) database_timeout: u16,

    /// PostgreSQL: a pooler in transaction mode, such as pgbouncer, stands between; see docs/postgres.md
    #[arg(long, env = "LICENSE_DATABASE_POOLER")]
    pub(crate) database_pooler: bool,

    /// PostgreSQL: where to listen for changes of other nodes, where --database is a pooler
    #[arg(long, env = "LICENSE_DATABASE_LISTEN", hide_env_values = true, value_name = "URL")]
    pub(crate) database_listen: Option<String>,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl LogFormat {
    /// Starts logging, to standard error.
    pub(crate) fn start(self) {
        // The driver passes on what PostgreSQL remarks on, such as tables that are there already.
        let levels = Targets::new().with_default(LevelFilter::INFO).with_target("sqlx", LevelFilter::WARN);
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
