//! Creates licenses and settings, each once.

use license_core::access::AuditEntry;
use license_core::command::NewLicense;
use license_core::store::{ChangeNotice, Created, SettingChange};

use super::prelude::*;
use super::rows::{audit_row, event_row, license_row, metadata_rows, new_activation_row};

impl<D: Dialect> SqlDatabase<D> {
    /// Stores licenses with one statement for each table.
    pub(super) async fn try_create_all(&self, new: &[NewLicense]) -> Result<Created> {
        let Some(first) = new.first() else { return Ok(Created::New) };
        let mut tx = self.begin(Durability::PowerLoss).await?;
        // Inserted first: callers that race wait here, and then find the row of the first one.
        if let Some(asked) = &first.idempotency
            && !self.insert_used_key(&mut tx, asked, &first.events).await?
        {
            let missing = || StoreError::Contended { source: "the idempotency key was deleted".into() };
            let used = self.find_used_key(&mut tx, asked).await?.ok_or_else(missing)?;
            return Ok(Created::repeated(asked, &used));
        }
        let claims = || new.iter().flat_map(|one| &one.trial_claims);
        if self.insert_trial_claims(&mut tx, claims()).await? != claims().count() {
            return Ok(Created::TrialUsed);
        }
        let licenses = new.iter().map(|one| license_row(&one.license)).collect();
        if self.insert_rows(&mut tx, &self.sql.licenses.insert, licenses).await? != new.len() {
            if let Some(external_id) = &first.license.external_id
                && self.has_external_id(&mut tx, external_id).await?
            {
                return Ok(Created::ExternalIdTaken);
            }
            return Err(StoreError::AlreadyExists { what: "the license id or key" });
        }
        let metadata = new.iter().flat_map(|one| metadata_rows(&one.license)).collect();
        self.insert_rows(&mut tx, &self.sql.search.insert_metadata, metadata).await?;
        let of_license = |one: &NewLicense| -> Vec<_> {
            one.activations.iter().map(|held| new_activation_row(&one.license, held)).collect()
        };
        let activations = new.iter().flat_map(of_license).collect();
        self.insert_rows(&mut tx, &self.sql.activations.insert, activations).await?;
        let events = new.iter().flat_map(|one| &one.events).map(|event| event_row(event).into()).collect();
        self.insert_rows(&mut tx, &self.sql.events.insert, events).await?;
        let audit = new.iter().filter_map(|one| one.audit.as_ref()).map(audit_row).collect();
        self.insert_rows(&mut tx, &self.sql.audit.insert, audit).await?;
        let notices = new.iter().map(|one| ChangeNotice::LicenseChanged(one.notice()));
        self.commit_and_notify(tx, notices.collect()).await?;
        Ok(Created::New)
    }

    pub(super) async fn try_put_if_absent(
        &self,
        name: &str,
        value: &[u8],
        audit: Option<&AuditEntry>,
    ) -> Result<Vec<u8>> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let inserted = self.fetch(&mut tx, &self.sql.settings.insert, values![name, value]).await?;
        if !inserted.is_empty()
            && let Some(audit) = audit
        {
            self.insert_audit(&mut tx, audit).await?;
        }
        let rows = self.fetch(&mut tx, &self.sql.settings.get, values![name]).await?;
        let missing = || StoreError::Contended { source: "the setting was deleted".into() };
        let stored = rows.first("settings", name, |row| row.bytes("value"))?.ok_or_else(missing)?;
        self.commit(tx).await?;
        Ok(stored)
    }

    pub(super) async fn try_replace_setting(
        &self,
        SettingChange { name, from, to, audit }: &SettingChange,
    ) -> Result<bool> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let values = values![&**name, &**from, &**to];
        if self.fetch(&mut tx, &self.sql.settings.replace, values).await?.is_empty() {
            return Ok(false);
        }
        self.insert_audit(&mut tx, audit).await?;
        self.commit(tx).await?;
        Ok(true)
    }
}
