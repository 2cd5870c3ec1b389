//! The database: reachable, readable, and its backlog.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use license_core::clock::{ClockGuard, ClockReading};
use license_core::key::{DataKeys, Secret};
use license_store::sql::{InspectedContents, Inspection, postgres, sqlite};

use crate::database::Database;
use crate::flags::Flags;
use crate::secret_rotation::hint;

use super::finding::Findings;

/// How far the clock of a database server may differ.
const CLOCK_DIFFERENCE: TimeDelta = TimeDelta::minutes(1);
/// Waiting validations that are unusual, and those at which recorders wait.
const MANY_WAITING: u64 = 100_000;
const MOST_WAITING: u64 = 500_000;
/// How long a delivery is due before it is stuck.
const LATE: TimeDelta = TimeDelta::minutes(15);
/// How long a notice or a webhook endpoint has.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn check(flags: &Flags, now: DateTime<Utc>, findings: &mut Findings) {
    let database = match Database::parse(&flags.database) {
        Ok(database) => database,
        Err(error) => return findings.error("database", error),
    };
    let inspected = match &database {
        Database::Memory => return findings.skipped("database", "memory: belongs to one process"),
        Database::Sqlite(path) => sqlite::inspect(path).await,
        Database::Postgres(url, _) => {
            match tokio::time::timeout(flags.database.database_timeout, postgres::inspect(url)).await {
                Ok(inspected) => inspected,
                Err(_) => {
                    return findings.error(
                        "database",
                        format!("{database} does not answer: check its address and network"),
                    );
                }
            }
        }
    };
    let inspection = match inspected {
        Ok(inspection) => inspection,
        Err(error) => {
            let help = match &database {
                Database::Sqlite(_) => "start the server once to create it, or restore a backup",
                _ => "check the address, the user and the password in --database",
            };
            return findings.error("database", format!("{database}: {error}; {help}"));
        }
    };
    let version = &inspection.version;
    match &inspection.obstacle {
        Some(obstacle) => findings.error("database", format!("{database} ({version}): {obstacle}")),
        None => findings.ok("database", format!("{database} answers ({version})")),
    }
    check_schema(&inspection, flags.database.migrate, findings);
    check_notices(&database, flags, findings).await;
    let Some(contents) = &inspection.contents else { return };
    check_secret(&database, flags, contents, findings);
    check_key_format(flags, contents, findings);
    check_clock(inspection.time, contents.heartbeat, now, findings);
    check_backlog(contents, now, findings);
    check_webhooks(flags, contents, findings).await;
}

fn check_schema(inspection: &Inspection, start_migrates: bool, findings: &mut Findings) {
    let known = inspection.known_schema;
    match inspection.schema {
        Some(found) if found == known => {
            findings.ok("schema", format!("it is {found}, that of this version"));
        }
        Some(found) if found > known => findings.error(
            "schema",
            format!(
                "the database has schema {found}, but this version knows {known}: install a newer version"
            ),
        ),
        _ if !start_migrates => findings.error(
            "schema",
            format!("the database needs schema {known}, and --migrate is off: run license-server migrate"),
        ),
        Some(found) => findings.warning(
            "schema",
            format!(
                "the database has schema {found}: the next start migrates it to {known}; back it up before"
            ),
        ),
        None => findings.warning("schema", "the database has no tables: the first start creates them"),
    }
}

fn check_secret(
    database: &Database,
    flags: &Flags,
    InspectedContents { data_keys, .. }: &InspectedContents,
    findings: &mut Findings,
) {
    let Some(sealed) = data_keys else {
        return findings.skipped("secret", "no server has started on the database");
    };
    // An error of the setting itself is one of the configuration.
    let own = || database.secret_file().map(|file| Secret::load(&file)).transpose();
    let secret = match flags.database.secret() {
        Ok(Some(secret)) => Ok(Some(secret)),
        Ok(None) => own().map(Option::flatten).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match secret.map(|secret| secret.map(|secret| DataKeys::open(sealed, &secret))) {
        Err(error) => findings.error("secret", error),
        Ok(None) => findings.error(
            "secret",
            "it is missing, and no license key can be read without it: set LICENSE_SECRET or --secret-file to the secret \
             of the database",
        ),
        Ok(Some(Err(error))) => findings.error("secret", format!("{error}{}", hint(database))),
        Ok(Some(Ok(_))) => findings.ok("secret", "it opens the data keys of the database"),
    }
}

fn check_key_format(flags: &Flags, contents: &InspectedContents, findings: &mut Findings) {
    let (Some(stored), Ok(format)) = (&contents.key_format, flags.key_format()) else { return };
    let stored = stored.split('-').next().unwrap_or_default();
    if stored == format.prefix() {
        findings.ok("key_format", format!("keys start with {stored}"));
    } else {
        let set = format.prefix();
        findings.error(
            "key_format",
            format!("the keys of the database start with {stored}, not {set}: set --key-prefix {stored}"),
        );
    }
}

fn check_clock(
    of_database: Option<DateTime<Utc>>,
    heartbeat: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    findings: &mut Findings,
) {
    let mut guard = ClockGuard::default();
    let _ = guard.look(ClockReading { wall: now, monotonic: Duration::ZERO }, heartbeat);
    let shown = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    match (of_database, heartbeat) {
        (Some(time), _) if (time - now).abs() > CLOCK_DIFFERENCE => findings.warning(
            "clock",
            format!(
                "this machine has {}, but the database server has {}: synchronise both, for example with NTP",
                shown(now),
                shown(time)
            ),
        ),
        (_, Some(heartbeat)) if !guard.is_plausible() => findings.warning(
            "clock",
            format!(
                "this machine has {}, but the last plausible time was {}: jobs that act on time are paused; correct the \
                 clock, or run license-server clock accept",
                shown(now),
                shown(heartbeat)
            ),
        ),
        _ => findings.ok("clock", format!("{} is plausible", shown(now))),
    }
}

async fn check_notices(database: &Database, flags: &Flags, findings: &mut Findings) {
    let Database::Postgres(url, _) = database else {
        return findings.ok("changes", "servers on one SQLite file read changes of others within seconds");
    };
    let listen_url = flags.database.database_listen.as_deref().unwrap_or(url);
    match postgres::check_notices(url, listen_url, TIMEOUT).await {
        Ok(()) => findings.ok("changes", "nodes hear of changes of each other"),
        Err(error) => findings.error(
            "changes",
            format!(
                "notices do not reach this node ({error}), so a revocation on another node takes up to five seconds: behind \
                 a pooler in transaction mode, set --database-listen to the URL of the server itself"
            ),
        ),
    }
}

fn check_backlog(contents: &InspectedContents, now: DateTime<Utc>, findings: &mut Findings) {
    let waiting = contents.waiting;
    if waiting >= MOST_WAITING {
        findings.error(
            "journal",
            format!("{waiting} validations wait to be counted, so new ones wait too: check that a server runs, and its disk"),
        );
    } else if waiting >= MANY_WAITING {
        findings.warning(
            "journal",
            format!("{waiting} validations wait to be counted: check the load of the database"),
        );
    } else {
        findings.ok("journal", format!("{waiting} validations wait to be counted"));
    }
    if contents.rejected > 0 {
        findings.warning(
            "journal",
            format!(
                "{} batches could not be read, and are in the table journal_rejected with the reason: use one version on \
                 all nodes",
                contents.rejected
            ),
        );
    }
    match contents.oldest_due {
        Some(due) if now - due > LATE => findings.warning(
            "deliveries",
            format!(
                "{} webhook deliveries wait, the first since {}: check that a server runs, and its log",
                contents.deliveries,
                due.format("%Y-%m-%dT%H:%M:%SZ")
            ),
        ),
        _ => findings
            .ok("deliveries", format!("{} webhook deliveries wait, and none is late", contents.deliveries)),
    }
}

async fn check_webhooks(flags: &Flags, contents: &InspectedContents, findings: &mut Findings) {
    let destinations = flags.webhooks.destinations();
    let mut unreachable = 0;
    for (id, url) in &contents.endpoints {
        if let Err(error) = destinations.connect(url, TIMEOUT).await {
            unreachable += 1;
            findings.warning(
                "webhooks",
                format!("{id} does not accept a connection: {error}; check its URL, and --webhook-allow for private networks"),
            );
        }
    }
    if unreachable == 0 {
        findings.ok("webhooks", format!("{} endpoints accept connections", contents.endpoints.len()));
    }
}
