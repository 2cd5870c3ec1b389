//! Reads every license and activation, and opens the keys.

use license_core::key::{DataKeys, KeyVault, Secret};
use license_core::license::License;

use super::snapshot::Snapshot;
use super::{Check, CheckResult, Fault, Verification, VerifyError};
use crate::sql::prelude::*;
use crate::sql::rows::metadata_rows;
use crate::sql::statements::{
    EXAMPLES, SettingStatements, SigningKeyStatements, VerificationStatements, WebhookStatements,
};

/// Rows that are read at once.
const PAGE: i64 = 1_000;

/// Faults of one check.
#[derive(Default)]
struct Faults {
    count: u64,
    examples: Vec<Fault>,
}

impl Faults {
    fn add(&mut self, subject: &str, problem: impl Into<String>) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(Fault { subject: subject.to_owned(), problem: problem.into() });
        }
    }

    /// Notes a row that cannot be read. Other errors end the verification.
    fn add_row(&mut self, error: StoreError) -> Result<()> {
        let StoreError::Corrupt { table, column, id, source } = error else { return Err(error) };
        self.add(&id, format!("{table}.{column} cannot be read: {source}"));
        Ok(())
    }

    fn into_result(self) -> CheckResult {
        match self {
            Self { count: 0, .. } => CheckResult::Ok,
            Self { count, examples } => CheckResult::Failed { faults: count, examples },
        }
    }
}

/// What is checked row by row.
pub(super) struct Contents<'a> {
    secret: Option<&'a Secret>,
    /// The keys of the database, if the secret opens them.
    vault: Option<KeyVault>,
    secrets: Faults,
    keys: Faults,
    rows: Faults,
    metadata: Faults,
    /// Rows that `license_metadata` must have.
    texts: u64,
}

impl<'a> Contents<'a> {
    pub(super) fn new(secret: Option<&'a Secret>) -> Self {
        Self {
            secret,
            vault: None,
            secrets: Faults::default(),
            keys: Faults::default(),
            rows: Faults::default(),
            metadata: Faults::default(),
            texts: 0,
        }
    }

    pub(super) async fn read<S: Snapshot>(
        &mut self,
        snapshot: &mut S,
        sql: &VerificationStatements,
    ) -> Result<(), VerifyError> {
        self.open_data_keys(snapshot).await?;
        self.read_licenses(snapshot, sql).await?;
        self.read_activations(snapshot, sql).await?;
        self.read_sealed(snapshot).await?;
        let stored = Rows(snapshot.rows(&sql.count_metadata, &[]).await?).count("license_metadata", "n")?;
        if stored != self.texts {
            let problem =
                format!("it has {stored} rows, but the metadata of the licenses has {} texts", self.texts);
            self.metadata.add("license_metadata", problem);
        }
        Ok(())
    }

    async fn open_data_keys<S: Snapshot>(&mut self, snapshot: &mut S) -> Result<(), VerifyError> {
        let Some(secret) = self.secret else { return Ok(()) };
        let get = SettingStatements::new::<S::Dialect>().get;
        let rows = Rows(snapshot.rows(&get, values![DataKeys::SETTING]).await?);
        match rows.first("settings", DataKeys::SETTING, |row| row.bytes("value"))? {
            None => self.secrets.add(DataKeys::SETTING, "the database has no data keys"),
            Some(sealed) => match DataKeys::open(&sealed, secret) {
                Ok(keys) => self.vault = Some(KeyVault::new(&keys)),
                Err(error) => self.secrets.add(DataKeys::SETTING, error.to_string()),
            },
        }
        Ok(())
    }

    async fn read_licenses<S: Snapshot>(
        &mut self,
        snapshot: &mut S,
        sql: &VerificationStatements,
    ) -> Result<(), VerifyError> {
        let mut after = String::new();
        loop {
            let rows = Rows(snapshot.rows(&sql.licenses, values![after.as_str(), PAGE]).await?);
            for row in rows.iter("licenses", "") {
                after = row.text("id")?;
                match row.license() {
                    Ok(license) => self.check_license(&license),
                    Err(error) => self.rows.add_row(error)?,
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    fn check_license(&mut self, license: &License) {
        self.texts += metadata_rows(license).len() as u64;
        let Some(vault) = &self.vault else { return };
        let id = license.id.as_str();
        match vault.open(&license.sealed_key, id) {
            Ok(key) if vault.digest(&key) != license.key_digest => {
                self.keys.add(id, "its key has another digest");
            }
            Ok(_) => {}
            Err(error) => self.keys.add(id, error.to_string()),
        }
    }

    async fn read_activations<S: Snapshot>(
        &mut self,
        snapshot: &mut S,
        sql: &VerificationStatements,
    ) -> Result<(), VerifyError> {
        let mut after = (String::new(), String::new());
        loop {
            let values = values![after.0.as_str(), after.1.as_str(), PAGE];
            let rows = Rows(snapshot.rows(&sql.activations, values).await?);
            for row in rows.iter("activations", "") {
                after = (row.text("license_id")?, row.text("id")?);
                if let Err(error) = row.activation_detail() {
                    self.rows.add_row(error)?;
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// Opens the secrets of endpoints and the signing keys, of which there are few.
    async fn read_sealed<S: Snapshot>(&mut self, snapshot: &mut S) -> Result<(), VerifyError> {
        let endpoints = WebhookStatements::new::<S::Dialect>().endpoints;
        for row in Rows(snapshot.rows(&endpoints, &[]).await?).iter("endpoints", "") {
            match (row.endpoint(), &self.vault) {
                (Err(error), _) => self.rows.add_row(error)?,
                (Ok(endpoint), Some(vault)) => {
                    if let Err(error) = vault.open_secret(&endpoint.secret, &endpoint.id) {
                        self.keys.add(endpoint.id.as_str(), error.to_string());
                    }
                }
                (Ok(_), None) => {}
            }
        }
        let keys = SigningKeyStatements::new::<S::Dialect>().all;
        for row in Rows(snapshot.rows(&keys, &[]).await?).iter("signing_keys", "") {
            match (row.signing_key(), &self.vault) {
                (Err(error), _) => self.rows.add_row(error)?,
                (Ok(key), Some(vault)) => {
                    if let Err(error) = vault.open_signing_key(&key.sealed, key.id.as_str()) {
                        self.keys.add(key.id.as_str(), error.to_string());
                    }
                }
                (Ok(_), None) => {}
            }
        }
        Ok(())
    }

    /// Adds the checks to the report.
    pub(super) fn report(self, report: &mut Verification, is_readable: bool) {
        let has_vault = self.vault.is_some();
        let reason = match (is_readable, self.secret) {
            (false, _) => Some("the checks above failed"),
            (true, None) => Some("no secret was given"),
            (true, Some(_)) => None,
        };
        let mut push = |name, rule, skipped: Option<&'static str>, faults: Faults| {
            let result = skipped.map_or_else(|| faults.into_result(), CheckResult::Skipped);
            report.checks.push(Check { name, rule, result });
        };
        push("secret", "the secret opens the data keys", reason, self.secrets);
        let keys = reason.or((!has_vault).then_some("the secret does not open the data keys"));
        push("keys", "the data keys open the keys of licenses, endpoints and signatures", keys, self.keys);
        let unread = (!is_readable).then_some("the checks above failed");
        push("rows", "every license, activation and endpoint can be read", unread, self.rows);
        push("metadata", "searches know the metadata of the licenses", unread, self.metadata);
    }
}
