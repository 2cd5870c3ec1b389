//! Reads what tells whether a server can work on a database, without changing it.

use chrono::{DateTime, Utc};
use license_core::key::{DataKeys, KeyFormat};

use super::prelude::*;
use super::statements::{
    ClockStatements, JournalStatements, SettingStatements, VerificationStatements, WebhookStatements,
};
use super::verify::{Snapshot, VerifyError};

/// What a database says about itself.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Name and version of the database, such as `PostgreSQL 15.8`.
    pub version: String,
    /// What keeps this version from working on the database, for example because it is a replica.
    pub obstacle: Option<String>,
    /// The time of the database server; `None` if the database is a file.
    pub time: Option<DateTime<Utc>>,
    /// Number of its schema; `None` if it has no tables of this software.
    pub schema: Option<i64>,
    /// The schema of this version.
    pub known_schema: i64,
    /// What its tables have; `None` if it has another schema.
    pub contents: Option<InspectedContents>,
}

/// What the tables of a database have.
#[derive(Clone, Debug, Default)]
pub struct InspectedContents {
    /// The sealed data keys; `None` if no server has started on it.
    pub data_keys: Option<Vec<u8>>,
    /// The prefix and the number of groups of its keys, such as `TO-4`.
    pub key_format: Option<String>,
    /// The last time at which a server had a plausible clock.
    pub heartbeat: Option<DateTime<Utc>>,
    /// Validations that wait to be compacted.
    pub waiting: u64,
    /// Recorded batches that could not be read.
    pub rejected: u64,
    /// Deliveries of enabled endpoints that are not settled.
    pub deliveries: u64,
    /// When the first of them became due, or will be.
    pub oldest_due: Option<DateTime<Utc>>,
    /// Id and URL of each enabled endpoint.
    pub endpoints: Vec<(String, String)>,
}

/// Reads the contents, if the schema is that of this version.
pub(super) async fn inspect<S: Snapshot>(
    snapshot: &mut S,
    mut inspection: Inspection,
) -> Result<Inspection, VerifyError> {
    inspection.known_schema = i64::try_from(S::KNOWN_SCHEMA).unwrap_or(i64::MAX);
    if snapshot.has_table("license_migrations").await? {
        let schema = VerificationStatements::new::<S::Dialect>().schema;
        let found = Rows(snapshot.rows(&schema, &[]).await?);
        inspection.schema = found.first("license_migrations", "", |row| row.maybe_int("version"))?.flatten();
    }
    if inspection.schema == Some(inspection.known_schema) {
        inspection.contents = Some(contents(snapshot).await?);
    }
    Ok(inspection)
}

async fn contents<S: Snapshot>(snapshot: &mut S) -> Result<InspectedContents, VerifyError> {
    let get = SettingStatements::new::<S::Dialect>().get;
    let mut settings = Vec::new();
    for name in [DataKeys::SETTING, KeyFormat::SETTING] {
        let rows = Rows(snapshot.rows(&get, values![name]).await?);
        settings.push(rows.first("settings", name, |row| row.bytes("value"))?);
    }
    let key_format = settings.pop().flatten().map(|text| String::from_utf8_lossy(&text).into_owned());
    let heartbeat = Rows(snapshot.rows(&ClockStatements::new::<S::Dialect>().heartbeat, &[]).await?);
    let journal = JournalStatements::new::<S::Dialect>();
    let waiting = Rows(snapshot.rows(&journal.count_validations, &[]).await?);
    let rejected = Rows(snapshot.rows(&journal.count_rejected, &[]).await?);
    let webhooks = WebhookStatements::new::<S::Dialect>();
    let backlog = Rows(snapshot.rows(&webhooks.backlog, &[]).await?);
    let endpoints = Rows(snapshot.rows(&webhooks.endpoints, &[]).await?);
    let endpoints = endpoints.all("endpoints", "", |row| {
        Ok((row.text("id")?, row.text("url")?, row.maybe_int("disabled_at")?.is_none()))
    })?;
    let enabled = endpoints.into_iter().filter(|(_, _, is_enabled)| *is_enabled);
    Ok(InspectedContents {
        data_keys: settings.pop().flatten(),
        key_format,
        heartbeat: heartbeat.first("clock", "", |row| row.maybe_time("heartbeat"))?.flatten(),
        waiting: waiting.count("journal", "n")?,
        rejected: rejected.count("journal_rejected", "n")?,
        deliveries: backlog.count("deliveries", "n")?,
        oldest_due: backlog.first("deliveries", "", |row| row.maybe_time("oldest"))?.flatten(),
        endpoints: enabled.map(|(id, url, _)| (id, url)).collect(),
    })
}
